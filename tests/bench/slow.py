"""Slow models: studies that are certified, of those in which an oracle is.

With 20 to 200 requests a second, the 608 requests that a certificate of p99 needs take from three
to thirty seconds for each contender, and a race of a short study has time for few of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console

from autotune.domain.goal import Goal
from autotune.domain.race import Contender, RaceResult, Status
from autotune.racing.launch import Venue
from autotune.racing.plan import RacePlan
from autotune.racing.policy import NextLaunch
from autotune.racing.race import Race
from autotune.surfaces.replay import regret, replay
from autotune.surfaces.runner import RecordedRunner
from autotune.surfaces.truth import RecordedMachine
from tests.bench.budgets import Budgeted, show_by_budget

RECORDED = ("detector", "resnet50")
BUDGETS_S = (180.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Found:
    """What it came to, and what an oracle's race in the same time came to."""

    todo: Budgeted
    is_certified: bool
    misses: bool
    regret: float
    oracle_certified: bool
    oracle_regret: float


class OracleRace(Race):
    """After the first launch only the truly best and the better hint have seats."""

    best: int

    def _next(self) -> NextLaunch:
        following = super()._next()
        if not self.launches:
            return following
        return replace(
            following, seated=[i for i in following.wanted if i in {self.best, self.baseline}]
        )


def study(todo: Budgeted) -> Found:
    """Replay one, and the oracle's race after it."""
    job = todo.job
    machine, goal = job.machine, job.goal
    done = replay(machine, job.spec(duration_s=todo.duration_s))
    race = done.outcome.race
    lost, misses = regret(machine, goal, done.export)
    oracle = None if race is None else _oracle(machine, goal, race, job.seed)
    winner = None if oracle is None else oracle.winner
    known = None if winner is None else winner.contender.configuration
    return Found(
        todo=todo,
        is_certified=race is not None and race.status is Status.CERTIFIED,
        misses=misses,
        regret=lost,
        oracle_certified=oracle is not None and oracle.status is Status.CERTIFIED,
        oracle_regret=regret(machine, goal, known)[0],
    )


def _oracle(machine: RecordedMachine, goal: Goal, race: RaceResult, seed: int) -> RaceResult | None:
    """As long a race as the study's, by the same rules, of the truly best and all others."""
    cell = machine.optimum(goal.percentile, goal.cap_ms)
    if cell is None:
        return None
    entered = [standing.contender for standing in race.standings]
    configuration = machine.surface.cells[cell]
    position = next((i for i, c in enumerate(entered) if c.configuration == configuration), None)
    if position is None:
        position = 0
        best = Contender(name="the best", configuration=configuration, open_s=entered[0].open_s)
        entered = [best, *entered]
    baseline = race.baseline
    if baseline is not None and len(entered) > len(race.standings):
        baseline += 1
    runner = RecordedRunner(recorded=machine, seed=seed)
    held = OracleRace(
        [replace(contender, search_per_s=None) for contender in entered],
        goal,
        RacePlan(budget_s=race.duration_s, seed=seed),
        Venue(
            open_model=lambda contender: runner.open(contender.configuration.compile_key),
            clock=runner.clock,
        ),
        baseline=baseline,
    )
    held.best = position
    return held.hold()


def show(console: Console, title: str, found: Sequence[Found]) -> None:
    """Certified studies by budget and model."""
    names = (
        *("studies", "certified", "oracle certified", "of these certified", "bar"),
        *("wrongly", "regret: mean", "oracle's"),
    )
    show_by_budget(console, title, names, {one.todo: one for one in found}, _cells)


def _cells(found: Sequence[Found]) -> list[str]:
    certified = [f for f in found if f.is_certified]
    oracle = [f for f in found if f.oracle_certified]
    both = sum(f.is_certified for f in oracle)
    wrongly = sum(f.misses for f in certified)
    return [
        str(len(found)),
        str(len(certified)),
        str(len(oracle)),
        f"{100 * both / max(1, len(oracle)):.1f} %",
        ">= 95 %",
        f"{wrongly} of {len(certified)}",
        f"{100 * np.mean([f.regret for f in found]):.2f} %",
        f"{100 * np.mean([f.oracle_regret for f in found]):.2f} %",
    ]
