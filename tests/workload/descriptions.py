"""Every kind of description of images, and images that fit it."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from autotune.workload.preprocessing import Color, Preprocessing, Resize
from tests.pictures import page

CASTS = (
    ((), ()),
    ((127.5,), (127.5,)),
    ((), (255.0,)),
    ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
)
COLORS = (
    (Color.RGB, None),
    (Color.RGB, Color.BGR),
    (Color.BGR, Color.RGB),
    (Color.GRAY, None),
)
SIZES = ((90, 130), (61, 47), (130, 60), (24, 40), (33, 150))
"""Wide, small, tall, smaller than the model and of another form."""
MODEL = (40, 56)


@dataclass(frozen=True)
class Described:
    """A description, what it is for, and images."""

    how: Preprocessing
    shape: tuple[int, ...]
    """Of the model's input."""
    images: list[np.ndarray]


@st.composite
def described(draw: st.DrawFn, resizes: tuple[Resize | None, ...] = (None, *Resize)) -> Described:
    """Images of one size or of several, with all that can be said of them."""
    resize = draw(st.sampled_from(resizes))
    crops = draw(st.booleans())
    sizes = draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=2))
    if resize is None:
        sizes = [(57, 81)] * len(sizes) if crops else [MODEL] * len(sizes)
    color, model_color = draw(st.sampled_from(COLORS))
    channels = 1 if color is Color.GRAY else 3
    casts = [one for one in CASTS if channels == 3 or len(one[0]) < 3]
    mean, scale = draw(st.sampled_from(casts))
    how = Preprocessing(
        type=draw(st.sampled_from(("u8", "f32"))),
        layout=draw(st.sampled_from(("HWC", "CHW"))),
        size=sizes[0] if len(set(sizes)) == 1 and draw(st.booleans()) else None,
        color=color,
        model_color=model_color,
        model_layout=draw(st.sampled_from(("NCHW", "NHWC"))),
        resize=resize,
        resize_to=(51, 71) if resize and crops else None,
        crop=MODEL if crops else None,
        mean=mean,
        scale=scale,
    )
    planar = how.model_layout == "NCHW"
    shape = (1, channels, *MODEL) if planar else (1, *MODEL, channels)
    return Described(how, shape, [picture(how, *size, seed=at) for at, size in enumerate(sizes)])


def picture(how: Preprocessing, height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """A page of text as it is described."""
    image = page(height, width, seed)
    if how.color is Color.GRAY:
        image = image[..., :1]
    if how.type == "f32":  # not whole numbers
        image = image.astype(np.float32) * np.float32(0.37)
    return np.ascontiguousarray(image.transpose(2, 0, 1)) if how.layout == "CHW" else image
