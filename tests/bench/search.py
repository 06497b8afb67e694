"""Bars of the search, on replayed surfaces: seeded, no real time. `make bench-search`."""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from autotune.domain.sampler import Sampler
from autotune.space.configuration import Configuration
from autotune.surfaces.replay import regret, replay, trace
from autotune.surfaces.runner import RecordedRunner
from tests.bench import bounded, budgets, slow, surfaces
from tests.bench.jobs import Job, hint_regret, jobs, knowing, run_jobs
from tests.bench.peers import Limit, hints_alone, model_analyzer_quick, plain_optuna
from tests.bench.weather import NOISES

_TRIALS = (30, 60)
_WALL_S = 180.0
_THIRDS = tuple(_WALL_S * share for share in (1 / 3, 2 / 3, 1.0))
_REACHED = 0.03


@dataclass(frozen=True, slots=True)
class Exported:
    """What studies of one job export after some trials, and how they got there."""

    job: Job
    regrets: tuple[float, ...]
    """After each of `_TRIALS`, raced."""
    misses: tuple[bool, ...]
    below_hint: float
    """How far the last export's true throughput lies below the better feasible hint's; 0 if not."""
    reached_s: float | None
    """Virtual time at which the search first held 97 % of the optimum; None if never."""
    anytime: tuple[float, ...]
    """Regret of the search's own best after each of `_STEPS` trials."""


_STEPS = (5, 10, 15, 20, 30, 40, 60)
_EQUAL = (15, 30, 60)
_MOST_TRIALS = 150


def study(job: Job, sampler: Sampler = Sampler.AUTO) -> Exported:
    """The product's studies of a job."""
    machine, goal = job.machine, job.goal
    traces = [trace(machine, job.spec(sampler=sampler, trials=trials)) for trials in _TRIALS]
    last = traces[-1]
    reached = [at for at, r in zip(last.at_s, last.regrets, strict=True) if r <= _REACHED]
    return Exported(
        job=job,
        regrets=tuple(t.exported for t in traces),
        misses=tuple(t.misses for t in traces),
        below_hint=max(0.0, last.exported - hint_regret(machine, goal)),
        reached_s=reached[0] if reached else None,
        anytime=tuple(last.after_trials(n) for n in _STEPS),
    )


@dataclass(frozen=True, slots=True)
class Race:
    """Ours against a peer on one job, at the same trials or the same time."""

    job: Job
    ours: tuple[float, ...]
    peer: tuple[float, ...]
    ours_s: tuple[float, ...] = ()
    """Virtual seconds that each of ours took."""
    peer_s: tuple[float, ...] = ()


def against_plain(job: Job) -> Race:
    """Regret of what either exports with a third, two thirds and the whole of the same wall time.

    Ours holds its race within that time.
    """
    machine, goal = job.machine, job.goal
    ours = [trace(machine, job.spec(duration_s=at)).exported for at in _THIRDS]
    steps = plain_optuna(
        RecordedRunner(recorded=machine, seed=job.seed),
        machine.surface.identity.space,
        goal,
        job.seed,
        Limit(duration_s=_WALL_S),
    )
    theirs = [
        regret(machine, goal, next((s.export for s in reversed(steps) if s.at_s <= at), None))[0]
        for at in _THIRDS
    ]
    return Race(job, tuple(ours), tuple(theirs))


def against_model_analyzer(job: Job) -> Race:
    """Regret of what either would deploy after the same number of trials.

    Ours is the export of a study with so many trials and its race. Model Analyzer measures each
    trial for several times as long and exports without one; both durations are kept.
    """
    machine, goal = job.machine, job.goal
    ours = [trace(machine, job.spec(trials=trials)) for trials in _EQUAL]
    steps = model_analyzer_quick(
        RecordedRunner(recorded=machine, seed=job.seed),
        machine.surface.identity.space,
        goal,
        job.seed,
        Limit(trials=_EQUAL[-1]),
    )
    theirs = [[step for step in steps if step.trials <= n][-1] for n in _EQUAL]
    return Race(
        job,
        tuple(one.exported for one in ours),
        tuple(regret(machine, goal, step.export)[0] for step in theirs),
        tuple(one.duration_s for one in ours),
        tuple(step.at_s for step in theirs),
    )


def exhaustive_s(name: str) -> float:
    """Virtual time in which the product's own trials cover a whole surface."""
    job = Job(name, surfaces.SHARES[1], 0)
    trials = 10 * len(job.machine.surface.cells)
    spec = job.spec(sampler=Sampler.EXHAUSTIVE, trials=trials, race_share=0.0)
    return replay(job.machine, spec).duration_s


