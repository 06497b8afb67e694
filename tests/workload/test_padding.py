"""What padding adds to a mix: as counted value by value, whatever the mix and the plan."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.workload_facts import WorkloadFacts
from autotune.space.shape_plan import Serving, ShapePlan, Sizes, parse_plan
from autotune.workload.mix import Mix, Pad, fits, mix_of
from autotune.workload.padding import bucket_uses, padding_share


def mix_along(sizes: Sequence[Sizes], weights: Sequence[float]) -> Mix:
    """Pictures whose height and width vary, or their width alone."""
    shapes = tuple({"x": (1, 3, *((48,) * (2 - len(one))), *one)} for one in sizes)
    return Mix(shapes=shapes, weights=tuple(weights), pads={})


SIZES = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=8, unique=True
)
WEIGHTS = st.lists(st.integers(1, 20), min_size=8, max_size=8)


@given(SIZES, WEIGHTS, st.data())
def test_the_share_is_what_counting_gives(
    sizes: list[Sizes], whole: list[int], data: st.DataObject
) -> None:
    """So many items as their weights say, each value of theirs and of their buckets counted."""
    found = mix_along(sizes, whole[: len(sizes)])
    largest = found.largest
    more = data.draw(st.lists(st.sampled_from(found.sizes), max_size=3, unique=True))
    buckets = tuple(dict.fromkeys((*sorted(more, key=math.prod), largest)))
    own = computed = 0
    for one, count in zip(found.sizes, whole, strict=False):
        bucket = next(bucket for bucket in buckets if fits(one, bucket))
        own += count * math.prod(one)
        computed += count * math.prod(bucket)
    plan = ShapePlan(Serving.BUCKETS, buckets, len(buckets))
    share = padding_share(found, plan)
    assert share == pytest.approx(computed / own - 1)

    uses = bucket_uses(found, plan)
    assert [one.sizes for one in uses] == list(buckets)
    assert math.fsum(one.share for one in uses) == pytest.approx(1)
    assert all(one.padding is not None and one.padding >= -1e-12 for one in uses)


@given(SIZES, WEIGHTS)
def test_padding_to_one_is_one_bucket_of_the_largest(sizes: list[Sizes], whole: list[int]) -> None:
    """And what pads nothing has a share of exactly 0."""
    found = mix_along(sizes, whole[: len(sizes)])
    (use,) = bucket_uses(found, ShapePlan(Serving.PADDED))
    assert use.sizes == found.largest
    assert padding_share(found, ShapePlan(Serving.PADDED)) == pytest.approx(use.padding)
    for plan in (Serving.DYNAMIC, Serving.BOUNDED):
        assert padding_share(found, ShapePlan(plan)) == 0
        assert bucket_uses(found, ShapePlan(plan)) == ()
    each = tuple(sorted(found.sizes, key=math.prod))
    own = ShapePlan(Serving.BUCKETS, each, len(each))
    if all(next(b for b in each if fits(one, b)) == one for one in found.sizes):
        assert padding_share(found, own) == pytest.approx(0)


def test_shares_are_of_the_volume_and_of_the_items() -> None:
    """Of widths 80, 160 and 320, the first half of all, in two buckets."""
    found = mix_along([(80,), (160,), (320,)], [2, 1, 1])
    plan = parse_plan("buckets:160|320")
    assert padding_share(found, plan) == pytest.approx((2 * 160 + 160 + 320) / 640 - 1)
    small, large = bucket_uses(found, plan)
    assert [small.share, small.padding] == pytest.approx([0.75, 480 / 320 - 1])
    assert [large.share, large.padding] == pytest.approx([0.25, 0])


@pytest.mark.parametrize("plan", ["buckets:2", "buckets:80|160", "buckets:48x320"])
def test_what_cannot_be_said_is_none(plan: str) -> None:
    """Buckets that are still to be chosen, that do not hold all, or are of another mix."""
    found = mix_along([(80,), (160,), (320,)], [1, 1, 1])
    assert padding_share(found, parse_plan(plan)) is None
    assert bucket_uses(found, parse_plan(plan)) == ()


def test_items_without_a_volume_have_no_share() -> None:
    """An empty text is padded by more than any share."""
    found = mix_along([(0, 4), (0, 2), (3, 0)], [1, 1, 1])
    assert padding_share(found, ShapePlan(Serving.PADDED)) is None


def test_the_mix_of_a_study_is_that_of_its_facts() -> None:
    """None where there is one shape."""
    facts = WorkloadFacts(
        samples=2,
        is_random=False,
        shapes=({"x": (1, 3)}, {"x": (1, 5)}),
        weights=(0.25, 0.75),
        pads={"x": ((0.0, 1),)},
    )
    found = mix_of(facts)
    assert found is not None
    assert (found.sizes, found.weights) == (((3,), (5,)), (0.25, 0.75))
    assert found.pads == {"x": (Pad(0.0, 1),)}
    assert mix_of(WorkloadFacts(samples=2, is_random=False)) is None
