"""Images prepared on the host, as an application does it: Pillow resizes, NumPy does the rest.

The order of the steps is that of the graph (`worker/preprocessing.py`): resize, crop, colours,
mean, scale, layout. Pillow resizes images of bytes in bytes, those of f32 channel by channel.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from autotune.workload.preprocessing import Color, Preprocessing, Resize

Size = tuple[int, int]
"""Height and width."""

HALF = 0.5 + 2**-14
"""What a graph for images of several sizes adds to a resized byte before it rounds down: half a
step goes up, and so does a little less, as what is exact in Pillow's integers is not in f32."""
FRACTION = 22
"""Bits behind the point of the weights with which Pillow resizes bytes."""
_ALL = 2**31 - 1
"""An end that no dimension has: to its own."""

_FILTERS = {Resize.NEAREST: 0, Resize.BILINEAR: 2, Resize.BICUBIC: 3}
"""Numbers that Pillow has for them since its beginning."""


class PreparationError(ValueError):
    """An image does not fit its description, or the model; the message says what does."""


def channels_of(color: Color) -> int:
    """Channels of an image."""
    return 1 if color is Color.GRAY else 3


def image_size(image: np.ndarray, how: Preprocessing) -> Size:
    """Height and width of an image as it comes."""
    at = how.layout.index("H") if image.ndim == len(how.layout) else 0
    return int(image.shape[at]), int(image.shape[at + 1])


def prepared_size(how: Preprocessing, source: Size, model: Size) -> Size:
    """Height and width of what an image becomes.

    Args:
        how: its description, of which `why_not` says nothing.
        source: height and width of the image.
        model: those that the model takes; -1 where one is open.
    """
    return how.crop or resized_size(how, model) or source


def size_in(shape: Sequence[int], how: Preprocessing) -> Size:
    """Height and width among the sizes of the input that images are prepared for; -1 is open."""
    height, width = (shape[how.model_layout.index(one)] for one in "HW")
    return height, width


def resized_size(how: Preprocessing, model: Size) -> Size | None:
    """Height and width after the resize; None without one."""
    return None if how.resize is None else how.resize_to or model


def taps(before: int, after: int, resize: Resize) -> tuple[np.ndarray, np.ndarray]:
    """Which rows (or columns) of an image each of the resized one is made of, and how much of each.

    Bytes that are weighted so, added up, and rounded by half a step up are those of Pillow
    (`precompute_coeffs` and `normalize_coeffs_8bpc` in its Resample.c).

    Args:
        before: how many there are.
        after: how many there will be.
        resize: bilinear or bicubic.

    Returns:
        Places and weights in units of 2^-`FRACTION`, both int32, (after, n); of what needs fewer
        than n, the others weigh nothing.
    """
    scale = before / after
    stretch = max(scale, 1.0)
    support = _REACH[resize] * stretch
    center = (np.arange(after) + 0.5) * scale
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    end = np.minimum((center + support + 0.5).astype(np.int64), before)
    places = first[:, None] + np.arange((end - first).max())
    away = np.abs((places - center[:, None] + 0.5) * (1.0 / stretch))
    weights = np.where(places < end[:, None], _weight(away, resize), 0.0)
    total = np.zeros(after)
    for column in weights.T:  # in this order, as sums of floats depend on it
        total += column
    weights /= total[:, None]
    fixed = np.trunc(np.where(weights < 0, -0.5, 0.5) + weights * 2**FRACTION).astype(np.int32)
    used = fixed.any(axis=0)
    return np.minimum(places, before - 1).astype(np.int32)[:, used], fixed[:, used]


_REACH = {Resize.BILINEAR: 1.0, Resize.BICUBIC: 2.0}
"""How far a filter goes, in rows of the smaller image."""