def oracle(job: Job) -> tuple[float, bool]:
    """What the noise alone costs: whoever knows the surface proposes the best, and races them."""
    spec = job.spec(sampler=Sampler.RANDOM, trials=_TRIALS[0])  # one that does not sweep
    done = trace(job.machine, spec, knowing(job.machine, job.goal))
    return done.exported, done.misses


@dataclass(frozen=True, slots=True)
class Stages:
    """Least regret among what was seen, entered the race, ran in it; and of the export."""

    job: Job
    regrets: tuple[float, float, float, float]
    is_hint: bool


def stages(job: Job) -> Stages:
    """Where a study of the most trials loses what it loses."""
    machine, goal = job.machine, job.goal
    done = replay(machine, job.spec(trials=_TRIALS[-1]))
    race = done.outcome.race
    entered = [] if race is None else race.standings
    ran = [standing for standing in entered if standing.slices]

    def least(configurations: Iterable[Configuration]) -> float:
        return min((regret(machine, goal, one)[0] for one in configurations), default=1.0)

    return Stages(
        job,
        (
            least(trial.configuration for trial in done.outcome.trials),
            least(standing.contender.configuration for standing in entered),
            least(standing.contender.configuration for standing in ran),
            regret(machine, goal, done.export)[0],
        ),
        done.export is not None and done.export.is_hint,
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """A study that ended by itself."""

    job: Job
    trials: int
    left: float
    """Least regret among what it saw: what it gave up by ending then."""


def until_stable(job: Job) -> Ended:
    """A study that ends when a gain above 1 % has become unlikely, or with `_MOST_TRIALS`."""
    machine, goal = job.machine, job.goal
    spec = job.spec(trials=_MOST_TRIALS, race_share=0.0)
    spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"stable": True})})
    trials = replay(machine, spec).outcome.trials
    return Ended(
        job, len(trials), min(regret(machine, goal, trial.configuration)[0] for trial in trials)
    )


def hints(job: Job) -> float:
    """Regret of a user who measures both hints and takes the better."""
    machine, goal = job.machine, job.goal
    runner = RecordedRunner(recorded=machine, seed=job.seed)
    steps = hints_alone(runner, machine.surface.identity.space, goal, job.seed, Limit())
    return regret(machine, goal, steps[-1].export)[0]


# --- tables


def show_exports(console: Console, title: str, found: Sequence[Exported]) -> None:
    """Regret of what is exported, by surface and cap."""
    table = Table(title=title, box=None, title_justify="left")
    for name in ("surface", "cap", "studies", *(f"{s} at {n}" for n in _TRIALS for s in _STATS)):
        table.add_column(name, justify="left" if name == "surface" else "right")
    for column in ("missed", "below hint", "> 1 %", "97 % after"):
        table.add_column(column, justify="right")
    for name, share in dict.fromkeys((e.job.surface, e.job.share) for e in found):
        mine = [e for e in found if (e.job.surface, e.job.share) == (name, share)]
        table.add_row(name, f"{mine[0].job.goal.cap_ms:.3g} ms", *_export_cells(mine))
    table.add_row("all", "", *_export_cells(found), style="bold")
    console.print(table)


_STATS = ("median", "mean", "p90")


def _export_cells(found: Sequence[Exported]) -> list[str]:
    cells = [str(len(found))]
    for position in range(len(_TRIALS)):
        values = [e.regrets[position] for e in found]
        cells += [_share(v) for v in (np.median(values), np.mean(values), np.quantile(values, 0.9))]
    reached = [np.inf if e.reached_s is None else e.reached_s for e in found]
    return [
        *cells,
        _share(np.mean([missed for e in found for missed in e.misses])),
        str(sum(e.below_hint > 0 for e in found)),
        str(sum(e.below_hint > 0.01 for e in found)),
        f"{np.median(reached):.0f} s",
    ]


def show_races(
    console: Console, title: str, found: Sequence[Race], marks: Sequence[str], bar: float
) -> None:
    """Mean regret of ours and a peer's, by surface."""
    table = Table(title=title, box=None, title_justify="left")
    table.add_column("surface")
    for mark in marks:
        table.add_column(mark, justify="right")
    for name in dict.fromkeys(race.job.surface for race in found):
        table.add_row(name, *_race_cells([r for r in found if r.job.surface == name], bar))
    table.add_row("all", *_race_cells(found, bar), style="bold")
    console.print(table)


def _race_cells(found: Sequence[Race], bar: float) -> list[str]:
    ours = np.mean([race.ours for race in found], axis=0)
    peer = np.mean([race.peer for race in found], axis=0)
    return [
        f"{_share(a)} / {_share(b)}{'' if a <= bar * b else ' !'}"
        for a, b in zip(ours, peer, strict=True)
    ]


