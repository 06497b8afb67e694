"""What a contender's slices say, alone and against those of another."""

import math
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Flag
from autotune.domain.race import Slice
from autotune.racing.standings import Record
from autotune.stats.latency import percentile_bounds_ms, ticks_of
from autotune.stats.launches import launch_interval, launch_upper_bound
from autotune.stats.tail_test import CERTIFICATE_ALPHA, SEARCH_ALPHA
from tests.builders import GOAL, make_block

UNCAPPED = Goal(Objective.THROUGHPUT, 99.0, None)
LOWEST = Goal(Objective.LATENCY, 99.0, None)
FAST, SLOW = 5.0, 20.0
"""Latencies in ms, under and over the cap of 10."""


def slice_of(
    launch: int, number: int, latencies_ms: Sequence[float] = (1.0,) * 100, **fields: Any
) -> Slice:
    """One turn of half a second."""
    return Slice(launch, number, 0, 0.0, make_block(latencies_ms, **fields))


def record_of(slices: Iterable[Slice], goal: Goal = GOAL, batch_size: int = 1) -> Record:
    """Four requests in flight."""
    return Record(tuple(slices), batch_size, 4, goal)


def record(
    launches: int = 3, rounds: int = 4, requests: int = 100, over: int = 0, latency_ms: float = FAST
) -> Record:
    """Equal slices, each with so many requests over the cap."""
    latencies = (latency_ms,) * (requests - over) + (SLOW,) * over
    return record_of(slice_of(n, r, latencies) for n, r in product(range(launches), range(rounds)))


def at_speeds(speeds: Iterable[Iterable[float]], goal: Goal = UNCAPPED) -> Record:
    """Slices of these items per second, by launch and round."""
    return record_of(
        [
            slice_of(n, r, (1.0,) * 100, duration_s=100 / speed)
            for n, launch in enumerate(speeds)
            for r, speed in enumerate(launch)
        ],
        goal,
    )


# --- alone


def test_launches_that_differ_too_much_bound_no_throughput() -> None:
    """Fewer than no items per second are none."""
    found = at_speeds([[3000.0, 3010.0], [1500.0, 1510.0]]).throughput
    assert (found.low, found.high) == (None, None)
    assert 1500 < found.mean < 3000
    near = at_speeds([[3000.0, 3010.0], [2990.0, 3020.0]]).throughput
    assert near.low is not None
    assert near.low > 0


def test_throughput_counts_items_per_second() -> None:
    """Completions times the batch over the block's own duration, with the interval of launches."""
    slices = [slice_of(0, 0, duration_s=0.5), slice_of(0, 1, duration_s=0.4), slice_of(1, 0)]
    found = record_of(slices, batch_size=8)
    assert found.throughput == launch_interval([[1600.0, 2000.0], [1600.0]])
    assert found.requests == 300
    assert found.speeds == {(0, 0): 1600.0, (0, 1): 2000.0, (1, 0): 1600.0}


def test_over_cap_requests_are_counted_by_slice() -> None:
    """Exactly at the cap is under it."""
    slices = [slice_of(0, 0, (9.0, 10.0, 10.1)), slice_of(0, 1, (1.0,)), slice_of(2, 0, (11, 12))]
    found = record_of(slices)
    assert found.over == {0: [1, 0], 2: [2]}
    assert found.over_cap == 3


def test_without_a_cap_nothing_is_over_it() -> None:
    """No verdict, no dispersion, and what was measured holds."""
    found = record_of([slice_of(0, 0, (1e5,) * 10)], UNCAPPED)
    assert (found.over, found.over_cap, found.verdict(), found.dispersion) == ({}, 0, None, None)
    assert found.missed_launches == 0
    assert found.holds
    assert found.should_hold


@pytest.mark.parametrize("goal", [GOAL, UNCAPPED, LOWEST])
def test_without_slices_nothing_holds(goal: Goal) -> None:
    """And nothing is known."""
    found = record_of([], goal)
    assert not found.holds
    assert not found.should_hold
    assert (found.requests, found.over_cap, found.latency) == (0, 0, None)
    assert (found.latency_upper_ms, found.dispersion, found.flags) == (None, None, frozenset())
    assert found.verdict() is (Verdict.UNCLEAR if goal.sla else None)
    assert math.isnan(found.throughput.mean)


