"""What a study looks for."""

import math

import pytest

from autotune.domain.goal import Goal, Objective, Sla


@pytest.mark.parametrize("percentile", [0, -1, 100, 101, math.nan, math.inf])
def test_percentiles_lie_between_0_and_100(percentile: float) -> None:
    """Neither bound is a percentile that a cap can be on."""
    with pytest.raises(ValueError, match="percentile must lie between 0 and 100"):
        Sla(percentile, 10)


@pytest.mark.parametrize("cap_ms", [0, -2.5, math.nan])
def test_caps_are_positive(cap_ms: float) -> None:
    """A cap of nothing can never be met."""
    with pytest.raises(ValueError, match="more than zero"):
        Sla(99, cap_ms)


@pytest.mark.parametrize(("percentile", "rate"), [(99, 0.01), (99.9, 0.001), (50, 0.5)])
def test_the_rest_may_be_over_the_cap(percentile: float, rate: float) -> None:
    """A p99 lets one request of a hundred be over the cap."""
    assert Sla(percentile, 1).over_rate == pytest.approx(rate)


def test_a_goal_without_cap_has_no_sla() -> None:
    """Only a cap makes a constraint."""
    assert Goal(Objective.PARETO, 99, None).sla is None
    assert Goal(Objective.THROUGHPUT, 95, 20).sla == Sla(95, 20)
