"""Studies under limits, from the first trial to best.json and back, on a simulated machine."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.analysis.answer import answer
from autotune.domain.goal import Goal, Objective, Resource, Verdict
from autotune.domain.inspection import Inspection
from autotune.domain.limits import limits_of
from autotune.domain.race import Choice, State, Status
from autotune.domain.ranking import best
from autotune.domain.verdicts import judged
from autotune.errors import SpecError, StudyMismatchError
from autotune.export.best_file import read_best, write_best
from autotune.export.from_study import best_of_study
from autotune.racing.claims import Finding
from autotune.racing.verify import verify
from autotune.report.race import race_lines
from autotune.report.race_json import race_json
from autotune.report.words import limit_lines, why_nothing
from autotune.space.configuration import Configuration
from autotune.space.rows.variant import GIVEN
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.session import Outcome
from autotune.tuning.tune import tune
from tests.tuning.studies import Told, make_spec, notes, optuna_trials, stored

MIB = 2.0**20
CPU = SimulatedCpu()


@pytest.fixture(autouse=True)
def _never_calibrated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def run(folder: Path, goal: dict[str, Any], trials: int = 16, **fields: Any) -> Outcome:
    """A study with its race on the usual machine."""
    spec = make_spec(trials=trials, goal=goal, race={"share": 0.2}, space={})
    return tune(spec, folder, runner=SimulatedRunner(noise=0.01, **fields))


def memory_of(configuration: Configuration) -> float:
    """What the simulated machine needs for it, by its formula."""
    effective = CPU.effective(configuration.compile_key)
    requests = effective.requests(configuration)
    loaded = CPU.rss_bytes(effective, configuration.batch_size, requests)
    opened = CPU.rss_bytes(effective, configuration.batch_size, 1) + CPU.compile_rss_bytes
    return max(loaded, opened)


def cpu_of(configuration: Configuration) -> float:
    """CPU-seconds for each item, likewise."""
    return SimulatedRunner().predict(configuration).cpu_s_per_item


def test_what_is_chosen_keeps_its_memory(folder: Path) -> None:
    """Throughput alone would have taken more; the race confirms it by the same kind of bound."""
    limit = 128 * MIB
    outcome = run(folder, {"max_latency": "60ms", "max_memory": f"{limit:.0f}B"})
    assert outcome.best is not None
    assert outcome.race is not None
    assert memory_of(outcome.best.configuration) <= limit
    assert outcome.race.status is Status.CERTIFIED
    winner = outcome.race.winner
    assert winner is not None
    (seen,) = winner.limits
    assert seen.verdict is Verdict.MET
    assert seen.bound is not None
    assert memory_of(outcome.best.configuration) <= seen.bound <= limit
    free = best(outcome.trials, Goal(Objective.THROUGHPUT, 99.0, 60.0))
    assert free is not None
    assert memory_of(free.configuration) > limit
    (line,) = [line for line in race_lines(outcome.race, outcome.goal) if "memory <=" in line]
    assert "met" in line
    assert "at 99 %" in line


def test_a_limit_is_a_constraint_of_every_trial(folder: Path) -> None:
    """In the database as well, always the same keys; a goal without limits stores none."""
    run(folder, {"max_latency": "20ms", "max_cpu_per_item": "6ms", "min_throughput": 100}, 6)
    keys = {tuple(sorted(trial.constraints)) for trial in optuna_trials(folder)}
    assert keys == {("latency", "max_cpu_per_item", "min_throughput")}
    with closing(StudyReader.read_only(folder)) as store:
        assert store.identity().goal.limits == limits_of(
            {"max_cpu_per_item": 0.006, "min_throughput": 100.0}
        )


def test_other_limits_are_another_study(folder: Path) -> None:
    """The message says which; what was measured answers them all the same."""
    run(folder, {"max_latency": "20ms", "max_memory": "200MiB"}, 4)
    with pytest.raises(StudyMismatchError, match=r"goal has changed: .* max_memory 200MiB then"):
        run(folder, {"max_latency": "20ms"}, 5)


def test_nothing_that_keeps_all_limits(folder: Path) -> None:
    """No race, nothing exported, and a line for each constraint with its nearest miss."""
    outcome = run(
        folder, {"objective": "throughput", "max_memory": "20MiB", "min_throughput": 9}, 5
    )
    assert outcome.best is None
    assert outcome.race is None
    first, memory, rate = why_nothing(outcome.trials, outcome.goal).splitlines()
    assert first.startswith("no configuration was shown to meet all of memory <= 20MiB and")
    assert memory.startswith("memory <= 20MiB: met by none; the nearest is trial")
    assert rate.startswith("throughput >= 9/s: met by 5 trials, the nearest is trial")


def test_throughput_without_any_cap(folder: Path) -> None:
    """Overnight: the most items, however long each takes."""
    outcome = run(folder, {"objective": "throughput"}, 30)
    assert outcome.best is not None
    assert outcome.goal.cap_ms is None
    assert outcome.race is not None
    assert outcome.race.status is Status.CERTIFIED
    assert outcome.best.configuration.batch_size >= 8


def test_the_most_efficient_under_cap_and_floor(folder: Path) -> None:
    """It uses less CPU time for each item than the fastest does, and says how much less."""
    outcome = run(
        folder, {"objective": "efficiency", "max_latency": "60ms", "min_throughput": 200}, 24
    )
    assert outcome.best is not None
    assert outcome.race is not None
    fastest = best(outcome.trials, Goal(Objective.THROUGHPUT, 99.0, 60.0))
    assert fastest is not None
    assert cpu_of(outcome.best.configuration) < 0.9 * cpu_of(fastest.configuration)
    assert SimulatedRunner().predict(outcome.best.configuration).throughput_per_s >= 200
    winner = outcome.race.winner
    assert winner is not None
    assert winner.efficiency is not None
    assert winner.efficiency.mean == pytest.approx(1 / cpu_of(outcome.best.configuration), rel=0.03)
    said = "\n".join(race_lines(outcome.race, outcome.goal))
    assert "the better hint in items per CPU-second, because" in said
    assert "the most efficient" in said
    assert "per CPU-second, at least" in said
    assert outcome.race.winner is not None
    assert outcome.race.winner.contender.search_efficiency is not None
    with closing(StudyReader.read_only(folder)) as store:
        found = answer(store, store.identity().goal)
    assert found.race is not None
    assert race_json(found.race) == race_json(outcome.race), "what is stored says the same"


def test_efficiency_by_energy(folder: Path) -> None:
    """Where the machine has counters: a machine that idles away much is best kept busy."""
    goal = {"objective": "efficiency", "efficiency": "energy", "max_energy_per_item": "1J"}
    outcome = run(folder, goal, 12, cpu=SimulatedCpu(idle_w=50.0))
    assert outcome.best is not None
    assert outcome.goal.resource is Resource.ENERGY
    assert outcome.race is not None
    assert outcome.race.winner is not None
    assert outcome.race.winner.limits[0].verdict is Verdict.MET
    assert "per joule" in "\n".join(limit_lines(outcome.best, outcome.goal))


@pytest.mark.parametrize(
    ("goal", "key"),
    [
        ({"max_latency": "9ms", "max_energy_per_item": "1J"}, "max_energy_per_item"),
        ({"objective": "efficiency", "efficiency": "energy"}, "efficiency"),
    ],
)
def test_energy_that_cannot_be_read_is_refused(
    folder: Path, goal: dict[str, Any], key: str
) -> None:
    """Before anything is measured, with the reason and the way out."""
    with pytest.raises(
        SpecError, match=rf"\[goal\] {key}: energy cannot be measured here: a simul"
    ):
        run(folder, goal, 3)
    assert not (folder / "study.db").exists()


def test_memory_that_cannot_be_told_is_refused(folder: Path) -> None:
    """Else a whole budget would be spent on what nothing can be shown to keep."""

    class Sandbox(SimulatedRunner):
        def inspect(
            self, devices: Sequence[str], *, try_batch: bool, variant: str = GIVEN
        ) -> Inspection:
            found = super().inspect(devices, try_batch=try_batch, variant=variant)
            return replace(found, why_no_memory="a sandbox")

    spec = make_spec(trials=3, goal={"max_latency": "20ms", "max_memory": "1GiB"})
    with pytest.raises(SpecError, match=r"max_memory: memory cannot be measured here: a sandbox"):
        tune(spec, folder, runner=Sandbox())
    assert not (folder / "study.db").exists()


def test_a_limit_on_opening_is_confirmed_one_by_one(folder: Path) -> None:
    """Models of that race are never opened side by side."""
    begun: list[int] = []

    class Watched(SimulatedRunner):
        def side_by_side(self, keys: Any) -> Any:
            begun.append(len(keys))
            return super().side_by_side(keys)

    spec = make_spec(
        trials=4,
        goal={"max_latency": "20ms", "max_first_inference": "1s", "max_compile_time": "800ms"},
        race={"share": 0.2},
    )
    outcome = tune(spec, folder, runner=Watched(noise=0.01))
    assert outcome.race is not None
    assert begun
    assert set(begun) == {0}
    assert outcome.race.status is Status.CERTIFIED
    assert [one.verdict for one in outcome.race.standings[0].limits] == [Verdict.MET] * 2


# --- other questions


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study under a cap alone, with its race."""
    folder = tmp_path_factory.mktemp("limits") / "study"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"a model")
    spec = make_spec(trials=24, goal={"max_latency": "60ms"}, race={"share": 0.2}, space={})
    tune(spec, folder, runner=SimulatedRunner(noise=0.01))
    return folder


