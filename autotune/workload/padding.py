"""What padding adds to a mix of shapes: work that no item asked for, and no throughput counts.

What is computed grows with the volume of a shape, the product of its sizes along what varies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.space.shape_plan import ShapePlan, Sizes
from autotune.workload.costs import volume
from autotune.workload.mix import Mix, routed


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketUse:
    """What one bucket of a plan is used for."""

    sizes: Sizes
    """Along what varies."""
    share: float
    """Of the items that run in it."""
    padding: float | None
    """Volume that is computed beyond that of its items, over theirs; None where theirs is 0."""


def padding_share(mix: Mix, plan: ShapePlan) -> float | None:
    """Σ weight · volume(bucket) / Σ weight · volume(item) - 1: 0.25 for a quarter more.

    0 where every item runs in its own shape. None where buckets are still to be chosen, an item
    fits none, or no item has a volume.
    """
    if not plan.pads:
        return 0.0
    placed = _placed(mix, plan)
    if placed is None:
        return None
    return _padding([(weight, one, bucket) for weight, one, bucket, _ in placed])


def bucket_uses(mix: Mix, plan: ShapePlan) -> tuple[BucketUse, ...]:
    """Each bucket in the order in which an item looks; empty where nothing is padded or unknown."""
    placed = _placed(mix, plan) if plan.pads else None
    if placed is None:
        return ()
    found = []
    for place, bucket in enumerate(mix.buckets_of(plan)):
        rows = [(weight, one, into) for weight, one, into, at in placed if at == place]
        share = math.fsum(weight for weight, _, _ in rows)
        found.append(BucketUse(sizes=bucket, share=share, padding=_padding(rows)))
    return tuple(found)


def _placed(mix: Mix, plan: ShapePlan) -> list[tuple[float, Sizes, Sizes, int]] | None:
    """Of each shape its share of the items, its sizes, its bucket, and the place of that."""
    buckets = mix.buckets_of(plan)
    if not buckets or any(len(one) != len(mix.varying) for one in buckets):
        return None
    largest = max(mix.weights)  # the sum of the largest floats is none
    total = math.fsum(weight / largest for weight in mix.weights)
    found = []
    for one, weight in zip(mix.sizes, mix.weights, strict=True):
        at = routed(one, buckets)
        if at is None:
            return None
        found.append((weight / largest / total, one, buckets[at], at))
    return found


def _padding(rows: Sequence[tuple[float, Sizes, Sizes]]) -> float | None:
    own = math.fsum(weight * volume(one) for weight, one, _ in rows)
    computed = math.fsum(weight * volume(bucket) for weight, _, bucket in rows)
    if own > 0:
        return computed / own - 1
    return None if computed > 0 else 0.0
