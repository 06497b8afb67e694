"""Which buckets are chosen: as good as the best of all sets, whatever the costs."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.space.shape_plan import Serving, ShapePlan, Sizes, parse_plan
from autotune.workload.buckets import choose
from autotune.workload.costs import interpolated
from autotune.workload.mix import fits, routed

# --- against brute force


def closed(sizes: Sequence[Sizes]) -> list[Sizes]:
    """All componentwise maxima of some of them."""
    found = set(sizes)
    while True:
        more = {tuple(map(max, a, b)) for a in found for b in sizes} | found
        if more == found:
            return sorted(found)
        found = more


def mean_cost(
    buckets: Sequence[Sizes],
    sizes: Sequence[Sizes],
    weights: Sequence[float],
    cost: Callable[[Sizes], float],
) -> float:
    """Of an item of the mix in the first bucket that it fits; infinite where one fits none."""
    total = 0.0
    for one, weight in zip(sizes, weights, strict=True):
        at = routed(one, buckets)
        total += math.inf if at is None else weight * cost(buckets[at])
    return total / math.fsum(weights)


def least_cost(
    sizes: Sequence[Sizes], weights: Sequence[float], costs: Mapping[Sizes, float], k: int
) -> float:
    """Over every set of up to `k` maxima, each item going where it costs least."""
    best = math.inf
    for count in range(1, k + 1):
        for buckets in itertools.combinations(closed(sizes), count):
            total = 0.0
            for one, weight in zip(sizes, weights, strict=True):
                total += weight * min((costs[b] for b in buckets if fits(one, b)), default=math.inf)
            best = min(best, total)
    return best / math.fsum(weights)


def partitions(numbers: Sequence[int]) -> list[list[list[int]]]:
    """All ways to part a set into groups."""
    if not numbers:
        return [[]]
    first, *others = numbers
    found = []
    for parted in partitions(others):
        found.append([[first], *parted])
        for at, group in enumerate(parted):
            found.append([*parted[:at], [first, *group], *parted[at + 1 :]])
    return found


def least_by_partition(
    sizes: Sequence[Sizes], weights: Sequence[float], costs: Mapping[Sizes, float], k: int
) -> float:
    """Over every way to part the items into up to `k` groups, each served by its own maximum."""
    best = math.inf
    for parted in partitions(range(len(sizes))):
        if len(parted) <= k:
            total = 0.0
            for group in parted:
                bucket = tuple(map(max, zip(*(sizes[at] for at in group), strict=True)))
                total += costs[bucket] * math.fsum(weights[at] for at in group)
            best = min(best, total)
    return best / math.fsum(weights)


@st.composite
def mixes(
    draw: st.DrawFn, dimensions: int, most: int, largest: int = 9
) -> tuple[list[Sizes], list[float], dict[Sizes, float], int]:
    """Sizes with weights, a cost of every maximum that need not grow, and a number of buckets."""
    one = st.tuples(*[st.integers(1, largest)] * dimensions)
    sizes = draw(st.lists(one, min_size=1, max_size=most))
    weights = draw(st.lists(st.floats(0.01, 100), min_size=len(sizes), max_size=len(sizes)))
    maxima = closed(sizes)
    if draw(st.booleans()):  # as measured: growing, and noisy
        noise = draw(st.lists(st.floats(0.5, 2), min_size=len(maxima), max_size=len(maxima)))
        costs = {b: math.prod(b) * n for b, n in zip(maxima, noise, strict=True)}
    else:  # anything, with many that are equal
        drawn = st.lists(st.integers(1, 6), min_size=len(maxima), max_size=len(maxima))
        costs = {b: float(c) for b, c in zip(maxima, draw(drawn), strict=True)}
    return sizes, weights, costs, draw(st.integers(1, len(sizes) + 1))


def check(
    sizes: list[Sizes], weights: list[float], costs: dict[Sizes, float], k: int, least: float
) -> None:
    """Buckets are few, distinct, in order, all used; each item's first is its best; least cost."""
    buckets = choose(sizes, weights, costs.__getitem__, k)
    assert 1 <= len(buckets) <= k
    assert len(set(buckets)) == len(buckets)
    assert [costs[b] for b in buckets] == sorted(costs[b] for b in buckets)
    routes = [routed(one, buckets) for one in sizes]
    assert set(routes) == set(range(len(buckets)))
    for bucket in buckets:
        inside = [one for one in sizes if fits(one, bucket)]
        assert bucket == tuple(map(max, zip(*inside, strict=True)))
    assert mean_cost(buckets, sizes, weights, costs.__getitem__) == pytest.approx(least, rel=1e-9)


