"""Which precisions and devices are near enough to f32."""

import math

import pytest

from autotune.domain.answers import Yardstick, distrust

NEAR = Yardstick(0.004, 0.5)
OVERFLOWS = Yardstick(None, 0.5)
RESIZED = Yardstick(math.inf, math.inf)


@pytest.mark.parametrize(
    ("yardstick", "error", "why"),
    [
        (NEAR, 0.003, None),
        (NEAR, 0.04, None),
        (NEAR, 0.06, "differs from f32 by 0.06 of the largest output, over 0.05"),
        (Yardstick(0.004, 0.02), 0.04, "as samples do"),
        (Yardstick(0.2, 0.5), 0.1, None),
        (NEAR, None, "not finite"),
        (NEAR, math.inf, "outputs of another size than f32"),
        (OVERFLOWS, None, None),
        (RESIZED, math.inf, None),
        (RESIZED, None, "not finite"),
    ],
)
def test_what_is_as_near_as_the_default_or_nearer_than_samples_is_trusted(
    yardstick: Yardstick, error: float | None, why: str | None
) -> None:
    """On one kind of data."""
    found = yardstick.distrust(error)
    assert found is None if why is None else why in str(found)


@pytest.mark.parametrize("kinds", [[OVERFLOWS], [RESIZED], [OVERFLOWS, RESIZED], []])
def test_where_the_default_cannot_be_compared_nothing_is_trusted(kinds: list[Yardstick]) -> None:
    """What is not worse than the unknown may be anything."""
    assert "cannot be compared" in str(distrust(kinds, [None] * len(kinds), None))
    errors = [0.001] * len(kinds)
    assert distrust([*kinds, NEAR], [*errors, 0.001], None) is None
    assert "0.06" in str(distrust([*kinds, NEAR], [*errors, 0.06], None))
    assert distrust([*kinds, NEAR], [*errors, 0.001], "it is silent") == "it is silent"
