"""How a mix of shapes may be served here, and the sizes of the buckets that are asked for."""

from collections.abc import Sequence

from autotune.domain.workload_facts import WorkloadFacts
from autotune.errors import SpecError
from autotune.space.shape_plan import Serving, ShapePlan, parse_plan
from autotune.workload.buckets import choose, interpolated
from autotune.workload.mix import Mix, Pad, fits

_COUNTS = (2, 3, 4)
"""Of buckets that are tried where a study names none, beside one for each shape."""
_MOST_EXACT = 8
"""Shapes, up to which each may have a bucket of its own without being asked for."""


def mix_of(facts: WorkloadFacts) -> Mix | None:
    """The mix of shapes; None where there is one shape."""
    if not facts.shapes:
        return None
    return Mix(
        shapes=facts.shapes,
        weights=facts.weights,
        pads={name: tuple(Pad(*pad) for pad in pads) for name, pads in facts.pads.items()},
    )


def plans_of(
    facts: WorkloadFacts | None, asked: Sequence[str] | None, begun: Sequence[str] = ()
) -> tuple[str, ...]:
    """Plans with the sizes of their buckets; none where there is one shape.

    Args:
        facts: what is known of the workload.
        asked: what a study names; None for all that was shown to give the same answers.
        begun: plans of the study if it was begun: buckets keep the sizes that they had, though
            another look at their costs would choose others.

    Raises:
        SpecError: a plan changes answers, or cannot be had.
    """
    mix = None if facts is None else mix_of(facts)
    if facts is None or mix is None:
        return ()
    if asked is not None:
        plans = [parse_plan(text) for text in asked]
        faults = [f"{plan}: {why}" for plan in plans if (why := why_not(plan, facts, mix))]
        if faults:
            raise SpecError("\n".join(f"[space] shape_plan: {fault}" for fault in faults))
    else:
        plans = [plan for plan in _usual(len(mix.shapes)) if not why_not(plan, facts, mix)]
    known = [parse_plan(text) for text in begun]
    found = (str(_settled(plan, facts, mix, known)) for plan in plans)
    return tuple(dict.fromkeys(found))


def why_not(plan: ShapePlan, facts: WorkloadFacts, mix: Mix) -> str | None:
    """Why a mix is not to be served so; None where it may be."""
    if not plan.pads:
        return facts.why_no_open_shapes
    if plan.serving is Serving.BUCKETS and not plan.buckets and plan.count >= len(mix.shapes):
        return None  # each has its own: nothing is padded
    if any(len(sizes) != len(mix.varying) for sizes in plan.buckets):
        return f"a bucket has as many sizes as dimensions vary: {len(mix.varying)}"
    apart = [s for s in mix.sizes if not any(fits(s, bucket) for bucket in plan.buckets)]
    if plan.buckets and apart:
        return f"no bucket holds {'x'.join(map(str, apart[0]))}"
    if set(mix.sizes) <= set(plan.buckets):
        return None
    return facts.why_no_padding


def _usual(shapes: int) -> list[ShapePlan]:
    counts = [count for count in _COUNTS if count < shapes]
    counts += [shapes] if shapes <= _MOST_EXACT else []
    buckets = [ShapePlan(Serving.BUCKETS, (), count) for count in counts]
    return [
        ShapePlan(Serving.DYNAMIC),
        ShapePlan(Serving.BOUNDED),
        ShapePlan(Serving.PADDED),
        *buckets,
    ]


def _settled(
    plan: ShapePlan, facts: WorkloadFacts, mix: Mix, begun: Sequence[ShapePlan]
) -> ShapePlan:
    """The same with the sizes of its buckets; one bucket for all is padding."""
    if plan.serving is not Serving.BUCKETS or plan.buckets:
        return plan
    if plan.count == 1:
        return ShapePlan(Serving.PADDED)
    kept = next((one for one in begun if one.count == plan.count and one.buckets), None)
    if kept is not None:
        return kept
    if plan.count >= len(mix.shapes):  # smallest first: an item finds its own before a larger one
        sizes = tuple(sorted(set(mix.sizes), key=lambda one: (sum(one), one)))
        return ShapePlan(Serving.BUCKETS, sizes, len(sizes))
    cost = interpolated(dict(facts.costs_ms))
    found = choose(mix.sizes, mix.weights, cost, plan.count)
    if len(found) == 1:
        return ShapePlan(Serving.PADDED)
    return ShapePlan(Serving.BUCKETS, tuple(found), len(found))
