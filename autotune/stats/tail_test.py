"""Is a latency percentile under its cap? A test that may be looked at after every request.

``percentile <= cap`` means that at most a share ``q0 = 1 - percentile`` of requests is over it.
Two mixture e-values weigh the count of over-cap requests against the boundary rate q0: one with a
beta prior truncated to rates below q0 (evidence that the SLA is met) and one truncated to rates
above it. Each is a non-negative supermartingale under the hypothesis that it speaks against, so by
Ville's inequality it ever reaches 1/alpha with probability at most alpha, whenever one stops
(Ville 1939; Robbins 1970, Annals of Mathematical Statistics 41).

Requests of a closed loop are not quite independent; a burst inside one block is one event. That is
why `missed` needs over-cap requests in two blocks, and why a certificate needs several processes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, betaln

from autotune.domain.goal import Sla, Verdict

Counts = Sequence[int] | NDArray[np.int64]

SEARCH_ALPHA = 0.05
CERTIFICATE_ALPHA = 0.01
_MIN_REQUESTS_TO_MISS = 100


def log_e_pass(requests: int, over: int, over_rate: float) -> float:
    """Natural logarithm of the evidence that the true over-cap rate is below `over_rate`.

    With a = 1, b = 1/q0 and the regularised incomplete beta function I::

        E = B(a+x, b+n-x) I_q0(a+x, b+n-x) / [B(a, b) I_q0(a, b) q0^x (1-q0)^(n-x)]
    """
    return _log_e(requests, over, over_rate, b=1 / over_rate, tail=betainc)


def log_e_fail(requests: int, over: int, over_rate: float) -> float:
    """Natural logarithm of the evidence that the true over-cap rate is above `over_rate`.

    As `log_e_pass` with 1 - I in both places, a = 1 and b = 0.3/q0.
    """
    return _log_e(requests, over, over_rate, b=0.3 / over_rate, tail=betaincc)


def _log_e(requests: int, over: int, q0: float, *, b: float, tail: np.ufunc) -> float:
    if not 0 <= over <= requests:
        message = f"over-cap requests must be between 0 and {requests}, got {over}"
        raise ValueError(message)
    return float(_log_es(np.int64(requests), np.int64(over), q0, b, tail))


def requests_needed(over: int, percentile: float, alpha: float = SEARCH_ALPHA) -> int:
    """Fewest requests that can show the percentile with `over` of them over the cap."""
    over_rate, threshold = 1 - percentile / 100, -math.log(alpha)
    low, high = over, max(1, over)
    while log_e_pass(high, over, over_rate) < threshold:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if log_e_pass(middle, over, over_rate) < threshold:
            low = middle
        else:
            high = middle
    return high


def most_over_to_meet(
    requests: Counts, over_rate: float, alpha: float = SEARCH_ALPHA
) -> NDArray[np.int64]:
    """The most over-cap requests with which the test says `met`; -1 where none are too many.

    Args:
        requests: completed, shape (n,).
        over_rate: that is to be shown.
        alpha: error rate of the test.

    Returns:
        Shape (n,). The evidence falls with every request over the cap.
    """
    threshold = -math.log(alpha)
    return _last(
        np.asarray(requests, dtype=np.int64),
        lambda over, n: _log_es(n, over, over_rate, 1 / over_rate, betainc) >= threshold,
    )


def least_over_to_miss(
    requests: Counts, over_rate: float, alpha: float = SEARCH_ALPHA
) -> NDArray[np.int64]:
    """The fewest over-cap requests whose evidence is that the rate is above; n + 1 where none is.

    As `most_over_to_meet`, for `log_e_fail`.
    """
    threshold = -math.log(alpha)
    return 1 + _last(
        np.asarray(requests, dtype=np.int64),
        lambda over, n: _log_es(n, over, over_rate, 0.3 / over_rate, betaincc) < threshold,
    )


def _last(
    most: NDArray[np.int64],
    holds: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]],
) -> NDArray[np.int64]:
    """The last of 0 ... n for which something holds that holds up to some number; -1 for none."""
    low, high = np.full_like(most, -1), most + 1
    while np.any(high - low > 1):
        middle = np.clip((low + high) // 2, 0, most)
        good = holds(middle, most)
        low, high = np.where(good, np.maximum(low, middle), low), np.where(good, high, middle)
    return low


def _log_es(requests: Any, over: Any, q0: float, b: float, tail: np.ufunc) -> Any:
    """The logarithm of E for numbers, or element by element for arrays of one shape."""
    under = requests - over
    with np.errstate(divide="ignore"):  # a posterior below the smallest double: no evidence at all
        posterior = np.log(tail(1 + over, b + under, q0))
    return (
        betaln(1 + over, b + under)
        + posterior
        - betaln(1.0, b)
        - math.log(tail(1.0, b, q0))
        - over * math.log(q0)
        - under * math.log1p(-q0)
    )


def provable_percentile(requests: int, alpha: float = SEARCH_ALPHA) -> float:
    """The highest percentile, in percent, that so many requests can show at all.

    With none over the cap, a fixed-size binomial test shows at most ``alpha ** (1/n)``.
    """
    return 100 * alpha ** (1 / requests) if requests else 0.0


def least_to_miss(num_requests: int) -> tuple[int, int]:
    """Fewest requests to say `missed` by the percentile, and by the median."""
    return max(_MIN_REQUESTS_TO_MISS, 10 * num_requests), 2 * num_requests


def sla_verdict(
    requests: Sequence[int],
    over: Sequence[int],
    sla: Sla,
    num_requests: int,
    alpha: float = SEARCH_ALPHA,
) -> Verdict:
    """The verdict on counts per block: `requests[i]` completed, `over[i]` of them over the cap.

    `missed` needs over-cap requests in at least two blocks and max(100, 10 `num_requests`)
    requests, because E_fail taken literally falls for a single early hiccup; or the median itself
    above the cap, which the same test with q0 = 1/2 decides within a dozen requests.
    """
    n, x, threshold = sum(requests), sum(over), -math.log(alpha)
    if n == 0:
        return Verdict.UNCLEAR
    if log_e_pass(n, x, sla.over_rate) >= threshold:
        return Verdict.MET
    spread = sum(count > 0 for count in over) >= 2
    enough, some = least_to_miss(num_requests)
    if spread and n >= enough and log_e_fail(n, x, sla.over_rate) >= threshold:
        return Verdict.MISSED
    if n >= some and log_e_fail(n, x, max(0.5, sla.over_rate)) >= threshold:
        return Verdict.MISSED
    return Verdict.UNCLEAR
