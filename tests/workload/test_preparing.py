"""What the host makes of an image, against the same steps written down one after the other."""

import builtins
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from PIL import Image

from autotune.workload.described import why_not
from autotune.workload.preparing import (
    FRACTION,
    PreparationError,
    into,
    prepare,
    prepared_size,
    source_of,
    taps,
)
from autotune.workload.preprocessing import Color, Preprocessing, Resize
from tests.pictures import page
from tests.workload.descriptions import MODEL, Described, described, picture

FILTERS = {
    Resize.BILINEAR: Image.Resampling.BILINEAR,
    Resize.BICUBIC: Image.Resampling.BICUBIC,
    Resize.NEAREST: Image.Resampling.NEAREST,
}


def spelled_out(image: np.ndarray, how: Preprocessing, size: tuple[int, int]) -> np.ndarray:
    """The steps as they are described, pixel by channel, in f64."""
    if how.layout == "CHW":
        image = np.moveaxis(image, 0, -1)
    if how.resize is not None:
        height, width = how.resize_to or size
        chosen = FILTERS[how.resize]
        image = np.dstack(
            [
                np.asarray(Image.fromarray(image[:, :, c].copy()).resize((width, height), chosen))
                for c in range(image.shape[2])
            ]
        )
    if how.crop is not None:
        top, left = (image.shape[0] - how.crop[0]) // 2, (image.shape[1] - how.crop[1]) // 2
        image = image[top : top + how.crop[0], left : left + how.crop[1]]
    found = np.zeros((1, *image.shape))
    for c in range(image.shape[2]):
        taken = image.shape[2] - 1 - c if how.model_color not in {None, how.color} else c
        values = image[:, :, taken].astype(np.float64)
        if how.mean:
            values = values - how.mean[c % len(how.mean)]
        if how.scale:
            values = values / how.scale[c % len(how.scale)]
        found[0, :, :, c] = values
    return np.moveaxis(found, -1, 1) if how.model_layout == "NCHW" else found


@given(described())
@tried(max_examples=150)
def test_the_host_does_what_is_described(one: Described) -> None:
    """Whatever is combined."""
    assert why_not(one.how, one.shape) is None
    for image in one.images:
        found = prepare(image, one.how, *MODEL)

        assert found.dtype == np.float32
        assert found.shape == one.shape
        assert found.flags.c_contiguous
        np.testing.assert_allclose(found, spelled_out(image, one.how, MODEL), rtol=1e-5, atol=1e-4)


@given(described())
@tried(max_examples=40)
def test_a_row_of_a_batch_is_written_and_no_other(one: Described) -> None:
    """Into what the request has, of which nothing else changes; the image stays as it is."""
    batch = np.full((3, *one.shape[1:]), 7, np.float32)
    image = one.images[0]
    before = image.copy()

    into(image, one.how, batch[1:2])

    assert np.array_equal(batch[1:2], prepare(image, one.how, *MODEL))
    assert (batch[0] == 7).all()
    assert (batch[2] == 7).all()
    assert np.array_equal(image, before)


def test_a_model_of_bytes_gets_bytes() -> None:
    """Those that Pillow gives."""
    how = Preprocessing(resize=Resize.BICUBIC, model_layout="NHWC")
    out = np.zeros((1, *MODEL, 3), np.uint8)
    image = page(90, 130)

    into(image, how, out)

    assert np.array_equal(
        out[0], np.asarray(Image.fromarray(image).resize((56, 40), Image.Resampling.BICUBIC))
    )


def test_a_half_is_rounded_once() -> None:
    """A model of f16 gets what f32 gives, rounded at the end."""
    how = Preprocessing(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375))
    image = page(*MODEL)
    out = np.zeros((1, 3, *MODEL), np.float16)

    into(image, how, out)

    assert np.array_equal(out, prepare(image, how, *MODEL).astype(np.float16))


@given(described())
@tried(max_examples=40)
def test_the_graph_gets_the_image_as_it_is(one: Described) -> None:
    """Nothing is copied."""
    source = source_of(one.images[0], one.how)

    assert np.shares_memory(source, one.images[0])
    assert np.array_equal(source[0], one.images[0])


def test_a_gray_image_may_have_no_axis_for_its_channel() -> None:
    """As Pillow gives it."""
    how = Preprocessing(color=Color.GRAY, resize=Resize.BILINEAR)
    flat = page(90, 130)[..., 0]

    assert np.array_equal(prepare(flat, how, *MODEL), prepare(flat[..., None], how, *MODEL))
    assert source_of(flat, how).shape == (1, 90, 130, 1)


