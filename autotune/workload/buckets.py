"""Which static shapes serve a mix best, by what each was measured to cost.

An item runs in the cheapest bucket that it fits, so buckets cost together

    Σ over items of  weight · (least cost of a bucket that it fits).

Only componentwise maxima of items can be worth having: any other bucket can be made smaller until
it is one, and serves the same. Costs need not grow with size (`costs.interpolated` makes some that
do): a vector width or a cache line can make the larger shape truly the cheaper one. Then the larger
one also serves smaller items, and is asked first.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from autotune.space.shape_plan import Sizes
from autotune.workload.costs import Cost, Costs, in_words, volume
from autotune.workload.mix import fits
from autotune.workload.weights import check_weights

_EXACT = 12
"""So many sizes that are no chain are solved exactly: 3^12 pairs of subsets."""
_EQUAL = 1e-12
"""Relative difference of sums that is rounding."""


def choose(
    sizes: Sequence[Sizes],
    weights: Sequence[float],
    cost: Cost,
    k: int,
) -> tuple[Sizes, ...]:
    """At most `k` buckets whose weighted cost is least, in the order in which an item looks.

    That is the cheapest first, so that the first one that fits (`mix.routed`) is also the best.
    Exact where sizes form a chain (one dimension that varies, or several that grow together:
    dynamic programming over it), and for up to 12 distinct sizes (the same over subsets). More
    than that are first merged into 12 groups, or into `k` where that is more, each time the two
    whose merging adds least: near the optimum, and not certain to be it.

    Args:
        sizes: of the items along what varies; the same ones may come several times.
        weights: one for each, above 0.
        cost: of one request in a bucket, above 0; asked of componentwise maxima of items.
        k: how many models there may be, at least 1. Fewer are returned where fewer suffice.

    Raises:
        ValueError: a weight or a cost is not above 0, or `k` is below 1.
    """
    check_weights(weights, [f"shape {in_words(one)}" for one in sizes])
    if k < 1:
        message = f"{k} buckets serve nothing; give 1 or more"
        raise ValueError(message)
    items, shares = _distinct(sizes, weights)
    costs, most = Costs(cost), min(k, len(items))
    if _is_chain(items):
        found = _of_chain(items, shares, costs, most)
    else:
        if len(items) > _EXACT:
            groups, merged = _merged(items, shares, costs, max(_EXACT, most))
        else:
            groups, merged = items, shares
        found = groups if most > _EXACT else _of_subsets(groups, merged, costs, most)
    return _settled([tuple(map(int, one)) for one in found], items, costs)


def _distinct(sizes: Sequence[Sizes], weights: Sequence[float]) -> tuple[Any, Any]:
    """Distinct sizes in ascending order, (n, d), and the share of each, (n,)."""
    largest = max(weights)  # the sum of the largest floats is none
    shares: dict[Sizes, float] = {}
    for one, weight in zip(sizes, weights, strict=True):
        shares[tuple(one)] = shares.get(tuple(one), 0.0) + weight / largest
    items = sorted(shares)
    found = np.array([shares[one] for one in items])
    return np.array(items, dtype=np.int64).reshape(len(items), len(items[0])), found / found.sum()


def _is_chain(items: Any) -> bool:
    """Whether each of them, in their order, fits the next one."""
    return bool((items[:-1] <= items[1:]).all())


def _of_chain(items: Any, shares: Any, costs: Costs, most: int) -> list[Any]:
    """Exact along a chain.

    In the best set a larger bucket costs more, or the smaller one would serve nothing; so each
    serves a stretch of the chain that ends with its own size.
    """
    count, price, before = len(items), costs.many(items), np.append(0.0, np.cumsum(shares))
    best = np.append(0.0, np.full(count, np.inf))
    begins, totals = [], []
    for _ in range(most):
        following, begin = np.full(count + 1, np.inf), np.zeros(count + 1, dtype=np.int64)
        for end in range(1, count + 1):
            sums = best[:end] + (before[end] - before[:end]) * price[end - 1]
            begin[end] = sums.argmin()
            following[end] = sums[begin[end]]
        best = following
        begins.append(begin)
        totals.append(float(best[count]))
    end, found = count, []
    for begin in reversed(begins[: _fewest(totals)]):
        found.append(items[end - 1])
        end = begin[end]
    return found


def _fewest(totals: Sequence[float]) -> int:
    """How many buckets reach the least cost, the cost by their number being given."""
    least = min(totals)
    return 1 + next(at for at, total in enumerate(totals) if total <= least * (1 + _EQUAL))


def _of_subsets(items: Any, shares: Any, costs: Costs, most: int) -> list[Any]:
    """Exact over all ways to part a few items into groups.

    A group is served by the cheapest bucket that all of it fits, so the best parting is also the
    best set of buckets, although each item then looks for itself.
    """
    largest, weight = np.zeros((1, items.shape[1]), dtype=np.int64), np.zeros(1)
    for item, share in zip(items, shares, strict=True):
        largest = np.concatenate([largest, np.maximum(largest, item)])
        weight = np.concatenate([weight, weight + share])
    price, server = _cheapest_around(np.append(np.inf, costs.many(largest[1:])), len(items))
    wholes, parts, starts = _pairs(len(items))
    served = weight[parts] * price[parts]
    best = np.full(1 << len(items), np.inf)
    best[0] = 0.0
    layers, everything = [best], (1 << len(items)) - 1
    for _ in range(most):
        best = np.append(np.inf, np.minimum.reduceat(served + best[wholes ^ parts], starts[:-1]))
        layers.append(best)
    count, rest, found = _fewest([float(one[everything]) for one in layers[1:]]), everything, []
    for layer in reversed(layers[:count]):
        stretch = slice(starts[rest - 1], starts[rest])
        at = (served[stretch] + layer[rest ^ parts[stretch]]).argmin()
        part = int(parts[stretch][at])
        found.append(largest[server[part]])
        rest ^= part
    return found


def _cheapest_around(price: Any, count: int) -> tuple[Any, Any]:
    """Of every set, by its bits: the least price of it and of all sets that hold it, and whose."""
    server = np.arange(len(price))
    for bit in range(count):
        without = np.flatnonzero(np.arange(len(price)) & (1 << bit) == 0)
        around = without | (1 << bit)
        cheaper = without[price[around] < price[without]]
        price[cheaper], server[cheaper] = price[cheaper | (1 << bit)], server[cheaper | (1 << bit)]
    return price, server


@cache
def _pairs(count: int) -> tuple[Any, Any, Any]:
    """Every set of items but the empty one, with each of its parts that holds its lowest item.

    Returns:
        Sets and parts by their bits, a set's parts side by side, and where those of each begin.
    """
    wholes, parts = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for bit in (1 << at for at in range(count)):
        wholes = np.concatenate([wholes, wholes | bit, wholes | bit])
        parts = np.concatenate([parts, parts, parts | bit])
    holds = (parts & wholes & -wholes) != 0
    wholes, parts = wholes[holds], parts[holds]
    sort = np.argsort(wholes, kind="stable")
    wholes, parts = wholes[sort], parts[sort]
    return wholes, parts, np.searchsorted(wholes, np.arange(1, (1 << count) + 1))


def _merged(items: Any, shares: Any, costs: Costs, groups: int) -> tuple[Any, Any]:
    """So many groups of the items: their sizes and shares."""
    items, shares, price = items.copy(), shares.copy(), costs.many(items)
    alive = np.ones(len(items), dtype=bool)

    def added(at: int, first: int = 0) -> Any:
        """What merging this one adds, with each other from the first on; infinite with the gone."""
        together = costs.many(np.maximum(items[first:], items[at]))
        apart = shares[first:] * price[first:] + shares[at] * price[at]
        return np.where(alive[first:], (shares[first:] + shares[at]) * together - apart, np.inf)

    table = np.full((len(items), len(items)), np.inf)
    for at in range(len(items) - 1):
        table[at, at + 1 :] = table[at + 1 :, at] = added(at, at + 1)
    nearest = table.argmin(axis=1)
    least = table[np.arange(len(items)), nearest]
    for _ in range(len(items) - groups):
        one = int(least.argmin())
        other = int(nearest[one])
        items[one] = np.maximum(items[one], items[other])
        shares[one] += shares[other]
        price[one], alive[other] = costs.many(items[one : one + 1])[0], False
        table[other, :], table[:, other] = np.inf, np.inf
        table[one, :] = table[:, one] = added(one)
        table[one, one] = np.inf
        stale = (nearest == one) | (nearest == other)
        stale[[one, other]] = True
        closer = table[:, one] < least
        nearest[closer], least[closer] = one, table[closer, one]
        for at in map(int, np.flatnonzero(stale)):
            nearest[at] = table[at].argmin()
            least[at] = table[at, nearest[at]]
    return items[alive], shares[alive]


def _settled(buckets: Sequence[Sizes], items: Any, costs: Costs) -> tuple[Sizes, ...]:
    """Cheapest first, without those that nothing looks for, each as small as what it serves.

    Made smaller only where that costs no more.
    """
    sizes = [tuple(map(int, item)) for item in items]
    while True:
        buckets = sorted(set(buckets), key=lambda one: (costs.of(one), volume(one), one))
        served: dict[Sizes, list[Sizes]] = {}
        for one in sizes:
            bucket = next(bucket for bucket in buckets if fits(one, bucket))
            served.setdefault(bucket, []).append(one)
        tight = []
        for bucket in (one for one in buckets if one in served):
            least = tuple(map(max, zip(*served[bucket], strict=True)))
            tight.append(least if costs.of(least) <= costs.of(bucket) else bucket)
        if tight == buckets:
            return tuple(buckets)
        buckets = tight
