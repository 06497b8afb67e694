"""How a mix of shapes may be served here, and the sizes of the buckets that are asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from autotune.domain.workload_facts import WorkloadFacts
from autotune.errors import SpecError
from autotune.space.shape_plan import Serving, ShapePlan, Sizes, parse_plan
from autotune.workload.buckets import choose
from autotune.workload.costs import in_words, interpolated
from autotune.workload.mix import Mix, mix_of, routed

_COUNTS = (2, 3, 4)
"""Of buckets that are tried where a study names none, beside one for each shape."""
_MOST_EXACT = 8
"""Shapes, up to which each may have a bucket of its own without being asked for."""


def plans_of(
    facts: WorkloadFacts | None, asked: Sequence[str] | None, begun: Sequence[str] = ()
) -> tuple[str, ...]:
    """Plans with the sizes of their buckets; none where there is one shape.

    Args:
        facts: what is known of the workload.
        asked: what a study names; None for all that was shown to give the same answers.
        begun: plans of the study if it was begun: it keeps them, though another look at costs and
            answers would choose others.

    Raises:
        SpecError: of what is asked for nothing gives the same answers.
    """
    mix = None if facts is None else mix_of(facts)
    if facts is None or mix is None:
        return ()
    known = [parse_plan(text) for text in begun]
    plans = _plans(mix, asked)
    if known:
        kept = [one for one in known if any(_is_meant(plan, one) for plan in plans)]
        return tuple(map(str, kept))
    refused = {str(plan): why for plan in plans if (why := why_not(plan, facts, mix))}
    found = (_settled(plan, facts, mix) for plan in plans if str(plan) not in refused)
    texts = tuple(dict.fromkeys(map(str, found)))
    if not texts:
        faults = "\n".join(f"[space] shape_plan: {plan}: {why}" for plan, why in refused.items())
        raise SpecError(faults or "[space] shape_plan: the mix cannot be served in any way")
    return texts


def refused_plans(facts: WorkloadFacts, asked: Sequence[str] | None) -> dict[str, str]:
    """Why plans are not tried that a study names, or for which it says a padding, by the reason."""
    mix = mix_of(facts)
    if mix is None:
        return {}
    plans = _plans(mix, asked)
    found: dict[str, list[str]] = {}
    for plan in plans:
        why = why_not(plan, facts, mix)
        if why is not None and (asked is not None or mix.may_pad or not plan.pads):
            found.setdefault(why, []).append(str(plan))
    return {", ".join(names): why for why, names in found.items()}


def _plans(mix: Mix, asked: Sequence[str] | None) -> list[ShapePlan]:
    """Those that are asked for, an item of each finding its own bucket before a larger one."""
    if asked is None:
        return _usual(len(mix.shapes))
    plans = [parse_plan(text) for text in asked]
    return [replace(plan, buckets=_smallest_first(plan.buckets)) for plan in plans]


def _smallest_first(buckets: Iterable[Sizes]) -> tuple[Sizes, ...]:
    return tuple(sorted(buckets, key=lambda one: (sum(one), one)))


def why_not(plan: ShapePlan, facts: WorkloadFacts, mix: Mix) -> str | None:
    """Why a mix is not to be served so; None where it may be."""
    if not plan.pads:
        return facts.why_no_open_shapes
    if plan.serving is Serving.BUCKETS and not plan.buckets and plan.count >= len(mix.shapes):
        return None  # each shape has its own: nothing is padded
    fault = _why_no_buckets(plan.buckets, mix) if plan.buckets else None
    if fault is not None or set(mix.sizes) <= set(plan.buckets):
        return fault
    return facts.why_no_padding


def _why_no_buckets(buckets: Sequence[Sizes], mix: Mix) -> str | None:
    """Why a mix cannot go into these; None where it can."""
    if any(len(sizes) != len(mix.varying) for sizes in buckets):
        return f"a bucket has as many sizes as dimensions vary: {len(mix.varying)}"
    routes = [routed(sizes, buckets) for sizes in mix.sizes]
    if None in routes:
        return f"no bucket holds {in_words(mix.sizes[routes.index(None)])}"
    idle = [bucket for at, bucket in enumerate(buckets) if at not in routes]
    return f"no item goes to the bucket {in_words(idle[0])}; leave it out" if idle else None


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


def _is_meant(asked: ShapePlan, settled: ShapePlan) -> bool:
    """Whether a plan is what an asked one came to."""
    if asked == settled:
        return True
    is_one = asked.serving is Serving.BUCKETS and asked.count == 1
    if is_one and settled.serving is Serving.PADDED:
        return True
    is_open = asked.serving is Serving.BUCKETS and not asked.buckets
    return is_open and settled.serving is Serving.BUCKETS and settled.count <= asked.count


def _settled(plan: ShapePlan, facts: WorkloadFacts, mix: Mix) -> ShapePlan:
    """The same with the sizes of its buckets; one bucket for all is padding."""
    if plan.serving is not Serving.BUCKETS or plan.buckets:
        return plan
    if plan.count == 1:
        return ShapePlan(Serving.PADDED)
    if plan.count >= len(mix.shapes):
        found = _smallest_first(set(mix.sizes))
    else:
        cost = interpolated(dict(facts.costs_ms))
        found = choose(mix.sizes, mix.weights, cost, plan.count)
    if len(found) == 1:
        return ShapePlan(Serving.PADDED)
    return ShapePlan(Serving.BUCKETS, tuple(found), len(found))
