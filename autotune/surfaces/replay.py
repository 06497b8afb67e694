"""`autotune replay`: the tuner itself, run on recorded surfaces instead of the machine.

Nothing is imitated: the same loop, sweep, sampler and race; only the clock is virtual and the
numbers come from the surface. What a study exports is then compared with what the surface says.
"""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from autotune.domain.events import Event, TrialFinished
from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.sampler import Sampler
from autotune.domain.units import parse_duration
from autotune.errors import SpecError
from autotune.search.choose import strategy_of
from autotune.search.points import PointTable
from autotune.search.sampler import Strategy
from autotune.search.search import Search
from autotune.space.configuration import Configuration
from autotune.spec import StudySpec, build_spec, parse_spec
from autotune.storage.identity import Identity
from autotune.storage.optuna_study import study_in_memory
from autotune.storage.writer import StudyWriter
from autotune.surfaces.costs import cpu_s_per_item, memory_bytes
from autotune.surfaces.fit import Reals
from autotune.surfaces.runner import RecordedRunner
from autotune.surfaces.truth import RecordedMachine
from autotune.tuning.prepare import prepared_on
from autotune.tuning.session import Outcome, hold_session


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """A study after one of its trials."""

    at_s: float
    """Virtual seconds since the study began."""
    trials: int
    export: Configuration | None
    """The best so far, as the search sees it; nothing is confirmed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One study on a recorded machine."""

    steps: tuple[Milestone, ...]
    outcome: Outcome
    duration_s: float
    """Virtual seconds, with the race."""

    @property
    def export(self) -> Configuration | None:
        """What the study would have written into best.json."""
        return None if self.outcome.best is None else self.outcome.best.configuration


def replay(
    machine: RecordedMachine,
    spec: StudySpec,
    strategy: Callable[[PointTable], Strategy] | None = None,
) -> Replayed:
    """Run a study on a recorded machine.

    Args:
        machine: the surface, worked out.
        spec: of the study; its space must be the surface's, see `spec_for`.
        strategy: makes one to use in place of the spec's sampler.

    Raises:
        SpecError: the spec does not fit the surface.
    """
    identity, goal = machine.surface.identity, spec.goal.goal
    runner = RecordedRunner(recorded=machine, seed=spec.search.seed)
    study = prepared_on(runner, spec)
    space = study.space
    if space.to_dict() != identity.space.to_dict():
        raise SpecError(f"{identity.name}: the study's space is not the recorded one")
    steps: list[Milestone] = []
    begun_s = runner.clock()

    def hear(event: Event) -> None:
        if isinstance(event, TrialFinished):
            best = None if event.best is None else event.best.configuration
            at_s = runner.clock() - begun_s
            steps.append(Milestone(at_s=at_s, trials=event.trials, export=best))

    engine = create_engine("sqlite://", poolclass=StaticPool)
    store = StudyWriter(engine, identity.name)
    with contextlib.closing(store):
        store.begin(
            Identity(
                name=identity.name,
                spec=identity.spec,
                model_sha256=identity.model_sha256,
                inputs={},
                goal=goal,
                space=space.to_dict(),
            )
        )
        search = _search(spec, PointTable(space), strategy, identity.name)
        outcome = hold_session(study, store, search, on_event=hear)
    return Replayed(steps=tuple(steps), outcome=outcome, duration_s=runner.clock() - begun_s)


def _search(
    spec: StudySpec,
    table: PointTable,
    strategy: Callable[[PointTable], Strategy] | None,
    name: str,
) -> Search:
    """In memory, with the spec's sampler or another one."""
    goal, seed = spec.goal.goal, spec.search.seed
    chosen = (
        strategy_of(spec.search.sampler, table, goal, seed) if strategy is None else strategy(table)
    )
    return Search(study_in_memory(goal), table, chosen, goal, seed=seed, name=name)


def spec_for(  # noqa: PLR0913 - what a study on a surface may choose
    machine: RecordedMachine,
    *,
    sampler: Sampler,
    seed: int,
    percentile: float,
    cap_ms: float | None,
    trials: int | None = None,
    duration_s: float | None = None,
    race_share: float | None = None,
    beside: Mapping[str, object] | None = None,
) -> StudySpec:
    """The study that was recorded, with another goal, budget and sampler.

    `beside` are other keys of [goal], such as limits and the objective.
    """
    recorded = recorded_study(machine.surface.identity.spec)
    choices = machine.surface.identity.space.to_dict()
    choices.pop("cpus")
    goal: dict[str, object] = {"percentile": percentile, "objective": Objective.LATENCY}
    if cap_ms is not None:
        goal |= {"max_latency": _exactly(cap_ms), "objective": Objective.THROUGHPUT}
    goal |= beside or {}
    budget: dict[str, object] = {}
    if trials is not None:
        budget["trials"] = trials
    if duration_s is not None:
        budget["duration"] = f"{duration_s!r}s"
    race = {} if race_share is None else {"share": race_share}
    return build_spec(
        {
            "model": recorded.model.model_dump(exclude_none=True),
            "goal": goal,
            "budget": budget,
            "space": choices,
            "search": {"sampler": sampler, "seed": seed},
            "race": race,
        },
        machine.surface.identity.name,
    )


