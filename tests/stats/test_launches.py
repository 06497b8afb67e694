"""Intervals over launches and rounds: known values, coverage, symmetry."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f_oneway
from scipy.stats import t as student

from autotune.stats.launches import (
    LaunchSpread,
    launch_bounds,
    launch_interval,
    launch_upper_bound,
    next_bounds,
    pooled_spread,
)

VALUES = st.floats(-100, 100)
LAUNCHES = st.lists(st.lists(VALUES, max_size=6), min_size=1, max_size=6)


def oracle(launches: list[list[float]], confidence: float) -> tuple[float, float]:
    """The interval by scipy: of the launch means where they differ at 25 %, else of all values."""
    groups = [np.array(values) for values in launches if values]
    pooled = np.concatenate(groups)
    values = pooled
    if len(groups) > 1:
        alone = len(groups) == pooled.size
        differ = alone or float(f_oneway(*groups).pvalue) < 0.25
        values = np.array([group.mean() for group in groups]) if differ else pooled
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    low, high = student.interval(confidence, values.size - 1, loc=values.mean(), scale=error)
    return float(low), float(high)


# --- known values


def test_launches_that_agree_are_pooled() -> None:
    """Six values of two launches with nearly equal means: five degrees of freedom."""
    found = launch_interval([[9.0, 10.0, 11.0], [9.5, 10.5, 10.0]])
    error = math.sqrt((1 + 0 + 1 + 0.25 + 0.25 + 0) / 5) / math.sqrt(6)
    half = 2.570582 * error
    assert found.mean == pytest.approx(10.0)
    assert (found.low, found.high) == pytest.approx((10 - half, 10 + half))


def test_launches_that_differ_are_the_unit() -> None:
    """Three launch means 9, 10, 12 with hardly any spread inside: two degrees of freedom."""
    found = launch_interval([[9.0, 9.01, 8.99], [10.0, 10.01, 9.99], [12.0, 12.01, 11.99]])
    half = 4.302653 * math.sqrt((16 + 1 + 25) / 9 / 2) / math.sqrt(3)
    assert found.mean == pytest.approx(31 / 3)
    assert (found.low, found.high) == pytest.approx((31 / 3 - half, 31 / 3 + half), rel=1e-5)


@pytest.mark.parametrize("launch_sd", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize(
    "sizes", [(5, 5, 5, 5, 5), (3, 3), (1, 4, 2, 7), (6,), (1, 1, 1), (2, 0, 3)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_interval_is_scipys(
    launch_sd: float, sizes: tuple[int, ...], confidence: float
) -> None:
    """The same F test and the same t interval, for even and ragged launches."""
    random = np.random.default_rng([len(sizes), round(10 * launch_sd)])
    launches = [(launch_sd * random.normal() + random.normal(size=n)).tolist() for n in sizes]
    found = launch_interval(launches, confidence)
    assert found.low is not None
    assert found.high is not None
    low, high = oracle(launches, confidence)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.mean == pytest.approx((low + high) / 2)


# --- too few values


@pytest.mark.parametrize("launches", [[], [[]], [[], []]])
def test_no_values_have_no_mean(launches: list[list[float]]) -> None:
    """Not a number, and no bounds; a ratio of nothing is None."""
    found = launch_interval(launches)
    assert math.isnan(found.mean)
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize("launches", [[[1.0]], [[1.0, 3.0]], [[1.0], [], [3.0]]])
def test_two_values_have_no_interval(launches: list[list[float]]) -> None:
    """A mean, and nothing more."""
    found = launch_interval(launches)
    assert found.mean == np.mean([value for values in launches for value in values])
    assert (found.low, found.high) == (None, None)


def test_constant_values_are_known_exactly() -> None:
    """Width zero, and no division by zero in the test."""
    found = launch_interval([[2.0] * 5] * 3)
    assert (found.low, found.mean, found.high) == (2.0, 2.0, 2.0)


def test_launches_of_one_value_each_are_the_unit() -> None:
    """There is no spread inside to compare with."""
    found = launch_interval([[1.0], [2.0], [3.0], [6.0]])
    low, high = student.interval(0.95, 3, loc=3.0, scale=np.std([1, 2, 3, 6], ddof=1) / 2)
    assert (found.low, found.high) == pytest.approx((low, high))


# --- properties


@given(LAUNCHES, st.floats(-1000, 1000))
def test_the_interval_moves_with_the_values(launches: list[list[float]], shift: float) -> None:
    """A constant added to all is added to the mean and the bounds."""
    rounded = [[round(value, 3) for value in values] for values in launches]
    found = launch_interval(rounded)
    moved = launch_interval([[value + shift for value in values] for values in rounded])
    if not math.isnan(found.mean):
        assert moved.mean == pytest.approx(found.mean + shift, abs=1e-6)
    assert (found.low is None) == (moved.low is None)


@given(LAUNCHES)
def test_empty_launches_and_order_do_not_matter(launches: list[list[float]]) -> None:
    """Launches are a set; those without a value say nothing."""
    found = launch_interval(launches)
    other = launch_interval([[], *reversed(launches), []])
    if found.low is None or found.high is None:
        assert (other.low, other.high) == (None, None)
    else:
        assert other.mean == pytest.approx(found.mean, abs=1e-9)


@given(LAUNCHES, st.floats(0.5, 0.98))
def test_more_confidence_is_a_wider_interval(
    launches: list[list[float]], confidence: float
) -> None:
    """Around the same mean."""
    narrow, wide = launch_interval(launches, confidence), launch_interval(launches, 0.99)
    if narrow.low is None or narrow.high is None or wide.low is None or wide.high is None:
        assert (narrow.low, wide.low) == (None, None)
    else:
        assert narrow.mean == wide.mean
        assert wide.low <= narrow.low <= narrow.mean <= narrow.high <= wide.high


# --- coverage


@pytest.mark.parametrize("launch_sd", [0.0, 0.5, 2.0])
def test_the_interval_covers_the_true_mean(launch_sd: float) -> None:
    """5 launches of 5 rounds at 95 %, whether launches differ or not."""
    random = np.random.default_rng(11)
    draws = random.normal(size=(4000, 5, 5)) + launch_sd * random.normal(size=(4000, 5, 1))
    found = [launch_interval(draw) for draw in draws]
    covered = [i.low is not None and i.high is not None and i.low <= 0 <= i.high for i in found]
    assert np.mean(covered) >= 0.93


def test_pooling_where_launches_differ_would_cover_far_less() -> None:
    """The test between the two is what keeps the coverage."""
    random = np.random.default_rng(12)
    draws = random.normal(size=(4000, 25)) + 2 * np.repeat(random.normal(size=(4000, 5)), 5, axis=1)
    half = student.ppf(0.975, 24) * draws.std(axis=1, ddof=1) / 5
    assert np.mean(np.abs(draws.mean(axis=1)) <= half) < 0.75


def test_pooling_where_launches_agree_narrows_the_interval() -> None:
    """As a rule, against the launch as the unit: 24 degrees of freedom instead of 4."""
    random = np.random.default_rng(13)
    draws = random.normal(size=(500, 5, 5))
    found = np.median([i.high - i.low for i in map(launch_interval, draws) if i.high and i.low])
    errors = draws.mean(axis=2).std(axis=1, ddof=1) / math.sqrt(5)
    assert found < 0.9 * np.median(2 * student.ppf(0.975, 4) * errors)


# --- the upper bound


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_upper_bound_is_a_moderated_t(confidence: float) -> None:
    """Three launches' worth of the expected variance, in the variance and in the quantile."""
    values, expected_sd = [1.0, 2.0, 4.0, 4.5], 0.5
    variance = (3 * expected_sd**2 + 3 * float(np.var(values, ddof=1))) / 6
    expected = np.mean(values) + student.ppf(confidence, 6) * math.sqrt(variance / 4)
    assert launch_upper_bound(values, confidence, expected_sd) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.1]])
