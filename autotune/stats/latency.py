"""Latencies in ticks of 100 ns: percentiles, bounds and counts over a cap."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from autotune.domain.measurement import TICK_MS, Block, Latency

Ticks = NDArray[np.uint32]


def ticks_of(blocks: Iterable[Block]) -> Ticks:
    """All latencies of the blocks, ascending; shape (requests,)."""
    arrays = [np.frombuffer(block.latency_ticks, dtype="<u4") for block in blocks]
    return np.sort(np.concatenate(arrays)) if arrays else np.empty(0, dtype=np.uint32)


def over_cap(block: Block, cap_ms: float) -> int:
    """Requests of one block that took longer than the cap."""
    ticks = np.frombuffer(block.latency_ticks, dtype="<u4")
    return int(ticks.size - np.searchsorted(ticks, cap_ticks(cap_ms), side="right"))


def cap_ticks(cap_ms: float) -> int:
    """The last whole tick that is not over the cap."""
    return math.floor(cap_ms / TICK_MS * (1 + 1e-12))


def percentile_ms(ticks: Ticks, percentile: float) -> float:
    """Nearest-rank percentile in milliseconds: the ceil(n p / 100)-th smallest latency.

    The same convention as OpenVINO's `benchmark_app`; no interpolation, so it was really observed.
    """
    return float(percentile_ticks(ticks, percentile)) * TICK_MS


def percentile_ticks(ticks: Ticks, percentile: float) -> int:
    """As `percentile_ms`, in ticks."""
    return int(ticks[percentile_rank(ticks.size, percentile) - 1])


def percentile_rank(requests: int, percentile: float) -> int:
    """Which of so many latencies, counted from 1, is the nearest-rank percentile."""
    return max(1, math.ceil(round(requests * percentile / 100, 9)))


def percentile_bounds_ms(
    ticks: Ticks, percentile: float, confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """One-sided lower and upper confidence bounds of a percentile, each at `confidence`.

    Distribution-free, from order statistics: the upper bound is the (k+1)-th largest latency with
    k the largest integer for which P[Bin(n, 1-p) <= k] <= 1 - confidence; the lower bound is its
    mirror image. None where so few requests bound nothing. For independent requests.
    """
    n, share, alpha = ticks.size, percentile / 100, 1 - confidence
    upper = lower = None
    above, below = _most(n, 1 - share, alpha), _most(n, share, alpha)
    if above >= 0:
        upper = float(ticks[n - 1 - above]) * TICK_MS
    if below >= 0:
        lower = float(ticks[below]) * TICK_MS
    return lower, upper


def _most(n: int, rate: float, alpha: float) -> int:
    """The largest k < n with P[Bin(n, rate) <= k] <= alpha; -1 where there is none."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        if bdtr(middle, n, rate) <= alpha:
            low = middle
        else:
            high = middle
    return low


def summarise(blocks: Iterable[Block], goal_percentile: float) -> Latency:
    """Latency of all requests in the blocks.

    Raises:
        ValueError: there is no request in them.
    """
    ticks = ticks_of(blocks)
    if not ticks.size:
        message = "no request was completed"
        raise ValueError(message)
    return Latency(
        requests=int(ticks.size),
        mean_ms=float(ticks.mean()) * TICK_MS,
        p50_ms=percentile_ms(ticks, 50),
        p90_ms=percentile_ms(ticks, 90),
        p95_ms=percentile_ms(ticks, 95),
        p99_ms=percentile_ms(ticks, 99),
        max_ms=float(ticks[-1]) * TICK_MS,
        goal_ms=percentile_ms(ticks, goal_percentile),
    )