@pytest.mark.parametrize(
    ("how", "model", "expected"),
    [
        (Preprocessing(), (40, 56), (90, 130)),
        (Preprocessing(resize=Resize.BILINEAR), (40, 56), (40, 56)),
        (Preprocessing(resize=Resize.BILINEAR, resize_to=(48, 64)), (-1, -1), (48, 64)),
        (
            Preprocessing(resize=Resize.BILINEAR, resize_to=(48, 64), crop=(40, 56)),
            (-1, 56),
            (40, 56),
        ),
        (Preprocessing(crop=(40, 56)), (-1, -1), (40, 56)),
    ],
)
def test_the_size_that_an_image_gets(
    how: Preprocessing, model: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Of its own, the model's, or what is said."""
    assert prepared_size(how, (90, 130), model) == expected


@pytest.mark.parametrize(
    ("fields", "image", "words"),
    [
        ({}, np.zeros((40, 56, 3), np.float32), "of images of u8, and one is of float32"),
        ({"type": "f32"}, np.zeros((40, 56, 3), np.uint8), "images of f32, and one is of uint8"),
        ({}, np.zeros((40, 56, 4), np.uint8), "RGB images in the layout HWC, 3 channels.*40×56×4"),
        ({}, np.zeros((3, 40, 56), np.uint8), "another color or layout"),
        ({}, np.zeros((40, 56), np.uint8), "shape 40×56"),
        ({"color": Color.GRAY}, np.zeros((40, 56, 3), np.uint8), "GRAY images.*1 channel, .*"),
        ({"size": (41, 56)}, np.zeros((40, 56, 3), np.uint8), "of 41×56, and one has 40×56"),
        ({}, np.zeros((41, 56, 3), np.uint8), "takes images of 40×56, and one becomes 41×56"),
        ({"crop": (40, 56)}, np.zeros((39, 90, 3), np.uint8), "middle 40×56.*one has 39×90"),
        ({"crop": (30, 30)}, np.zeros((39, 90, 3), np.uint8), "one becomes 30×30"),
        ({"resize": Resize.BILINEAR}, np.zeros((0, 5, 3), np.uint8), "0×5×3 has no pixel"),
    ],
)
def test_an_image_that_does_not_fit_is_told_what_does(
    fields: dict[str, Any], image: np.ndarray, words: str
) -> None:
    """With the input's name, what was given, and the way out."""
    how = Preprocessing(input="pixels", **fields)

    with pytest.raises(PreparationError, match=words) as raised:
        prepare(image, how, *MODEL)
    assert "input 'pixels'" in str(raised.value)


def test_without_pillow_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where something is to be resized."""
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "PIL":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    prepare(page(*MODEL), Preprocessing(), *MODEL)
    with pytest.raises(PreparationError, match=re.escape('"openvino-autotune[images]"')):
        prepare(page(50, 50), Preprocessing(resize=Resize.BILINEAR), *MODEL)


@given(described(), st.integers(0, 3))
@tried(max_examples=40)
def test_a_picture_in_another_place_in_memory_is_the_same(one: Described, how: int) -> None:
    """Turned over, cut out of another, or not to be written to."""
    image = one.images[0]
    large = np.zeros([2 * size for size in image.shape], image.dtype)
    large[::2, ::2, ::2] = image
    other = [large[::2, ::2, ::2], image[::-1].copy()[::-1], np.asfortranarray(image), image][how]
    other.flags.writeable = False

    assert np.array_equal(prepare(other, one.how, *MODEL), prepare(image, one.how, *MODEL))


def test_pictures_mean_something() -> None:
    """They have text, edges, and all of the range."""
    image = picture(Preprocessing(), 90, 130)

    assert (image.min(), image.max()) == (0, 255)
    assert len(np.unique(image)) > 50


@given(
    st.integers(1, 300),
    st.integers(1, 200),
    st.sampled_from((Resize.BILINEAR, Resize.BICUBIC)),
    st.integers(0, 2**32 - 1),
)
@tried(max_examples=300)
def test_taps_are_those_of_pillow(before: int, after: int, resize: Resize, seed: int) -> None:
    """Bytes of a column that is resized by them are those of Pillow, to the bit."""
    random = np.random.default_rng(seed)
    column = random.integers(0, 256, before).astype(np.uint8)
    column[random.random(before) < 0.3] = 255  # where bicubic weights overshoot
    places, weights = taps(before, after, resize)
    total = (column[places].astype(np.int64) * weights).sum(axis=1) + 2 ** (FRACTION - 1)
    assert np.abs(total).max() < 2**31  # in the whole numbers of a graph
    found = np.clip(total >> FRACTION, 0, 255)
    wanted = Image.fromarray(column[:, None]).resize((1, after), FILTERS[resize])
    assert np.array_equal(found, np.asarray(wanted)[:, 0])