def test_two_launches_bound_nothing(values: list[float]) -> None:
    """Both may share what the next ones do not."""
    assert launch_upper_bound(values, 0.99, 0.1) is None


def test_launches_without_any_spread_are_not_taken_for_certain() -> None:
    """Three that agree do not show that the next one will."""
    bound = launch_upper_bound([1.0, 1.0, 1.0], 0.99, 0.05)
    assert bound is not None
    assert 1.05 < bound < 1.1


@pytest.mark.parametrize("launches", [3, 5, 8])
def test_the_upper_bound_holds_as_often_as_it_says(launches: int) -> None:
    """At 99 %, where variances are scattered about the expected one as they are assumed to be."""
    random = np.random.default_rng(14)
    sds = np.sqrt(3 / random.chisquare(3, size=4000))
    draws = random.normal(size=(4000, launches)) * sds[:, None]
    held = [(launch_upper_bound(draw, 0.99, 1.0) or 0.0) >= 0 for draw in draws.tolist()]
    assert 0.985 <= np.mean(held) <= 0.995


@pytest.mark.parametrize(("times", "least"), [(0.5, 0.99), (1.0, 0.98), (2.0, 0.965), (4.0, 0.96)])
def test_the_upper_bound_bears_launches_that_differ_by_more(times: float, least: float) -> None:
    """Of five launches, however far the expected spread is from the true one."""
    draws = np.random.default_rng(15).normal(scale=times, size=(4000, 5))
    held = [(launch_upper_bound(draw, 0.99, 1.0) or 0.0) >= 0 for draw in draws.tolist()]
    assert np.mean(held) >= least