@pytest.mark.parametrize(
    "limits",
    [
        {"max_memory": 135 * MIB},
        {"max_cpu_per_item": 0.0055, "max_memory": 140 * MIB},
        {"min_throughput": 500.0, "max_first_inference": 2.0},
        {"max_memory": 1.0},
    ],
    ids=str,
)
def test_other_limits_are_answered_without_measuring(
    measured: Path, limits: dict[str, float]
) -> None:
    """As if all trials were judged by them, one by one."""
    with closing(StudyReader.read_only(measured)) as store:
        goal = store.identity().goal.within(limits)
        found = answer(store, goal)
        everyone = store.trials()
    able = [
        trial
        for trial in everyone
        if trial.measurement is not None
        and trial.measurement.verdict is Verdict.MET
        and all(one.verdict is Verdict.MET for one in judged(trial.measurement, goal))
    ]
    wanted = max(
        able, key=lambda t: t.measurement.claim_per_s if t.measurement else 0, default=None
    )
    assert (None if found.best is None else found.best.number) == (
        None if wanted is None else wanted.number
    )
    assert found.is_any_allowed is (limits != {"max_memory": 1.0})


def test_a_race_judges_limits_that_came_later(measured: Path) -> None:
    """What its processes took is stored; who is over a limit that is asked for now, misses it."""
    with closing(StudyReader.read_only(measured)) as store:
        goal = store.identity().goal
        own = answer(store, goal).race
        assert own is not None
        peaks = [memory_of(s.contender.configuration) for s in own.standings]
        held = answer(store, goal.within({"max_memory": min(peaks) * 1.03})).held
    assert held is not None
    for standing, peak in zip(held.standings, peaks, strict=True):
        if standing.launches:
            assert (standing.state is State.MISSED) is (peak > 1.04 * min(peaks))


