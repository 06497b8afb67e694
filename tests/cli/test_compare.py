"""The words of a comparison."""

import pytest

from autotune.cli.compare import comparison
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Interval
from autotune.domain.race import Contender, Standing, State
from autotune.space.configuration import Configuration

GOAL = Goal(Objective.THROUGHPUT, 99.0, None)


@pytest.mark.parametrize(
    ("ratio", "says"),
    [
        (None, "not comparable with"),
        (Interval(1.2, None, None), "not comparable with"),
        (Interval(1.2, 1.15, 1.25), "1.20x (1.15-1.25), faster than"),
        (Interval(0.8, 0.75, 0.85), "0.80x (0.75-0.85), slower than"),
        (Interval(1.0, 0.995, 1.005), "1.00x (0.99-1.00), equal to"),
        (Interval(1.0, 0.9, 1.1), "1.00x (0.90-1.10), not told apart from"),
    ],
)
def test_a_comparison_is_a_word(ratio: Interval | None, says: str) -> None:
    """Whether the interval excludes a tie, proves one, or neither."""
    contender = Contender(name="a", configuration=Configuration(device="CPU"))
    found = comparison(Standing(contender=contender, state=State.TIED, ratio=ratio), 0.01, GOAL)
    assert found.startswith(says.split(maxsplit=1)[0])
    assert found.split(", ")[-1] == says.rsplit(", ", maxsplit=1)[-1]


@pytest.mark.parametrize(("mean", "says"), [(1.2, "more efficient"), (0.8, "less efficient")])
def test_more_items_for_each_joule_are_not_faster(mean: float, says: str) -> None:
    """The ratio is of what the goal compares by."""
    contender = Contender(name="a", configuration=Configuration(device="CPU"))
    ratio = Interval(mean, mean - 0.05, mean + 0.05)
    standing = Standing(contender=contender, state=State.TIED, ratio=ratio)
    goal = Goal(Objective.EFFICIENCY, 99.0, None)
    assert comparison(standing, 0.01, goal).endswith(f", {says} than")