@settings(max_examples=150, deadline=None)
@given(mixes(dimensions=1, most=12, largest=15))
def test_one_dimension_is_as_good_as_brute_force(
    mix: tuple[list[Sizes], list[float], dict[Sizes, float], int],
) -> None:
    """Over every set of buckets, with costs that grow, that are noisy, and that are anything."""
    check(*mix, least_cost(*mix))


@settings(max_examples=100, deadline=None)
@given(mixes(dimensions=2, most=6, largest=6))
def test_two_dimensions_are_as_good_as_brute_force(
    mix: tuple[list[Sizes], list[float], dict[Sizes, float], int],
) -> None:
    """Over every set of buckets, also of those that are the size of no item."""
    check(*mix, least_cost(*mix))


@settings(max_examples=10, deadline=None)
@given(mixes(dimensions=3, most=5, largest=4))
def test_three_dimensions_are_as_good_as_brute_force(
    mix: tuple[list[Sizes], list[float], dict[Sizes, float], int],
) -> None:
    """There two maxima may be no part of each other in many ways."""
    check(*mix, least_cost(*mix))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_with_costs_that_grow_it_is_the_best_partition(data: st.DataObject) -> None:
    """An oracle that knows nothing of routing: every way to part up to eight items into groups."""
    one = st.tuples(*[st.integers(1, 9)] * 2)
    sizes: list[Sizes] = data.draw(st.lists(one, min_size=1, max_size=8))
    weights = data.draw(st.lists(st.floats(0.1, 10), min_size=len(sizes), max_size=len(sizes)))
    fixed = data.draw(st.floats(0.1, 50))
    costs = {bucket: fixed + math.prod(bucket) for bucket in closed(sizes)}
    k = data.draw(st.integers(1, len(sizes)))
    check(sizes, weights, costs, k, least_by_partition(sizes, weights, costs, k))


