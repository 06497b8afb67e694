"""What the sampler is told: finite values, a constraint for each limit, never out of its clip."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.domain.limits import TABLE, Limit, limits_of
from autotune.domain.measurement import Interval, Readings
from autotune.domain.trial import Trial
from autotune.search.score import CLIP, CONSTRAINT, Score, score
from tests.domain.builders import make_trial

LIMITS = st.dictionaries(st.sampled_from([row.name for row in TABLE]), st.floats(1e-6, 1e12)).map(
    limits_of
)
GOALS = st.builds(
    Goal,
    st.sampled_from(Objective),
    st.just(99.0),
    st.none() | st.floats(1e-6, 1e9),
    limits=LIMITS,
)


def with_readings(trial: Trial, **readings: Any) -> Trial:
    """The same trial with these readings beside time."""
    assert trial.measurement is not None
    measured = replace(trial.measurement, readings=Readings(**readings))
    return replace(trial, measurement=measured)


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
    assert told.constraints == {CONSTRAINT: pytest.approx(constraint)}


@given(
    goal=GOALS,
    throughput=st.floats(0, 1e9),
    latency=st.floats(0, 1e9),
    failure=st.none() | st.sampled_from(FailureKind),
)
def test_whatever_happens_the_score_is_finite(
    goal: Goal, throughput: float, latency: float, failure: FailureKind | None
) -> None:
    """One value for each direction, the same constraints within the clip, whatever is not known."""
    told = score(make_trial(throughput_per_s=throughput, latency_ms=latency, failure=failure), goal)
    assert len(told.values) == (2 if goal.objective is Objective.PARETO else 1)
    assert all(math.isfinite(value) for value in told.values)
    assert list(told.constraints) == [CONSTRAINT, *(limit.name for limit in goal.limits)]
    assert all(-CLIP <= value <= CLIP for value in told.constraints.values())


@pytest.mark.parametrize(
    ("objective", "values"),
    [
        (Objective.THROUGHPUT, (120.0,)),
        (Objective.LATENCY, (8.0,)),
        (Objective.PARETO, (120.0, 8.0)),
        (Objective.EFFICIENCY, (400.0,)),
    ],
)
def test_values_stand_in_the_order_of_the_directions(
    objective: Objective, values: tuple[float, ...]
) -> None:
    """Without a cap the constraint is always satisfied."""
    trial = make_trial(throughput_per_s=120, latency_ms=8)
    trial = with_readings(trial, cpu_s_per_item=Interval(0.0025, 0.0024, 0.0026))
    told = score(trial, Goal(objective, 99, None))
    speed = 120.0 if objective is Objective.EFFICIENCY else None
    assert told == Score(values, {CONSTRAINT: -CLIP}, speed)


@pytest.mark.parametrize("objective", Objective)
def test_a_failure_is_worse_than_any_measurement(objective: Objective) -> None:
    """It stands at the clip with the worst values, because failed trials would not be seen."""
    goal = Goal(objective, 99, 10)
    told = score(make_trial(failure=FailureKind.OUT_OF_MEMORY), goal)
    bad = score(make_trial(throughput_per_s=0.01, latency_ms=1e5), goal)
    assert set(told.constraints.values()) == {CLIP}
    if objective in {Objective.THROUGHPUT, Objective.PARETO}:
        assert told.values[0] < bad.values[0]
    if objective in {Objective.LATENCY, Objective.PARETO}:
        assert told.values[-1] > bad.values[-1]


def test_each_limit_has_a_constraint_of_its_own() -> None:
    """Ln(reading / limit), and ln(limit / reading) of a floor; what was not read is at the clip."""
    limits = (
        Limit("max_memory", 200.0),
        Limit("max_cpu_per_item", 0.01),
        Limit("max_energy_per_item", 1.0),
        Limit("min_throughput", 240.0),
    )
    trial = with_readings(
        make_trial(throughput_per_s=120, latency_ms=10),
        cpu_s_per_item=Interval(0.005, None, None),
        open_peak_rss_bytes=400,
        load_peak_rss_bytes=300,
    )
    told = score(trial, Goal(Objective.THROUGHPUT, 99, 10, limits=limits))
    assert told.constraints == {
        CONSTRAINT: 0.0,
        "max_memory": pytest.approx(math.log(2)),
        "max_cpu_per_item": pytest.approx(-math.log(2)),
        "max_energy_per_item": CLIP,
        "min_throughput": pytest.approx(math.log(2)),
    }
