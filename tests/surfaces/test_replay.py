"""Studies on a recorded surface: the tuner itself on a virtual clock, and what it lost."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna import Study
from optuna.trial import FrozenTrial

from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.measurement import Feed
from autotune.domain.sampler import Sampler
from autotune.errors import ModelError, SpecError, StudyMismatchError
from autotune.search.points import PointTable
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.spec import StudySpec, build_spec
from autotune.surfaces.record import record
from autotune.surfaces.recording import Headway
from autotune.surfaces.replay import (
    Replayed,
    Trace,
    caps_ms,
    regret,
    replay,
    spec_for,
    trace,
    worths,
)
from autotune.surfaces.runner import RecordedRunner
from autotune.surfaces.surface import RecordPlan, Surface
from autotune.surfaces.truth import RecordedMachine
from autotune.testing import SimulatedRunner
from autotune.tuning.choices import space_of
from tests.builders import make_configuration, make_failure

PLAN = RecordPlan(launches=2, rounds=2, residents=20)
FEW = 10
"""Trials, of a space of 24 configurations."""


def make_spec(folder: Path, **space: Any) -> StudySpec:
    """The study whose surface is recorded: 24 configurations on the simulated CPUs."""
    (folder / "model.onnx").write_bytes(b"simulated")
    return build_spec(
        {
            "model": {"path": "model.onnx"},
            "goal": {"max_latency": "15ms", "percentile": 95.0},
            "budget": {"trials": 5},
            "space": {
                "threads_per_stream": [1, 2, 4],
                "streams": [1, 2, 4],
                "requests_per_stream": [1, 2],
                "batch": [1, 4],
                "pinning": True,
                "precision": "f32",
                **space,
            },
        },
        "demo",
    )


def recorded(folder: Path, plan: RecordPlan = PLAN, **fields: Any) -> Surface:
    """A surface file in the folder, by a simulated machine, and what is in it."""
    runner = SimulatedRunner(**{"noise": 0.03, "seed": 4, **fields})
    return record(make_spec(folder), folder, folder / "surface.db", plan, runner=runner)


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Surface:
    """Recorded once for all of these tests."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_LOCK_DIR", str(tmp_path_factory.mktemp("locks")))
        return recorded(folder)


@pytest.fixture(scope="module")
def machine(surface: Surface) -> RecordedMachine:
    """Worked out once."""
    return RecordedMachine(surface)


def make_study(machine: RecordedMachine, **fields: Any) -> StudySpec:
    """Ten trials of random search under a cap that half of the cells meet."""
    (cap_ms,) = caps_ms(machine, 95.0, [0.5])
    values: dict[str, Any] = {
        "sampler": Sampler.RANDOM,
        "seed": 0,
        "percentile": 95.0,
        "cap_ms": cap_ms,
        "trials": FEW,
        **fields,
    }
    return spec_for(machine, **values)


def choices(done: Replayed) -> list[Configuration]:
    """What was tried, in order."""
    return [trial.configuration for trial in done.outcome.trials]


# --- recording a study


def test_a_recording_is_the_whole_space_after_the_hints(surface: Surface, tmp_path: Path) -> None:
    """Each configuration once; and what it is of is told."""
    space, cells = surface.identity.space, surface.cells
    assert space.size == 24
    assert cells[:2] == tuple(
        Configuration(device="CPU", hint=hint)
        for hint in (PerformanceHint.LATENCY, PerformanceHint.THROUGHPUT)
    )
    assert set(cells[2:]) == set(map(space.configuration, space.points()))
    assert len(cells) == len(set(cells)) == 26
    assert surface.is_whole
    identity = surface.identity
    assert identity.name.startswith("demo")
    assert identity.machine["cpu_model"] == "simulated CPU"
    assert {"python", "autotune", "openvino", "optuna", "numpy"} <= set(identity.versions)
    assert identity.plan == PLAN
    assert len(identity.model_sha256) == 64
    assert 'path = "model.onnx"' in identity.spec


