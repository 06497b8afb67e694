"""What a request of each size costs: some were measured, the others lie between them."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from autotune.space.shape_plan import Sizes
from autotune.workload.weights import check_weights

Cost = Callable[[Sizes], float]
"""Of one request by its sizes."""


def volume(sizes: Sizes) -> int:
    """The product of the sizes: what a shape holds grows with it."""
    return math.prod(sizes)


def in_words(sizes: Sizes) -> str:
    """Such as ``48x320``."""
    return "x".join(map(str, sizes)) or "of one size"


class Costs:
    """Costs by size, each asked once and looked at."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._known: dict[Sizes, float] = {}

    def of(self, sizes: Sizes) -> float:
        """Of one request.

        Raises:
            ValueError: it is not a number above 0.
        """
        if sizes not in self._known:
            self._known[sizes] = _checked(self._cost(sizes), sizes)
        return self._known[sizes]

    def many(self, sizes: Any) -> Any:
        """Of each of several, (n, d) to (n,)."""
        if isinstance(self._cost, InterpolatedCost):
            return self._cost.many(sizes)
        return np.array([self.of(tuple(one)) for one in sizes.tolist()])


def _checked(cost: float, sizes: Sizes) -> float:
    if not (cost > 0 and math.isfinite(cost)):
        message = f"the cost of {in_words(sizes)} is {cost:g}; a cost is a number above 0"
        raise ValueError(message)
    return float(cost)


def interpolated(measured: Mapping[Any, float]) -> "InterpolatedCost":
    """The cost of any size, from those of some.

    Measured costs are noisy. A larger volume is taken to cost no less: where it was measured to,
    neighbours are averaged (pool adjacent violators; Barlow et al. 1972), sizes that were measured
    included. Between two the cost is linear in the volume. Above the largest it goes on as it
    last rose; below the smallest as it first rises, but no lower than in proportion to the volume,
    so that no cost is 0 or less. From a single volume, the others' costs are in proportion.

    Raises:
        ValueError: nothing was measured, or a cost is not above 0.
    """
    if not measured:
        raise ValueError("no cost was measured; measure one size at least")
    by_volume: dict[int, list[float]] = {}
    for sizes, cost in measured.items():
        by_volume.setdefault(volume(sizes), []).append(_checked(cost, sizes))
    volumes = sorted(by_volume)
    counts = [len(by_volume[one]) for one in volumes]
    means = [math.fsum(by_volume[one]) / len(by_volume[one]) for one in volumes]
    return InterpolatedCost(np.array(volumes, float), np.array(_ascending(means, counts)))


def _ascending(values: Sequence[float], counts: Sequence[int]) -> list[float]:
    """The ascending values that are nearest to these in weighted least squares."""
    pools: list[tuple[float, int, int]] = []  # mean, weight, length
    for value, count in zip(values, counts, strict=True):
        mean, weight, length = value, count, 1
        while pools and pools[-1][0] >= mean:
            other, more, longer = pools.pop()
            mean = (mean * weight + other * more) / (weight + more)
            weight, length = weight + more, length + longer
        pools.append((mean, weight, length))
    return [mean for mean, _, length in pools for _ in range(length)]


class InterpolatedCost:
    """Cost by volume: linear between points, ascending, above 0."""

    def __init__(self, volumes: Any, costs: Any) -> None:
        self._volumes, self._costs = volumes, costs
        rises = np.flatnonzero(np.diff(costs) > 0)
        slopes = np.diff(costs)[rises] / np.diff(volumes)[rises]
        proportional = costs[0] / max(volumes[0], 1.0)
        self._proportional = proportional
        alone = proportional if len(costs) == 1 else 0.0
        self._first = float(slopes[0]) if rises.size else alone
        self._last = float(slopes[-1]) if rises.size else alone

    def __call__(self, sizes: Sizes) -> float:
        """Of one request."""
        return float(self.many(np.array([sizes], dtype=np.int64).reshape(1, len(sizes)))[0])

    def many(self, sizes: Any) -> Any:
        """Of each of several, (n, d) to (n,)."""
        at = sizes.prod(axis=1, dtype=np.float64)
        least, most = self._volumes[0], self._volumes[-1]
        between = np.interp(at, self._volumes, self._costs)
        below = self._costs[0] - np.minimum(
            self._first * (least - at), self._proportional * (least - at)
        )
        above = self._costs[-1] + self._last * (at - most)
        floor = self._costs[0] * _LEAST
        return np.where(at < least, np.maximum(below, floor), np.where(at > most, above, between))


_LEAST = 1e-6
"""Of the smallest measured cost, what a shape that holds nothing costs."""


def to_measure(sizes: Sequence[Sizes], weights: Sequence[float], most: int = 12) -> list[Sizes]:
    """The distinct sizes whose costs to measure, by volume: all of them, or `most` of many.

    Those are the smallest, the largest, and between them what lies at evenly spaced shares of the
    weight; where one size has several shares, also what parts the widest gap in volume.

    Raises:
        ValueError: a weight is not above 0, or `most` is below 2.
    """
    check_weights(weights, [f"shape {in_words(one)}" for one in sizes])
    if most < 2:
        message = f"{most} measured sizes tell nothing of the others; give 2 or more"
        raise ValueError(message)
    largest = max(weights)
    shares: dict[Sizes, float] = {}
    for one, weight in zip(sizes, weights, strict=True):
        shares[tuple(one)] = shares.get(tuple(one), 0.0) + weight / largest
    ordered = sorted(shares, key=lambda one: (volume(one), one))
    if len(ordered) <= most:
        return ordered
    passed = np.cumsum([shares[one] for one in ordered])
    wanted = (np.arange(most - 2) + 0.5) / max(most - 2, 1) * passed[-1]
    found = {0, len(ordered) - 1, *np.searchsorted(passed, wanted).tolist()}
    while len(found) < most:
        found.add(_widest(sorted(found), [volume(one) for one in ordered]))
    return [ordered[at] for at in sorted(found)]


def _widest(taken: Sequence[int], volumes: Sequence[int]) -> int:
    """What lies nearest to the middle of the widest gap between two that are taken."""
    gaps = [(a, b) for a, b in pairwise(taken) if b - a > 1]
    low, high = max(gaps, key=lambda gap: volumes[gap[1]] - volumes[gap[0]])
    middle = (volumes[low] + volumes[high]) / 2
    return min(range(low + 1, high), key=lambda at: abs(volumes[at] - middle))
