"""What a recorded surface says: speeds of its cells, what launches differ by, and the noise.

Slices of different cells take turns, so that what the machine does at a time can be told from what
a cell is: log rate = cell + launch + time + rest, fitted by backfitting (Hastie and Tibshirani
1986), where launch is one fresh process and time is what the neighbours in time, but not the slice,
have in common. Noise of shared machines comes in bursts that halve a rate, and never double it: so
a cell is the mean of its slices near the upper median, and other means are of residuals cut at
three robust deviations (Huber 1964).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Indices = NDArray[np.int64]

_NEIGHBOURHOOD_S = 2.0
_SWEEPS = 6
_CUT = 3.0
_TO_DEVIATION = 1.4826  # of a normal distribution, from its median absolute deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceFit:
    """Effects of a surface, as natural logarithms."""

    cells: Reals
    """Log of requests per second of every cell when nothing disturbs; shape (cells,). NaN for a
    cell without slices."""
    cell_error: float
    """Standard error of a cell's effect, typically."""
    launch_sd: float
    """Standard deviation between launches of one compile key."""
    rest: Reals
    """What is neither cell nor launch: how the machine was at each slice, and chance; shape
    (slices,), in the order given."""


def fit_surface(cell: Indices, launch: Indices, at_s: Reals, log_rate: Reals) -> SurfaceFit:
    """Effects of cells, launches and time.

    Args:
        cell: position of each slice's cell; shape (slices,).
        launch: number of each slice's process, the same for cells that shared one.
        at_s: when each slice ended, ascending.
        log_rate: log of its requests per second.

    Raises:
        ValueError: there are no slices.
    """
    if not cell.size:
        message = "a surface without slices says nothing"
        raise ValueError(message)
    weights = _kernel(at_s)
    time, by_launch = np.zeros(cell.size), np.zeros(int(launch.max()) + 1)
    launches = _launches_of_a_cell(cell, launch)
    by_cell, launch_sd, chance = _centres(log_rate, cell, np.inf), 0.0, np.inf
    for _ in range(_SWEEPS):
        rest = log_rate - by_cell[cell] - by_launch[launch]
        time = weights @ _cut(rest - np.median(rest))
        chance = deviation(rest - time)
        by_cell = _centres(log_rate - time - by_launch[launch], cell, _CUT * chance)
        by_launch, launch_sd = _launches(log_rate - time - by_cell[cell], launch)
        launch_sd *= np.sqrt(launches / max(1.0, launches - 1))  # a cell's mean took its share
    chance = deviation(log_rate - by_cell[cell] - by_launch[launch] - time)
    repeats = float(np.median(np.bincount(cell)[np.unique(cell)]))
    return SurfaceFit(
        cells=by_cell,
        cell_error=float(np.hypot(chance / np.sqrt(repeats), launch_sd / np.sqrt(launches))),
        launch_sd=float(launch_sd),
        rest=log_rate - by_cell[cell] - by_launch[launch],
    )


def deviation(values: Reals) -> float:
    """Robust standard deviation: from the median absolute deviation."""
    return float(_TO_DEVIATION * np.median(np.abs(values - np.median(values))))


def _cut(values: Reals) -> Reals:
    limit = _CUT * max(deviation(values), 1e-9)
    return np.clip(values, -limit, limit)


def _centres(values: Reals, group: Indices, width: float) -> Reals:
    """Mean of each group's values within `width` of its upper median; NaN for an empty group."""
    found = np.full(int(group.max()) + 1, np.nan)
    order = np.argsort(group, kind="stable")
    names, begins = np.unique(group[order], return_index=True)
    for name, part in zip(names, np.split(values[order], begins[1:]), strict=True):
        middle = np.sort(part)[part.size // 2]
        found[name] = part[np.abs(part - middle) <= width].mean()
    return found


def _launches_of_a_cell(cell: Indices, launch: Indices) -> float:
    """In how many launches the median cell was."""
    pairs = np.unique(np.stack([cell, launch]), axis=1)
    return float(np.median(np.unique(pairs[0], return_counts=True)[1]))


def _launches(values: Reals, launch: Indices) -> tuple[Reals, float]:
    """Means by launch, drawn to zero by what chance alone would make of them; their deviation."""
    cut = _cut(values)
    counts = np.bincount(launch)
    means = np.bincount(launch, weights=cut) / np.maximum(counts, 1)
    chance = float((cut - means[launch]).var()) / np.maximum(counts, 1)
    present = counts > 0
    variance = max(0.0, deviation(means[present]) ** 2 - float(np.median(chance[present])))
    shrunk: Reals = means * variance / np.maximum(variance + chance, 1e-12)
    return shrunk, float(np.sqrt(variance))


def _kernel(at_s: Reals) -> Reals:
    """Gaussian weights of every slice's neighbours in time; a row adds up to one, or to zero."""
    apart = (at_s[:, None] - at_s[None, :]) / _NEIGHBOURHOOD_S
    weights: Reals = np.exp(-0.5 * apart**2)
    np.fill_diagonal(weights, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    found: Reals = np.divide(weights, total, out=np.zeros_like(weights), where=total > 1e-6)
    return found