def test_a_recording_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """Group by group with the same file: everything in the end, and nothing twice."""
    heard: list[Headway] = []
    spec, file = make_spec(tmp_path), tmp_path / "surface.db"
    plan = replace(PLAN, residents=4)
    for groups in (1, 3):
        asked = iter([False] * groups + [True])
        found = record(
            spec,
            tmp_path,
            file,
            plan,
            runner=SimulatedRunner(),
            on_group=heard.append,
            is_stopped=lambda asked=asked: next(asked),  # type: ignore[misc]
        )
        assert not found.is_whole
    assert [told.done for told in heard] == [4, 8, 12, 14]
    whole = record(spec, tmp_path, file, plan, runner=SimulatedRunner())
    assert whole.is_whole
    names = [(s.cell, s.launch, s.round) for r in whole.launches for s in r.slices]
    assert len(names) == len(set(names)) == 26 * 4
    ends = [s.at_s for r in whole.launches for s in r.slices]
    assert len(set(ends)) == len(ends)


def test_a_recording_of_something_else_is_refused(tmp_path: Path) -> None:
    """Another model, another space, another machine; no lock is left behind."""
    recorded(tmp_path, launch_noise=0.0)
    spec = make_spec(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"another")
    with pytest.raises(StudyMismatchError, match="model file"):
        record(spec, tmp_path, tmp_path / "surface.db", PLAN, runner=SimulatedRunner())
    wider, newer = make_spec(tmp_path, batch=[1, 2]), SimulatedRunner(openvino="2027.0")
    with pytest.raises(StudyMismatchError, match="batch"):
        record(wider, tmp_path, tmp_path / "surface.db", PLAN, runner=SimulatedRunner())
    with pytest.raises(StudyMismatchError, match="openvino"):
        record(spec, tmp_path, tmp_path / "surface.db", PLAN, runner=newer)
    assert recorded(tmp_path).is_whole


def test_without_its_model_nothing_is_made(tmp_path: Path) -> None:
    """Neither a file nor a lock."""
    spec = make_spec(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelError, match="no such model file"):
        record(spec, tmp_path, tmp_path / "surface.db", PLAN, runner=SimulatedRunner())
    assert list(tmp_path.iterdir()) == []


# --- the study of a surface


@pytest.mark.parametrize("sampler", Sampler)
@pytest.mark.parametrize("cap_ms", [None, 15.0, 3.3, 0.1])
def test_the_study_keeps_the_surfaces_space(
    machine: RecordedMachine, sampler: Sampler, cap_ms: float | None
) -> None:
    """Whatever sampler, goal and budget it is given."""
    spec = spec_for(
        machine, sampler=sampler, seed=7, percentile=90.0, cap_ms=cap_ms, trials=3, duration_s=60.5
    )
    runner = RecordedRunner(recorded=machine)
    facts = runner.inspect(spec.space.device, try_batch=True)
    space = space_of(spec, facts, runner.machine(facts).hardware(facts.devices))
    assert space == machine.surface.identity.space
    assert (spec.search.sampler, spec.search.seed) == (sampler, 7)
    assert (spec.budget.trials, spec.budget.duration) == (3, 60.5)
    assert spec.goal.percentile == 90.0
    objective = Objective.LATENCY if cap_ms is None else Objective.THROUGHPUT
    assert spec.goal.goal.objective is objective
    assert spec.goal.goal.cap_ms == pytest.approx(cap_ms)
    assert spec.model.path == "model.onnx"


def test_a_cap_stays_the_same_for_the_cells_at_its_edge(machine: RecordedMachine) -> None:
    """A cap that is a cell's own latency is met by just that cell in the study as well."""
    latencies = machine.latencies_ms(95.0)
    for cap_ms in map(float, latencies):
        spec = make_study(machine, cap_ms=cap_ms)
        assert spec.goal.goal.cap_ms is not None
        assert (latencies <= spec.goal.goal.cap_ms).sum() == (latencies <= cap_ms).sum()


def test_the_share_of_the_race_can_be_chosen(machine: RecordedMachine) -> None:
    """The study file's default where it is not."""
    assert make_study(machine).race.share == 0.2
    assert make_study(machine, race_share=0.0).race.share == 0.0


