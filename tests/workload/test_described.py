"""Descriptions that contradict themselves or the model are refused in words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.workload.described import why_not
from autotune.workload.preprocessing import Color, Preprocessing, Resize
from tests.workload.descriptions import Described, described

SHAPE = (1, 3, 40, 56)


@given(described())
def test_what_fits_is_not_refused(one: Described) -> None:
    """Nor with what is open left open, where that does not matter."""
    assert why_not(one.how, one.shape) is None
    assert why_not(one.how, (-1, *one.shape[1:]), "f16") is None
    assert why_not(one.how, (8, *one.shape[1:])) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "u16"}, "type = 'u16' is not known: say one of u8, f32"),
        ({"layout": "HWX"}, "layout = 'HWX' is not known: say one of HWC, CHW"),
        ({"model_layout": "NCWH"}, "model_layout = 'NCWH' is not known"),
        ({"color": Color.GRAY, "model_color": Color.RGB}, "say color = 'RGB'"),
        ({"model_color": Color.GRAY}, "say color = 'GRAY'"),
        ({"mean": (1.0, 2.0)}, "mean has 2 values, and the model takes 3 channels (RGB): give one"),
        ({"scale": (1.0, 2.0, 3.0, 4.0)}, "scale has 4 values"),
        ({"mean": (float("nan"),)}, "mean = [nan]: each must be a finite number"),
        ({"scale": (1.0, float("inf"), 1.0)}, "finite"),
        ({"mean": (1e300,)}, "finite"),
        ({"scale": (1.0, 0.0, 1.0)}, "nothing can be divided by zero"),
        ({"scale": (1e-50,)}, "divided by zero"),
        ({"scale": (1e-40,)}, "too large for f32"),
        ({"size": (0, 5)}, "size = [0, 5]: give height and width"),
        ({"crop": (-3, 5)}, "crop = [-3, 5]: give height and width"),
        ({"resize_to": (40, 56)}, "no resize is said"),
        ({"size": (30, 90), "crop": (40, 56)}, "crop = [40, 56] is larger than size = [30, 90]"),
        (
            {"resize": Resize.BILINEAR, "resize_to": (40, 50), "crop": (40, 56)},
            "is larger than resize_to = [40, 50]",
        ),
        ({"resize": Resize.BILINEAR, "crop": (41, 56)}, "is larger: say resize_to"),
        ({"crop": (30, 30)}, "images become [30, 30] by crop: say crop = [40, 56]"),
        ({"resize": Resize.BICUBIC, "resize_to": (41, 56)}, "say resize_to = [40, 56]"),
        ({"size": (90, 90)}, "images become [90, 90] by size: say a resize"),
        ({"color": Color.GRAY}, "3 channels by model_layout = 'NCHW', and GRAY has 1"),
    ],
)
def test_a_contradiction_is_said(fields: dict[str, Any], words: str) -> None:
    """With the key, the value and the way out."""
    assert words in str(why_not(Preprocessing(**fields), SHAPE))


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        ((1, 40, 56, 3), "f32", "takes 1×40×56×3: 40 channels by model_layout = 'NCHW', and RGB"),
        ((1, 40, 56, 3), "f32", "say model_layout = 'NHWC'"),
        ((1, 40, 56, 7), "f32", "say another color"),
        ((1, 3, 40), "f32", "four dimensions"),
        ((), "f32", "four dimensions"),
        ((1, 3, -1, 56), "f32", "takes 1×3×?×56: its size is open, so say what images are resized"),
        ((1, 3, 0, 56), "f32", "there is no value in it"),
        (SHAPE, "i64", "the model takes i64"),
        (SHAPE, "u8", "leave mean and scale out"),
    ],
)
def test_a_model_that_takes_something_else_is_said(
    shape: tuple[int, ...], kind: str, words: str
) -> None:
    """With what it takes."""
    how = Preprocessing(resize=Resize.BILINEAR, mean=(1.0,))

    assert words in str(why_not(how, shape, kind))


def test_bytes_for_a_model_of_bytes() -> None:
    """Others are refused there."""
    assert why_not(Preprocessing(), SHAPE, "u8") is None
    assert "say type = 'u8'" in str(why_not(Preprocessing(type="f32"), SHAPE, "u8"))


@given(
    st.builds(
        Preprocessing,
        type=st.sampled_from(("u8", "f32", "i8")),
        layout=st.sampled_from(("HWC", "CHW", "")),
        model_layout=st.sampled_from(("NCHW", "NHWC", "")),
        size=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
        resize=st.none() | st.sampled_from(Resize),
        resize_to=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
        crop=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
        mean=st.lists(st.floats(), max_size=4).map(tuple),
        scale=st.lists(st.floats(), max_size=4).map(tuple),
        color=st.sampled_from(Color),
        model_color=st.none() | st.sampled_from(Color),
    ),
    st.lists(st.integers(-1, 9), max_size=5),
)
def test_nothing_that_can_be_said_is_an_accident(how: Preprocessing, shape: list[int]) -> None:
    """A word or none, whatever is said."""
    said = why_not(how, shape)

    assert said is None or said.strip()
