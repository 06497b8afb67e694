"""Weights that are none are refused as the user wrote them."""

import pytest

from autotune.workload.weights import check_weights, shapes_in_words


@pytest.mark.parametrize(
    ("shapes", "written"),
    [
        ({"x": (1, 3, 48, 80)}, "shape 1x3x48x80"),
        ({"ids": (1, 7), "mask": (1, 7)}, "shape ids 1x7, mask 1x7"),
    ],
)
def test_a_shape_is_named_as_it_was_written(
    shapes: dict[str, tuple[int, ...]], written: str
) -> None:
    """With the inputs' names where there are several."""
    assert shapes_in_words(shapes) == written
    with pytest.raises(ValueError, match=f"weight of {written} is 0; .* above 0, or leave it out"):
        check_weights([0], [shapes_in_words(shapes)])
    check_weights([1e-300], [shapes_in_words(shapes)])
