"""What studies of two, three and ten minutes export, and where they lose what they lose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from autotune.domain.race import Status
from autotune.domain.sampler import Sampler
from autotune.surfaces.replay import Replayed, regret, replay
from tests.bench.jobs import Job, hint_regret, knowing

T = TypeVar("T")

BUDGETS_S = (120.0, 180.0, 600.0)
"""Of time."""
TRIALS = (30, 60)
"""Of trials."""
BARS = {120.0: (0.025, 0.06), 180.0: (0.015, 0.04), 600.0: (0.008, 0.02)}
"""Mean and 90th percentile of the regret."""


@dataclass(frozen=True, slots=True)
class Budgeted:
    """A study and how much of a budget it gets."""

    job: Job
    duration_s: float | None = None
    trials: int | None = None
    knows: bool = False
    """Whether its search knows the surface: what is lost then is the race's."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What one study exported; regrets are of the surface's truth."""

    todo: Budgeted
    seen: float
    """Least regret of what was measured."""
    ran: float
    """Least regret of what raced."""
    exported: float
    misses: bool
    is_certified: bool
    below_hint: float
    """How far the export is below the better hint; 0 if it is not."""
    is_hint: bool


def budgeted(
    todo: Sequence[Job], budgets_s: Sequence[float], trials: Sequence[int], *, knows: bool
) -> list[Budgeted]:
    """Every job with every budget."""
    return [
        *(Budgeted(job, duration_s=s, knows=knows) for s in budgets_s for job in todo),
        *(Budgeted(job, trials=n, knows=knows) for n in trials for job in todo),
    ]


def study(todo: Budgeted) -> Ended:
    """Replay one."""
    job = todo.job
    machine, goal = job.machine, job.goal
    # An oracle proposes from a list: with a sampler that does not sweep.
    sampler = Sampler.RANDOM if todo.knows else Sampler.AUTO
    spec = job.spec(sampler=sampler, trials=todo.trials, duration_s=todo.duration_s)
    done: Replayed = replay(machine, spec, knowing(machine, goal) if todo.knows else None)
    race = done.outcome.race
    ran = [] if race is None else [s for s in race.standings if s.slices]
    exported, misses = regret(machine, goal, done.export)
    return Ended(
        todo=todo,
        seen=_least([regret(machine, goal, t.configuration)[0] for t in done.outcome.trials]),
        ran=_least([regret(machine, goal, s.contender.configuration)[0] for s in ran]),
        exported=exported,
        misses=misses,
        is_certified=race is not None and race.status is Status.CERTIFIED,
        below_hint=max(0.0, exported - hint_regret(machine, goal)),
        is_hint=done.export is not None and done.export.is_hint,
    )


def _least(regrets: Sequence[float]) -> float:
    return min(regrets, default=1.0)


def show(console: Console, title: str, found: Sequence[Ended]) -> None:
    """Regrets by budget and surface."""
    names = (
        *("studies", "seen", "ran", "exported: median", "mean", "p90", "bar"),
        *("certified", "of these missed", "below hint > 1 %", "hints"),
    )
    show_by_budget(console, title, names, {one.todo: one for one in found}, _cells)


def show_by_budget(
    console: Console,
    title: str,
    names: Sequence[str],
    found: Mapping[Budgeted, T],
    cells: Callable[[Sequence[T]], Sequence[str]],
) -> None:
    """A row for each budget and surface, and one for each budget."""
    table = Table(title=title, box=None, title_justify="left")
    for name in ("budget", "surface"):
        table.add_column(name)
    for name in names:
        table.add_column(name, justify="right")
    for duration_s, trials in dict.fromkeys((e.duration_s, e.trials) for e in found):
        mine = [e for e in found if (e.duration_s, e.trials) == (duration_s, trials)]
        name = f"{duration_s:.0f} s" if duration_s else f"{trials} trials"
        for surface in dict.fromkeys(e.job.surface for e in mine):
            part = [found[e] for e in mine if e.job.surface == surface]
            table.add_row(name, surface, *cells(part))
        table.add_row(name, "all", *cells([found[e] for e in mine]), style="bold")
    console.print(table)


def _cells(found: Sequence[Ended]) -> list[str]:
    values = [e.exported for e in found]
    mean, p90 = BARS.get(found[0].todo.duration_s or 0.0, (0.012, None))
    certified = [e for e in found if e.is_certified]
    return [
        str(len(found)),
        _share(np.mean([e.seen for e in found])),
        _share(np.mean([e.ran for e in found])),
        _share(np.median(values)),
        _share(np.mean(values)),
        _share(np.quantile(values, 0.9)),
        _share(mean) + ("" if p90 is None else f", {_share(p90)}"),
        _share(len(certified) / len(found)),
        str(sum(e.misses for e in certified)),
        str(sum(e.below_hint > 0.01 for e in found)),
        str(sum(e.is_hint for e in found)),
    ]


def _share(value: float | np.floating[Any]) -> str:
    return f"{100 * float(value):.2f} %"
