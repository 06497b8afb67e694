"""A study's mix of shapes: what it is, how it is served, and what padding that takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autotune.domain.fed import Fed
from autotune.domain.goal import Goal
from autotune.domain.ranking import best
from autotune.domain.trial import Trial
from autotune.domain.workload_facts import WorkloadFacts
from autotune.space.configuration import Configuration
from autotune.space.rows.workload import SHAPE_PLAN
from autotune.space.shape_plan import ShapePlan, Sizes, parse_plan
from autotune.workload.costs import volume
from autotune.workload.mix import Mix, mix_of
from autotune.workload.padding import BucketUse, bucket_uses, padding_share


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeRow:
    """One shape of a mix."""

    sizes: Sizes
    """Along what varies."""
    share: float
    """Of the items."""
    cost_ms: float | None
    """Of a lone request in a static model of this shape; None where it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One shape plan of a study, and what the search saw of it."""

    plan: ShapePlan
    padding: float | None
    """See `padding_share`."""
    uses: tuple[BucketUse, ...]
    """Of its buckets, where it has some."""
    best: Trial | None
    """The best trial that meets the goal."""
    trials: int
    """How many were measured with it."""


def mix_fed(fed: Fed | None) -> Mix | None:
    """The mix that a study asks; None where there is one shape, or an older version began it."""
    facts = None if fed is None else fed.workload
    return None if facts is None else mix_of(facts)


def plan_of(configuration: Configuration) -> ShapePlan:
    """How a configuration serves a mix."""
    return parse_plan(str(SHAPE_PLAN.of(configuration)))


def padding_of(configuration: Configuration, mix: Mix) -> float | None:
    """What padding a configuration computes; see `padding_share`."""
    return padding_share(mix, plan_of(configuration))


def shape_rows(facts: WorkloadFacts) -> list[ShapeRow]:
    """The shapes of a mix by rising volume; empty where there is one shape."""
    mix = mix_of(facts)
    if mix is None:
        return []
    costs: Mapping[Sizes, float] = dict(facts.costs_ms)
    total = sum(mix.weights)
    rows = [
        ShapeRow(sizes=sizes, share=weight / total, cost_ms=costs.get(sizes))
        for sizes, weight in zip(mix.sizes, mix.weights, strict=True)
    ]
    return sorted(rows, key=lambda row: (volume(row.sizes), row.sizes))


def plan_rows(trials: Iterable[Trial], goal: Goal, mix: Mix) -> list[PlanRow]:
    """Each shape plan that was measured, in the order in which it was first."""
    by_plan: dict[ShapePlan, list[Trial]] = {}
    for trial in trials:
        if trial.measurement is not None:
            by_plan.setdefault(plan_of(trial.configuration), []).append(trial)
    return [
        PlanRow(
            plan=plan,
            padding=padding_share(mix, plan),
            uses=bucket_uses(mix, plan),
            best=best(mine, goal),
            trials=len(mine),
        )
        for plan, mine in by_plan.items()
    ]