# --- the next process


def drawn(
    random: np.random.Generator, contenders: int, launches: int, sd: float
) -> list[list[float]]:
    """Logarithms of what the processes of each contender took, about 0."""
    return [random.normal(0.0, sd, launches).tolist() for _ in range(contenders)]


@pytest.mark.parametrize("launches", [1, 3, 7])
@pytest.mark.parametrize("contenders", [1, 4])
@pytest.mark.parametrize("sd", [0.05, 0.1])
def test_the_next_process_is_within_its_bound(contenders: int, launches: int, sd: float) -> None:
    """At 99 %, where processes differ by what is expected, or half of it; by simulation."""
    random, held = np.random.default_rng([contenders, launches, round(100 * sd)]), 0
    races = 4000
    for _ in range(races):
        groups = drawn(random, contenders, launches, sd)
        spread = pooled_spread(groups, expected_sd=0.1)
        held += random.normal(0.0, sd) <= next_bounds(groups[0], spread, 0.99)[1]
    assert held / races >= 0.985


def test_spread_is_learnt_from_all_contenders() -> None:
    """Twice what is expected: alone a bound is short, beside six others it holds, by simulation."""
    random, alone, beside, races = np.random.default_rng(1), 0, 0, 3000
    for _ in range(races):
        groups = drawn(random, 7, 5, 0.2)
        following = random.normal(0.0, 0.2)
        narrow = pooled_spread(groups[:1], expected_sd=0.1)
        wide = pooled_spread(groups, expected_sd=0.1)
        alone += following <= next_bounds(groups[0], narrow, 0.99)[1]
        beside += following <= next_bounds(groups[0], wide, 0.99)[1]
    assert alone / races < beside / races
    assert beside / races >= 0.98


def test_equal_values_do_not_show_that_the_next_is_equal() -> None:
    """Memory comes in pages, and processes that agree to the byte tell nothing of the least."""
    spread = pooled_spread([[1.0] * 50, [2.0] * 50], expected_sd=0.005, least_sd=0.005)
    assert spread == LaunchSpread(0.005, 3 + 98)
    low, high = next_bounds([1.0] * 50, spread, 0.99)
    assert high - 1.0 == pytest.approx(1.0 - low) == pytest.approx(0.0119, rel=0.01)


def test_the_bound_of_the_next_is_students() -> None:
    """Mean, spread and quantile by hand: two processes, one more contender, expected 0.1."""
    values, others = [0.0, 0.2], [1.0, 1.0, 1.3]
    squares = 3 * 0.1**2 + 0.02 + 0.06
    spread = pooled_spread([values, others, [9.0], []], expected_sd=0.1)
    assert spread.freedom == 6
    assert spread.sd == pytest.approx(math.sqrt(squares / 6))
    half = student.ppf(0.95, 6) * spread.sd * math.sqrt(1.5)
    assert next_bounds(values, spread, 0.95) == pytest.approx((0.1 - half, 0.1 + half))


@pytest.mark.parametrize("launches", [1, 2, 3, 7])
def test_the_mean_of_launches_is_within_its_bounds(launches: int) -> None:
    """Each side at 99 %, where launches differ by what is expected; by simulation."""
    random = np.random.default_rng(launches)
    means = random.normal(0.0, 0.03, (4000, launches))
    bounds = np.array([launch_bounds(values.tolist(), 0.99, 0.03) for values in means])
    assert np.mean(bounds[:, 0] <= 0) >= 0.985
    assert np.mean(bounds[:, 1] >= 0) >= 0.985


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=9))
def test_both_bounds_of_a_mean_agree(values: list[float]) -> None:
    """The upper one is that of `launch_upper_bound`, the lower one lies as far below the mean."""
    low, high = launch_bounds(values, 0.99, 0.05)
    assert high == pytest.approx(launch_upper_bound(values, 0.99, 0.05))
    assert low + high == pytest.approx(2 * float(np.mean(values)), abs=1e-9)