@given(st.lists(st.floats(0.02, 1.0), min_size=1, max_size=4))
def test_caps_are_what_such_a_share_of_cells_meets(shares: list[float]) -> None:
    """At least that share, and with one cell fewer it would be less."""
    latencies = np.array([3.0, 1.0, 2.0, 5.0, 4.0, math.inf, 7.0, 6.0, math.inf, 8.0])

    class Machine:
        def latencies_ms(self, percentile: float) -> Any:
            return latencies

    machine: Any = Machine()
    finite = latencies[np.isfinite(latencies)]
    for share, cap_ms in zip(shares, caps_ms(machine, 99.0, shares), strict=True):
        assert type(cap_ms) is float
        assert cap_ms in finite
        assert (finite <= cap_ms).mean() >= share - 1e-9
        assert (finite < cap_ms).mean() < share + 1 / finite.size


def test_a_study_of_another_space_is_refused(machine: RecordedMachine, tmp_path: Path) -> None:
    """Before its first trial."""
    with pytest.raises(SpecError, match="not the recorded one"):
        replay(machine, make_spec(tmp_path, batch=[1, 2]))


# --- replays


def test_a_replayed_study_is_a_study(machine: RecordedMachine) -> None:
    """It begins with the hints, explores the surface's space, and exports one of its cells."""
    done = replay(machine, make_study(machine))
    cells = set(machine.surface.cells)
    tried = choices(done)
    assert tried[:2] == list(machine.surface.cells[:2])
    assert set(tried) <= cells
    assert len(set(tried)) == len(tried) == FEW
    assert done.export in cells
    assert done.export in tried
    assert done.outcome.space_size == 24
    assert done.outcome.race is not None
    assert done.outcome.goal == make_study(machine).goal.goal
    assert done.outcome.machine.cpu_model == "simulated CPU"


def test_every_trial_is_a_step(machine: RecordedMachine) -> None:
    """In virtual time, each with what the search would deploy by then."""
    done = replay(machine, make_study(machine))
    assert [step.trials for step in done.steps] == list(range(1, FEW + 1))
    instants = [step.at_s for step in done.steps]
    assert instants == sorted(instants)
    assert instants[0] > 0
    assert done.duration_s > instants[-1]
    tried = choices(done)
    for step in done.steps:
        assert step.export is None or step.export in tried[: step.trials]


def test_a_study_ends_within_its_time(machine: RecordedMachine) -> None:
    """Search and race on the virtual clock; the last trial may take a little longer."""
    done = replay(machine, make_study(machine, trials=None, duration_s=120.0, race_share=0.25))
    assert done.outcome.reason in {"budget", "exhausted"}
    assert 30.0 < done.duration_s < 140.0
    assert max(step.at_s for step in done.steps) < 110.0
    assert done.export is not None


def test_without_a_race_the_search_decides(machine: RecordedMachine) -> None:
    """What it holds best after its last trial."""
    done = replay(machine, make_study(machine, race_share=0.0))
    assert done.outcome.race is None
    assert done.export == done.steps[-1].export


def test_a_small_space_is_exhausted(machine: RecordedMachine) -> None:
    """Every configuration once, then it ends; with so little noise it finds nearly the best."""
    spec = make_study(machine, sampler=Sampler.EXHAUSTIVE, trials=100)
    done = replay(machine, spec)
    assert done.outcome.reason == "exhausted"
    left = set(machine.surface.cells) - set(choices(done))
    assert len(left) <= 2  # where a hint turned out to lie, its point is known
    lost, misses = regret(machine, spec.goal.goal, done.export)
    assert not misses
    assert lost < 0.1


@pytest.mark.parametrize("sampler", Sampler)
def test_every_sampler_runs(machine: RecordedMachine, sampler: Sampler) -> None:
    """Trial by trial; regrets are shares."""
    spec = make_study(machine, sampler=sampler)
    found = trace(machine, spec)
    assert found.trials == tuple(range(1, FEW + 1))
    assert all(0 <= lost <= 1 for lost in (*found.regrets, found.exported))
    assert found.duration_s > found.at_s[-1]


def test_a_study_without_a_cap_runs(machine: RecordedMachine) -> None:
    """It looks for the lowest latency, and exports the best of what it saw."""
    found = replay(machine, make_study(machine, sampler=Sampler.GP, cap_ms=None))
    latencies = {cell: machine.latencies_ms(95.0)[machine.cells[cell]] for cell in choices(found)}
    assert found.export is not None
    assert latencies[found.export] < 1.1 * min(latencies.values())


