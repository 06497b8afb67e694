"""What a study looks for."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.floats(0.001, 1e4), st.floats(0, 10))
def test_headroom_is_kept_below_the_cap_that_was_given(cap_ms: float, headroom: float) -> None:
    """Requests are held to less, by just so much; the given cap is what it was."""
    goal = Goal.with_headroom(Objective.THROUGHPUT, 99, float(f"{cap_ms:.6g}"), headroom)
    assert goal.cap_ms is not None
    assert goal.cap_ms * (1 + headroom) == pytest.approx(cap_ms, rel=1e-5)
    assert goal.given_cap_ms == float(f"{cap_ms:.6g}")
    assert goal.sla == Sla(99, goal.cap_ms)


def test_without_headroom_a_goal_is_what_it_was() -> None:
    """The same value, so that stored studies stay the same; nothing is kept from no cap."""
    goal = Goal.with_headroom(Objective.THROUGHPUT, 99, 9.3, 0.0)
    assert goal == Goal(Objective.THROUGHPUT, 99, 9.3)
    assert goal.given_cap_ms == 9.3
    assert Goal.with_headroom(Objective.LATENCY, 99, None, 0.2).given_cap_ms is None


@pytest.mark.parametrize(
    ("asked", "given_ms", "held_ms", "percentile"),
    [
        ({}, 10.0, 8.0, 99),
        ({"percentile": 90.0}, 10.0, 8.0, 90.0),
        ({"cap_ms": 20.0}, 20.0, 16.0, 99),
        ({"headroom": 0.0}, 10.0, 10.0, 99),
        ({"headroom": 1.0, "cap_ms": 4.0}, 4.0, 2.0, 99),
    ],
)
def test_what_is_not_asked_otherwise_stays(
    asked: dict[str, float], given_ms: float, held_ms: float, percentile: float
) -> None:
    """Of a cap of 10 ms with a quarter of headroom: another cap keeps it, too."""
    goal = Goal.with_headroom(Objective.THROUGHPUT, 99, 10.0, 0.25).asked(**asked)
    assert (goal.given_cap_ms, goal.cap_ms, goal.percentile) == (given_ms, held_ms, percentile)


def test_a_goal_in_short() -> None:
    """As messages name it."""
    goal = Goal(Objective.THROUGHPUT, 99, 10.0)
    assert str(goal) == "throughput, p99, cap 10 ms"
    assert str(goal.asked(headroom=0.25)) == "throughput, p99, cap 10 ms with 25 % headroom"
    assert str(Goal(Objective.LATENCY, 99.9, None)) == "latency, p99.9, no cap"
    # A study whose goal differs in this alone is refused with both in words.
    assert str(replace(goal, portable=True)) == "throughput, p99, cap 10 ms, portable"
