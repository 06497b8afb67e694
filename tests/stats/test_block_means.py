"""Throughput intervals from block means, and the end of a warm-up."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t as student

from autotune.domain.measurement import Interval
from autotune.stats.block_means import (
    is_steady,
    lag1_correlation,
    mean_interval,
    sample_interval,
)

RATES = st.lists(st.floats(1, 1e6), min_size=3, max_size=30)


def autoregressive(
    random: np.random.Generator, series: int, length: int, correlation: float
) -> NDArray[np.float64]:
    """First-order autoregressive series around 100 with unit variance, shape (series, length)."""
    noise = random.normal(size=(series, length))
    values = np.empty_like(noise)
    values[:, 0] = noise[:, 0]
    for i in range(1, length):
        values[:, i] = correlation * values[:, i - 1] + math.sqrt(1 - correlation**2) * noise[:, i]
    return 100 + values


# --- the interval


@given(RATES, st.sampled_from([0.9, 0.95, 0.99]))
def test_interval_is_students_without_correlation(rates: list[float], confidence: float) -> None:
    """Without positive correlation it is scipy's t interval; with it, wider by the AR(1) factor."""
    interval = sample_interval(rates, confidence)
    mean, error = float(np.mean(rates)), float(np.std(rates, ddof=1)) / math.sqrt(len(rates))
    correlation = min(max(lag1_correlation(rates), 0.0), 0.9)
    error *= math.sqrt((1 + correlation) / (1 - correlation))
    assert interval.mean == pytest.approx(mean)
    assert interval.low is not None
    assert interval.high is not None
    if error > 1e-9 * mean:
        low, high = student.interval(confidence, len(rates) - 1, loc=mean, scale=error)
        assert interval.low == pytest.approx(low, rel=1e-6, abs=1e-6 * mean)
        assert interval.high == pytest.approx(high, rel=1e-6, abs=1e-6 * mean)


def test_alternating_rates_give_the_plain_t_interval() -> None:
    """Negative correlation never narrows the interval below Student's."""
    rates = [98.0, 102.0] * 5
    interval = sample_interval(rates)
    low, high = student.interval(0.95, 9, loc=100, scale=np.std(rates, ddof=1) / math.sqrt(10))
    assert lag1_correlation(rates) < 0
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_correlation_widens_the_interval() -> None:
    """The same values in an order that drifts are known less well than shuffled ones."""
    drifting = mean_interval([float(n) for n in range(90, 111)])
    mixed = mean_interval([float(90 + n * 8 % 21) for n in range(21)])
    assert drifting.mean == mixed.mean
    assert drifting.half_width is not None
    assert mixed.half_width is not None
    assert drifting.half_width > 2 * mixed.half_width


@given(RATES, st.sampled_from([0.9, 0.95, 0.99]))
def test_few_blocks_are_believed_little(rates: list[float], confidence: float) -> None:
    """Three more degrees of freedom of 4 %, twenty more blocks that are correlated by 0.7."""
    interval, count = mean_interval(rates, confidence), len(rates)
    mean, freedom = float(np.mean(rates)), count + 2
    squares = 3 * (0.04 * mean) ** 2 + float(((np.array(rates) - mean) ** 2).sum())
    correlation = (count * lag1_correlation(rates) + 1 + 14) / (count + 20)
    factor = (1 + correlation) / (1 - correlation)
    error = math.sqrt(squares / freedom / count * factor)
    low, high = student.interval(confidence, freedom, loc=mean, scale=error)
    assert (interval.low, interval.high) == pytest.approx((low, high))


@pytest.mark.parametrize("interval", [mean_interval, sample_interval])
@pytest.mark.parametrize("rates", [[100.0], [100.0, 104.0]])
def test_two_blocks_have_no_interval(
    rates: list[float], interval: Callable[[list[float]], Interval]
) -> None:
    """Below three blocks there is a mean and nothing more."""
    found = interval(rates)
    assert found.mean == np.mean(rates)
    assert (found.low, found.high, found.half_width) == (None, None, None)


@pytest.mark.parametrize("blocks", [3, 4, 6, 12])
def test_few_correlated_blocks_are_covered(blocks: int) -> None:
    """As a machine has them: 5 %, correlated by 0.7; far less by what they say themselves."""
    series = autoregressive(np.random.default_rng(8), 2000, blocks + 20, 0.7)[:, 20:]
    series = 100 + 5 * (series - 100) * math.sqrt(1 - 0.7**2)

    def covered(interval: Callable[[list[float]], Interval]) -> float:
        found = [interval(rates) for rates in series.tolist()]
        return float(np.mean([i.low <= 100 <= i.high for i in found if i.low and i.high]))

    assert covered(mean_interval) >= 0.9
    assert covered(sample_interval) < 0.85