@pytest.mark.parametrize("sampler", [Sampler.AUTO, Sampler.TPE, Sampler.RANDOM])
def test_the_same_seed_gives_the_same_trace(machine: RecordedMachine, sampler: Sampler) -> None:
    """To the last digit; another seed gives another."""
    one, same, other = (
        trace(machine, make_study(machine, sampler=sampler, seed=seed, trials=6))
        for seed in (3, 3, 4)
    )
    assert one == same
    assert one.at_s != other.at_s


class Lowest:
    """The first free point of the space."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def choose(
        self, study: Study, trial: FrozenTrial, table: PointTable, random: np.random.Generator
    ) -> int:
        """In the order of the space."""
        self.asked.append(int(table.free[0]))
        return self.asked[-1]


def test_a_strategy_of_ones_own_takes_the_place_of_the_sampler(machine: RecordedMachine) -> None:
    """It is made for the surface's points, and what it chooses is what is tried."""
    made: list[tuple[PointTable, Lowest]] = []

    def make(table: PointTable) -> Lowest:
        made.append((table, Lowest()))
        return made[-1][1]

    done = replay(machine, make_study(machine), make)
    ((table, strategy),) = made
    assert len(table) == machine.surface.identity.space.size
    chosen = [table.space.configuration(table[row]) for row in strategy.asked]
    assert len(chosen) == FEW - 3
    assert choices(done)[3:] == chosen
    assert strategy.asked == sorted(strategy.asked)


def test_a_study_goes_on_where_models_fail(surface: Surface) -> None:
    """They are failed trials, as on the machine, and nothing that is exported."""
    keys = {cell.compile_key for cell in surface.cells[2:] if cell.batch_size == 4}
    failure = make_failure(phase="open")
    launches = tuple(
        replace(r, opening=None, failure=failure, peak_rss_bytes=None, slices=())
        if r.key in keys
        else r
        for r in surface.launches
    )
    machine = RecordedMachine(replace(surface, launches=launches))
    spec = make_study(machine, sampler=Sampler.GRID, cap_ms=1000.0, trials=20)
    done = replay(machine, spec)
    failed = [trial for trial in done.outcome.trials if trial.failure is not None]
    assert failed
    assert {trial.configuration.compile_key for trial in failed} <= keys
    assert done.export is not None
    assert done.export.compile_key not in keys


# --- regret


def goal_of(cap_ms: float | None, percentile: float = 95.0) -> Goal:
    """The highest throughput under a cap, or without one."""
    return Goal(Objective.THROUGHPUT, percentile, cap_ms)


def test_the_optimum_has_no_regret(machine: RecordedMachine) -> None:
    """Under any cap, and without one."""
    for cap_ms in (None, *caps_ms(machine, 95.0, [0.05, 0.5, 1.0])):
        best = machine.optimum(95.0, cap_ms)
        assert best is not None
        assert regret(machine, goal_of(cap_ms), machine.surface.cells[best]) == (0.0, False)


def test_nothing_is_lost_completely(machine: RecordedMachine) -> None:
    """Who exports nothing has no throughput; but that is no miss."""
    assert regret(machine, goal_of(15.0), None) == (1.0, False)


def test_what_misses_the_cap_is_lost_completely(machine: RecordedMachine) -> None:
    """However fast it is; at the cap itself it is met."""
    latencies = machine.latencies_ms(95.0)
    cell = int(np.argsort(latencies)[10])
    export = machine.surface.cells[cell]
    assert regret(machine, goal_of(float(latencies[cell]) * 0.999), export) == (1.0, True)
    lost, misses = regret(machine, goal_of(float(latencies[cell])), export)
    assert (lost < 1, misses) == (True, False)


def test_regret_is_the_share_of_throughput_that_is_lost(machine: RecordedMachine) -> None:
    """1 - T / T* for what keeps the cap, by the surface's own truth."""
    (cap_ms,) = caps_ms(machine, 95.0, [0.6])
    best = machine.optimum(95.0, cap_ms)
    assert best is not None
    for cell, export in enumerate(machine.surface.cells):
        lost, misses = regret(machine, goal_of(cap_ms), export)
        assert misses == (machine.latencies_ms(95.0)[cell] > cap_ms)
        assert 0 <= lost <= 1
        if not misses:
            assert lost == pytest.approx(1 - machine.throughputs[cell] / machine.throughputs[best])


