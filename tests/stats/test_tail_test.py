"""The anytime-valid SLA test: known values, error rates, guards."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import beta as beta_distribution
from scipy.stats import binom

from autotune.domain.goal import Sla, Verdict
from autotune.stats.tail_test import (
    CERTIFICATE_ALPHA,
    SEARCH_ALPHA,
    log_e_fail,
    log_e_pass,
    provable_percentile,
    requests_needed,
    sla_verdict,
)

P99 = Sla(percentile=99, cap_ms=10)
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
NEVER = 10**9


def over_rate(percentile: float) -> float:
    """The share that may be over the cap."""
    return 1 - percentile / 100


def in_blocks(requests: int, over: int, blocks: int = 4) -> tuple[list[int], list[int]]:
    """Counts spread over blocks as evenly as they go."""
    spread = [
        [total // blocks + (i < total % blocks) for i in range(blocks)]
        for total in (requests, over)
    ]
    return spread[0], spread[1]


def verdict(
    requests: int, over: int, sla: Sla = P99, *, blocks: int = 4, alpha: float = SEARCH_ALPHA
) -> Verdict:
    """The verdict on evenly spread counts."""
    return sla_verdict(*in_blocks(requests, over, blocks), sla, num_requests=1, alpha=alpha)


# --- known values


@pytest.mark.parametrize(
    ("alpha", "over", "requests"),
    [
        (SEARCH_ALPHA, 0, 417),
        (SEARCH_ALPHA, 1, 657),
        (SEARCH_ALPHA, 5, 1396),
        (SEARCH_ALPHA, 10, 2180),
        (SEARCH_ALPHA, 50, 7466),
        (CERTIFICATE_ALPHA, 0, 608),
        (CERTIFICATE_ALPHA, 1, 865),
        (CERTIFICATE_ALPHA, 5, 1650),
        (CERTIFICATE_ALPHA, 10, 2472),
        (CERTIFICATE_ALPHA, 50, 7928),
    ],
)
def test_p99_is_met_from_so_many_requests_on(alpha: float, over: int, requests: int) -> None:
    """The verdict turns to met at exactly the tabulated number of requests."""
    assert requests_needed(over, 99, alpha) == requests
    assert verdict(requests, over, alpha=alpha) is Verdict.MET
    assert verdict(requests - 1, over, alpha=alpha) is not Verdict.MET


@pytest.mark.parametrize(
    ("percentile", "requests"), [(90.0, 40), (95.0, 82), (99.0, 417), (99.9, 4187)]
)
def test_requests_that_a_percentile_needs(percentile: float, requests: int) -> None:
    """A higher percentile needs more requests, even when none is over the cap."""
    assert requests_needed(0, percentile) == requests


@pytest.mark.parametrize(("over", "requests"), [(5, 100), (13, 500), (21, 1000)])
def test_p99_is_missed_from_so_many_over_cap_on(over: int, requests: int) -> None:
    """The verdict turns to missed at exactly the tabulated number of over-cap requests."""
    assert verdict(requests, over) is Verdict.MISSED
    assert verdict(requests, over - 1) is Verdict.UNCLEAR


def test_a_hundred_requests_show_p97_at_most() -> None:
    """The highest percentile that n clean requests can show is the n-th root of alpha."""
    assert provable_percentile(100) == pytest.approx(97.05, abs=0.01)
    assert provable_percentile(0) == 0.0
    assert (provable_percentile(1000) / 100) ** 1000 == pytest.approx(SEARCH_ALPHA)


# --- the formula against its definition


@pytest.mark.parametrize("percentile", PERCENTILES)
@pytest.mark.parametrize(
    ("requests", "over"), [(0, 0), (1, 0), (1, 1), (60, 2), (400, 5), (900, 12)]
)
def test_evidence_is_a_mixture_of_likelihood_ratios(
    percentile: float, requests: int, over: int
) -> None:
    """Both closed forms equal the integral of the likelihood ratio over the truncated prior."""
    q0 = over_rate(percentile)

    def ratio(q: float) -> float:
        log_ratio = over * math.log(q / q0) + (requests - over) * (math.log1p(-q) - math.log1p(-q0))
        return math.exp(log_ratio)

    def mixture(b: float, low: float, high: float) -> float:
        prior = beta_distribution(1, b)
        peak = min(max(over / max(requests, 1), low), high)
        weighted, _ = quad(
            lambda q: ratio(q) * prior.pdf(q), low, high, points=[peak], epsabs=0, limit=400
        )
        return float(weighted / (prior.cdf(high) - prior.cdf(low)))

    tiny = 1e-12
    passing, failing = mixture(1 / q0, tiny, q0), mixture(0.3 / q0, q0, 1 - tiny)
    assert math.exp(log_e_pass(requests, over, q0)) == pytest.approx(passing, rel=1e-5)
    assert math.exp(log_e_fail(requests, over, q0)) == pytest.approx(failing, rel=1e-3)


@pytest.mark.parametrize("percentile", PERCENTILES)
@pytest.mark.parametrize("requests", [1, 7, 100, 1000])
@pytest.mark.parametrize("log_e", [log_e_pass, log_e_fail])
def test_evidence_is_expected_to_be_one_at_the_boundary(
    percentile: float, requests: int, log_e: Callable[[int, int, float], float]
) -> None:
    """With exactly the tolerated over-cap rate, neither side gains evidence on average."""
    q0 = over_rate(percentile)
    evidence = [log_e(requests, over, q0) for over in range(requests + 1)]
    log_chances = binom.logpmf(np.arange(requests + 1), requests, q0)
    assert logsumexp(log_chances + np.array(evidence)) == pytest.approx(0.0, abs=1e-6)


@given(
    requests=st.integers(0, 3000),
    share=st.floats(0, 1),
    percentile=st.sampled_from(PERCENTILES),
    beyond=st.floats(0, 1),
)
def test_no_request_is_expected_to_add_false_evidence(
    requests: int, share: float, percentile: float, beyond: float
) -> None:
    """Under the hypothesis it speaks against, the next request never raises expected evidence."""
    over, q0 = round(share * requests), over_rate(percentile)

    def growth(log_e: Callable[[int, int, float], float], rate: float) -> float:
        now = log_e(requests, over, q0)
        if now == -math.inf:
            return 0.0
        rises = math.exp(log_e(requests + 1, over + 1, q0) - now)
        falls = math.exp(log_e(requests + 1, over, q0) - now)
        return rate * rises + (1 - rate) * falls

    assert growth(log_e_pass, q0 + beyond * (1 - q0)) <= 1 + 1e-6
    assert growth(log_e_fail, q0 - beyond * q0) <= 1 + 1e-6


@given(st.integers(0, 200), st.integers(0, 20_000), st.sampled_from(PERCENTILES))
def test_evidence_moves_with_the_counts(over: int, under: int, percentile: float) -> None:
    """A request under the cap speaks for the SLA, one over the cap against it."""
    requests, q0 = over + under, over_rate(percentile)
    for log_e, sign in ((log_e_pass, 1), (log_e_fail, -1)):
        here = log_e(requests, over, q0)
        if here > -600:  # above the smallest double
            slack = 1e-7 * max(1.0, abs(here))
            assert sign * (log_e(requests + 1, over, q0) - here) >= -slack
            assert sign * (log_e(requests + 1, over + 1, q0) - here) <= slack


@given(st.integers(0, 300), st.sampled_from(PERCENTILES))
def test_requests_needed_is_the_first_that_suffices(over: int, percentile: float) -> None:
    """The number found by bisection is at the threshold, and one fewer is below it."""
    needed = requests_needed(over, percentile)
    threshold, q0 = -math.log(SEARCH_ALPHA), over_rate(percentile)
    assert log_e_pass(needed, over, q0) >= threshold
    assert needed == over or log_e_pass(needed - 1, over, q0) < threshold


@pytest.mark.parametrize("over", [-1, 11])
def test_impossible_counts_are_refused(over: int) -> None:
    """More over-cap requests than requests, or fewer than none, are a bug of the caller."""
    with pytest.raises(ValueError, match="between 0 and 10"):
        log_e_pass(10, over, 0.01)


# --- error rates over whole sequences, looked at after every block


def met_table(alpha: float, most_over: int) -> NDArray[np.int64]:
    """Fewest requests that show p99, by the number over the cap."""
    return np.array([requests_needed(over, 99, alpha) for over in range(most_over + 1)])


def missed_table(requests: NDArray[np.int64], alpha: float) -> NDArray[np.int64]:
    """Fewest over-cap requests that rule p99 out, by the number of requests."""
    threshold, found, over = -math.log(alpha), [], 0
    for n in requests.tolist():  # the count only rises with n
        while over <= n and log_e_fail(n, over, 0.01) < threshold:
            over += 1
        found.append(over if over <= n else NEVER)
    return np.array(found)


def sequences(
    rate: float, count: int, blocks: int, per_block: int = 50
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Requests so far, shape (blocks,), and over-cap so far, shape (count, blocks)."""
    drawn = np.random.default_rng(20_240).binomial(per_block, rate, size=(count, blocks))
    return per_block * np.arange(1, blocks + 1), drawn.cumsum(axis=1)