@pytest.mark.parametrize(("alpha", "least"), [(CERTIFICATE_ALPHA, 608), (SEARCH_ALPHA, 417)])
def test_p99_is_met_from_the_least_number_of_requests_on(alpha: float, least: int) -> None:
    """However they are shared out to launches and rounds."""
    for requests, expected in ((least - 1, Verdict.UNCLEAR), (least, Verdict.MET)):
        shares = np.diff(np.linspace(0, requests, 7).astype(int)).tolist()
        found = record_of(slice_of(n % 3, n // 3, (1.0,) * share) for n, share in enumerate(shares))
        assert found.requests == requests
        assert found.verdict(alpha) is expected


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 150), st.integers(0, 150))))
def test_never_met_below_the_least_number(shape: list[tuple[int, int, int]]) -> None:
    """Fewer than 608 requests never certify p99, fewer than 417 never show it."""
    found = record_of(
        slice_of(launch, number, (FAST,) * (requests - min(over, requests)) + (SLOW,) * over)
        for number, (launch, requests, over) in enumerate(shape)
    )
    if found.requests < 608:
        assert found.verdict() is not Verdict.MET
        assert not found.holds
        assert not found.should_hold
    if found.requests < 417:
        assert found.verdict(SEARCH_ALPHA) is not Verdict.MET


def test_a_launch_that_misses_by_itself_is_counted() -> None:
    """Three launches of which the last is slow: all together may still meet the SLA."""
    good = [slice_of(n, r, (FAST,) * 1000) for n, r in product(range(2), range(5))]
    bad = [slice_of(2, r, (FAST,) * 190 + (SLOW,) * 10) for r in range(3)]
    found = record_of([*good, *bad])
    assert found.verdict() is Verdict.MET
    assert found.missed_launches == 1
    assert not found.holds
    assert not found.should_hold


def test_the_upper_bound_is_the_larger_of_two() -> None:
    """Order statistics of all requests, or the spread between launches."""
    random = np.random.default_rng(3)
    alike = record_of(slice_of(n % 4, n, random.uniform(1, 2, 500).tolist()) for n in range(20))
    pooled = percentile_bounds_ms(ticks_of(s.block for s in alike.slices), 99, 0.99)[1]
    apart = record_of(slice_of(n, 0, (1.0 + n / 10,) * 500) for n in range(4))
    spread = launch_upper_bound([math.log(1.0 + n / 10) for n in range(4)], 0.99, 0.05)
    assert pooled is not None
    assert pooled <= (alike.latency_upper_ms or 0) < 2.15
    assert spread is not None
    assert apart.latency_upper_ms == pytest.approx(math.exp(spread))
    assert math.exp(spread) > 1.3


def test_few_late_requests_in_every_launch_are_seen_by_all_together() -> None:
    """Each launch's p99 is 1 ms, but one request in a hundred takes 5 ms: it may be the p99."""
    late = record_of(slice_of(n, 0, (1.0,) * 495 + (5.0,) * 5) for n in range(4))
    assert late.latency is not None
    assert late.latency.goal_ms == pytest.approx(1.0)
    assert late.latency_upper_ms == pytest.approx(5.0)


def test_one_launch_against_the_sla_is_enough() -> None:
    """Though all requests together meet it, and the bound is far below the cap."""
    good = [slice_of(n, 0, (0.1,) * 500) for n in range(12)]
    bad = [slice_of(12, r, (0.1,) * 85 + (10.5,) * 15) for r in range(2)]
    found = record_of([*good, *bad])
    assert found.verdict() is Verdict.MET
    assert (found.latency_upper_ms or math.inf) < 5
    assert found.missed_launches == 1
    assert not found.holds
    assert not found.should_hold
    assert record_of(good).holds


@pytest.mark.parametrize(("launches", "requests"), [(2, 5000), (3, 100), (6, 70)])
def test_few_launches_or_requests_bound_nothing(launches: int, requests: int) -> None:
    """Two launches say nothing of others, and 458 requests bound p99 at 99 % at the earliest."""
    assert record(launches, 1, requests).latency_upper_ms is None
    assert record(launches + 1, 1, max(requests, 300)).latency_upper_ms is not None


