"""What an item costs: the ratio of sums, and how well it is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from autotune.stats.block_means import lag1_correlation
from autotune.stats.ratios import ratio_interval
from tests.stats.test_block_means import autoregressive

BLOCKS = st.lists(st.tuples(st.floats(1e-3, 1e3), st.integers(1, 10_000)), min_size=3, max_size=30)


def split(blocks: list[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """Totals and counts."""
    totals, counts = zip(*blocks, strict=True)
    return list(totals), list(counts)


@given(BLOCKS, st.sampled_from([0.9, 0.95, 0.99]))
def test_it_is_the_ratio_of_sums_with_a_t_interval_of_residuals(
    blocks: list[tuple[float, int]], confidence: float
) -> None:
    """Three more degrees of freedom of 4 %, twenty more blocks that are correlated by 0.6."""
    totals, counts = split(blocks)
    found, count = ratio_interval(totals, counts, confidence), len(blocks)
    ratio, usual = sum(totals) / sum(counts), float(np.mean(counts))
    rest = np.array(totals) - ratio * np.array(counts)
    freedom = count + 2
    squares = 3 * (0.04 * ratio * usual) ** 2 + float((rest**2).sum())
    correlation = (count * lag1_correlation(rest) + 1 + 12) / (count + 20)
    factor = (1 + correlation) / (1 - correlation)
    error = math.sqrt(squares / freedom / count * factor) / usual
    low, high = student.interval(confidence, freedom, loc=ratio, scale=error)
    assert found.mean == pytest.approx(ratio)
    assert (found.low, found.high) == pytest.approx((max(0.0, low), high), rel=1e-6)


@given(BLOCKS, st.floats(1e-3, 1e3))
def test_it_scales_with_both_units(blocks: list[tuple[float, int]], factor: float) -> None:
    """Milliseconds for each item, or seconds for each batch of them."""
    totals, counts = split(blocks)
    plain = ratio_interval(totals, counts)
    costlier = ratio_interval([factor * total for total in totals], counts)
    batched = ratio_interval(totals, [factor * count for count in counts])
    for found, expected in ((costlier, factor * plain.mean), (batched, plain.mean / factor)):
        assert found.mean == pytest.approx(expected)
        assert found.half_width == pytest.approx(plain.half_width, rel=1e-3, abs=1e-9)


@given(st.floats(1e-6, 10), st.lists(st.integers(1, 1000), min_size=3, max_size=20))
def test_blocks_of_one_cost_leave_only_what_is_not_known_of_others(
    cost: float, counts: list[int]
) -> None:
    """However many requests each has: 4 %, drawn over n + 2 degrees of freedom."""
    found = ratio_interval([cost * count for count in counts], counts)
    assert found.mean == pytest.approx(cost)
    assert found.half_width is not None
    assert 0 < found.half_width < 0.12


@pytest.mark.parametrize("blocks", [1, 2])
def test_two_blocks_have_no_interval(blocks: int) -> None:
    """There is a ratio, and nothing more."""
    found = ratio_interval([1.0] * blocks, [4] * blocks)
    assert (found.mean, found.low, found.high) == (0.25, None, None)


def test_nothing_costs_less_than_nothing() -> None:
    """Of blocks that differ wildly the lower end would be."""
    found = ratio_interval([100.0, 0.0, 0.0], [1, 1, 1])
    assert found.low == 0.0


@pytest.mark.parametrize("spread", [0.0, 0.5], ids=["equal blocks", "blocks of any size"])
@pytest.mark.parametrize("blocks", [4, 8, 20])
@pytest.mark.parametrize(("sd", "correlation"), [(0.03, 0.0), (0.03, 0.5), (0.05, 0.4)])
def test_the_true_cost_is_covered(
    blocks: int, sd: float, correlation: float, spread: float
) -> None:
    """As blocks were seen to be: 3 to 5 %, correlated; whatever the count of each."""
    random = np.random.default_rng(17)
    series = (autoregressive(random, 2000, blocks + 20, correlation)[:, 20:] - 100) * sd
    counts = np.maximum(1, np.round(200 * np.exp(spread * random.normal(size=series.shape))))
    covered = []
    for noise, count in zip(series, counts, strict=True):
        found = ratio_interval(list(0.004 * count * np.exp(noise)), list(count))
        assert found.low is not None
        assert found.high is not None
        covered.append(found.low <= 0.004 <= found.high)
    assert np.mean(covered) >= 0.94


def test_the_mean_of_ratios_would_be_another_one() -> None:
    """A block with one request says less than one with a thousand."""
    found = ratio_interval([1.0, 1.0, 1000.0], [2, 2, 1000])
    assert found.mean == pytest.approx(1002 / 1004)