def _weight(away: np.ndarray, resize: Resize) -> np.ndarray:
    """Of what is so far from the middle; Pillow's filters, in the order of its operations."""
    if resize is Resize.BILINEAR:
        return np.where(away < 1, 1 - away, 0.0)
    near = ((-0.5 + 2) * away - (-0.5 + 3)) * away * away + 1
    far = (((away - 5) * away + 8) * away - 4) * -0.5
    return np.where(away < 1, near, np.where(away < 2, far, 0.0))


def rows_first(before: Size, after: Size) -> bool:
    """Whether Pillow (13) resizes heights before widths: where most is gained by it."""
    high, wide = before[0] - after[0], before[1] - after[1]
    return high > 0 and 2 * wide < high


def prepare(image: np.ndarray, how: Preprocessing, height: int, width: int) -> np.ndarray:
    """What the model takes for an image: f32 of 1×C×H×W or 1×H×W×C.

    Args:
        image: of H×W×C or C×H×W, as it is described; H×W will do for a single channel.
        how: the description, of which `why_not` says nothing.
        height: of the model's input.
        width: likewise.

    Raises:
        PreparationError: the image does not fit the description, or does not become that large.
    """
    channels = channels_of(how.colors[1])
    planar = how.model_layout == "NCHW"
    shape = (1, channels, height, width) if planar else (1, height, width, channels)
    out = np.empty(shape, np.float32)
    into(image, how, out)
    return out


def into(image: np.ndarray, how: Preprocessing, out: np.ndarray) -> None:
    """Write what the model takes for an image into `out`, the request's tensor or a row of it.

    Args:
        image: as for `prepare`.
        how: likewise.
        out: 1×C×H×W or 1×H×W×C, of any real type; of whole numbers for a model that takes bytes,
            where nothing is taken away or divided.

    Raises:
        PreparationError: as for `prepare`.
    """
    planes = out[0] if how.model_layout == "NCHW" else out[0].transpose(2, 0, 1)
    target = (planes.shape[1], planes.shape[2])
    view = _view(image, how)
    if how.resize is not None:
        view = _resized(view, how.resize, how.resize_to or target, planar=how.layout == "CHW")
    if how.crop is not None:
        view = _middle(view, how)
    if view.shape[:2] != target:
        way_out = "say how to resize them" if how.resize is None else "say another resize or crop"
        raise PreparationError(
            f"{_named(how)} takes images of {_by(target)}, and one becomes {_by(view.shape[:2])}: "
            f"{way_out}"
        )
    _convert(view, how, planes)


def source_of(image: np.ndarray, how: Preprocessing) -> np.ndarray:
    """The image as a model takes it that prepares it in its graph: with a batch of one before it.

    Raises:
        PreparationError: the image does not fit the description.
    """
    view = _view(image, how)
    return view[None] if how.layout == "HWC" else view.transpose(2, 0, 1)[None]


def _view(image: np.ndarray, how: Preprocessing) -> np.ndarray:
    """The image as H×W×C, without a copy; a word where it is not as described."""
    wanted = np.dtype(np.uint8 if how.type == "u8" else np.float32)
    if image.dtype != wanted:
        raise PreparationError(
            f"{_named(how)} is described as of images of {how.type}, and one is of {image.dtype}: "
            f"say another type"
        )
    channels = channels_of(how.color)
    if image.ndim == 2 and channels == 1:
        image = image[..., None] if how.layout == "HWC" else image[None]
    axis = how.layout.index("C")
    if image.ndim != 3 or image.shape[axis] != channels:
        raise PreparationError(
            f"{_named(how)} is described as of {how.color} images in the layout {how.layout}, "
            f"{channels} channel{'s'[: channels - 1]}, and one has the shape "
            f"{_by(image.shape)}: say another color or layout"
        )
    view = image if axis == 2 else image.transpose(1, 2, 0)
    if how.size is not None and view.shape[:2] != how.size:
        raise PreparationError(
            f"{_named(how)} is described as of images of {_by(how.size)}, and one has "
            f"{_by(view.shape[:2])}: leave the size out where they differ"
        )
    if 0 in view.shape:
        raise PreparationError(f"{_named(how)}: an image of {_by(view.shape)} has no pixel")
    return view


