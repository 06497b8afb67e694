"""Verdicts for every cap at once are those of the test, cap by cap."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.analysis.caps import CapRange, cap_ranges
from autotune.analysis.what_if import measurement_under
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import TICK_MS, Block, Measurement
from autotune.stats.latency import cap_ticks
from tests.builders import make_block, make_measurement, make_trial

PERCENTILES = (50.0, 90.0, 99.0)


def measured(latencies: Sequence[Sequence[int]], num_requests: int = 1) -> Measurement:
    """A measurement with blocks of these latencies in ticks."""
    blocks = tuple(block_of(one) for one in latencies)
    count = sum(map(len, latencies))
    plain = make_measurement(blocks=blocks, warmup_blocks=0, num_requests=num_requests)
    return replace(plain, latency=replace(plain.latency, requests=count))


def block_of(ticks: Sequence[int]) -> Block:
    """A block with these latencies."""
    return replace(make_block(), latency_ticks=np.sort(ticks).astype("<u4").tobytes())


def ranges(one: Measurement, percentile: float) -> CapRange:
    """Of one measurement."""
    trial = make_trial(7, measurement=one)
    latencies = [(7, [block.latency_ticks for block in one.counted])]
    return cap_ranges([trial], [percentile], latencies)[7][percentile]


@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=60), min_size=1, max_size=4),
    st.integers(1, 40),
    st.sampled_from(PERCENTILES),
    st.integers(1, 30),
)
def test_every_verdict_is_the_tests(
    latencies: list[list[int]], cap: int, percentile: float, num_requests: int
) -> None:
    """For small measurements and any cap."""
    one = measured(latencies * 3, num_requests)
    found = ranges(one, percentile)
    goal = Goal(Objective.THROUGHPUT, percentile, cap * TICK_MS)
    judged = measurement_under(one, goal)
    assert found.verdict(cap) is judged.verdict
    assert found.percentile * TICK_MS == judged.latency.goal_ms


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9])
def test_large_measurements(percentile: float) -> None:
    """Caps around each border, with thousands of requests."""
    generator = np.random.default_rng(0)
    for _ in range(5):
        draws = generator.gamma(5, 2000, (4, 2000)).astype(int) + 1
        one = measured(draws.tolist(), 4)
        found = ranges(one, percentile)
        assert found.met_from is not None
        assert 0 < found.missed_below < found.met_from
        for border in (found.missed_below, found.met_from):
            for cap in (border - 1, border, border + 1):
                goal = Goal(Objective.THROUGHPUT, percentile, cap * TICK_MS)
                assert cap_ticks(cap * TICK_MS) == cap
                assert found.verdict(cap) is measurement_under(one, goal).verdict


def test_too_few_requests_meet_no_cap() -> None:
    """A hundred can not show a p99, and say so for all caps."""
    one = measured([[5] * 50, [5] * 50])
    found = ranges(one, 99.0)
    assert found.met_from is None
    assert found.verdict(10**9) is Verdict.UNCLEAR
    assert found.verdict(1) is Verdict.MISSED