def test_portable_is_asked_of_the_same_race(measured: Path) -> None:
    """No other goal: the race has its say, and may turn to what holds elsewhere."""
    with closing(StudyReader.read_only(measured)) as store:
        goal = store.identity().goal
        plain = answer(store, goal).race
        asked = Goal(goal.objective, goal.percentile, goal.cap_ms, portable=True)
        found = answer(store, asked).race
    assert plain is not None
    assert found is not None
    assert found.winner is not None
    assert plain.winner is not None
    if not found.winner.contender.is_default:
        assert found.choice in {Choice.FASTEST, Choice.PORTABLE, Choice.TIED}


# --- the file


def exported(folder: Path, outcome: Outcome) -> Path:
    """The study's best.json."""
    assert outcome.best is not None
    with closing(StudyReader.read_only(folder)) as store:
        file = best_of_study(
            store, folder, outcome.best, outcome.trials, outcome.goal, race=outcome.race
        )
    write_best(file, folder / "best.json")
    return folder / "best.json"


def verified(path: Path, **fields: Any) -> Any:
    """Raced again from the file alone, on the same machine or another one."""
    limits = fields.pop("limits", {})
    runner = SimulatedRunner(noise=0.01, **fields)
    found, _, _ = verify(
        path,
        120.0,
        limits=lambda goal: goal.within(limits) if limits else goal,
        runners=lambda _, __: runner,
    )
    return found