def test_where_nothing_meets_the_cap_nothing_can_be_lost(machine: RecordedMachine) -> None:
    """Exporting nothing is right there; exporting something is a miss."""
    assert regret(machine, goal_of(1e-3), None) == (0.0, False)
    assert regret(machine, goal_of(1e-3), machine.surface.cells[0])[1]


def test_without_a_cap_the_lowest_latency_is_the_measure_where_it_is_the_goal(
    machine: RecordedMachine,
) -> None:
    """A study that looks for the lowest latency and finds it has lost nothing."""
    goal = Goal(Objective.LATENCY, 95.0, None)
    fastest = int(np.argmin(machine.latencies_ms(95.0)))
    assert regret(machine, goal, machine.surface.cells[fastest])[0] == pytest.approx(0.0, abs=1e-9)


def test_an_export_that_was_not_recorded_is_a_mistake(machine: RecordedMachine) -> None:
    """There is no truth for it."""
    with pytest.raises(KeyError):
        regret(machine, goal_of(None), make_configuration(batch_size=1024))


# --- traces


def test_a_trace_is_the_regret_of_every_step(machine: RecordedMachine) -> None:
    """And of what is exported in the end."""
    spec = make_study(machine)
    done, found = replay(machine, spec), trace(machine, spec)
    goal = spec.goal.goal
    assert found.regrets == tuple(regret(machine, goal, step.export)[0] for step in done.steps)
    assert found.trials == tuple(step.trials for step in done.steps)
    assert found.at_s == tuple(step.at_s for step in done.steps)
    assert (found.exported, found.misses) == regret(machine, goal, done.export)
    assert found.duration_s == done.duration_s


TRACE = Trace(
    at_s=(2.0, 5.0, 9.0),
    trials=(1, 2, 4),
    regrets=(1.0, 0.5, 0.25),
    exported=0.25,
    misses=False,
    duration_s=20.0,
)


@pytest.mark.parametrize(
    ("trials", "expected"), [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.5), (4, 0.25), (99, 0.25)]
)
def test_regret_after_so_many_trials(trials: int, expected: float) -> None:
    """Of the last that was finished by then; all of it before the first."""
    assert TRACE.after_trials(trials) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, 1.0), (4.9, 1.0), (5.0, 0.5), (8.0, 0.5), (9.0, 0.25), (99, 0.25)],
)
def test_regret_after_so_much_time(seconds: float, expected: float) -> None:
    """Likewise."""
    assert TRACE.after_s(seconds) == expected


def test_a_trace_without_trials_has_lost_everything() -> None:
    """At any time."""
    empty = replace(TRACE, at_s=(), trials=(), regrets=())
    assert (empty.after_trials(9), empty.after_s(9.0)) == (1.0, 1.0)


def test_a_longer_study_begins_like_a_shorter_one(machine: RecordedMachine) -> None:
    """Of the same seed: so one replay shows the regret after any number of trials."""
    short, long = (trace(machine, make_study(machine, trials=n, race_share=0.0)) for n in (6, FEW))
    assert long.regrets[:6] == short.regrets
    assert long.at_s[:6] == pytest.approx(short.at_s)


def test_the_feed_of_the_recording_is_in_its_plan(tmp_path: Path) -> None:
    """A surface that was fed in another way is another surface."""
    spec, file = make_spec(tmp_path), tmp_path / "surface.db"
    plan = replace(PLAN, launches=1, rounds=1, feed=Feed.COPY)
    found = record(spec, tmp_path, file, plan, runner=SimulatedRunner())
    assert found.identity.plan.feed is Feed.COPY
    with pytest.raises(StudyMismatchError, match="feed"):
        record(spec, tmp_path, file, replace(plan, feed=Feed.BIND), runner=SimulatedRunner())


def test_a_surface_tells_no_energy(machine: RecordedMachine) -> None:
    """Items for each joule are not items for each CPU-second."""
    goal = Goal(Objective.EFFICIENCY, 99.0, None, resource=Resource.ENERGY)
    with pytest.raises(SpecError, match="does not tell energy"):
        worths(machine, goal)