def _resized(view: np.ndarray, how: Resize, size: Size, *, planar: bool) -> np.ndarray:
    """The image as H×W×C in another size, by Pillow."""
    if view.shape[:2] == size:
        return view
    pillow = _pillow()
    height, width = size
    chosen = _FILTERS[how]
    if view.dtype != np.uint8 or view.shape[2] == 1:
        planes = [np.ascontiguousarray(view[..., one]) for one in range(view.shape[2])]
        done = [pillow.fromarray(one).resize((width, height), chosen) for one in planes]
        return np.stack([np.asarray(one) for one in done]).transpose(1, 2, 0)
    if planar:  # quicker than to bring the bytes of a pixel together first
        bands = [pillow.fromarray(np.ascontiguousarray(view[..., one])) for one in range(3)]
        picture = pillow.merge("RGB", bands)
    else:
        picture = pillow.fromarray(np.ascontiguousarray(view))
    return np.asarray(picture.resize((width, height), chosen))


def _middle(view: np.ndarray, how: Preprocessing) -> np.ndarray:
    """What a crop keeps; above and left of it is as much as below and right, or one less."""
    (height, width), (rows, columns) = view.shape[:2], how.crop or view.shape[:2]
    if height < rows or width < columns:
        raise PreparationError(
            f"{_named(how)} keeps the middle {_by((rows, columns))} of images, and one has "
            f"{_by((height, width))} there: say a smaller crop, or a larger resize before it"
        )
    top, left = middle((height, width), (rows, columns))
    return view[top : top + rows, left : left + columns]


def middle(size: Size, crop: Size) -> Size:
    """Rows above and columns left of what a crop keeps."""
    return (size[0] - crop[0]) // 2, (size[1] - crop[1]) // 2


def crop_bounds(how: Preprocessing, size: Size | None) -> tuple[list[int], list[int]]:
    """Where a crop begins and ends along each axis of a batch of images, as the graph is told.

    Args:
        how: a description with a crop.
        size: height and width before it; None where images differ.

    Raises:
        PreparationError: images differ.
    """
    if size is None:
        raise PreparationError(
            "the graph cannot keep the middle of images that differ in size: say a resize "
            "before the crop, or the size that all have"
        )
    rows, columns = how.crop or size
    top, left = middle(size, (rows, columns))
    begin, end = {"H": top, "W": left}, {"H": top + rows, "W": left + columns}
    axes = f"N{how.layout}"
    return [begin.get(one, 0) for one in axes], [end.get(one, _ALL) for one in axes]


def _convert(view: np.ndarray, how: Preprocessing, planes: np.ndarray) -> None:
    """Colours, mean, scale and layout, plane by plane: each is read and written in one go."""
    mean, scale = _constants(how)
    last = view.shape[2] - 1
    turned = how.colors[0] is not how.colors[1]
    exact = planes.dtype == np.float32 or not (how.mean or how.scale)
    for at in range(planes.shape[0]):
        values = view[..., last - at if turned else at]
        # Another type than f32 is converted to at the end, as in the graph.
        plane = planes[at] if exact else np.empty(values.shape, np.float32)
        plane[...] = values
        if how.mean:
            plane -= mean[at]
        if how.scale:
            plane /= scale[at]
        if not exact:
            planes[at] = plane


@lru_cache(maxsize=16)
def _constants(how: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each channel."""
    channels = channels_of(how.colors[1])
    return tuple(  # type: ignore[return-value]
        np.array(said * channels if len(said) == 1 else said, np.float32)
        for said in (how.mean, how.scale)
    )


def _pillow() -> Any:
    """Pillow, which only those need who resize on the host."""
    try:
        from PIL import Image
    except ImportError as error:
        raise PreparationError(
            "images are resized by Pillow, which is not installed here: "
            'pip install "openvino-autotune[images]"'
        ) from error
    return Image


def _named(how: Preprocessing) -> str:
    return f"input {how.input!r}" if how.input else "the input"


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