@pytest.mark.parametrize("alpha", [SEARCH_ALPHA, CERTIFICATE_ALPHA])
def test_met_is_rarely_false_however_often_one_looks(alpha: float) -> None:
    """At a true over-cap rate of exactly 1 %, at most a share alpha is ever called met."""
    requests, over = sequences(0.01, count=20_000, blocks=400)
    met = requests >= met_table(alpha, int(over.max()))[over]
    assert met.any(axis=1).mean() <= alpha


@pytest.mark.parametrize("alpha", [SEARCH_ALPHA, CERTIFICATE_ALPHA])
def test_missed_is_rarely_false_however_often_one_looks(alpha: float) -> None:
    """At a true over-cap rate of exactly 1 %, at most a share alpha is ever called missed."""
    requests, over = sequences(0.01, count=20_000, blocks=400)
    missed = over >= missed_table(requests, alpha)
    assert missed.any(axis=1).mean() <= alpha


def test_tables_of_the_simulations_are_the_verdict() -> None:
    """The precomputed thresholds say what the verdict says, on sequences drawn at three rates."""
    for rate in (0.003, 0.01, 0.03):
        requests, over = sequences(rate, count=3, blocks=40)
        met = requests >= met_table(SEARCH_ALPHA, int(over.max()))[over]
        missed = over >= missed_table(requests, SEARCH_ALPHA)
        for row in range(len(over)):
            counts = np.diff(over[row], prepend=0).tolist()
            for blocks in range(1, len(requests) + 1):
                found = sla_verdict([50] * blocks, counts[:blocks], P99, num_requests=4)
                spread = np.count_nonzero(counts[:blocks]) >= 2 and blocks >= 2
                assert (found is Verdict.MET) == met[row, blocks - 1]
                assert (found is Verdict.MISSED) == (missed[row, blocks - 1] and spread)


