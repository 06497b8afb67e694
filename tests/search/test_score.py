"""What the sampler is told: finite values, one constraint, never out of its clip."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.search.score import CLIP, Score, score
from tests.domain.builders import make_trial

GOALS = st.builds(
    Goal,
    st.sampled_from(Objective),
    st.just(99.0),
    st.none() | st.floats(1e-6, 1e9),
)


@pytest.mark.parametrize(
    ("latency_ms", "constraint"),
    [
        (10.0, 0.0),
        (20.0, math.log(2)),
        (5.0, -math.log(2)),
        (10 * math.exp(2.9), 2.9),
        (10 * math.exp(3.1), 3.0),
        (10 * math.exp(-3.1), -3.0),
        (0.0, -3.0),
    ],
)
def test_violations_are_logarithms(latency_ms: float, constraint: float) -> None:
    """ln(percentile / cap), clipped to three on both sides."""
    told = score(make_trial(latency_ms=latency_ms), Goal(Objective.THROUGHPUT, 99, 10))
    assert told.constraint == pytest.approx(constraint)


@given(
    goal=GOALS,
    throughput=st.floats(0, 1e9),
    latency=st.floats(0, 1e9),
    failure=st.none() | st.sampled_from(FailureKind),
)
def test_whatever_happens_the_score_is_finite(
    goal: Goal, throughput: float, latency: float, failure: FailureKind | None
) -> None:
    """One value for each direction, one constraint within the clip."""
    told = score(make_trial(throughput_per_s=throughput, latency_ms=latency, failure=failure), goal)
    assert len(told.values) == (2 if goal.objective is Objective.PARETO else 1)
    assert all(math.isfinite(value) for value in told.values)
    assert -CLIP <= told.constraint <= CLIP


@pytest.mark.parametrize(
    ("objective", "values"),
    [
        (Objective.THROUGHPUT, (120.0,)),
        (Objective.LATENCY, (8.0,)),
        (Objective.PARETO, (120.0, 8.0)),
    ],
)
def test_values_stand_in_the_order_of_the_directions(
    objective: Objective, values: tuple[float, ...]
) -> None:
    """Without a cap the constraint is always satisfied."""
    told = score(make_trial(throughput_per_s=120, latency_ms=8), Goal(objective, 99, None))
    assert told == Score(values, -CLIP)


@pytest.mark.parametrize("objective", Objective)
def test_a_failure_is_worse_than_any_measurement(objective: Objective) -> None:
    """It stands at the clip with the worst values, because failed trials would not be seen."""
    goal = Goal(objective, 99, 10)
    told = score(make_trial(failure=FailureKind.OUT_OF_MEMORY), goal)
    bad = score(make_trial(throughput_per_s=0.01, latency_ms=1e5), goal)
    assert told.constraint == CLIP
    if objective is not Objective.LATENCY:
        assert told.values[0] < bad.values[0]
    if objective is not Objective.THROUGHPUT:
        assert told.values[-1] > bad.values[-1]
