"""What an item costs: a ratio of sums over blocks, with an interval from what the blocks differ by.

CPU time and energy are read for whole blocks, and blocks have as many requests as they have. The
ratio of the sums is what all of them cost together; the mean of the blocks' ratios would give a
block of few requests as much weight as one of many, and is biased where both vary (Cochran 1977,
Sampling Techniques, chapter 6).
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from autotune.domain.measurement import Interval
from autotune.stats.block_means import lag1_correlation, widened

_MIN_BLOCKS = 3
_BLOCKS_SD, _BLOCKS_SD_COUNTS = 0.04, 3
_CORRELATION, _CORRELATION_COUNTS = 0.6, 20
"""Of the CPU time for each item in blocks of half a second, relative to its mean, on a shared
machine whose rates varied by 15 to 27 % meanwhile: 1 to 5 %, and correlations of -0.1 to 0.75 (two
models, one and two streams, 50 blocks each). With these the interval covers such series in 95 % of
cases from four blocks on; with 3 % and 0.5, in 90 to 93 %."""


def ratio_interval(
    totals: Sequence[float], counts: Sequence[float], confidence: float = 0.95
) -> Interval:
    """Total over count of all blocks, with a two-sided interval that holds for the time around.

    By the residuals total - ratio x count, whose mean is 0: their variance over the mean count
    squared is that of the ratio, to first order. As for `mean_interval` it is drawn towards what is
    known of such blocks, and widened for correlation: a few blocks say little of either.

    Args:
        totals: what each block cost; shape (blocks,).
        counts: its items, more than 0 in all; shape (blocks,).
        confidence: two-sided.

    Returns:
        The bounds are None below three blocks; the lower one is never below 0.
    """
    cost, items = np.asarray(totals, dtype=float), np.asarray(counts, dtype=float)
    ratio = float(cost.sum() / items.sum())
    if cost.size < _MIN_BLOCKS:
        return Interval(ratio, None, None)
    rest, usual = cost - ratio * items, float(items.mean())
    freedom = _BLOCKS_SD_COUNTS + cost.size - 1
    squares = _BLOCKS_SD_COUNTS * (_BLOCKS_SD * ratio * usual) ** 2 + float(rest @ rest)
    known = cost.size * lag1_correlation(rest) + 1
    correlation = (known + _CORRELATION_COUNTS * _CORRELATION) / (cost.size + _CORRELATION_COUNTS)
    error = math.sqrt(squares / freedom / cost.size) / usual * widened(correlation)
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return Interval(ratio, max(0.0, ratio - half), ratio + half)
