"""Throughput from block means: requests are autocorrelated, blocks of half a second hardly."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from autotune.domain.measurement import Interval

_MIN_BLOCKS = 3
_BLOCKS_SD, _BLOCKS_SD_COUNTS = 0.04, 3
_CORRELATION, _CORRELATION_COUNTS = 0.7, 20
"""Of the rates of blocks of half a second, relative to their mean, in the quietest of three
recordings (4, 5, 9 %, and 0.73, 0.60, 0.76), and how many blocks they count for
(docs/decisions/0008)."""


def mean_interval(rates: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of the block rates with a t interval that holds for the half minute around them.

    A few blocks say little of what blocks differ by and next to nothing of their correlation, which
    comes out too small by one over their number (Kendall 1954): what they seem to say covers the
    half minute in 55 to 73 % of cases instead of 95. So the variance is drawn towards that of
    recorded machines, which counts for three more degrees of freedom (a moderated t, Smyth 2004),
    and the lag-1 correlation towards theirs, which counts for twenty more blocks. The variance of
    the mean is multiplied by (1 + r) / (1 - r), the factor of a first-order autoregressive series.
    It is about *this* process; another launch of the same configuration varies more.
    """
    values = np.asarray(rates, dtype=float)
    mean = float(values.mean())
    if values.size < _MIN_BLOCKS:
        return Interval(mean, None, None)
    freedom = _BLOCKS_SD_COUNTS + values.size - 1
    squares = _BLOCKS_SD_COUNTS * (_BLOCKS_SD * mean) ** 2 + values.var() * values.size
    known = values.size * lag1_correlation(values) + 1
    prior = _CORRELATION_COUNTS * _CORRELATION
    correlation = (known + prior) / (values.size + _CORRELATION_COUNTS)
    error = math.sqrt(squares / freedom / values.size) * widened(correlation)
    return _t_interval(mean, error, freedom, confidence)


def sample_interval(rates: Sequence[float], confidence: float = 0.95) -> Interval:
    """What these blocks say by themselves, to decide whether to go on measuring.

    Student's t interval, widened for positive lag-1 correlation. Too narrow to be claimed:
    `mean_interval` is for that.
    """
    values = np.asarray(rates, dtype=float)
    mean = float(values.mean())
    if values.size < _MIN_BLOCKS:
        return Interval(mean, None, None)
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    return _t_interval(mean, error * widened(lag1_correlation(values)), values.size - 1, confidence)


def widened(correlation: float) -> float:
    """Factor of the error of a mean; 1 for a negative correlation."""
    bounded = min(max(correlation, 0.0), 0.9)
    return math.sqrt((1 + bounded) / (1 - bounded))


def _t_interval(mean: float, error: float, freedom: int, confidence: float) -> Interval:
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
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
