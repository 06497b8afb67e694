"""What earlier versions left behind is read, continued, verified and exported; see `artefacts`."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import autotune as package
from autotune.domain.history import History
from autotune.domain.inspection import Inspection
from autotune.domain.race import State, Status
from autotune.domain.trial import Trial
from autotune.errors import StudyMismatchError
from autotune.export.best_file import read_best
from autotune.export.from_study import best_of_study
from autotune.export.targets import TARGETS
from autotune.machines.fingerprint import Machine
from autotune.machines.workers import SubprocessRunner
from autotune.racing.stored import result_of
from autotune.racing.verify import verify
from autotune.spec import StudySpec, build_spec, load_spec
from autotune.storage.races import last_race
from autotune.storage.reader import StudyReader
from autotune.storage.schema import SCHEMA_VERSION
from autotune.surfaces.file import load_surface
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning import prepare as beginning
from autotune.tuning.tune import tune
from tests.command import Autotune

ARTEFACTS = Path(__file__).parent / "artefacts"
SCHEMAS = {"schema4": 4, "cut4": 4, "study": 3, "cut": 3, "schema2": 2, "schema1": 1}
"""The studies, and the versions of their tables."""
TRIALS = {"schema4": 9, "cut4": 7, "study": 9, "cut": 7, "schema2": 8, "schema1": 7}
FORMATS = {
    "schema4/best.json": 4,
    "study/best.json": 3,
    "study/searched.json": 3,
    "schema2/best.json": 2,
    "schema1/best.json": 1,
}
VIEWERS: dict[str, Sequence[str]] = {
    "status": ("status", "{}"),
    "status --json": ("status", "{}", "--json"),
    "log": ("log", "{}"),
    "log --json": ("log", "{}", "--json"),
    "report": ("report", "{}", "--out", "{}/report.html"),
    "pareto": ("pareto", "{}"),
    "pareto --json": ("pareto", "{}", "--json"),
    "best": ("best", "{}"),
    "best --json": ("best", "{}", "--json"),
    "another best": ("best", "{}", "--max-latency", "15ms", "--percentile", "90"),
    "frame": ("frame", "{}", "--csv", "-"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for those that only read, with the model beside every study."""
    return copied(tmp_path_factory.mktemp("artefacts"))


def copied(folder: Path) -> Path:
    """A copy of all artefacts: the model is kept once, and lies beside each of them."""
    shutil.copytree(ARTEFACTS, folder, dirs_exist_ok=True)
    for place in folder.iterdir():
        if place.is_dir():
            for name in ("model.xml", "model.bin"):
                shutil.copy(folder / name, place / name)
    return folder


def grown(folder: Path, more: int) -> StudySpec:
    """The study with a budget of so many trials more than it has, and no limit in time."""
    spec = load_spec(folder)
    trials = History(trials_of(folder)).finished + more
    budget = spec.budget.model_copy(update={"duration": None, "trials": trials})
    return spec.model_copy(update={"budget": budget})


def trials_of(folder: Path) -> list[Trial]:
    """What is recorded."""
    with closing(StudyReader.read_only(folder)) as store:
        return [store.with_blocks(trial) for trial in store.trials()]


def schema(folder: Path) -> int:
    """The version of the tables."""
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        (found,) = connection.execute("SELECT schema_version FROM autotune_study").fetchone()
    return int(found)


def simulated() -> SimulatedRunner:
    """Another machine: two CPUs, as the studies were begun on, that know bf16."""
    return SimulatedRunner(cpu=SimulatedCpu(cpus=2, speed={"bf16": 1.5, "f32": 1.0}))


class RealRunner(SubprocessRunner):
    """This machine, with as many CPUs as the studies were begun with."""

    def machine(self, facts: Inspection) -> Machine:
        """What a study's space depends on is as it was."""
        return replace(super().machine(facts), usable_cpus=2)


# --- studies


@pytest.mark.parametrize("name", SCHEMAS)
def test_they_are_what_they_are_said_to_be(kept: Path, name: str) -> None:
    """The schema of each; nobody has brought one up to date by mistake."""
    assert schema(kept / name) == SCHEMAS[name]
    assert len(trials_of(kept / name)) == TRIALS[name]


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("name", SCHEMAS)
def test_every_viewer_reads_every_study(
    autotune: Autotune, kept: Path, name: str, viewer: str
) -> None:
    """It says something, and the file is byte for byte as it was."""
    folder = kept / name
    before = (folder / "study.db").read_bytes()
    done = autotune(*(word.format(folder) for word in VIEWERS[viewer]))

    assert (done.code, done.err) == (0, "")
    if viewer.endswith("--json"):
        assert json.loads(done.out)
    elif viewer == "report":
        assert (folder / "report.html").read_text().startswith("<!doctype html>")
    else:
        assert done.out.strip()
    assert (folder / "study.db").read_bytes() == before
    assert not list(folder.glob("study.db-*"))


