"""Means over launches: values of one process have more in common than its configuration."""

import math
from collections.abc import Sequence

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
    found = np.asarray(values, dtype=float)
    freedom = _PRIOR_LAUNCHES + found.size - 1
    squares = _PRIOR_LAUNCHES * expected_sd**2 + float(((found - found.mean()) ** 2).sum())
    error = math.sqrt(squares / freedom / found.size)
    return float(found.mean() + stdtrit(freedom, confidence) * error)


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