def test_a_constant_rate_is_known_exactly() -> None:
    """By itself; but other blocks of this machine would differ. No division by zero."""
    interval = sample_interval([250.0] * 6)
    assert (interval.low, interval.mean, interval.high) == (250.0, 250.0, 250.0)
    assert mean_interval([250.0] * 6).half_width == pytest.approx(0.0445, abs=1e-4)


@given(RATES, st.floats(0.001, 1000))
def test_interval_scales_with_the_unit(rates: list[float], factor: float) -> None:
    """Items per millisecond have the same relative half-width as items per second."""
    interval, scaled = mean_interval(rates), mean_interval([factor * rate for rate in rates])
    assert scaled.mean == pytest.approx(factor * interval.mean)
    assert scaled.half_width == pytest.approx(interval.half_width, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize(
    ("correlation", "blocks", "least"),
    [(0.0, 8, 0.94), (0.0, 30, 0.94), (0.3, 30, 0.90), (0.6, 60, 0.88)],
)
def test_interval_covers_the_true_mean(correlation: float, blocks: int, least: float) -> None:
    """Independent blocks are covered at 95 %; correlated ones nearly: the factor is estimated."""
    series = autoregressive(np.random.default_rng(5), 2000, blocks, correlation)
    intervals = [mean_interval(rates) for rates in series.tolist()]
    covered = [
        i.low is not None and i.high is not None and i.low <= 100 <= i.high for i in intervals
    ]
    assert np.mean(covered) >= least


def test_the_factor_is_what_keeps_the_coverage() -> None:
    """Without the widening, correlated blocks would be covered far less often than stated."""
    series = autoregressive(np.random.default_rng(6), 2000, 60, 0.6)
    half = student.ppf(0.975, 59) * series.std(axis=1, ddof=1) / math.sqrt(60)
    assert np.mean(np.abs(series.mean(axis=1) - 100) <= half) < 0.75


# --- correlation


@given(RATES)
def test_correlation_is_a_correlation(rates: list[float]) -> None:
    """Lag-1 correlation lies between -1 and 1."""
    assert -1 <= lag1_correlation(rates) <= 1


def test_correlation_of_known_series() -> None:
    """A trend is positively, an alternation negatively, a constant not correlated."""
    assert lag1_correlation([float(n) for n in range(100)]) > 0.9
    assert lag1_correlation([1.0, -1.0] * 50) < -0.9
    assert lag1_correlation([3.0] * 10) == 0.0


def test_correlation_of_a_long_series_is_the_true_one() -> None:
    """The estimate comes near to the coefficient of a simulated autoregressive series."""
    series = autoregressive(np.random.default_rng(7), 1, 20_000, 0.5)
    assert lag1_correlation(series[0]) == pytest.approx(0.5, abs=0.02)


# --- warm-up


@pytest.mark.parametrize(
    ("rates", "steady"),
    [
        pytest.param([100.0] * 4, True, id="flat"),
        pytest.param([100.0, 102, 99, 101], True, id="noise"),
        pytest.param([100.0, 101, 102, 103], True, id="ramp-within-tolerance"),
        pytest.param([100.0, 110, 120, 130], False, id="ramp"),
        pytest.param([130.0, 120, 110, 100], False, id="falling"),
        pytest.param([10.0, 20, 100, 100, 101, 99], True, id="settled"),
        pytest.param([100.0, 100, 120, 120], False, id="step"),
        pytest.param([100.0, 140, 90, 130], True, id="wild-without-trend"),
        pytest.param([100.0] * 3, False, id="too-few"),
        pytest.param([], False, id="none"),
    ],
)
def test_steady_means_no_trend(rates: list[float], *, steady: bool) -> None:
    """Ramps and steps are not steady, flat and noisy rates are; only the last four count."""
    assert is_steady(rates) is steady


@given(st.floats(10, 1e5), st.floats(0.04, 0.5))
def test_two_blocks_must_agree_within_tolerance(rate: float, change: float) -> None:
    """A window of two compares the last two blocks with 3 % and allows no scatter."""
    assert is_steady([rate, rate * 1.01], window=2)
    assert not is_steady([rate, rate * (1 + change)], window=2)


@given(st.floats(10, 1e5), st.floats(0.025, 0.5), st.integers(0, 5))
def test_every_clear_ramp_is_seen(start: float, slope: float, offset: int) -> None:
    """A straight line of more than 3 % from half to half is never called steady."""
    rates = [start * (1 + slope * n) for n in range(offset + 4)]
    halves = np.mean(rates[-2:]) - np.mean(rates[-4:-2])
    assert is_steady(rates) == (halves <= 0.03 * np.mean(rates[-4:]))


def test_independent_noise_is_mostly_steady() -> None:
    """Chance alone holds up a warm-up in about one of ten looks."""
    noise = np.random.default_rng(8).normal(100, 10, size=(4000, 4))
    assert 0.85 < np.mean([is_steady(rates) for rates in noise.tolist()]) < 0.97
