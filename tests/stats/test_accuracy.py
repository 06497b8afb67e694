"""Bounds of what an accuracy loses: oracles, coverage, and what may never be certified."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats import t as student

from autotune.domain.accuracy import GuardVerdict
from autotune.stats.accuracy import (
    accuracy,
    drop_by_resampling,
    drop_of,
    judged_drop,
    mean_bounds,
    needed_samples,
    rate_bounds,
)

UNIT = st.floats(0, 1)
SCORES = st.lists(UNIT, min_size=1, max_size=60).map(np.array)


# --- rates


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_bounds_of_a_rate_are_those_of_scipy(case: tuple[int, int]) -> None:
    """The exact interval of `binomtest`."""
    right, samples = case
    found = rate_bounds(right, samples)
    exact = binomtest(right, samples).proportion_ci(0.95, method="exact")
    assert found == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("case", [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_rate_is_refused(case: tuple[int, int]) -> None:
    """More right ones than there are, or none at all."""
    with pytest.raises(ValueError, match="no rate"):
        rate_bounds(*case)


def covered(rate: float, samples: int, repeats: int) -> float:
    """How often the interval of the loss holds the true loss of an agreement of this rate."""
    random = np.random.default_rng([int(1e6 * rate), samples])
    right = random.binomial(samples, rate, repeats)
    counts, times = np.unique(right, return_counts=True)
    hits = 0
    for count, often in zip(counts, times, strict=True):
        found = np.repeat([1.0, 0.0], [count, samples - count])
        drop = drop_of(np.ones(samples), found, is_compared=True)
        hits += int(often) * (drop.low <= 1 - rate <= drop.high)
    return hits / repeats


@pytest.mark.parametrize("samples", [50, 200, 1000, 5000])
@pytest.mark.parametrize("rate", [0.5, 0.9, 0.97, 0.99, 0.995, 0.999])
def test_agreement_is_covered_as_often_as_is_said(rate: float, samples: int) -> None:
    """At least 95 % over 4,000 simulated studies, less what chance does to that many."""
    assert covered(rate, samples, 4000) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 4000)


@pytest.mark.parametrize("samples", [50, 500, 5000])
@pytest.mark.parametrize(("worse", "better"), [(0.0, 0.0), (0.01, 0.0), (0.05, 0.03), (0.2, 0.2)])
def test_right_and_wrong_answers_are_covered(worse: float, better: float, samples: int) -> None:
    """Of samples with labels: some became wrong, and some became right."""
    random = np.random.default_rng([samples, int(1e4 * worse)])
    hits, repeats = 0, 600
    for _ in range(repeats):
        kind = random.choice(3, samples, p=[worse, better, 1 - worse - better])
        reference = np.select([kind == 0, kind == 1], [1.0, 0.0], random.integers(0, 2, samples))
        found = np.select([kind == 0, kind == 1], [0.0, 1.0], reference)
        drop = drop_of(reference, found)
        hits += drop.low <= worse - better <= drop.high
    assert hits / repeats >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)


# --- scores


Draw = Callable[[np.random.Generator, int], np.ndarray]
DISTRIBUTIONS: dict[str, Draw] = {
    "nearly all 1": lambda random, n: 1 - 0.001 * random.random(n),
    "few are bad": lambda random, n: np.where(random.random(n) < 0.02, random.random(n), 1.0),
    "beta": lambda random, n: random.beta(50, 1, n),
    "uniform": lambda random, n: random.random(n),
    "two values": lambda random, n: random.choice([0.2, 0.9], n),
}
MEANS = {
    "nearly all 1": 0.9995,
    "few are bad": 0.99,
    "beta": 50 / 51,
    "uniform": 0.5,
    "two values": 0.55,
}


@pytest.mark.parametrize("samples", [20, 200, 2000])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_means_of_scores_are_covered(name: str, samples: int) -> None:
    """Whatever the distribution, at any number of samples."""
    random = np.random.default_rng(samples)
    repeats = 300
    bounds = [mean_bounds(DISTRIBUTIONS[name](random, samples)) for _ in range(repeats)]
    hits = sum(low <= MEANS[name] <= high for low, high in bounds)
    assert hits / repeats >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)


@given(SCORES)
def test_bounds_hold_the_mean_or_say_why_not(scores: np.ndarray) -> None:
    """They are ordered and within what scores can be; a drop's hold what was seen."""
    low, high = mean_bounds(scores)
    assert 0 <= low <= high <= 1
    drop = drop_of(np.ones(scores.size), scores, is_compared=True)
    assert drop.low <= drop.seen <= drop.high
    assert drop.seen == pytest.approx(1 - scores.mean())


@given(SCORES, st.randoms(use_true_random=False))
def test_what_is_gained_is_the_mirror_image_of_what_is_lost(
    scores: np.ndarray, random: object
) -> None:
    """Of the same samples with both models exchanged."""
    other = scores[::-1].copy()
    lost, gained = drop_of(scores, other), drop_of(other, scores)
    assert (lost.seen, lost.low, lost.high) == pytest.approx(
        (-gained.seen, -gained.high, -gained.low), abs=1e-9
    )