@given(st.integers(3, 6), st.integers(500, 800), st.floats(0, 2), st.integers(0, 2**32))
def test_the_upper_bound_is_no_less_than_the_percentile(
    launches: int, requests: int, spread: float, seed: int
) -> None:
    """What was seen is not ruled out."""
    latencies_ms = np.random.default_rng(seed).lognormal(0, spread, requests).tolist()
    found = record_of(slice_of(n, 0, latencies_ms[n::launches]) for n in range(launches))
    assert found.latency is not None
    assert found.latency_upper_ms is not None
    assert found.latency_upper_ms >= found.latency.goal_ms


@pytest.mark.parametrize(
    ("found", "holds", "should_hold"),
    [
        pytest.param(record(), True, True, id="many requests, three launches"),
        pytest.param(record(launches=1, rounds=12), False, True, id="one launch, far below"),
        pytest.param(
            record(launches=1, rounds=12, latency_ms=8.0), False, False, id="one launch, near"
        ),
        pytest.param(record(rounds=2), False, False, id="600 requests"),
        pytest.param(record(over=1), False, False, id="one of 100 over"),
        pytest.param(record(over=50), False, False, id="half over"),
        pytest.param(record(latency_ms=9.2), True, True, id="all below, with room for a launch"),
        pytest.param(record(latency_ms=9.9), False, False, id="all just below"),
    ],
)
def test_what_holds_and_what_should(found: Record, *, holds: bool, should_hold: bool) -> None:
    """Holding takes a bound from several launches; well below the cap one launch is a good sign."""
    assert (found.holds, found.should_hold) == (holds, should_hold)


def test_launches_that_differ_may_not_hold_though_all_are_under_the_cap() -> None:
    """Percentiles of 2, 5 and 9 ms: the next launch may well be over 10."""
    found = record_of(slice_of(n, 0, (ms,) * 500) for n, ms in enumerate((2.0, 5.0, 9.0)))
    assert found.verdict() is Verdict.MET
    assert (found.latency_upper_ms or 0) > 10
    assert not found.holds


@pytest.mark.parametrize(("bad", "expected"), [(1, frozenset()), (2, {Flag.STEAL})])
def test_flags_count_on_more_than_a_fifth_of_the_slices(bad: int, expected: set[Flag]) -> None:
    """One slice in five is chance."""
    stolen = [slice_of(0, n, steal_s=0.4) for n in range(bad)]
    assert record_of([*stolen, *(slice_of(1, n) for n in range(5 - bad))]).flags == expected


# --- bursts


def counts_record(counts: Iterable[int], requests: int = 200) -> Record:
    """Slices with so many requests over the cap, in launches of ten."""
    return record_of(
        slice_of(n // 10, n % 10, (FAST,) * (requests - count) + (SLOW,) * count)
        for n, count in enumerate(counts)
    )


def test_dispersion_of_independent_requests_is_about_one() -> None:
    """Binomial counts, at a rate of 1 %."""
    drawn = np.random.default_rng(5).binomial(200, 0.01, 400).tolist()
    assert counts_record(drawn).dispersion == pytest.approx(1.0, abs=0.2)


def test_dispersion_of_bursts_is_large() -> None:
    """The same rate, but twenty at a time in one slice of ten."""
    drawn = 20 * np.random.default_rng(6).binomial(1, 0.1, 400)
    assert (counts_record(drawn.tolist()).dispersion or 0) > 10


def test_dispersion_by_hand() -> None:
    """Counts 1 and 3 of 100 each: the rate is 2 %, a variance of 1.96 is expected, 2 is seen."""
    assert counts_record([1, 3], 100).dispersion == pytest.approx(2 / 1.96)


@pytest.mark.parametrize("counts", [[], [3], [0, 0, 0], [200, 200]])
def test_no_dispersion_without_variation_to_expect(counts: list[int]) -> None:
    """None over the cap, or all, or a single slice."""
    assert counts_record(counts).dispersion is None