@pytest.mark.parametrize(("rate", "expected"), [(0.001, 581), (0.003, 1052), (0.005, 2340)])
def test_a_good_configuration_is_met_soon(rate: float, expected: int) -> None:
    """Well below the tolerated rate, met comes after few requests and nearly always."""
    requests, over = sequences(rate, count=4000, blocks=400)
    met = requests >= met_table(SEARCH_ALPHA, int(over.max()))[over]
    missed = over >= missed_table(requests, SEARCH_ALPHA)
    decided = met | missed
    first = decided.argmax(axis=1)
    assert decided.any(axis=1).all()
    assert met[np.arange(len(met)), first].mean() > 0.998
    assert requests[first].mean() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(("rate", "expected"), [(0.02, 1114), (0.03, 344), (0.05, 145)])
def test_a_bad_configuration_is_missed_soon(rate: float, expected: int) -> None:
    """Well above the tolerated rate, missed comes after few requests and nearly always."""
    requests, over = sequences(rate, count=4000, blocks=400)
    missed = (over >= missed_table(requests, SEARCH_ALPHA)) & (requests >= 100)
    assert missed.any(axis=1).all()
    assert requests[missed.argmax(axis=1)].mean() == pytest.approx(expected, rel=0.03)


# --- guards


@given(
    requests=st.lists(st.integers(0, 200), min_size=1, max_size=8),
    data=st.data(),
    num_requests=st.integers(1, 64),
)
def test_never_met_below_the_least_number_of_requests(
    requests: list[int], data: st.DataObject, num_requests: int
) -> None:
    """Fewer than 417 requests never show p99 in a search, fewer than 608 never certify it."""
    over = [data.draw(st.integers(0, n)) for n in requests]
    for alpha, least in ((SEARCH_ALPHA, 417), (CERTIFICATE_ALPHA, 608)):
        if sum(requests) < least:
            found = sla_verdict(requests, over, P99, num_requests, alpha)
            assert found is not Verdict.MET


