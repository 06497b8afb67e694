"""Which trial is best, what came nearest, and what there is to beat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.race import Contender, End
from autotune.domain.ranking import (
    baselines,
    best,
    better_hint,
    is_feasible,
    is_shown,
    last_improvement,
    nearest_miss,
    ratio,
)
from autotune.domain.trial import Trial
from autotune.racing.judge import Field, judge
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from tests.domain.builders import make_measurement, make_trial
from tests.report.races import make_result, make_standing

CAPPED = Goal(Objective.THROUGHPUT, 99, 10)
FASTEST = Goal(Objective.LATENCY, 99, None)
LATENCY = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
THROUGHPUT = Configuration(device="CPU")

TRIALS = st.lists(
    st.builds(
        make_trial,
        number=st.integers(0, 10**6),
        throughput_per_s=st.floats(1, 1000),
        half_width=st.none() | st.floats(0, 0.5),
        latency_ms=st.floats(1, 100),
        verdict=st.sampled_from(Verdict),
        failure=st.none() | st.sampled_from(FailureKind),
    ),
    max_size=12,
)


@pytest.mark.parametrize("verdict", Verdict)
def test_only_a_verdict_of_met_is_feasible(verdict: Verdict) -> None:
    """Unclear is not enough; without a cap everything is feasible."""
    measurement = make_measurement(verdict=verdict)
    assert is_feasible(measurement, CAPPED) == (verdict is Verdict.MET)
    assert is_feasible(measurement, FASTEST)


@given(TRIALS)
def test_best_claims_the_most_of_the_feasible(trials: list[Trial]) -> None:
    """No feasible trial has a higher throughput lower bound than the best one."""
    feasible = [t.measurement for t in trials if t.measurement and t.measurement.verdict == "met"]
    found = best(trials, CAPPED)
    assert (found is None) == (not feasible)
    if found is not None:
        assert found.measurement in feasible
        assert found.measurement.claim_per_s == max(m.claim_per_s for m in feasible)


@given(TRIALS)
def test_the_lowest_latency_wins_where_latency_is_the_goal(trials: list[Trial]) -> None:
    """For the latency objective the best trial has the lowest goal percentile."""
    measured = [t.measurement for t in trials if t.measurement]
    found = best(trials, FASTEST)
    assert (found is None) == (not measured)
    if found is not None and found.measurement is not None:
        assert found.measurement.latency.goal_ms == min(m.latency.goal_ms for m in measured)


def test_a_sure_lead_beats_a_lucky_mean() -> None:
    """A wide interval around a higher mean claims less than a narrow one below it."""
    lucky = make_trial(0, throughput_per_s=110, half_width=0.2)
    sure = make_trial(1, throughput_per_s=100, half_width=0.01)
    assert best([lucky, sure], CAPPED) is sure


@pytest.mark.parametrize(
    ("searched", "raced", "shown"),
    [
        (Verdict.MET, None, True),
        (Verdict.MET, Verdict.UNCLEAR, True),
        (Verdict.UNCLEAR, Verdict.MET, True),
        (Verdict.UNCLEAR, Verdict.UNCLEAR, False),
        (Verdict.MISSED, Verdict.UNCLEAR, False),
    ],
)
def test_what_neither_search_nor_race_showed_is_a_guess(
    searched: Verdict, raced: Verdict | None, shown: bool
) -> None:
    """It may be chosen where nothing else is, and the exit code says so."""
    trial = make_trial(12, verdict=searched)
    winner = make_standing(search_verdict=raced)
    race = None if raced is None else make_result(winner=winner)
    assert is_shown(trial, CAPPED, race) is shown


def test_nearest_miss_is_the_lowest_latency() -> None:
    """When nothing meets the cap, the measured trial with the lowest percentile is shown."""
    near = make_trial(1, latency_ms=12, verdict=Verdict.MISSED)
    far = make_trial(2, latency_ms=30, verdict=Verdict.MISSED)
    failed = make_trial(3, failure=FailureKind.CRASH)
    assert nearest_miss([failed, far, near]) is near
    assert nearest_miss([failed]) is None


def test_baselines_are_the_measured_hints() -> None:
    """Tuned configurations and failed hints are no baselines."""
    latency, tuned = make_trial(0, LATENCY), make_trial(1)
    failed = make_trial(2, THROUGHPUT, failure=FailureKind.HANG)
    assert baselines([latency, tuned, failed]) == {"CPU LATENCY": latency}


def test_the_hint_to_beat_is_the_better_feasible_one() -> None:
    """A feasible hint counts more than a faster one that misses the cap; else the fastest."""
    slow = make_trial(0, LATENCY, throughput_per_s=50)
    fast = make_trial(1, THROUGHPUT, throughput_per_s=90, verdict=Verdict.MISSED)
    slower = make_trial(2, LATENCY, throughput_per_s=50, verdict=Verdict.MISSED)
    assert better_hint([slow, fast], CAPPED) is slow
    assert better_hint([slower, fast], CAPPED) is fast
    assert better_hint([make_trial()], CAPPED) is None


def test_the_hint_to_beat_is_the_race_s_where_there_was_one() -> None:
    """It measured both beside each other; what it knows of no trial counts for nothing."""
    slow = make_trial(0, LATENCY, throughput_per_s=50)
    fast = make_trial(1, THROUGHPUT, throughput_per_s=90)
    for number, better in ((0, slow), (1, fast), (7, fast), (None, fast)):
        raced = Contender(name="hint", configuration=LATENCY, trial=number)
        field = Field(
            contenders=[raced], dossiers={}, slices=[], goal=CAPPED, baseline=0, tie_margin=0.01
        )
        race = judge(field, end=End.BUDGET, duration_s=1.0)
        assert better_hint([slow, fast], CAPPED, race) is better


def test_ratios_are_better_above_one() -> None:
    """Throughput ratios of means for a cap, inverse latency ratios where latency is the goal."""
    trial = make_trial(0, throughput_per_s=150, latency_ms=4)
    baseline = make_trial(1, LATENCY, throughput_per_s=100, latency_ms=8)
    assert ratio(trial, baseline, CAPPED) == pytest.approx(1.5)
    assert ratio(trial, baseline, FASTEST) == pytest.approx(2.0)
    assert ratio(None, baseline, CAPPED) is None
    assert ratio(trial, make_trial(2, failure=FailureKind.CRASH), CAPPED) is None


# --- the last improvement


def rates(*throughputs: float) -> list[Trial]:
    """Feasible trials with these throughputs, known exactly."""
    return [make_trial(number, throughput_per_s=t) for number, t in enumerate(throughputs)]


@pytest.mark.parametrize(
    ("throughputs", "position"),
    [
        ((), None),
        ((100,), 0),
        ((100, 90, 80), 0),
        ((100, 90, 102), 2),
        ((100, 100.9), 0),
        ((100, 101.1), 1),
        ((100, 150, 100, 151, 151.2), 1),
        ((100, 150, 100, 152, 100), 3),
        ((10, 20, 40, 80), 3),
    ],
)
def test_the_last_improvement_is_above_one_percent(
    throughputs: tuple[float, ...], position: int | None
) -> None:
    """Less is noise; the first feasible trial counts."""
    assert last_improvement(rates(*throughputs), CAPPED) == position


def test_the_share_of_an_improvement_may_be_another() -> None:
    """Any gain at all, or only large ones."""
    trials = rates(100, 100.5, 120, 130)
    assert last_improvement(trials[:2], CAPPED, by=0.0) == 1
    assert last_improvement(trials, CAPPED, by=0.1) == 2
    assert last_improvement(trials, CAPPED, by=0.5) == 0


def test_only_feasible_trials_improve() -> None:
    """A faster one that misses the cap, or whose verdict is open, is none; nor is a failure."""
    trials = [
        make_trial(0, failure=FailureKind.CRASH),
        make_trial(1, throughput_per_s=500, verdict=Verdict.MISSED),
        make_trial(2, throughput_per_s=100),
        make_trial(3, throughput_per_s=300, verdict=Verdict.UNCLEAR),
    ]
    assert last_improvement(trials, CAPPED) == 2
    assert last_improvement(trials[:2], CAPPED) is None


def test_positions_are_counted_and_not_numbers() -> None:
    """A study whose trial numbers have gaps."""
    trials = [make_trial(7, throughput_per_s=100), make_trial(9, throughput_per_s=200)]
    assert last_improvement(trials, CAPPED) == 1


def test_where_latency_is_the_goal_a_lower_one_improves() -> None:
    """By one percent of the latency before it."""
    trials = [make_trial(n, latency_ms=ms) for n, ms in enumerate((10.0, 12.0, 9.95, 9.5, 9.45))]
    assert last_improvement(trials, FASTEST) == 3


def test_an_improvement_is_one_of_what_can_be_claimed() -> None:
    """A higher mean with a wide interval is none."""
    trials = [
        make_trial(0, throughput_per_s=100, half_width=0.01),
        make_trial(1, throughput_per_s=110, half_width=0.2),
    ]
    assert last_improvement(trials, CAPPED) == 0


@given(TRIALS)
def test_nobody_after_the_last_improvement_is_much_better(trials: list[Trial]) -> None:
    """And nobody before it is better."""
    position = last_improvement(trials, CAPPED)
    claims = [
        t.measurement.claim_per_s if t.measurement and is_feasible(t.measurement, CAPPED) else None
        for t in trials
    ]
    if position is None:
        assert all(claim is None for claim in claims)
        return
    found = claims[position]
    assert found is not None
    assert all(claim <= found for claim in claims[:position] if claim is not None)
    assert all(claim <= 1.01 * found for claim in claims[position:] if claim is not None)