def test_a_comparison_reads_studies_of_several_schemas(autotune: Autotune, kept: Path) -> None:
    """Side by side in one page."""
    page = kept / "comparison.html"
    assert autotune("report", *(kept / name for name in SCHEMAS), "--out", page).code == 0
    assert page.stat().st_size > 0


@pytest.mark.parametrize("name", SCHEMAS)
def test_they_are_read_from_python(kept: Path, name: str) -> None:
    """A row for each measurement, and nothing of its failures is lost."""
    measured = [trial for trial in trials_of(kept / name) if trial.measurement is not None]
    assert len(package.frame(kept / name)) >= len(measured)


@pytest.mark.parametrize("name", SCHEMAS)
def test_tuning_continues_every_study(tmp_path: Path, name: str) -> None:
    """On another machine, by another user: what was there stays, and two trials follow."""
    folder = copied(tmp_path) / name
    before = trials_of(folder)
    outcome = tune(grown(folder, 2), folder, runner=simulated(), anyway=True, trust=True)

    after = trials_of(folder)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2
    assert outcome.race is not None
    assert outcome.best is not None
    assert schema(folder) == SCHEMA_VERSION


@pytest.mark.parametrize("name", ["study", "schema2"])
def test_a_batch_that_is_unproven_now_is_unproven_in_an_older_study(
    autotune: Autotune, tmp_path: Path, name: str
) -> None:
    """That version kept no doubts: what this one finds goes for what that one measured."""
    folder = copied(tmp_path) / name
    runner = simulated()
    runner.unproven_batch = why = "its output is empty for every sample"
    before = {trial.number: trial for trial in trials_of(folder)}
    outcome = tune(grown(folder, 0), folder, runner=runner, anyway=True, trust=True)

    batches = [t for t in trials_of(folder) if t.configuration.batch_size > 1 and t.measurement]
    assert batches
    with closing(StudyReader.read_only(folder)) as store:
        for trial in batches:
            old = before[trial.number].measurement
            assert trial.measurement is not None
            assert old is not None
            assert (old.opening.unproven, trial.measurement.opening.unproven) == (None, why)
            best = best_of_study(store, folder, trial, outcome.trials, outcome.goal)
            assert (best.status, best.unproven) == (Status.UNPROVEN, why)
        race = last_race(store)
    if race is not None:
        standings = result_of(race, outcome.goal).standings
        raced = {s.contender.trial: s.unproven for s in standings if s.contender.trial is not None}
        assert {raced.get(trial.number, why) for trial in batches} == {why}
        assert set(raced.values()) <= {None, why}
    table = autotune("frame", folder, "--csv", "-").out
    assert table.count(why) == len(batches)
    assert f"unproven: a batch, as {why}" in autotune("log", folder).out


def another_model(folder: Path, spec: StudySpec) -> StudySpec:
    """Its file was changed."""
    (folder / "model.xml").write_text((folder / "model.xml").read_text() + "\n")
    return spec


def altered(section: str, **values: object) -> Callable[[Path, StudySpec], StudySpec]:
    """Something in the study file was."""

    def alter(_: Path, spec: StudySpec) -> StudySpec:
        changed = {**spec.model_dump(mode="json", exclude_defaults=True)}
        changed[section] = {**changed.get(section, {}), **values}
        return build_spec(changed, "study.toml")

    return alter


REFUSALS: dict[str, tuple[Callable[[Path, StudySpec], StudySpec], bool]] = {
    "another model": (another_model, True),
    "another goal": (altered("goal", max_latency="1s"), True),
    "another shape": (altered("model", shape="x:1,3,64,64"), True),
    "another space": (altered("space", batch=[1]), True),
    "another machine": (lambda _, spec: spec, False),
}
"""What was done to a study, and whether the user said --anyway."""


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("name", SCHEMAS)
def test_a_refused_study_is_as_it_was(tmp_path: Path, name: str, refusal: str) -> None:
    """Byte for byte, of its old schema, its owner's; and nothing was left beside it."""
    folder = copied(tmp_path) / name
    change, anyway = REFUSALS[refusal]
    spec = change(folder, load_spec(folder))
    before = files_of(folder)
    with pytest.raises(StudyMismatchError):
        tune(spec, folder, runner=simulated(), anyway=anyway, trust=True)
    assert files_of(folder) == before


@pytest.mark.parametrize("name", ["schema4", "cut4", "study", "cut"])
def test_a_study_of_somebody_else_is_as_it_was(tmp_path: Path, name: str) -> None:
    """And it is still theirs."""
    folder = copied(tmp_path) / name
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        connection.execute("UPDATE autotune_study SET owner = 'somebody else'")
    before = files_of(folder)
    with pytest.raises(StudyMismatchError, match="--trust"):
        tune(load_spec(folder), folder, runner=simulated(), anyway=True)
    assert files_of(folder) == before


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything in a study's folder but the lock."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.openvino
def test_a_real_machine_continues_a_study(tmp_path: Path) -> None:
    """One trial more on the runtime, with its own model."""
    folder = copied(tmp_path) / "study"
    spec = grown(folder, 1)
    spec = spec.model_copy(
        update={
            "race": spec.race.model_copy(update={"share": 0.0}),
            "measure": spec.measure.model_copy(update={"limit": 1.0, "warmup": 0.2}),
        }
    )
    runner = RealRunner(beginning.source(spec, folder), folder / "logs")
    tune(spec, folder, runner=runner, anyway=True, trust=True)
    assert len(trials_of(folder)) == TRIALS["study"] + 1


