"""Which plans a mix of shapes may be served with, and what becomes of those that are named."""

from typing import Any

import pytest

from autotune.domain.workload_facts import WorkloadFacts
from autotune.errors import SpecError
from autotune.search.serving import plans_of, refused_plans
from autotune.space.shape_plan import parse_plan
from autotune.workload.mix import mix_of
from autotune.workload.padding import bucket_uses

OPEN, WORSE = "dynamic shapes do not compile", "padding changes answers by 0.9"


def lengths(*sizes: int, said: bool = True, **more: Any) -> WorkloadFacts:
    """One input whose width varies, the same number of each, costs in proportion."""
    return WorkloadFacts(
        samples=len(sizes),
        is_random=False,
        shapes=tuple({"x": (1, size)} for size in sizes),
        weights=(1 / len(sizes),) * len(sizes),
        pads={"x": ((0.0, 1),)} if said else {},
        costs_ms=tuple(((size,), float(size)) for size in sorted(sizes)),
        **more,
    )


def test_all_that_may_be_is_tried_where_nothing_is_named() -> None:
    """Counts of buckets come with their sizes, and one for each shape where these are few."""
    assert plans_of(lengths(80, 320, 160), None) == (
        "dynamic",
        "bounded",
        "padded",
        "buckets:160|320",
        "buckets:80|160|320",
    )
    assert plans_of(WorkloadFacts(samples=1, is_random=False), None) == ()
    assert plans_of(None, None) == ()


@pytest.mark.parametrize("count", [2, 9, 19, 64])
def test_each_shape_may_have_its_own_whatever_else_is_refused(count: int) -> None:
    """Nothing is padded then, and nothing left open; of many it is tried where it is named."""
    facts = lengths(*range(1, count + 1), why_no_padding=WORSE, why_no_open_shapes=OPEN)
    own = "buckets:" + "|".join(map(str, range(1, count + 1)))
    assert plans_of(facts, [f"buckets:{count}"]) == (own,)
    assert plans_of(facts, [own]) == (own,)
    if count > 8:
        with pytest.raises(SpecError, match=OPEN):
            plans_of(facts, None)


@pytest.mark.parametrize(
    ("named", "settled"),
    [
        ("buckets:320|80", "buckets:80|320"),
        ("buckets:320|160|80", "buckets:80|160|320"),
        ("buckets:1", "padded"),
        ("buckets:80|999", "buckets:80|999"),
    ],
)
def test_sizes_that_are_named_are_looked_at_smallest_first(named: str, settled: str) -> None:
    """Whatever their order: then every bucket has items of its own."""
    facts = lengths(80, 160, 320)
    found = plans_of(facts, [named])
    assert found == (settled,)
    mix = mix_of(facts)
    assert mix is not None
    assert all(one.share > 0 for one in bucket_uses(mix, parse_plan(found[0])))


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("buckets:80|320|999", "no item goes to the bucket 999; leave it out"),
        ("buckets:40|320", "no item goes to the bucket 40; leave it out"),
        ("buckets:999|320|80", "no item goes to the bucket 999"),
        ("buckets:80|160", "no bucket holds 320"),
        ("buckets:80x2|320x2", "a bucket has as many sizes as dimensions vary: 1"),
    ],
)
def test_buckets_that_cannot_be_are_refused_before_a_trial(named: str, words: str) -> None:
    """With what to change; beside others they are left out, and it is told."""
    facts = lengths(80, 160, 320)
    with pytest.raises(SpecError, match=words):
        plans_of(facts, [named])
    assert plans_of(facts, [named, "dynamic"]) == ("dynamic",)
    ((names, why),) = refused_plans(facts, [named, "dynamic"]).items()
    assert parse_plan(names).serving == "buckets"
    assert words in why


def test_buckets_of_two_sizes() -> None:
    """A wide item does not go into a high bucket."""
    facts = WorkloadFacts(
        samples=3,
        is_random=False,
        shapes=({"x": (1, 2, 8)}, {"x": (1, 8, 2)}, {"x": (1, 2, 2)}),
        weights=(0.4, 0.4, 0.2),
        pads={"x": ((0.0, 1), (0.0, 2))},
    )
    assert plans_of(facts, ["buckets:8x8|2x8"]) == ("buckets:2x8|8x8",)
    assert plans_of(facts, ["buckets:8x2|2x8"]) == ("buckets:2x8|8x2",)
    with pytest.raises(SpecError, match="no bucket holds 8x2"):
        plans_of(facts, ["buckets:2x8"])


def test_one_that_was_begun_goes_on_with_what_it_had() -> None:
    """Other costs today would choose other buckets, and their order may have been another."""
    facts = lengths(80, 160, 320)
    assert plans_of(facts, ["buckets:2", "dynamic"], ["dynamic", "buckets:80|320"]) == (
        "dynamic",
        "buckets:80|320",
    )
    assert plans_of(facts, ["buckets:320|80"], ["buckets:80|320", "padded"]) == ("buckets:80|320",)
    assert plans_of(facts, ["buckets:1"], ["padded", "bounded"]) == ("padded",)
    assert plans_of(facts, ["buckets:9"], ["buckets:80|160|320"]) == ("buckets:80|160|320",)


def test_of_what_nobody_asked_for_only_open_shapes_are_told() -> None:
    """Nobody said that padding is harmless: it is no news that it is not tried."""
    facts = lengths(80, 160, 320, said=False, why_no_padding=WORSE, why_no_open_shapes=OPEN)
    assert refused_plans(facts, None) == {"dynamic, bounded": OPEN}
    assert refused_plans(facts, ["padded"]) == {"padded": WORSE}
    said = lengths(80, 160, 320, why_no_padding=WORSE)
    assert refused_plans(said, None) == {"padded, buckets:2": WORSE}