def test_a_certificate_states_each_limit_and_verify_repeats_it(folder: Path) -> None:
    """The bound, its verdict, and what becomes of it; one that is not kept breaks the file."""
    outcome = run(folder, {"max_latency": "60ms", "max_memory": "140MiB", "min_throughput": 100})
    path = exported(folder, outcome)
    best_ = read_best(path)
    assert best_.goal == outcome.goal
    assert best_.certificate is not None
    assert [(one.name, one.verdict) for one in best_.certificate.limits] == [
        ("max_memory", Verdict.MET),
        ("min_throughput", Verdict.MET),
    ]
    assert all(one.bound is not None for one in best_.certificate.limits)
    assert [one.name for one in best_.measured.limits] == ["max_memory", "min_throughput"]
    found = verified(path)
    assert found.holds
    assert [finding for _, finding in found.limits] == [Finding.HOLDS] * 2
    greedy = SimulatedCpu(base_rss_bytes=400 * 2**20)
    broken = verified(path, cpu=greedy)
    assert not broken.holds
    assert [finding for _, finding in broken.limits] == [Finding.BROKEN, Finding.HOLDS]
    tight = verified(path, limits={"max_memory": 100 * MIB})
    assert not tight.holds


def test_an_efficiency_claim_is_verified(folder: Path) -> None:
    """CPU time is not what a slower machine takes: it holds by itself."""
    outcome = run(folder, {"objective": "efficiency", "max_latency": "60ms"}, 10)
    path = exported(folder, outcome)
    assert read_best(path).certificate is not None
    assert verified(path).efficiency is Finding.HOLDS
    wasteful = SimulatedCpu(contention=2.0, overhead_ms=3.0)
    assert verified(path, cpu=wasteful).efficiency is not Finding.HOLDS


def test_a_file_says_what_its_settings_are_bound_to(folder: Path) -> None:
    """Each that is not left to the runtime."""
    path = exported(folder, run(folder, {"max_latency": "60ms", "portable": True}, 12))
    values = json.loads(path.read_text())
    assert values["portable"] is True
    assert set(values["bound_to"].values()) <= {"model", "machine", "neither"}
    assert values["bound_to"]["hint"] == "neither"
    assert values["bound_to"]["device"] == "machine"


def test_a_study_says_each_verdict_as_it_goes(folder: Path) -> None:
    """In the lines of the log."""
    from autotune.cli.progress import lines

    told = Told()
    spec = make_spec(trials=3, goal={"max_latency": "20ms", "max_memory": "125MiB"}, space={})
    tune(spec, folder, runner=SimulatedRunner(noise=0.01), on_event=told)
    said = [line for event in told.events for line in lines(event)]
    assert any("memory 133 MiB (missed)" in line for line in said)
    assert any("memory 121 MiB (met)" in line for line in said)
    assert not any("unexpected" in note for note in notes(told))
    assert len(stored(folder)) == 3