def show_stages(console: Console, title: str, found: Sequence[Stages]) -> None:
    """Mean regret after each stage, by surface and cap."""
    table = Table(title=title, box=None, title_justify="left")
    table.add_column("surface")
    for column in ("cap", "seen", "entered", "ran", "exported", "hints"):
        table.add_column(column, justify="right")
    for name, share in dict.fromkeys((one.job.surface, one.job.share) for one in found):
        mine = [one for one in found if (one.job.surface, one.job.share) == (name, share)]
        means = np.mean([one.regrets for one in mine], axis=0)
        table.add_row(
            name,
            f"{mine[0].job.goal.cap_ms:.3g} ms",
            *(_share(mean) for mean in means),
            f"{sum(one.is_hint for one in mine)} of {len(mine)}",
        )
    console.print(table)


def _share(value: float | np.floating[Any]) -> str:
    return f"{100 * float(value):.2f} %"


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--sampler", default="auto", choices=[str(s) for s in Sampler])
    parser.add_argument(
        "--simulated", action="store_true", help="simulated surfaces, not real ones"
    )
    parser.add_argument("--small", action="store_true", help="two dozen cells of the real ones")
    parser.add_argument("--surface", action="append", help="only these")
    parser.add_argument("--noise", default=surfaces.OWN, choices=[surfaces.OWN, *NOISES])
    parser.add_argument("--strength", type=float, default=1.0, help="of the noise")
    parser.add_argument("--budget", action="append", type=float, help="seconds, for budgets")
    parser.add_argument("what", nargs="*", default=[], metavar="WHAT", help=", ".join(_WHAT))
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for, and where the tables go."""

    console: Console
    kind: str
    """Recorded, small or simulated surfaces: never two of them in one table."""
    names: list[str]
    todo: list[Job]
    sampler: str
    budgets_s: Sequence[float]
    seeds: int

    def budgets(self) -> None:
        """Exports of studies of some minutes."""
        self._budgets(knows=False)

    def limits(self) -> None:
        """The same where the search knows the surface: what the race loses."""
        self._budgets(knows=True)

    def slow(self) -> None:
        """Certificates of slow models: simulated ones, and the slow ones of those recorded."""
        todo = [
            budgets.Budgeted(replace(job, surface=name, percentile=99.0), duration_s=duration_s)
            for duration_s in slow.BUDGETS_S
            for name in (*surfaces.SLOW, *slow.RECORDED)
            for job in self.todo
            if job.surface == self.names[0]
        ]
        found = run_jobs(slow.study, todo)
        slow.show(self.console, "slow models, p99", found)
        _keep("slow", [asdict(one) for one in found])

    def memory(self) -> None:
        """Exports under a cap and a limit on memory that both bind."""
        self._bounded("memory", bounded.memory_jobs)

    def efficiency(self) -> None:
        """Exports of the most items per CPU-second, under a cap and a floor."""
        self._bounded("efficiency", bounded.efficiency_jobs)

    def _bounded(
        self, what: str, jobs_of: Callable[[Sequence[str], int], list[bounded.BoundedJob]]
    ) -> None:
        names = [name for name in self.names if bounded.is_costed(surfaces.machine(name))]
        if not names:
            self.console.print(f"{self.kind}: {what}: none has CPU time; try --simulated")
            return
        found = run_jobs(bounded.study, jobs_of(names, self.seeds))
        bounded.show(self.console, f"{self.kind}: {what}, {bounded.TRIALS} trials", found)
        _keep(f"bounded-{what}", bounded.as_json(found))

    def trials(self) -> None:
        """Exports of studies of some trials."""
        self._budgets(knows=False, in_trials=True)

    def _budgets(self, *, knows: bool, in_trials: bool = False) -> None:
        budgets_s = () if in_trials else self.budgets_s
        trials = budgets.TRIALS if in_trials else ()
        todo = budgets.budgeted(self.todo, budgets_s, trials, knows=knows)
        ended = run_jobs(budgets.study, todo)
        job = self.todo[0]
        noise = f"{job.noise} noise x {job.strength:g}"
        who = "an oracle's" if knows else "the product's"
        budgets.show(self.console, f"{self.kind}, {noise}: mean regret of {who} exports", ended)
        what = f"{'limits' if knows else 'budgets'}-{job.noise}-{job.strength:g}"
        what += "-small" if job.surface in surfaces.small() else ""
        _keep(f"{what}-trials" if in_trials else what, [asdict(one) for one in ended])

    def export(self) -> None:
        """Exports of the product, and the share of the exhaustive time to get near the optimum."""
        found = run_jobs(partial(study, sampler=Sampler(self.sampler)), self.todo)
        title = f"{self.kind}: regret of the export, sampler {self.sampler}"
        show_exports(self.console, title, found)
        _keep("export", [asdict(one) for one in found])
        for name, whole_s in zip(self.names, run_jobs(exhaustive_s, self.names), strict=True):
            mine = [e for e in found if e.job.surface == name]
            shares = [np.inf if e.reached_s is None else e.reached_s / whole_s for e in mine]
            self.console.print(
                f"{name}: all cells in {whole_s:.0f} s; 97 % of the optimum after "
                f"{_share(float(np.median(shares)))} of that (median)"
            )

    def plain(self) -> None:
        """Against Optuna's TPE at the same wall time."""
        races = run_jobs(against_plain, self.todo)
        marks = [f"{at:.0f} s" for at in _THIRDS]
        title = f"{self.kind}: mean regret, autotune / plain Optuna TPE, same wall time"
        show_races(self.console, title, races, marks, 0.5)
        _keep("plain", [asdict(race) for race in races])

    def analyzer(self) -> None:
        """Against Model Analyzer's quick search at the same trials."""
        races = run_jobs(against_model_analyzer, self.todo)
        title = f"{self.kind}: mean regret, autotune / Model Analyzer quick, same trials"
        show_races(self.console, title, races, [str(n) for n in _EQUAL], 1.0)
        took = [np.median([getattr(r, of) for r in races], axis=0) for of in ("ours_s", "peer_s")]
        texts = [f"{a:.0f} / {b:.0f} s" for a, b in zip(*took, strict=True)]
        self.console.print(f"time for that, median: {', '.join(texts)}")
        _keep("analyzer", [asdict(race) for race in races])

    def oracle(self) -> None:
        """The limit that noise and race set."""
        known = run_jobs(oracle, self.todo)
        regrets = [r for r, _ in known]
        self.console.print(
            f"{self.kind}: oracle, {_TRIALS[0]} trials: median {_share(np.median(regrets))}, "
            f"mean {_share(np.mean(regrets))}, p90 {_share(np.quantile(regrets, 0.9))}, "
            f"missed {_share(np.mean([m for _, m in known]))}"
        )

    def stages(self) -> None:
        """Where regret arises."""
        title = f"{self.kind}: mean of the least regret at each stage, {_TRIALS[-1]} trials"
        show_stages(self.console, title, run_jobs(stages, self.todo))

    def stable(self) -> None:
        """The error of ending by oneself."""
        ended = run_jobs(until_stable, self.todo)
        trials, left = [e.trials for e in ended], [e.left for e in ended]
        self.console.print(
            f"{self.kind}: --until-stable: {np.median(trials):.0f} trials "
            f"({np.quantile(trials, 0.1):.0f} to {np.quantile(trials, 0.9):.0f}), "
            f"{sum(t >= _MOST_TRIALS for t in trials)} of {len(trials)} not within {_MOST_TRIALS}; "
            f"more than 1 % left in {_share(np.mean([r > 0.01 for r in left]))}, "
            f"more than 3 % in {_share(np.mean([r > 0.03 for r in left]))}"
        )

    def hints(self) -> None:
        """What a user has without any search."""
        alone = run_jobs(hints, self.todo)
        self.console.print(
            f"{self.kind}: hints alone: median {_share(np.median(alone))}, "
            f"mean {_share(np.mean(alone))}"
        )


_WHAT = (
    *("budgets", "limits", "slow", "trials", "export", "plain", "analyzer"),
    *("oracle", "stages", "stable", "hints", "memory", "efficiency"),
)


def main() -> None:
    """Run what is asked for, print the tables, and keep the raw figures in build/search."""
    given = _given()
    console = Console(width=200)
    kind, names = "recorded surfaces", surfaces.real()
    if given.small:
        kind, names = "small surfaces", surfaces.small()
    if given.simulated:
        kind, names = "simulated surfaces", surfaces.simulated()
    names = given.surface or names
    if given.simulated:
        for name in names:
            cpu, error = surfaces.calibrated(name.split()[0])
            console.print(f"{name}: median error of the calibration {_share(error)}; {cpu}")
    run = Run(
        console=console,
        kind=kind,
        names=names,
        todo=jobs(given.seeds, names, given.noise, given.strength),
        sampler=given.sampler,
        budgets_s=given.budget or budgets.BUDGETS_S,
        seeds=given.seeds,
    )
    for what in given.what or _WHAT:
        getattr(run, what)()


def _keep(what: str, values: object) -> None:
    folder = Path("build") / "search"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{what}.json").write_text(json.dumps(values))


if __name__ == "__main__":
    main()
