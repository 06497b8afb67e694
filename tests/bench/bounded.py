"""Bars of studies under several constraints, on surfaces that know memory and CPU time.

A simulated surface does, and every recorded one whose file has CPU time (schema 3 of surfaces).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from autotune.domain.goal import Goal, Objective
from autotune.domain.limits import Limit
from autotune.domain.sampler import Sampler
from autotune.surfaces.costs import cpu_s_per_item, memory_bytes
from autotune.surfaces.replay import caps_ms, keeps, spec_for, trace, worths
from autotune.surfaces.truth import RecordedMachine
from tests.bench import surfaces

TRIALS = 60
BAR = 0.03
"""Mean regret of the export that is allowed."""
_CAPS = (0.3, 0.6)
_BINDING_CAPS = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
"""More of them: few leave room for a memory that binds as well."""
_BOTH = 2
"""Constraints of a goal that has a cap and one limit."""
_FLOORS = (0.4, 0.8)
"""Of the highest throughput within the cap."""


@dataclass(frozen=True, slots=True)
class BoundedJob:
    """One study: a surface, a goal with limits, and a seed."""

    surface: str
    goal: Goal
    seed: int
    binds: int
    """How many of its constraints rule out what would be the optimum without them."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """What a study under several constraints exports."""

    job: BoundedJob
    regret: float
    of_shown: float
    """Regret beside what one process can show to keep its limits: `LimitRow.margin` within them."""
    misses: bool


def is_costed(machine: RecordedMachine) -> bool:
    """Whether a surface knows what its cells cost beside time."""
    known = np.isfinite(cpu_s_per_item(machine)) & np.isfinite(memory_bytes(machine))
    return bool(known.any())


def study(job: BoundedJob) -> Bounded:
    """The product's study, raced."""
    goal = job.goal
    spec = spec_for(
        surfaces.machine(job.surface),
        sampler=Sampler.AUTO,
        seed=job.seed,
        percentile=goal.percentile,
        cap_ms=goal.cap_ms,
        trials=TRIALS,
        beside={
            "objective": goal.objective.value,
            **{limit.name: limit.row.text(limit.value) for limit in goal.limits},
        },
    )
    machine = surfaces.machine(job.surface)
    done, best = trace(machine, spec), _best(machine, goal)
    lost = 1 - _best(machine, _tightened(goal)) / best
    return Bounded(job, done.exported, max(0.0, 1 - (1 - done.exported) / (1 - lost)), done.misses)


def memory_jobs(names: Iterable[str], seeds: int) -> list[BoundedJob]:
    """Latency and memory, both binding: neither constraint by itself keeps the other one."""
    found = []
    for name in names:
        machine = surfaces.machine(name)
        for capped in _capped(name, Objective.THROUGHPUT, _BINDING_CAPS):
            for most in _spread(_binding_memory(machine, capped)):
                found += _jobs(name, machine, capped.within({"max_memory": most}), seeds)
    return found


def _binding_memory(machine: RecordedMachine, capped: Goal) -> list[float]:
    """Limits of memory that bind beside the cap, ascending; in two digits of MB, as users say."""
    known = memory_bytes(machine)
    least, most = float(known.min()), float(known[_optimum(machine, capped)])
    asked = {float(f"{bytes_ / 1e6:.2g}") * 1e6 for bytes_ in np.linspace(least, most, 200)}
    goals = {most: capped.within({"max_memory": most}) for most in asked}
    return [most for most in sorted(goals) if _binds(machine, goals[most]) == _BOTH]