def test_scores_of_any_size_have_a_t_interval() -> None:
    """As of a metric in other units; the interval by scipy."""
    random = np.random.default_rng(4)
    reference, found = random.normal(30, 5, 40), random.normal(29, 5, 40)
    lost = reference - found
    low, high = student.interval(0.95, 39, loc=lost.mean(), scale=lost.std(ddof=1) / math.sqrt(40))
    drop = drop_of(reference, found)
    assert (drop.low, drop.high) == pytest.approx((low, high))


def test_two_samples_of_any_size_bound_nothing() -> None:
    """There is no spread to speak of."""
    drop = drop_of(np.array([3.0, 4.0]), np.array([3.0, 5.0]))
    assert (drop.low, drop.high) == (-math.inf, math.inf)
    assert judged_drop(drop, 0.5) is GuardVerdict.UNCLEAR


@pytest.mark.parametrize("pair", [([1.0], [1.0, 1.0]), ([], [])])
def test_scores_of_other_samples_are_refused(pair: tuple[list[float], list[float]]) -> None:
    """Or of none."""
    with pytest.raises(ValueError, match="not of the same samples"):
        drop_of(np.array(pair[0]), np.array(pair[1]))


# --- a metric of all samples together


@pytest.mark.parametrize("samples", [50, 300])
@pytest.mark.parametrize("worse", [0.02, 0.1, 0.3])
def test_a_metric_of_all_samples_is_covered(worse: float, samples: int) -> None:
    """A share of right answers as a function of the user's would give it, resampled in pairs."""
    random = np.random.default_rng([samples, int(100 * worse)])
    hits, repeats = 0, 200
    for _ in range(repeats):
        lost = (random.random(samples) < worse).astype(float)
        drawn = random.integers(samples, size=(400, samples))
        drop = drop_by_resampling(float(lost.mean()), lost[drawn].mean(axis=1), samples)
        hits += drop.low <= worse <= drop.high
    assert hits / repeats >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)


def test_what_no_sample_has_shown_may_be_there() -> None:
    """Nothing lost on 30 samples is no proof that nothing is: the bound is that of a rate."""
    drop = drop_by_resampling(0.0, np.zeros(400), 30)
    assert drop.high == pytest.approx(rate_bounds(0, 30)[1])


# --- verdicts


@given(SCORES, UNIT)
def test_nothing_is_certified_beyond_the_bound(scores: np.ndarray, limit: float) -> None:
    """Met means that the worst of the interval is within the limit; missed that more was seen."""
    found = accuracy("cosine", [1.0] * scores.size, scores.tolist(), limit, is_compared=True)
    assert found.drop is not None
    assert (found.verdict is GuardVerdict.MET) == (found.drop.high <= limit >= found.drop.seen)
    assert (found.verdict is GuardVerdict.MISSED) == (found.drop.seen > limit)


def test_a_share_is_one_of_the_references_accuracy() -> None:
    """1 % of 0.8 is 0.008."""
    found = accuracy("m", [0.8] * 4, [0.79] * 4, 0.01, is_relative=True)
    assert found.max_drop == pytest.approx(0.008)
    assert found.verdict is GuardVerdict.MISSED


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_fails(value: float) -> None:
    """Whichever side it is on."""
    for pair in (([1.0, 1.0], [1.0, value]), ([value, 1.0], [1.0, 1.0])):
        found = accuracy("m", *pair, 0.5)
        assert (found.verdict, found.value) == (GuardVerdict.MISSED, None)


@pytest.mark.parametrize(("wrong", "limit"), [(0, 0.01), (1, 0.05), (2, 0.03)])
def test_so_many_samples_would_decide(wrong: int, limit: float) -> None:
    """With the same share of losses the bound is then within the limit; with fewer it is not."""
    found = np.repeat([0.0, 1.0], [wrong, 100 - wrong])
    drop = drop_of(np.ones(100), found, is_compared=True)
    needed = needed_samples(drop, 100, limit, is_compared=True)
    assert needed is not None

    def high(samples: int) -> float:
        return 1 - rate_bounds(samples - round(wrong * samples / 100), samples)[0]

    assert high(math.ceil(1.1 * needed)) <= limit < high(math.floor(0.9 * needed))


def test_gains_and_losses_need_more_samples_than_losses_alone() -> None:
    """Of 600 lines 36 are read wrong that were right, and 30 the other way round."""
    reference, found = np.ones(600), np.ones(600)
    found[:36], reference[36:66] = 0, 0
    drop = drop_of(reference, found)
    needed = needed_samples(drop, 600, 0.03)
    assert needed is not None
    times = round(needed / 600)
    more = drop_of(np.tile(reference, times), np.tile(found, times))
    assert more.high == pytest.approx(0.03, abs=0.003)


def test_no_number_of_samples_shows_what_is_over_the_limit() -> None:
    """Nor what is just at it."""
    drop = drop_of(np.ones(100), np.repeat([0.0, 1.0], [2, 98]), is_compared=True)
    assert needed_samples(drop, 100, 0.02, is_compared=True) is None
    assert needed_samples(drop, 100, 0.01) is None