@given(
    requests=st.lists(st.integers(0, 400), max_size=8),
    data=st.data(),
    percentile=st.sampled_from(PERCENTILES),
)
def test_a_certificate_asks_for_more_than_the_search(
    requests: list[int], data: st.DataObject, percentile: float
) -> None:
    """What is decided at 1 % is decided the same way at 5 %."""
    over = [data.draw(st.integers(0, n)) for n in requests]
    sla = Sla(percentile, 10)
    strict = sla_verdict(requests, over, sla, 4, CERTIFICATE_ALPHA)
    assert strict in (Verdict.UNCLEAR, sla_verdict(requests, over, sla, 4, SEARCH_ALPHA))


def test_no_requests_are_unclear() -> None:
    """Nothing measured says nothing."""
    assert sla_verdict([], [], P99, num_requests=4) is Verdict.UNCLEAR
    assert sla_verdict([0, 0], [0, 0], P99, num_requests=4) is Verdict.UNCLEAR


def test_a_burst_in_one_block_is_no_miss() -> None:
    """Over-cap requests of a single block are one event, however many they are."""
    assert sla_verdict([500, 500], [40, 0], P99, num_requests=1) is Verdict.UNCLEAR
    assert sla_verdict([500, 500], [39, 1], P99, num_requests=1) is Verdict.MISSED


@pytest.mark.parametrize(("num_requests", "least"), [(1, 100), (10, 100), (16, 160), (64, 640)])
def test_a_miss_needs_a_hundred_requests_or_ten_rounds(num_requests: int, least: int) -> None:
    """Early hiccups do not count as missed before every request had its turn ten times."""
    for requests, expected in ((least - 1, Verdict.UNCLEAR), (least, Verdict.MISSED)):
        counts = in_blocks(requests, requests // 5)
        assert sla_verdict(*counts, P99, num_requests) is expected


@pytest.mark.parametrize("num_requests", [1, 8])
def test_a_median_above_the_cap_is_missed_at_once(num_requests: int) -> None:
    """When every request is over the cap, a dozen or two rounds in one block are enough."""
    first = next(
        n for n in range(1, 200) if sla_verdict([n], [n], P99, num_requests) is Verdict.MISSED
    )
    assert first <= max(12, 2 * num_requests)
    assert first >= 2 * num_requests


def test_the_median_shortcut_respects_low_percentiles() -> None:
    """A cap on p10 may be missed by most requests, so half of them over it is no miss."""
    assert verdict(1000, 600, Sla(10, 5)) is Verdict.MET
    assert verdict(20, 19, Sla(10, 5)) is Verdict.UNCLEAR
    assert verdict(1000, 600, Sla(50, 5)) is Verdict.MISSED
