"""Percentiles by nearest rank, their distribution-free bounds, and counts over a cap."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, lognorm, norm, pareto, quantile_test

from autotune.domain.measurement import TICK_MS
from autotune.stats.latency import (
    Ticks,
    cap_ticks,
    over_cap,
    percentile_bounds_ms,
    percentile_ms,
    summarise,
    ticks_of,
)
from tests.domain.builders import make_block

PERCENTILES = st.sampled_from([1, 10, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99])
SAMPLES = hnp.arrays(np.uint32, st.integers(1, 400), elements=st.integers(0, 2**32 - 1)).map(
    np.sort
)


def in_ticks(milliseconds: float | None) -> int | None:
    """A latency as the whole number of ticks it was made of."""
    return None if milliseconds is None else round(milliseconds / TICK_MS)


# --- percentiles


@given(SAMPLES, PERCENTILES)
def test_percentile_is_the_nearest_rank(ticks: Ticks, percentile: float) -> None:
    """The percentile is the smallest latency that at least that share of requests is not above."""
    share = Fraction(str(percentile)) / 100
    expected = next(
        value
        for value in ticks.tolist()
        if Fraction(int(np.count_nonzero(ticks <= value)), ticks.size) >= share
    )
    assert in_ticks(percentile_ms(ticks, percentile)) == expected


@given(SAMPLES, st.sampled_from([1, 10, 50, 75, 90, 95]))
def test_percentile_is_numpys_inverted_cdf(ticks: Ticks, percentile: int) -> None:
    """The convention is the one numpy calls inverted_cdf."""
    # Half of a rank lower: numpy's product n * q may lie an ulp above a whole number.
    share = percentile / 100 - 0.001 / ticks.size
    expected = np.quantile(ticks, share, method="inverted_cdf")
    assert in_ticks(percentile_ms(ticks, percentile)) == int(expected)


@pytest.mark.parametrize(
    ("requests", "percentile", "rank"),
    [
        (1, 99, 1),
        (99, 99, 99),
        (100, 99, 99),
        (101, 99, 100),
        (1000, 99.9, 999),
        (1000, 16.1, 161),
        (500, 64.4, 322),
        (2, 50, 1),
        (10, 0.001, 1),
    ],
)
def test_rank_of_a_percentile(requests: int, percentile: float, rank: int) -> None:
    """The rank is ceil(n p / 100), exact also where floating point is not."""
    assert in_ticks(percentile_ms(np.arange(1, requests + 1, dtype=np.uint32), percentile)) == rank


# --- bounds


def bound_ranks(
    requests: int, percentile: float, confidence: float
) -> tuple[int | None, int | None]:
    """Indices of the order statistics that are the bounds."""
    ticks = np.arange(requests, dtype=np.uint32)
    lower, upper = percentile_bounds_ms(ticks, percentile, confidence)
    return in_ticks(lower), in_ticks(upper)


def is_a_tie(requests: int, percentile: float, confidence: float) -> bool:
    """Whether an order statistic is beyond the percentile with exactly the confidence."""
    counts, share = np.arange(requests), percentile / 100
    off = [binom.cdf(counts, requests, rate) - (1 - confidence) for rate in (share, 1 - share)]
    return bool(np.abs(off).min() < 1e-12)


def test_a_bound_that_holds_with_exactly_the_confidence_is_one() -> None:
    """A lone latency is below the 90th percentile, or at it, with 90 %; and not with more."""
    assert bound_ranks(1, 90, 0.9) == (0, None)
    assert bound_ranks(1, 90, 0.95) == (None, None)


@given(SAMPLES, PERCENTILES, st.sampled_from([0.9, 0.95, 0.99]))
def test_bounds_are_those_of_scipys_quantile_test(
    ticks: Ticks, percentile: float, confidence: float
) -> None:
    """Both one-sided bounds equal the confidence limits of the exact binomial quantile test.

    Not where one holds with exactly the confidence: SciPy wants more.
    """
    assume(not is_a_tie(ticks.size, percentile, confidence))
    bounds = percentile_bounds_ms(ticks, percentile, confidence)
    lower, upper = (
        quantile_test(
            ticks.astype(float), q=0, p=percentile / 100, alternative=alternative
        ).confidence_interval(confidence)[side]
        for side, alternative in enumerate(("greater", "less"))
    )
    assert in_ticks(bounds[0]) == (None if math.isnan(lower) else int(lower))
    assert in_ticks(bounds[1]) == (None if math.isnan(upper) else int(upper))


@given(st.integers(1, 20_000), PERCENTILES, st.sampled_from([0.9, 0.95, 0.99]))
def test_bounds_are_the_tightest_that_hold(
    requests: int, percentile: float, confidence: float
) -> None:
    """The chosen order statistics err with at most the stated chance, the next ones with more."""
    share, alpha = percentile / 100, 1 - confidence
    lower, upper = bound_ranks(requests, percentile, confidence)
    below = -1 if lower is None else lower
    above = -1 if upper is None else requests - 1 - upper
    for count, rate in ((below, share), (above, 1 - share)):
        assert binom.cdf(count, requests, rate) <= alpha
        assert binom.cdf(count + 1, requests, rate) > alpha


@given(SAMPLES, PERCENTILES)
def test_bounds_enclose_the_percentile(ticks: Ticks, percentile: float) -> None:
    """The estimate lies between its bounds."""
    lower, upper = percentile_bounds_ms(ticks, percentile)
    estimate = percentile_ms(ticks, percentile)
    assert lower is None or lower <= estimate
    assert upper is None or estimate <= upper


@pytest.mark.parametrize(
    ("requests", "is_bounded"), [(0, False), (1, False), (298, False), (299, True)]
)
def test_too_few_requests_bound_nothing(requests: int, *, is_bounded: bool) -> None:
    """With 298 requests no latency is an upper bound for p99 at 95 %; with 299 the largest is."""
    _, upper = percentile_bounds_ms(np.arange(requests, dtype=np.uint32), 99)
    assert (upper is not None) == is_bounded


Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]


def _lognormal(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.lognormal(1.0, 0.4, shape)


def _bimodal(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    slow = random.random(shape) < 0.03
    return np.abs(np.where(slow, random.normal(20, 1, shape), random.normal(5, 0.3, shape)))


def _heavy(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return 1 + random.pareto(1.2, shape)


def _tied(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.choice([1.0, 5.0, 9.0], shape, p=[0.965, 0.03, 0.005])


def _bimodal_p99_ms() -> float:
    return float(
        brentq(lambda x: 0.03 * norm.cdf(x, 20, 1) + 0.97 * norm.cdf(x, 5, 0.3) - 0.99, 10, 30)
    )


@pytest.mark.parametrize("requests", [300, 1000, 5000])
@pytest.mark.parametrize(
    ("draw", "true_ms"),
    [
        pytest.param(_lognormal, float(lognorm.ppf(0.99, 0.4, scale=math.e)), id="log-normal"),
        pytest.param(_bimodal, _bimodal_p99_ms(), id="bimodal"),
        pytest.param(_heavy, float(pareto.ppf(0.99, 1.2)), id="heavy-tail"),
        pytest.param(_tied, 5.0, id="ties"),
    ],
)
def test_bounds_cover_the_true_percentile(draw: Draw, true_ms: float, requests: int) -> None:
    """Whatever the distribution, each bound of p99 holds in at least 95 % of the samples."""
    samples = 2000
    drawn = np.rint(draw(np.random.default_rng(requests), (samples, requests)) / TICK_MS)
    true = round(true_ms / TICK_MS)
    lower, upper = bound_ranks(requests, 99, 0.95)
    chance = 3 * math.sqrt(0.05 * 0.95 / samples)  # what so few samples may be off by
    assert lower is not None
    assert upper is not None
    drawn.partition((lower, upper), axis=1)
    assert np.mean(drawn[:, lower] <= true) >= 0.95 - chance
    assert np.mean(drawn[:, upper] >= true) >= 0.95 - chance


# --- caps and blocks


@given(st.lists(st.integers(0, 10**6), max_size=50), st.integers(1, 10**6))
def test_over_cap_counts_what_is_slower_than_the_cap(ticks: list[int], cap: int) -> None:
    """A request exactly at the cap is not over it."""
    block = make_block([tick * TICK_MS for tick in ticks])
    assert over_cap(block, cap * TICK_MS) == sum(tick > cap for tick in ticks)


@given(st.integers(1, 2**32 - 1))
def test_caps_in_whole_ticks_are_exact(cap: int) -> None:
    """A cap of a whole number of ticks is that number, in spite of floating point."""
    assert cap_ticks(cap * TICK_MS) == cap
    assert cap_ticks(cap / 10_000) == cap
    assert cap_ticks((cap + 0.5) * TICK_MS) == cap


def test_a_cap_beyond_all_clocks_is_met() -> None:
    """Caps longer than the longest latency that can be stored are caps like any other."""
    assert over_cap(make_block([1.0, 400_000.0]), 1e9) == 0


def test_ticks_of_blocks_are_merged_in_order() -> None:
    """Latencies of several blocks become one ascending array; no blocks give none."""
    merged = ticks_of([make_block([3.0, 1.0]), make_block([]), make_block([2.0])])
    assert merged.tolist() == [10_000, 20_000, 30_000]
    assert ticks_of([]).size == 0


def test_summary_of_a_known_sample() -> None:
    """1 ms, 2 ms, … 200 ms over two blocks give the textbook percentiles."""
    blocks = [make_block([float(n) for n in range(start, 201, 2)]) for start in (1, 2)]
    latency = summarise(blocks, 99.5)
    assert latency.requests == 200
    assert latency.mean_ms == pytest.approx(100.5)
    found = (latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms, latency.goal_ms)
    assert found == pytest.approx((100, 180, 190, 198, 199))
    assert latency.max_ms == pytest.approx(200)


def test_a_summary_of_nothing_is_refused() -> None:
    """No request has no percentile."""
    with pytest.raises(ValueError, match="no request"):
        summarise([make_block([])], 99)
