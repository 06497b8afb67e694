from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autotune.analysis.what_if import measurement_under, needs_judging, under
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.stats.latency import ticks_of
from tests.builders import GOAL, make_block, make_failure, make_measurement, make_trial

BLOCK = make_block([1.0] * 990 + [8.0] * 10)
MEASUREMENT = make_measurement(blocks=(make_block([50.0] * 10), *(BLOCK,) * 3), warmup_blocks=1)


def at(cap_ms: float | None, percentile: float = 99.0) -> Goal:
    """The same question with another cap."""
    return Goal(Objective.THROUGHPUT, percentile, cap_ms)


def test_a_wide_cap_is_met_and_a_tight_one_missed() -> None:
    """Verdicts follow the new cap; warm-up does not count."""
    wide, tight = measurement_under(MEASUREMENT, at(9.0)), measurement_under(MEASUREMENT, at(0.5))

    assert (wide.verdict, wide.over_cap) == (Verdict.MET, 0)
    assert (tight.verdict, tight.over_cap) == (Verdict.MISSED, 3000)


def test_a_rate_at_the_boundary_stays_unclear() -> None:
    """Exactly one in a hundred over the cap decides nothing."""
    assert measurement_under(MEASUREMENT, at(5.0)).verdict is Verdict.UNCLEAR


def test_percentile_is_taken_anew() -> None:
    """The latency shown is that of the percentile asked for."""
    assert measurement_under(MEASUREMENT, at(9.0, 99.5)).latency.goal_ms == 8.0
    assert measurement_under(MEASUREMENT, at(9.0, 50.0)).latency.goal_ms == 1.0


def test_without_a_cap_there_is_no_verdict() -> None:
    """Nothing to test, nothing claimed."""
    assert measurement_under(MEASUREMENT, at(None)).verdict is None


@given(st.floats(0.2, 60), st.sampled_from([50.0, 90.0, 99.0]))
def test_counts_equal_a_direct_computation(cap_ms: float, percentile: float) -> None:
    """Over-cap requests are those whose latency is above the cap, counted one by one."""
    judged = measurement_under(MEASUREMENT, at(cap_ms, percentile))
    latencies = ticks_of(MEASUREMENT.counted) / 10_000

    assert judged.over_cap == int((latencies > cap_ms).sum())


def test_under_judges_all_and_keeps_failures() -> None:
    """Failed trials pass through; blocks are fetched and let go again."""
    failed = make_trial(1, failure=make_failure())
    bare = make_trial(0, measurement=replace(MEASUREMENT, blocks=()))
    whole = make_trial(0, measurement=MEASUREMENT)

    judged = under([bare, failed], at(0.5), lambda _: whole)

    assert judged[1] is failed
    assert judged[0].measurement is not None
    assert judged[0].measurement.verdict is Verdict.MISSED
    assert judged[0].measurement.blocks == ()


def test_the_study_s_own_question_needs_no_judging() -> None:
    """Stored verdicts answer the stored goal only."""
    assert not needs_judging(GOAL, GOAL)
    assert needs_judging(GOAL, at(9.0))
    assert needs_judging(at(None), at(None, 50.0))
