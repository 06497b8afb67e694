"""Costs of sizes that were not measured, and which ones to measure."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.space.shape_plan import Sizes
from autotune.workload.costs import interpolated, to_measure, volume

SIZES = st.tuples(st.integers(1, 50), st.integers(1, 50))
COSTS = st.floats(1e-3, 1e3)


def ascending(values: Sequence[float], weights: Sequence[int]) -> list[float]:
    """Isotonic regression by its minimax formula, which knows nothing of pools."""

    def mean(first: int, last: int) -> Fraction:
        parts = range(first, last + 1)
        return sum((Fraction(values[i]) * weights[i] for i in parts), Fraction(0)) / sum(
            weights[i] for i in parts
        )

    count = len(values)
    return [
        float(max(min(mean(a, b) for b in range(at, count)) for a in range(at + 1)))
        for at in range(count)
    ]


@given(st.dictionaries(SIZES, COSTS, min_size=1, max_size=10))
def test_measured_volumes_have_the_nearest_ascending_costs(measured: dict[Sizes, float]) -> None:
    """Whatever was measured twice is averaged; against the minimax formula."""
    volumes = sorted({volume(one) for one in measured})
    groups = [[c for one, c in measured.items() if volume(one) == v] for v in volumes]
    expected = ascending([math.fsum(g) / len(g) for g in groups], [len(g) for g in groups])
    cost = interpolated(measured)
    for at, wanted in zip(volumes, expected, strict=True):
        assert cost((at, 1)) == pytest.approx(wanted)


@given(st.dictionaries(SIZES, COSTS, min_size=1, max_size=8), st.lists(SIZES, min_size=2))
def test_costs_ascend_with_the_volume_and_are_above_nothing(
    measured: dict[Sizes, float], asked: list[Sizes]
) -> None:
    """Below, between and above what was measured; one by one as many at once."""
    cost = interpolated(measured)
    ordered = sorted([*asked, (1, 1), (90, 90), *measured], key=volume)
    found = [cost(one) for one in ordered]
    assert all(one > 0 and math.isfinite(one) for one in found)
    assert all(b >= a * (1 - 1e-9) for a, b in pairwise(found))
    assert cost.many(np.array(ordered)).tolist() == found


def test_between_two_it_is_linear_and_beyond_it_goes_on() -> None:
    """Above as it last rose, below as it first rises."""
    cost = interpolated({(10,): 2.0, (20,): 3.0, (40,): 9.0})
    assert cost((15,)) == pytest.approx(2.5)
    assert cost((30,)) == pytest.approx(6.0)
    assert cost((50,)) == pytest.approx(12.0)
    assert cost((5,)) == pytest.approx(1.5)


def test_below_the_smallest_it_is_never_nothing() -> None:
    """A steep first rise would cross zero: then it is in proportion to the volume."""
    cost = interpolated({(10,): 1.0, (11,): 9.0})
    assert cost((5,)) == pytest.approx(0.5)
    assert cost((0,)) > 0


def test_noise_at_the_end_does_not_stop_the_rise() -> None:
    """Two pooled costs have no slope between them."""
    cost = interpolated({(10,): 1.0, (20,): 3.2, (30,): 2.8})
    assert cost((30,)) == pytest.approx(3.0)
    assert cost((40,)) == pytest.approx(5.0)


def test_a_single_size_speaks_for_all_in_proportion() -> None:
    """There is nothing else to go by."""
    cost = interpolated({(20, 2): 4.0})
    assert cost((80, 1)) == pytest.approx(8.0)
    assert cost((10, 1)) == pytest.approx(1.0)
    assert interpolated({(): 2.0})(()) == 2.0


def test_costs_that_do_not_grow_stay() -> None:
    """Tiny requests cost what a request costs."""
    cost = interpolated({(10,): 2.0, (20,): 2.0})
    assert (cost((5,)), cost((90,))) == (2.0, 2.0)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_a_measured_cost_that_is_none_is_refused(wrong: float) -> None:
    """With the sizes and the value; and so is nothing at all."""
    with pytest.raises(ValueError, match=f"cost of 48x80 is {wrong:g};"):
        interpolated({(48, 40): 1.0, (48, 80): wrong})
    with pytest.raises(ValueError, match="no cost was measured"):
        interpolated({})


# --- which to measure


@given(
    st.lists(st.tuples(SIZES, st.floats(0.01, 1e3)), min_size=1, max_size=60), st.integers(2, 14)
)
def test_so_many_sizes_are_measured_the_ends_among_them(
    mix: list[tuple[Sizes, float]], most: int
) -> None:
    """Distinct ones of the mix, by volume; all where they are few enough."""
    sizes, weights = [one for one, _ in mix], [weight for _, weight in mix]
    found = to_measure(sizes, weights, most)
    distinct = set(sizes)
    assert len(found) == len(set(found)) == min(most, len(distinct))
    assert set(found) <= distinct
    assert [volume(one) for one in found] == sorted(volume(one) for one in found)
    assert volume(found[0]) == min(map(volume, distinct))
    assert volume(found[-1]) == max(map(volume, distinct))
    assert found == to_measure(sizes[::-1], weights[::-1], most)


def test_frequent_sizes_are_measured_more_densely() -> None:
    """Where most of the weight lies, the cost matters most."""
    sizes = [(n,) for n in range(1, 1001)]
    weights = [10.0 if 300 <= n < 400 else 0.1 for n in range(1, 1001)]
    found = to_measure(sizes, weights)
    assert len(found) == 12
    assert sum(300 <= n < 400 for (n,) in found) >= 7


def test_one_size_with_all_the_weight_leaves_the_widest_gaps() -> None:
    """The others are spread over the volume."""
    sizes = [(n,) for n in range(1, 101)]
    found = to_measure(sizes, [1e6 if n == 50 else 1e-3 for n in range(1, 101)], 5)
    assert found == [(1,), (25,), (50,), (75,), (100,)]


def test_too_few_to_measure_is_refused() -> None:
    """Two tell how it grows."""
    with pytest.raises(ValueError, match="1 measured sizes"):
        to_measure([(1,)], [1.0], 1)
    with pytest.raises(ValueError, match="weight of shape 1 is 0;"):
        to_measure([(1,)], [0.0])
