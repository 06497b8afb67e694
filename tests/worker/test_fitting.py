"""Items in larger shapes and back: values first, what was said behind them, nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.worker.batches import WrongOutputError
from autotune.worker.fitting import cropped, padded
from autotune.worker.inputs import DataError
from autotune.workload.mix import Pad

pytestmark = pytest.mark.openvino

DTYPES = ["?", "u1", "i1", "u2", "i4", "i8", "u8", "f2", "f4", "f8"]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=4),
    st.sampled_from(DTYPES),
    st.data(),
)
def test_an_item_is_padded_as_numpy_pads_axis_by_axis(
    axes: list[tuple[int, int]], dtype: str, data: st.DataObject
) -> None:
    """Of every element type and rank, and the item comes back out of it."""
    own, more = tuple(a for a, _ in axes), [b for _, b in axes]
    array = np.random.default_rng(0).integers(0, 2, own).astype(dtype)
    order = data.draw(st.permutations(range(len(axes))))
    pads = [Pad(data.draw(st.integers(0, 1)), axis) for axis in order]
    expected = array
    for pad in pads:
        widths = [(0, more[axis] if axis == pad.axis else 0) for axis in range(len(axes))]
        expected = np.pad(expected, widths, constant_values=pad.value)
    found = padded(array, expected.shape, pads, "x")
    assert found.dtype == array.dtype
    assert np.array_equal(found, expected)
    assert np.array_equal(cropped(found, own), array)


def test_an_item_that_has_the_shape_is_itself() -> None:
    """Text as well, which nothing could be put behind."""
    for array in (np.zeros((2, 3)), np.array(["a", "b"]), np.array(1.0)):
        assert padded(array, array.shape, (), "x") is array


def test_what_only_some_types_have_may_be_put_behind() -> None:
    """A mask of minus infinity, the largest whole numbers, a value that floats only round."""
    for dtype, value in (("f4", -np.inf), ("i8", -(2.0**63)), ("u1", 255), ("f2", 0.1)):
        found = padded(np.zeros(1, dtype), (2,), [Pad(value, 0)], "x")
        assert found[1] == np.dtype(dtype).type(value)
    assert np.isnan(padded(np.zeros(1, "f4"), (2,), [Pad(np.nan, 0)], "x")[1])


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("u1", -1), ("u1", 256), ("i8", 2.0**63), ("i4", 0.5), ("?", 2), ("f2", 1e6), ("i4", np.nan)],
)
def test_a_value_that_would_become_another_is_refused(dtype: str, value: float) -> None:
    """With the input, the value, the axis and the type."""
    with pytest.raises(DataError, match=r"'x' is padded by .* along axis 0, no value of"):
        padded(np.zeros(1, dtype), (2,), [Pad(value, 0)], "x")


def test_what_cannot_be_padded_is_refused_in_words() -> None:
    """An axis of which nothing was said, a larger item, another rank, text."""
    item = np.zeros((1, 80), np.float32)
    with pytest.raises(DataError, match=r"'x' has 80 along axis 1 .* takes 320: .*axis = 1"):
        padded(item, (1, 320), [Pad(0, 0)], "x")
    with pytest.raises(DataError, match=r"'x' has the shape \(1, 80\), .* not fit into \(1, 40\)"):
        padded(item, (1, 40), [Pad(0, 1)], "x")
    with pytest.raises(DataError, match="does not fit into"):
        padded(item, (1, 1, 80), [Pad(0, 1)], "x")
    with pytest.raises(DataError, match="'x' has text"):
        padded(np.array(["a"]), (2,), [Pad(0, 0)], "x")


def test_an_output_that_is_no_larger_answer_is_refused() -> None:
    """Smaller along an axis, or of another rank; with both shapes."""
    with pytest.raises(WrongOutputError, match=r"output 1 has the shape \(4, 2\), smaller than"):
        cropped(np.zeros((4, 2)), (3, 3), "output 1")
    with pytest.raises(WrongOutputError, match=r"of another rank than \(4,\)"):
        cropped(np.zeros((4, 2)), (4,))