@pytest.mark.parametrize("seed", range(6))
def test_twelve_shapes_in_two_dimensions_are_solved_exactly(seed: int) -> None:
    """The most that are; brute force over all pairs and triples of the maxima."""
    random = np.random.default_rng(seed)
    sizes = [tuple(map(int, one)) for one in random.permutation(36)[:12, None] // [6, 1] % 6 + 1]
    assert len(set(sizes)) == 12
    weights = random.uniform(0.1, 5, 12).tolist()
    costs = {b: math.prod(b) * float(random.uniform(0.7, 1.4)) for b in closed(sizes)}
    for k in (1, 2, 3):
        check(sizes, weights, costs, k, least_cost(sizes, weights, costs, k))


# --- what is chosen


def test_a_larger_bucket_that_is_cheaper_serves_the_smaller_items() -> None:
    """And is asked first; what only the dearer one can hold goes there."""
    costs: dict[Sizes, float] = {(80,): 5.0, (160,): 3.0, (320,): 9.0}
    assert choose([(80,), (160,), (320,)], [1, 1, 1], costs.__getitem__, 3) == ((160,), (320,))
    costs = {(1, 2): 5.0, (2, 1): 2.0, (2, 2): 4.0}
    assert choose([(1, 2), (2, 1)], [1, 1], costs.__getitem__, 2) == ((2, 1), (2, 2))


def test_fewer_suffice_where_more_cost_the_same() -> None:
    """Every model takes memory and time to compile."""
    costs: dict[Sizes, float] = {(one,): 2.0 for one in range(1, 9)}
    assert choose([(one,) for one in range(1, 9)], [1.0] * 8, costs.__getitem__, 8) == ((8,),)


def test_as_many_buckets_as_sizes_are_the_sizes() -> None:
    """Where costs grow; the same size several times is one."""
    sizes = [(320,), (80,), (160,), (80,)]
    assert choose(sizes, [1, 1, 1, 1], lambda one: one[0], 9) == ((80,), (160,), (320,))


def test_weights_move_the_buckets() -> None:
    """The frequent size gets one of its own; the scale of weights means nothing."""
    sizes = [(10,), (20,), (30,)]
    assert choose(sizes, [9, 1, 1], lambda one: one[0], 2) == ((10,), (30,))
    assert choose(sizes, [1, 9, 1], lambda one: one[0], 2) == ((20,), (30,))
    assert choose(sizes, [1e308, 9e307, 1e307], lambda one: one[0], 2) == choose(
        sizes, [1, 0.9, 0.1], lambda one: one[0], 2
    )


def test_sizes_that_grow_together_are_a_chain() -> None:
    """A sentence and what is beside it: exact however many there are."""
    sizes: list[Sizes] = [(n, 2 * n, 7 + n // 3) for n in range(1, 40)]
    weights = [1 + n % 5 for n in range(1, 40)]
    buckets = choose(sizes, weights, lambda one: 3 + one[0], 2)
    costs = {one: 3.0 + one[0] for one in sizes}
    assert mean_cost(buckets, sizes, weights, costs.__getitem__) == pytest.approx(
        min(mean_cost((one, sizes[-1]), sizes, weights, costs.__getitem__) for one in sizes)
    )


def test_nothing_that_varies_is_one_bucket() -> None:
    """A mix of one shape has no sizes."""
    assert choose([()], [3.0], lambda _: 1.5, 4) == ((),)


@pytest.mark.parametrize("k", [1, 3, 8, 15])
def test_many_sizes_of_two_dimensions_are_all_served(k: int) -> None:
    """By merging first; more buckets never cost more, and one is the largest of all."""
    random = np.random.default_rng(k)
    sizes = [tuple(map(int, one)) for one in random.integers(16, 640, (60, 2))]
    weights = random.uniform(0.1, 3, 60).tolist()
    cost = interpolated({(100, 100): 1.0, (300, 300): 8.0, (640, 640): 40.0})
    buckets = choose(sizes, weights, cost, k)
    assert len(buckets) <= k
    assert None not in {routed(one, buckets) for one in sizes}
    largest = tuple(map(max, zip(*sizes, strict=True)))
    assert k > 1 or buckets == (largest,)
    padded = mean_cost([largest], sizes, weights, cost)
    assert mean_cost(buckets, sizes, weights, cost) <= padded * (1 + 1e-12)
    assert buckets == choose(sizes[::-1], weights[::-1], cost, k)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=13, max_size=16))
def test_merging_first_is_near_the_best(sizes: list[Sizes]) -> None:
    """Two buckets of many sizes: within a fifth of the best pair, and of three buckets as well."""
    weights, costs = [1.0] * len(sizes), {one: 5.0 + math.prod(one) for one in closed(sizes)}
    found = mean_cost(
        choose(sizes, weights, costs.__getitem__, 2), sizes, weights, costs.__getitem__
    )
    assert found <= least_cost(sizes, weights, costs, 2) * 1.2


def test_a_chosen_plan_is_one_that_can_be_written() -> None:
    """The order is that of the plan, also where the cheaper one is the larger."""
    costs: dict[Sizes, float] = {(80,): 4, (90,): 3, (160,): 9}
    buckets = choose(list(costs), [1, 1, 1], costs.__getitem__, 2)
    plan = ShapePlan(Serving.BUCKETS, buckets, len(buckets))
    assert parse_plan(str(plan)) == plan


# --- refused


@pytest.mark.parametrize(
    ("weight", "written"),
    [(0, "0"), (-2.5, "-2.5"), (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")],
)
def test_a_weight_that_is_none_is_refused(weight: float, written: str) -> None:
    """With the shape and the value."""
    with pytest.raises(ValueError, match=f"weight of shape 48x80 is {written};"):
        choose([(48, 320), (48, 80)], [1.0, weight], lambda _: 1.0, 1)


@pytest.mark.parametrize("cost", [0.0, -1.0, math.nan, math.inf])
def test_a_cost_that_is_none_is_refused(cost: float) -> None:
    """With the sizes and the value."""
    with pytest.raises(ValueError, match=f"cost of 160 is {cost:g};"):
        choose([(80,), (160,)], [1.0, 1.0], lambda one: 1.0 if one == (80,) else cost, 2)


def test_what_does_not_fit_together_is_refused() -> None:
    """Another number of weights, no shapes, no buckets."""
    with pytest.raises(ValueError, match="1 weights for 2 shapes"):
        choose([(1,), (2,)], [1.0], lambda _: 1.0, 1)
    with pytest.raises(ValueError, match="no shape"):
        choose([], [], lambda _: 1.0, 1)
    with pytest.raises(ValueError, match="0 buckets"):
        choose([(1,)], [1.0], lambda _: 1.0, 0)