def _spread(values: Sequence[float]) -> Sequence[float]:
    """Two of them, a quarter and three quarters of the way; one of one."""
    count = len(values)
    return [values[i] for i in sorted({count // 4, 3 * count // 4})] if count else []


def efficiency_jobs(names: Iterable[str], seeds: int) -> list[BoundedJob]:
    """Most items per CPU-second, under a cap and a floor on the throughput."""
    found = []
    for name in names:
        machine = surfaces.machine(name)
        for capped in _capped(name, Objective.EFFICIENCY):
            fastest = machine.throughputs[keeps(machine, capped)].max()
            for share in _FLOORS:
                goal = capped.within({"min_throughput": float(f"{share * fastest:.2g}")})
                found += _jobs(name, machine, goal, seeds)
    return found


def show(console: Console, title: str, found: Sequence[Bounded]) -> None:
    """Regret by surface and goal, and whether the bar holds."""
    table = Table(title=title, box=None, title_justify="left")
    columns = ("surface", "goal", "binding", "studies", "median", "mean", "p90", "mean of shown")
    for name in (*columns, "missed"):
        table.add_column(name, justify="left" if name in {"surface", "goal"} else "right")
    for surface, goal, binds in dict.fromkeys(
        (one.job.surface, one.job.goal, one.job.binds) for one in found
    ):
        mine = [one for one in found if (one.job.surface, one.job.goal) == (surface, goal)]
        table.add_row(surface, str(goal), str(binds), *_cells(mine))
    table.add_row("all", "", "", *_cells(found), style="bold")
    console.print(table)
    mean = float(np.mean([one.regret for one in found]))
    misses = sum(one.misses for one in found)
    is_kept = mean <= BAR and not misses
    console.print(f"bar: mean regret at most {BAR:.0%}, no miss: {'kept' if is_kept else 'BROKEN'}")


def as_json(found: Sequence[Bounded]) -> list[dict[str, Any]]:
    """The raw figures."""
    return [asdict(one) for one in found]


def _cells(found: Sequence[Bounded]) -> list[str]:
    values = [one.regret for one in found]
    shown = np.mean([one.of_shown for one in found])
    figures = (np.median(values), np.mean(values), np.quantile(values, 0.9), shown)
    missed = sum(one.misses for one in found)
    return [str(len(found)), *(f"{100 * float(value):.2f} %" for value in figures), str(missed)]


def _capped(name: str, objective: Objective, shares: Sequence[float] = _CAPS) -> list[Goal]:
    percentile = surfaces.percentile(name)
    caps = caps_ms(surfaces.machine(name), percentile, shares)
    return [Goal(objective, percentile, float(f"{cap:.2g}")) for cap in caps]


def _jobs(name: str, machine: RecordedMachine, goal: Goal, seeds: int) -> list[BoundedJob]:
    """None where nothing keeps all constraints."""
    if not keeps(machine, goal).any():
        return []
    binds = _binds(machine, goal)
    return [BoundedJob(name, goal, seed, binds) for seed in range(seeds)]


def _binds(machine: RecordedMachine, goal: Goal) -> int:
    """Constraints that rule out what would be the optimum without them; 0 if nothing is left."""
    kept = keeps(machine, goal)
    if not kept.any():
        return 0
    without = [replace(goal, cap_ms=None)]
    without += [replace(goal, limits=_others(goal, limit)) for limit in goal.limits]
    return sum(not kept[_optimum(machine, other)] for other in without)


def _others(goal: Goal, but: Limit) -> tuple[Limit, ...]:
    return tuple(limit for limit in goal.limits if limit is not but)


def _tightened(goal: Goal) -> Goal:
    """What must be kept for a verdict, by limits on values of a process."""
    return goal.within(
        {one.name: one.value * math.exp(-one.row.sign * one.row.margin) for one in goal.limits}
    )


def _best(machine: RecordedMachine, goal: Goal) -> float:
    """What the optimum is worth; next to nothing where nothing keeps all constraints."""
    return float(np.where(keeps(machine, goal), worths(machine, goal), 1e-9).max())


def _optimum(machine: RecordedMachine, goal: Goal) -> int:
    return int(np.argmax(np.where(keeps(machine, goal), worths(machine, goal), -1.0)))
