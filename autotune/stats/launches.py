"""Means over launches: values of one process have more in common than its configuration."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtri, stdtrit

from autotune.domain.measurement import Interval
from autotune.domain.race import LEAST_LAUNCHES

_LEAST_VALUES = 3
_PRIOR_LAUNCHES = 3
"""How many launches the expected spread counts for: what the F distribution of spreads about it
says, of 1,700 contenders in replays of five recorded surfaces (docs/decisions/0008)."""
_POOL_LEVEL = 0.25
"""Level of the test that launches differ; above 5 % because a missed difference costs more."""


def launch_interval(launches: Sequence[Sequence[float]], confidence: float = 0.95) -> Interval:
    """Mean of values that come in launches, with a two-sided t interval.

    Values of one launch share its memory layout and its stretch of time. Where launches differ by
    more than their values explain (F test at 25 %), the launch is the unit: the interval is that
    of the launch means, with one degree of freedom less than there are launches. Elsewhere all
    values are pooled. To pool only after such a test keeps the error near the nominal one
    (Bancroft 1944; Bozivich, Bancroft and Hartley 1956, Annals of Mathematical Statistics 27).

    Args:
        launches: the values of each launch; shape (launches, values of each), ragged. Launches
            without values are ignored.
        confidence: two-sided.

    Returns:
        The bounds are None for fewer than three values.
    """
    groups = [np.asarray(values, dtype=float) for values in launches if len(values)]
    if not groups:
        return Interval(math.nan, None, None)
    pooled = np.concatenate(groups)
    mean = float(pooled.mean())
    if pooled.size < _LEAST_VALUES:
        return Interval(mean, None, None)
    if len(groups) > 1 and _launches_differ(groups):
        means = np.array([group.mean() for group in groups])
        return _t_interval(means, confidence)
    return _t_interval(pooled, confidence)


def launch_upper_bound(
    values: Sequence[float], confidence: float, expected_sd: float
) -> float | None:
    """One-sided upper bound of the mean of one value for each launch, by a moderated t.

    A few launches say little of what launches differ by, and bounds from them alone are wide where
    it is small. So their variance is drawn towards an expected one, which counts for three more
    degrees of freedom, in the variance and in the quantile (Smyth 2004, Statistical Applications in
    Genetics and Molecular Biology 3).

    Args:
        values: one for each launch.
        confidence: one-sided.
        expected_sd: what launches are expected to differ by.

    Returns:
        None below three launches: two may share what the others do not.
    """
    if len(values) < LEAST_LAUNCHES:
        return None
    return launch_bounds(values, confidence, expected_sd)[1]


def launch_bounds(
    values: Sequence[float], confidence: float, expected_sd: float
) -> tuple[float, float]:
    """One-sided bounds of the mean of one value for each launch, on both sides; moderated as above.

    Of any number of launches, as whoever misses a limit by far shows it in the first one; what
    holds is said of three at least, by `launch_upper_bound`.
    """
    spread, mean = pooled_spread([values], expected_sd), float(np.mean(values))
    half = float(stdtrit(spread.freedom, confidence)) * spread.sd / math.sqrt(len(values))
    return mean - half, mean + half


@dataclass(frozen=True, slots=True)
class LaunchSpread:
    """What fresh processes differ by: a standard deviation, and how much is known of it."""

    sd: float
    freedom: float


def pooled_spread(
    groups: Iterable[Sequence[float]], expected_sd: float, least_sd: float = 0.0
) -> LaunchSpread:
    """What processes of one configuration differ by, from those of several.

    Contenders share one machine and one runtime, so that their variances are pooled, and drawn
    towards the expected one, which counts for three more degrees of freedom (Smyth 2004).

    Args:
        groups: values of the processes of each contender.
        expected_sd: what they are expected to differ by.
        least_sd: less is not believed: a few equal values, such as of memory in whole pages, do not
            show that the next one is equal.
    """
    squares, freedom = _PRIOR_LAUNCHES * expected_sd**2, float(_PRIOR_LAUNCHES)
    for values in groups:
        found = np.asarray(values, dtype=float)
        if found.size > 1:
            squares += float(((found - found.mean()) ** 2).sum())
            freedom += found.size - 1
    return LaunchSpread(max(math.sqrt(squares / freedom), least_sd), freedom)


def next_bounds(
    values: Sequence[float], spread: LaunchSpread, confidence: float
) -> tuple[float, float]:
    """Between what the value of the next process lies: one-sided prediction bounds on both sides.

    For normal values of known spread s, the next one less the mean of n has the variance
    s² (1 + 1/n), and s is known to so many degrees of freedom, so that the quantile is one of t
    (Hahn and Meeker 1991, Statistical Intervals, 4.7; Whitmore 1986, American Statistician 40).

    Args:
        values: of the processes that were seen, at least one.
        spread: of such values.
        confidence: one-sided.
    """
    mean, count = float(np.mean(values)), len(values)
    quantile = float(stdtrit(spread.freedom, confidence))
    half = quantile * spread.sd * math.sqrt(1 + 1 / count)
    return mean - half, mean + half


def _launches_differ(groups: Sequence[np.ndarray]) -> bool:
    sizes = np.array([group.size for group in groups])
    means = np.array([group.mean() for group in groups])
    within_freedom = int(sizes.sum()) - len(groups)
    if within_freedom == 0:
        return True
    grand = float((sizes * means).sum() / sizes.sum())
    between = float((sizes * (means - grand) ** 2).sum()) / (len(groups) - 1)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / within_freedom
    critical = float(fdtri(len(groups) - 1, within_freedom, 1 - _POOL_LEVEL))
    return between > critical * within


def _t_interval(values: np.ndarray, confidence: float) -> Interval:
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    half = float(stdtrit(values.size - 1, (1 + confidence) / 2)) * error
    return Interval(mean, mean - half, mean + half)
