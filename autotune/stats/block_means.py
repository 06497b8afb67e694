"""Throughput from block means: requests are autocorrelated, blocks of half a second hardly."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from autotune.domain.measurement import Interval

_MIN_BLOCKS = 3


def mean_interval(rates: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of the block rates with a t interval, widened for positive lag-1 correlation.

    The variance of the mean is multiplied by (1 + r) / (1 - r), the factor of a first-order
    autoregressive series. It says how well *this* process's mean is known; another launch of the
    same configuration varies more.
    """
    values = np.asarray(rates, dtype=float)
    mean = float(values.mean())
    if values.size < _MIN_BLOCKS:
        return Interval(mean, None, None)
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    correlation = min(lag1_correlation(values), 0.9)
    if correlation > 0:
        error *= math.sqrt((1 + correlation) / (1 - correlation))
    half = float(stdtrit(values.size - 1, (1 + confidence) / 2)) * error
    return Interval(mean, mean - half, mean + half)


def lag1_correlation(values: Sequence[float] | np.ndarray) -> float:
    """Correlation of neighbouring values; 0 for a constant series."""
    centred = np.asarray(values, dtype=float) - np.mean(values)
    total = float(centred @ centred)
    return float(centred[1:] @ centred[:-1]) / total if total > 0 else 0.0


def is_steady(rates: Sequence[float], tolerance: float = 0.03, window: int = 4) -> bool:
    """Whether the last `window` block rates show no trend: their two halves have equal means.

    Equal means within `tolerance`, or within two standard deviations, where the deviation is taken
    from the differences of neighbours (von Neumann et al. 1941): a trend leaves it small, chance
    does not. Four blocks on a straight line differ by 2.8 of it. Made to end a warm-up, not to
    prove stationarity, which many programs never reach (Barrett et al. 2017).
    """
    if len(rates) < window:
        return False
    last = np.asarray(rates[-window:], dtype=float)
    difference = abs(float(last[: window // 2].mean()) - float(last[window // 2 :].mean()))
    steps = np.diff(last)
    scatter = math.sqrt(float(steps @ steps) / (2 * steps.size)) if window > 2 else 0.0
    return bool(difference <= max(tolerance * float(last.mean()), 2 * scatter))
