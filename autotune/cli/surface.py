"""`autotune record` and `autotune replay`: surfaces made, and samplers tried on them."""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from autotune.cli.output import (
    announce,
    cpus_of,
    patience_of,
    print_json,
    say,
    say_what_is_not_passed_on,
    seconds_of,
)
from autotune.cli.stop import Signals
from autotune.cli.streams import optional_output
from autotune.domain.goal import Goal
from autotune.domain.paths import absolute
from autotune.domain.sampler import Sampler
from autotune.errors import EXIT_INTERRUPTED, EXIT_OK, StorageError, UsageError
from autotune.export.files import write_atomically
from autotune.report.format import goal_in_words, seconds
from autotune.report.regret import Curve, regret_page, regret_table
from autotune.spec import STUDY_FILE, load_spec
from autotune.spec.sections import MachineSpec
from autotune.storage.identity import goal_to_dict
from autotune.surfaces.file import load_surface
from autotune.surfaces.record import SURFACE_FILE, record
from autotune.surfaces.recording import Headway
from autotune.surfaces.replay import Trace, recorded_study, spec_for, trace
from autotune.surfaces.surface import RecordPlan, Surface
from autotune.surfaces.truth import RecordedMachine


def run_record(
    study: Path,
    out: Path | None,
    launches: int,
    rounds: int,
    slice_text: str,
    *,
    cpus: str | None = None,
    wait: str | None,
) -> int:
    """Record, and return the exit code."""
    if launches < 1 or rounds < 1:
        raise UsageError("--launches and --rounds: give at least 1")
    slice_s, asked = seconds_of("--slice", slice_text), cpus_of(cpus)
    folder = study.parent if study.name == STUDY_FILE else study
    spec, file = load_spec(study), out or folder / SURFACE_FILE
    if asked is not None:
        spec = spec.model_copy(update={"machine": MachineSpec(cpus=asked)})
    plan = RecordPlan(launches=launches, rounds=rounds, slice_s=slice_s, feed=spec.measure.feed)
    console = Console()
    say_what_is_not_passed_on(console)

    def tell(progress: Headway) -> None:
        say(
            console,
            f"{progress.done} of {progress.of} launches in {seconds(progress.elapsed_s)}; "
            f"about {seconds(progress.left_s)} left",
        )

    patience = patience_of(wait, partial(say, console))
    with (
        optional_output(),
        Signals(partial(announce, console), "this group", patience=patience) as stop,
    ):
        surface = record(
            spec,
            folder,
            file,
            plan,
            on_group=tell,
            tell=partial(say, console),
            is_stopped=stop,
            patience=patience,
        )
        say(console, _closing_line(surface, file))
        if not surface.is_whole:
            again = "" if cpus is None else f" --cpus {cpus}"
            say(console, f"go on with: autotune record {study}{again}")
            return EXIT_INTERRUPTED
    return EXIT_OK


def _closing_line(surface: Surface, file: Path) -> str:
    slices = sum(len(launch.slices) for launch in surface.launches)
    failed = len({launch.key for launch in surface.launches if launch.failure is not None})
    return (
        f"{file}: {len(surface.cells)} configurations of {len(surface.by_key)} compiled models, "
        f"{slices} slices"
        + (f"; models that could not be measured: {failed}" if failed else "")
        + ("" if surface.is_whole else "; not whole yet")
    )


def run_replay(
    files: Sequence[Path],
    names: Sequence[str],
    trials: int,
    seeds: int,
    *,
    max_latency: str | None,
    asked_percentile: float | None,
    plot: Path | None,
    as_json: bool,
) -> int:
    """Replay every sampler on every surface, and return the exit code."""
    samplers = [_sampler(name) for name in dict.fromkeys(names)]
    if trials < 1 or seeds < 1:
        raise UsageError("--trials and --seeds: give at least 1")
    cap_s = None if max_latency is None else seconds_of("--max-latency", max_latency)
    console = Console(stderr=as_json)
    curves: list[Curve] = []
    # Everything that can be wrong with a file shows before anything runs.
    goals = {file: _goal(_machine(file), cap_s, asked_percentile) for file in files}
    # A plot is a file: the tables before it may get lost.
    with nullcontext() if plot is None else optional_output():
        # Spawned: a fork may inherit a lock that a thread of this process holds.
        with (
            _spawning(),
            ProcessPoolExecutor(mp_context=get_context("spawn")) as pool,
        ):
            for file, goal in goals.items():
                for sampler in samplers:
                    jobs = [(file, sampler, seed, trials, goal) for seed in range(seeds)]
                    traces = tuple(pool.map(_trace, jobs))
                    name = _name(file, files)
                    curves.append(
                        Curve(surface=name, sampler=sampler.value, goal=goal, traces=traces)
                    )
                if not as_json:
                    shown = [curve for curve in curves if curve.surface == curves[-1].surface]
                    goal_text = goal_in_words(goal)
                    say(console, f"{curves[-1].surface}: {goal_text}; regret = 1 - T / T*")
                    console.print(regret_table(shown, trials))
        if plot is not None:
            write_atomically(plot, regret_page(curves, trials))
            say(console, f"wrote {plot}")
    if as_json:
        print_json([{**asdict(curve), "goal": goal_to_dict(curve.goal)} for curve in curves])
    return EXIT_OK


@contextmanager
def _spawning() -> Iterator[None]:
    """Processes that are spawned look where this one does, not in the current folder first.

    A checkout that is not installed is where nobody looks: the last place to look, then. Small
    matrices are slower on many threads, and there is a process for each CPU.
    """
    path, variables = list(sys.path), dict(os.environ)
    home = str(Path(__file__).parents[2])
    sys.path += [] if home in path else [home]
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        yield
    finally:
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(variables)


def _trace(job: tuple[Path, Sampler, int, int, Goal]) -> Trace:
    file, sampler, seed, trials, goal = job
    machine = _machine(file)
    spec = spec_for(
        machine,
        sampler=sampler,
        seed=seed,
        percentile=goal.percentile,
        cap_ms=goal.cap_ms,
        trials=trials,
    )
    return trace(machine, spec)


@cache
def _machine(file: Path) -> RecordedMachine:
    """A surface, worked out once in each process."""
    surface = load_surface(file)
    if not surface.is_whole:
        raise StorageError(
            f"{file}: the surface is not whole; go on with autotune record, then replay it"
        )
    try:
        return RecordedMachine(surface)
    except ValueError as error:
        raise StorageError(f"{file}: {error}") from error


def _name(file: Path, files: Sequence[Path]) -> str:
    """What tables call a surface: its folder or its own name, its path where two are called so."""

    def short(one: Path) -> str:
        return absolute(one).parent.name if one.name == SURFACE_FILE else one.stem

    is_shared = [short(other) for other in set(files)].count(short(file)) > 1
    return str(file) if is_shared else short(file)


def _sampler(name: str) -> Sampler:
    try:
        return Sampler(name)
    except ValueError:
        raise UsageError(
            f"--sampler {name!r}: there is no such sampler; take one of {', '.join(Sampler)}"
        ) from None


def _goal(machine: RecordedMachine, cap_s: float | None, percentile: float | None) -> Goal:
    """The goal of the study that was recorded, or what was asked for in its place."""
    goal = recorded_study(machine.surface.identity.spec).goal.goal
    if percentile is not None and not 0 < percentile < 100:
        raise UsageError(f"--percentile {percentile:g}: give a number between 0 and 100")
    return goal.asked(percentile=percentile, cap_ms=None if cap_s is None else 1000 * cap_s)