@cache
def recorded_study(text: str) -> StudySpec:
    """The study of a surface, as its identity has it; one surface is asked for it in every replay.

    Raises:
        SpecError: it cannot be read.
    """
    return parse_spec(text)


def _exactly(cap_ms: float) -> str:
    """A text that a study reads as this cap, or as the next larger number.

    A study keeps its cap in seconds, and the way there and back may lose the last bit.
    """
    text_ms = cap_ms
    while 1000 * parse_duration(f"{text_ms!r}ms") < cap_ms:
        text_ms = math.nextafter(text_ms, math.inf)
    return f"{text_ms!r}ms"


def caps_ms(machine: RecordedMachine, percentile: float, shares: Sequence[float]) -> list[float]:
    """Caps that these shares of the measured cells meet."""
    latencies = machine.latencies_ms(percentile)
    known = latencies[np.isfinite(latencies)]
    return [float(np.quantile(known, share, method="higher")) for share in shares]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The regret of one replayed study, step by step."""

    at_s: tuple[float, ...]
    trials: tuple[int, ...]
    regrets: tuple[float, ...]
    """Of what the search would deploy after each step, unconfirmed; 1 where it misses the cap."""
    exported: float
    """Regret of what the study exports after its race."""
    misses: bool
    """Whether that misses the cap."""
    duration_s: float

    def after_trials(self, trials: int) -> float:
        """Regret after so many trials; 1 before the first."""
        done = [r for n, r in zip(self.trials, self.regrets, strict=True) if n <= trials]
        return done[-1] if done else 1.0

    def after_s(self, seconds: float) -> float:
        """Regret after so much time; 1 before the first trial."""
        done = [r for at, r in zip(self.at_s, self.regrets, strict=True) if at <= seconds]
        return done[-1] if done else 1.0


def trace(
    machine: RecordedMachine,
    spec: StudySpec,
    strategy: Callable[[PointTable], Strategy] | None = None,
) -> Trace:
    """Replay a study, as `replay` does, and compare every step with the surface.

    Raises:
        SpecError: the spec does not fit the surface.
    """
    done, goal = replay(machine, spec, strategy), spec.goal.goal
    exported, misses = regret(machine, goal, done.export)
    return Trace(
        at_s=tuple(step.at_s for step in done.steps),
        trials=tuple(step.trials for step in done.steps),
        regrets=tuple(regret(machine, goal, step.export)[0] for step in done.steps),
        exported=exported,
        misses=misses,
        duration_s=done.duration_s,
    )


def regret(
    machine: RecordedMachine, goal: Goal, export: Configuration | None
) -> tuple[float, bool]:
    """How much of the optimum is lost by deploying this, and whether it misses the cap or a limit.

    Returns:
        By the surface's own truth: 1 - T / T* of what the goal asks for (throughput, or items for
        each CPU-second, or one over the latency); 1 for what misses the cap or a limit, and for
        nothing where something keeps all of them. And whether it misses.
    """
    kept = keeps(machine, goal)
    if export is None:
        return (1.0 if kept.any() else 0.0), False
    cell = machine.cells[export]
    if not kept[cell]:
        return 1.0, True
    value = worths(machine, goal)
    return 1 - float(value[cell] / value[kept].max()), False


def keeps(machine: RecordedMachine, goal: Goal) -> NDArray[np.bool_]:
    """Which cells truly keep the cap and all limits; shape (cells,).

    Raises:
        SpecError: a limit is on what a surface does not tell.
    """
    kept: NDArray[np.bool_] = machine.latencies_ms(goal.percentile) <= (goal.cap_ms or np.inf)
    kept &= machine.throughputs > 0
    for limit in goal.limits:
        truth = _TRUTHS.get(limit.name)
        if truth is None:
            raise SpecError(f"a surface does not tell {limit.row.label}: leave {limit.name} out")
        sign = limit.row.sign
        kept &= sign * truth(machine) <= sign * limit.value
    return kept


def worths(machine: RecordedMachine, goal: Goal) -> Reals:
    """What a goal asks for, by the surface's truth, larger is better; shape (cells,).

    Raises:
        SpecError: it is efficiency, and the surface has no CPU time, or it is counted by energy.
    """
    if goal.objective is Objective.LATENCY:
        found: Reals = 1 / machine.latencies_ms(goal.percentile)
        return found
    if goal.objective is Objective.EFFICIENCY:
        if goal.resource is not Resource.CPU:
            raise SpecError("a surface does not tell energy: count efficiency by CPU time")
        cost = cpu_s_per_item(machine)
        if not np.isfinite(cost).any():
            raise SpecError(f"{machine.surface.identity.name}: no CPU time was recorded")
        cheap: Reals = 1 / cost
        return cheap
    return machine.throughputs


_TRUTHS: dict[str, Callable[[RecordedMachine], Reals]] = {
    "max_memory": memory_bytes,
    "max_cpu_per_item": cpu_s_per_item,
    "min_throughput": lambda machine: machine.throughputs,
}
"""What a surface knows of each limit."""
