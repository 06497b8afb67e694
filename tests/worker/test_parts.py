"""What is kept of an output."""

import numpy as np
import pytest

from autotune.worker.batches import WrongOutputError, check
from autotune.worker.parts import MOST_VALUES, narrowed, part_of
from tests.worker.builders import answers


def test_of_a_large_output_always_the_same_part_is_kept() -> None:
    """Of a single item and of an item of a batch; an exchange still shows."""
    generator = np.random.default_rng(0)
    rows = generator.random((3, 5, MOST_VALUES), dtype=np.float32)
    known = answers(rows)
    assert known[0][0].values.size == MOST_VALUES
    assert known[0][0].shape == (1, 5, MOST_VALUES)
    assert check([rows[[1, 2]]], known[1:], known, "f32") == 0.0
    with pytest.raises(WrongOutputError):
        check([rows[[2, 1]]], known[1:], known, "f32")


@pytest.mark.parametrize("size", [5, 700, MOST_VALUES, 3 * MOST_VALUES])
@pytest.mark.parametrize("most", [0, 3, 500])
def test_fewer_values_are_of_the_same_places(size: int, most: int) -> None:
    """Whether fewer were kept at once, or of more that had been kept before."""
    output = np.random.default_rng(0).random((1, size), dtype=np.float32)
    kept = part_of(output, most)
    assert kept.values.size == min(size, most)
    for more in (most, 600, MOST_VALUES):
        found = narrowed(part_of(output, more), most)
        assert (found.shape, found.values.tolist()) == (kept.shape, kept.values.tolist())