# --- best.json


@pytest.mark.parametrize("name", FORMATS)
def test_a_best_file_of_every_format_is_verified(kept: Path, name: str) -> None:
    """Read, found to be of its model, and raced again."""
    assert json.loads((kept / name).read_text())["format_version"] == FORMATS[name]
    seen, _, _ = verify(kept / name, 20.0, anyway=True, runners=lambda *_: simulated())
    assert seen.standing.state is not State.FAILED
    assert seen.claim_per_s > 0


@pytest.mark.openvino
def test_a_best_file_is_verified_on_a_real_machine(autotune: Autotune, kept: Path) -> None:
    """With the model and the configuration of the file alone: it holds, or it does not."""
    done = autotune("verify", kept / "study/searched.json", "--budget", "1s", "--anyway", "--json")
    assert done.code in {0, 4}
    assert json.loads(done.out)


@pytest.mark.openvino
@pytest.mark.parametrize("name", FORMATS)
def test_a_best_file_of_every_format_is_exported(
    autotune: Autotune, kept: Path, tmp_path: Path, name: str
) -> None:
    """For every target that can run it."""
    done = autotune("export", kept / name, "--to", "all", "--out", tmp_path)
    assert done.code == 0
    written = {folder.name for folder in tmp_path.iterdir()}
    assert {"benchmark_app", "python", "cpp"} <= written <= set(TARGETS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_best_file_of_every_format_is_loaded(kept: Path, name: str) -> None:
    """And is found beside its model."""
    assert package.load_best(kept / name).model_path.is_file()
    assert read_best(kept / name).num_requests >= 1


# --- surface


@pytest.mark.parametrize("name", ["surface", "surface4"])
def test_a_surface_is_replayed(autotune: Autotune, kept: Path, name: str) -> None:
    """A short study on it, with its own goal."""
    file = kept / name / "surface.db"
    surface = load_surface(file)
    assert surface.is_whole
    # Recorded before that was known: nothing is made up.
    slices = [taken for launch in surface.launches for taken in launch.slices]
    assert {(taken.cpu_s, taken.rss_bytes) for taken in slices} == {(None, None)}
    options = ("--sampler", "random", "--trials", 4, "--seeds", 1, "--json")
    done = autotune("replay", file, *options)
    assert done.code == 0
    (curve,) = json.loads(done.out)
    assert curve["traces"]


# --- a race that was cut off


def test_the_race_that_was_cut_off_is_seen(kept: Path) -> None:
    """In its second launch."""
    with closing(StudyReader.read_only(kept / "cut")) as store:
        race = last_race(store)
    assert race is not None
    assert race.end is None
    assert {piece.launch for piece in race.slices} == {0, 1}


def test_a_race_that_was_cut_off_is_not_mixed_with_another_machines(tmp_path: Path) -> None:
    """A new one begins there, and its slices alone are counted; the old one stays."""
    folder = copied(tmp_path) / "cut"
    outcome = tune(grown(folder, 0), folder, runner=simulated(), anyway=True, trust=True)
    with closing(StudyReader.read_only(folder)) as store:
        race = last_race(store)
        machines = {session.place.digest for session in store.sessions()}
    assert race is not None
    assert (race.number, len(machines), len(race.places)) == (2, 2, 1)
    assert outcome.race is not None
    assert outcome.race.launches == len({piece.launch for piece in race.slices})
    assert slices(folder, race=1) == slices(ARTEFACTS / "cut", race=1)


def test_a_race_that_was_cut_off_goes_on_where_it_was_held(tmp_path: Path) -> None:
    """With the slices that it had."""
    folder = copied(tmp_path) / "cut"
    with closing(StudyReader.read_only(folder)) as store:
        (session,) = store.sessions()

    class SameRunner(SimulatedRunner):
        def machine(self, facts: Inspection) -> Machine:
            """As far as anybody can see."""
            return Machine(**session.machine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autotune.tuning.session.versions", lambda: session.versions)
        runner = SameRunner(cpu=SimulatedCpu(cpus=2, speed={"bf16": 1.5, "f32": 1.0}))
        tune(grown(folder, 0), folder, runner=runner, trust=True)
    before = slices(ARTEFACTS / "cut", race=1)
    assert slices(folder, race=1)[: len(before)] == before
    assert len(slices(folder, race=1)) > len(before)
    assert slices(folder, race=2) == []


def slices(folder: Path, race: int) -> list[tuple[object, ...]]:
    """Of a race, as they were written."""
    columns = "launch, round, contender, at_s, duration_s, latencies"
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        query = f"SELECT {columns} FROM autotune_slice WHERE race_id = ? ORDER BY id"  # noqa: S608
        return connection.execute(query, (race,)).fetchall()
