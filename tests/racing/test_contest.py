"""Who enters a race without a study: every form of a name, and every wrong one with the way out."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.measurement import Feed
from autotune.domain.model_file import model_sha256
from autotune.domain.race import Contender, State
from autotune.domain.trial import Trial
from autotune.errors import (
    AutotuneError,
    BusyError,
    ModelError,
    StorageError,
    StudyMismatchError,
    UsageError,
)
from autotune.export.best_file import BestFile, BestModel, write_best
from autotune.export.configuration import configuration_of
from autotune.export.from_trial import best_file
from autotune.machines.locks import machine_lock
from autotune.machines.ports import Runner
from autotune.racing.calibration import Calibration, save_calibration
from autotune.racing.contest import common_goal, contest
from autotune.racing.named import (
    NamedContender,
    RacedModel,
    contender_of_file,
    contender_of_stored,
    named_contenders,
    parse_configuration,
    trial_of,
)
from autotune.racing.race import Race
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimensions import Api, PerformanceHint
from autotune.space.space import SearchSpace
from autotune.spec import build_spec, to_toml
from autotune.testing import SimulatedRunner
from tests.builders import (
    GOAL,
    make_configuration,
    make_failure,
    make_measurement,
    make_opening,
    make_trial,
)
from tests.onnx_models import write_external
from tests.storage.studies import IDENTITY, opened

LATENCY = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
THROUGHPUT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
MACHINE = SimulatedRunner().machine(SimulatedRunner().inspect(["CPU"], try_batch=False)).to_dict()


@pytest.fixture(autouse=True)
def _never_calibrated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def make_best(
    configuration: Configuration | None = None, *, goal: Goal = GOAL, **fields: Any
) -> BestFile:
    """A file that was made on the simulated machine, whose model is nowhere."""
    found = make_trial(3, configuration=configuration)
    values: dict[str, Any] = {
        "trial": found,
        "trials": (make_trial(1, configuration=THROUGHPUT), found),
        "model": BestModel(path="model.onnx", sha256="0" * 64, shapes={"x": [1, 3]}),
        "machine": MACHINE,
        "versions": {},
        "study": "s",
        **fields,
    }
    return best_file(goal=goal, **values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model and its best.json."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    known = BestModel(path="model.onnx", sha256=model_sha256(model), shapes={"x": [1, 3]})
    write_best(make_best(model=known), tmp_path / "best.json")
    return tmp_path


def edited(folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """The best.json after somebody's hands were on it."""
    path = folder / "best.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))
    return path


def make_study(folder: Path, trials: Sequence[Trial], shape: str | None = None) -> Path:
    """A study of these trials; its model lies beside the folder."""
    folder.mkdir()
    (folder.parent / "model.onnx").write_bytes(b"weights")
    spec = build_spec(
        {
            "model": {"path": "../model.onnx", "shape": shape, "inputs": "../data.npz"},
            "goal": {"max_latency": "10ms"},
        },
        "study.toml",
    )
    store = opened(folder, replace(IDENTITY, spec=to_toml(spec)))
    with closing(store):
        store.start_session(MACHINE, {})
        for trial in trials:
            store.record(trial, elapsed_s=1.0)
    return folder


def words(text: str) -> NamedContender:
    """A hint or settings, with a model."""
    (found,) = named_contenders([text], RacedModel(path=Path("m.onnx"), shapes={}), "CPU")
    return found


# --- files


def test_a_file_enters_with_its_claim(folder: Path) -> None:
    """Its configuration, model, goal and machine: all from the file alone."""
    found = contender_of_file(folder / "best.json")
    assert found.contender.configuration == make_configuration()
    assert (found.contender.name, found.contender.trial) == (str(folder / "best.json"), 3)
    assert found.model == RacedModel(
        path=folder / "model.onnx", shapes={"x": [1, 3]}, items_per_request=1
    )
    assert (found.goal, found.machine) == (GOAL, MACHINE)
    assert (found.contender.search_per_s, found.contender.search_latency_ms) == (200.0, 1.0)


@pytest.mark.parametrize(("version", "items"), [(4, 8), (3, None), (2, None), (1, None)])
def test_a_file_says_how_it_counts(folder: Path, version: int, items: int | None) -> None:
    """Before format 4 it could not: inspection may tell."""
    path = folder / "best.json"
    values = json.loads(path.read_text())
    values["format_version"] = version
    values["model"].pop("items_per_request")
    if items is not None:
        values["model"]["items_per_request"] = items
    path.write_text(json.dumps(values))
    found = contender_of_file(path)
    assert found.model.items_per_request == items


def test_a_trial_counts_as_its_study(tmp_path: Path) -> None:
    """With its data, which it is fed with again."""
    study = make_study(tmp_path / "study", [make_trial(0)])
    with closing(sqlite3.connect(study / "study.db")) as connection, connection:
        connection.execute("UPDATE autotune_study SET items_per_request = 8")
    assert contender_of_stored(study, 0).model.items_per_request == 8


def test_a_moved_model_is_found_where_it_is_said_to_be(folder: Path) -> None:
    """If it is the same one; without the option, the message names the option."""
    (folder / "elsewhere").mkdir()
    moved = (folder / "model.onnx").rename(folder / "elsewhere" / "m.onnx")
    with pytest.raises(ModelError, match=r"no such model file; if it was moved"):
        contender_of_file(folder / "best.json")
    assert contender_of_file(folder / "best.json", moved).model.path == moved


def test_another_model_is_refused(folder: Path) -> None:
    """Its claims are about the one that was tuned."""
    (folder / "model.onnx").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=r"is not the model of .*best\.json \(its SHA-256 differs"):
        contender_of_file(folder / "best.json")


def test_other_weights_make_another_model(folder: Path) -> None:
    """Although the model's own file is the same; a missing file of them is named."""
    model = write_external(folder / "model.onnx", {"w": "weights.data"})
    known = BestModel(path="model.onnx", sha256=model_sha256(model), shapes={})
    write_best(make_best(model=known), folder / "best.json")
    assert contender_of_file(folder / "best.json").model.path == model
    write_external(folder / "model.onnx", {"w": "weights.data"}, seed=2)
    with pytest.raises(ModelError, match=r"is not the model of .*best\.json \(its SHA-256 differs"):
        contender_of_file(folder / "best.json")
    (folder / "weights.data").unlink()
    with pytest.raises(
        ModelError, match=r"weights are in .*weights\.data, and there is no such fil"
    ):
        contender_of_file(folder / "best.json")


def test_a_file_of_0_1_enters_with_the_digest_that_it_has(folder: Path) -> None:
    """That of the model's own file, whose external data 0.1 did not see."""
    model = write_external(folder / "model.onnx")
    known = hashlib.sha256(model.read_bytes()).hexdigest()
    write_best(
        make_best(model=BestModel(path="model.onnx", sha256=known, shapes={})), folder / "best.json"
    )

    assert contender_of_file(folder / "best.json").model.path == model


def test_a_missing_or_broken_file_is_named(folder: Path) -> None:
    """In one line."""
    with pytest.raises(AutotuneError, match=r"gone\.json: cannot be read"):
        contender_of_file(folder / "gone.json")
    (folder / "best.json").write_text((folder / "best.json").read_text()[:100])
    with pytest.raises(AutotuneError, match=r"best\.json: is no JSON file"):
        contender_of_file(folder / "best.json")


def spaces() -> st.SearchStrategy[tuple[SearchSpace, int]]:
    """A space of one device, and a number that picks one of its points."""

    def space(device: str, batch: tuple[int, ...], apis: tuple[Api, ...]) -> SearchSpace:
        choices = {
            "device": (device,),
            "threads_per_stream": (1, 2, 3, 4) if device == "CPU" else (1,),
            "streams": (1, 2, 3, 8),
            "requests_per_stream": (1, 2, 3),
            "batch": batch,
            "pinning": (True, False),
            "precision": ("f32", "bf16"),
            "api": apis,
        }
        return SearchSpace(choices, cpus=8)

    found = st.builds(
        space,
        st.sampled_from(["CPU", "GPU", "GPU.1"]),
        st.sampled_from([(1,), (1, 4), (2, 8)]),
        st.sampled_from([(Api.ASYNC,), (Api.SYNC,), (Api.ASYNC, Api.SYNC)]),
    )
    return st.tuples(found, st.integers(0, 2**20))


@given(spaces())
def test_a_configuration_survives_its_file(picked: tuple[SearchSpace, int]) -> None:
    """What a file says is read back as what was tuned, for any point of a space."""
    space, number = picked
    points = list(space.points())
    configuration = space.configuration(points[number % len(points)])
    measured = make_measurement(num_requests=configuration.num_requests)
    trial = make_trial(3, configuration=configuration, measurement=measured)
    best = make_best(trial=trial, trials=(trial,))
    assert configuration_of(best, "best.json") == configuration


@pytest.mark.parametrize("configuration", [LATENCY, THROUGHPUT])
def test_a_hint_survives_its_file(configuration: Configuration) -> None:
    """It is still a hint, with the runtime's own number of requests."""
    assert configuration_of(make_best(configuration), "best.json") == configuration


# --- trials


def test_a_trial_of_a_study_enters_by_its_number(tmp_path: Path) -> None:
    """With the study's model, shape, data, goal and machine."""
    study = make_study(tmp_path / "demo", [make_trial(2)], "x:1,3,8,8")
    (found,) = named_contenders([f"{study}:2"], None, "CPU")
    assert (found.contender.name, found.contender.trial) == ("demo:2", 2)
    assert found.contender.configuration == make_configuration()
    assert found.model == RacedModel(
        path=tmp_path / "model.onnx",
        shapes={"x": [1, 3, 8, 8]},
        inputs=tmp_path / "data.npz",
        items_per_request=1,
        fed="samples of data.npz, bound once",
    )
    assert (found.goal, found.machine, found.feed) == (GOAL, MACHINE, Feed.BIND)
    assert not found.model.is_random


@pytest.mark.parametrize(
    ("trials", "number", "says"),
    [
        ([make_trial(2), make_trial(5)], 3, "no measured trial of that number; there are 2 to 5"),
        ([make_trial(0, failure=make_failure())], 0, "no measured trial .* there are none"),
        ([], 0, "no measured trial .* there are none"),
    ],
    ids=["unknown", "failed", "empty"],
)
def test_a_trial_that_was_not_measured_is_refused(
    tmp_path: Path, trials: list[Trial], number: int, says: str
) -> None:
    """With the numbers that there are."""
    study = make_study(tmp_path / "demo", trials)
    with pytest.raises(UsageError, match=rf"demo:{number}: {says}"):
        contender_of_stored(study, number)


def test_a_study_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what to give; and a folder that has no study yet with how to begin one."""
    with pytest.raises(UsageError, match=r"gone:3: no such study; give its folder"):
        named_contenders([f"{tmp_path / 'gone'}:3"], None, "CPU")
    with pytest.raises(StorageError, match="begin with: autotune tune"):
        named_contenders([f"{tmp_path}:3"], None, "CPU")


def test_a_study_may_be_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As below `studies`, where tune puts it."""
    (tmp_path / "studies").mkdir()
    make_study(tmp_path / "studies" / "demo", [make_trial(2)])
    monkeypatch.chdir(tmp_path)
    (found,) = named_contenders(["demo:2"], None, "CPU")
    assert (found.contender.name, found.contender.trial) == ("demo:2", 2)
    assert found.model.path == tmp_path / "studies" / "model.onnx"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("studies/a:3", (Path("studies/a"), 3)),
        ("/x:y/a:12", (Path("/x:y/a"), 12)),
        ("studies/a", None),
        ("studies/a:", None),
        ("studies/a:b", None),
        ("studies/a:-1", None),
        (":3", None),
        ("streams=2", None),
    ],
)
def test_the_form_of_a_trial(text: str, expected: tuple[Path, int] | None) -> None:
    """A folder, a colon, a number; a colon in the folder is no harm."""
    assert trial_of(text) == expected


# --- hints and settings


@pytest.mark.parametrize(
    ("text", "expected"), [("LATENCY", LATENCY), ("throughput", THROUGHPUT), ("Latency", LATENCY)]
)
def test_a_hint_enters_by_its_name(text: str, expected: Configuration) -> None:
    """However it is written; tables call it by its configuration."""
    found = words(text)
    assert found.contender == Contender(name=str(expected), configuration=expected)
    assert (found.goal, found.best, found.machine) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "streams=2,threads_per_stream=1,requests=4,batch=8",
            Configuration(
                device="CPU", streams=2, threads_per_stream=1, num_requests=4, batch_size=8
            ),
        ),
        (
            "NUM_STREAMS=2,INFERENCE_NUM_THREADS=4,ENABLE_CPU_PINNING=NO",
            Configuration(device="CPU", streams=2, threads_per_stream=2, pinning=False),
        ),
        (
            "INFERENCE_NUM_THREADS=4, NUM_STREAMS=2",
            Configuration(device="CPU", streams=2, threads_per_stream=2),
        ),
        (
            "PERFORMANCE_HINT=latency,INFERENCE_PRECISION_HINT=f32",
            Configuration(device="CPU", hint=PerformanceHint.LATENCY, precision="f32"),
        ),
        ("nireq=3", Configuration(device="CPU", num_requests=3)),
        ("num_requests=3,batch_size=2", Configuration(device="CPU", num_requests=3, batch_size=2)),
        ("device=GPU.1,hint=LATENCY", Configuration(device="GPU.1", hint=PerformanceHint.LATENCY)),
        ("api=SYNC,pinning=true", Configuration(device="CPU", api=Api.SYNC, pinning=True)),
        ("Streams=1", Configuration(device="CPU", streams=1)),
    ],
)
def test_settings_enter_in_our_words_and_openvinos(text: str, expected: Configuration) -> None:
    """Both spellings, also mixed; what is left out is the hint's."""
    found = words(text)
    assert found.contender.configuration == expected
    assert found.contender.name == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fast", "'fast' is no setting; give a best.json, STUDY:TRIAL, LATENCY"),
        ("", "is no setting"),
        ("streams=2,", "'' is no setting"),
        ("stream=2", "'stream=2' is no setting.*NUM_STREAMS"),
        ("NUM_STREAM=2", "is no setting"),
        ("streams", "'streams' is no setting"),
        ("streams=0", "'0' is no whole number from 1 to 65536"),
        ("streams=-1", "'-1' is no whole number"),
        ("streams=two", "'two' is no whole number"),
        ("streams=70000", "'70000' is no whole number"),
        ("streams=2.0", "'2.0' is no whole number"),
        ("pinning=maybe", "'maybe' is neither yes nor no"),
        ("hint=FASTEST", "FASTEST"),
        ("api=rpc", "rpc"),
        ("NUM_STREAMS=2,INFERENCE_NUM_THREADS=3", "3 threads need streams that divide them"),
    ],
)
def test_wrong_settings_are_refused_with_the_way_out(text: str, says: str) -> None:
    """In one line that begins with what was given."""
    with pytest.raises(UsageError, match=says) as refusal:
        parse_configuration(text)
    assert str(refusal.value).startswith(repr(text))
    assert "\n" not in str(refusal.value)


@given(st.text(alphabet="streamNUM_=,0123456789 yesno:é-", max_size=40))
def test_any_text_is_settings_or_a_usage_error(text: str) -> None:
    """Never anything else."""
    try:
        assert isinstance(parse_configuration(text), Configuration)
    except UsageError as error:
        assert text[:1] in str(error)  # noqa: PT017 - either outcome is right, a third is not


# --- all names together


def test_hints_and_settings_run_the_first_named_model(folder: Path) -> None:
    """Wherever it stands among the names; a model that is given comes first for them."""
    found = named_contenders(["LATENCY", str(folder / "best.json"), "streams=2"], None, "CPU")
    assert {one.model.path for one in found} == {folder / "model.onnx"}
    assert [one.contender.configuration for one in found] == [
        LATENCY,
        make_configuration(),
        Configuration(device="CPU", streams=2),
    ]


def test_hints_run_the_model_that_is_given() -> None:
    """On the device that is given."""
    model = RacedModel(path=Path("m.onnx"), shapes={})
    found = named_contenders(["LATENCY", "streams=2"], model, "GPU")
    assert {one.model.path for one in found} == {Path("m.onnx")}
    assert {one.contender.configuration.device for one in found} == {"GPU"}


def test_a_name_that_needs_a_model_says_so() -> None:
    """Nobody gave one."""
    with pytest.raises(UsageError, match=r"'LATENCY' needs a model: give --model, or a best\.json"):
        named_contenders(["LATENCY", "THROUGHPUT"], None, "CPU")


def test_a_file_that_is_not_there_is_no_setting(tmp_path: Path) -> None:
    """What ends in .json was meant as a file."""
    with pytest.raises(UsageError, match=r"gone\.json: there is no such file"):
        named_contenders([str(tmp_path / "gone.json")], None, "CPU")


def test_the_goal_is_what_all_share(folder: Path) -> None:
    """Two with one goal keep it; two with different ones have no cap in common."""
    one = contender_of_file(folder / "best.json")
    other = replace(one, goal=Goal(Objective.THROUGHPUT, 99.0, 5.0))
    open_goal = Goal(Objective.THROUGHPUT, 99.0, None)
    assert common_goal([one, words("LATENCY"), one]) == GOAL
    assert common_goal([one, other]) == open_goal
    assert common_goal([one, replace(one, goal=replace(GOAL, portable=True))]) == GOAL
    assert common_goal([words("LATENCY")]) == open_goal


# --- the race


def contestants(*configurations: Configuration, machine: dict[str, Any] | None = None) -> Any:
    """Contenders of one simulated model."""
    return [
        NamedContender(
            contender=Contender(name=f"{i}: {c}", configuration=c),
            model=RacedModel(path=Path("m.onnx"), shapes={}),
            machine=machine,
        )
        for i, c in enumerate(configurations)
    ]


def on(runner: SimulatedRunner) -> Callable[[RacedModel, Path], Runner]:
    """Every model on this machine."""
    return lambda model, folder: runner


def test_a_contest_tells_the_faster_one() -> None:
    """A planted factor of two is found, and nobody is dropped for being slow."""
    runner = SimulatedRunner(noise=0.03)
    slow = make_configuration(num_requests=2, precision="f32", pinning=False)
    fast = make_configuration(num_requests=2, precision="f32")
    runner.slower = {slow.compile_key: 2.0}
    seen: list[int] = []
    race, machine = contest(
        contestants(slow, fast),
        GOAL,
        60.0,
        on_launch=lambda race: seen.append(race.launches),
        runners=on(runner),
    )
    result = race.result()
    assert result.standings[1].ratio is not None
    assert result.standings[1].ratio.mean == pytest.approx(2.0, rel=0.1)
    assert {standing.launches for standing in result.standings} == {result.launches}
    assert seen == list(range(1, result.launches + 1))
    assert machine.cpu_model == "simulated CPU"
    assert runner.clock() <= 62.0


@pytest.mark.parametrize(
    "goal",
    [
        GOAL.within({"max_energy_per_item": 0.001}),
        Goal(Objective.EFFICIENCY, 99.0, None, resource=Resource.ENERGY),
    ],
    ids=["limit", "objective"],
)
def test_what_cannot_be_measured_here_is_refused_before_anything_runs(goal: Goal) -> None:
    """Nobody waits two minutes to hear that energy could not be read."""
    runner = SimulatedRunner()
    with pytest.raises(UsageError, match="energy cannot be measured here"):
        contest(contestants(THROUGHPUT), goal, 30.0, runners=on(runner))
    assert runner.opened == []


def test_equal_names_are_still_two_contenders() -> None:
    """The same configuration twice is an A/A race."""
    runner = SimulatedRunner()
    race, _ = contest(contestants(THROUGHPUT, THROUGHPUT), GOAL, 30.0, runners=on(runner))
    ratio = race.result().standings[1].ratio
    assert ratio is not None
    assert ratio.mean == pytest.approx(1.0)
    assert runner.opened.count(THROUGHPUT.compile_key) == 2 * race.launches


def test_every_model_has_a_runner_of_its_own() -> None:
    """Contenders of one model share it, and each asks for the devices that it needs."""
    made: list[tuple[Path, Path]] = []
    runners: list[SimulatedRunner] = []
    named = contestants(LATENCY, THROUGHPUT, THROUGHPUT)
    named[2] = replace(named[2], model=RacedModel(path=Path("other.onnx"), shapes={}))

    def make(model: RacedModel, folder: Path) -> Runner:
        made.append((model.path, folder))
        runners.append(SimulatedRunner())
        return runners[-1]

    contest(named, GOAL, 20.0, runners=make)
    assert [path for path, _ in made] == [Path("m.onnx"), Path("other.onnx")]
    assert len({folder for _, folder in made}) == 2
    assert {key.key for key in runners[0].opened} == {
        LATENCY.compile_key.key,
        THROUGHPUT.compile_key.key,
    }
    assert set(runners[1].opened) == {THROUGHPUT.compile_key}


def test_what_fails_is_named_and_the_others_race_on() -> None:
    """A crash costs its contender only."""
    faults = {LATENCY.compile_key: [make_failure(FailureKind.CRASH, phase="open")] * 9}
    runner = SimulatedRunner(faults=faults)
    race, _ = contest(contestants(LATENCY, THROUGHPUT), GOAL, 30.0, runners=on(runner))
    failed, other = race.result().standings
    assert (failed.state, failed.throughput) == (State.FAILED, None)
    assert failed.failure is not None
    assert other.throughput is not None


def test_another_machine_is_refused_unless_told_otherwise() -> None:
    """What differs is listed; hints and settings belong to no machine."""
    named = contestants(THROUGHPUT, machine={**MACHINE, "openvino": "2020.1"})
    with pytest.raises(StudyMismatchError) as refusal:
        contest(named, GOAL, 20.0, runners=on(SimulatedRunner()))
    assert "openvino: '2020.1' then, 'simulated' now" in str(refusal.value)
    assert "--anyway" in str(refusal.value)
    race, _ = contest(named, GOAL, 20.0, anyway=True, runners=on(SimulatedRunner()))
    assert race.result().launches
    race, _ = contest(contestants(THROUGHPUT), GOAL, 20.0, runners=on(SimulatedRunner()))
    assert race.result().launches


def test_a_contest_is_alone_on_the_machine() -> None:
    """While another measurement runs it is refused."""
    with machine_lock(), pytest.raises(BusyError):
        contest(contestants(THROUGHPUT), GOAL, 20.0, runners=on(SimulatedRunner()))


def test_a_missing_model_is_found_before_anything_runs(tmp_path: Path) -> None:
    """By the runner of worker processes, with the way out."""
    missing = RacedModel(path=tmp_path / "gone.onnx", shapes={})
    named = [replace(contestants(THROUGHPUT)[0], model=missing)]
    with pytest.raises(ModelError, match="no such model file; give --model"):
        contest(named, GOAL, 20.0)


def test_calibrated_noise_widens_ties() -> None:
    """What the machine makes of two equal ones is the margin of this race too."""
    noise = Calibration(
        measured_at="2026-05-01T10:00:00+00:00",
        model="m",
        noise=0.05,
        ratio=1.0,
        slice_sd=0.02,
        launches=6,
        rounds=30,
        duration_s=90.0,
    )
    runner = SimulatedRunner()
    save_calibration(runner.machine(runner.inspect(["CPU"], try_batch=False)), noise)
    race, _ = contest(contestants(THROUGHPUT), GOAL, 20.0, runners=on(runner))
    result = race.result()
    assert (result.tie_margin, result.conditions.noise) == (0.05, 0.05)


def test_a_contest_ends_when_asked() -> None:
    """After the round, with what was seen."""
    asked = iter([False] * 4 + [True] * 99)
    runner = SimulatedRunner()
    race, _ = contest(
        contestants(THROUGHPUT, LATENCY),
        GOAL,
        60.0,
        feed=Feed.COPY,
        is_stopped=lambda: next(asked),
        runners=on(runner),
    )
    result = race.result()
    assert result.end == "stopped"
    assert (result.feed, 0 < result.rounds < 5) == (Feed.COPY, True)


def test_a_seed_repeats_the_order_of_turns() -> None:
    """And another one gives another order."""

    def order(seed: int) -> list[int]:
        runner = SimulatedRunner()
        named = contestants(*[make_configuration(num_requests=n) for n in range(1, 5)])
        race: Race
        race, _ = contest(named, GOAL, 40.0, seed=seed, runners=on(runner))
        return [piece.contender for piece in race.slices]

    assert order(1) == order(1) != order(2)


@pytest.mark.parametrize("text", ["a:\u00b2", "a:\u0663"])
def test_a_number_in_other_digits_is_no_trial(text: str) -> None:
    """Only 0 to 9 are digits of a trial."""
    assert trial_of(text) is None


def test_requests_of_a_meta_device_survive_the_file() -> None:
    """AUTO takes no streams, but the tuned number of requests is part of the configuration."""
    configuration = Configuration(device="AUTO:CPU,GPU", num_requests=4, precision="f32")
    opening = make_opening(effective=Effective({"OPTIMAL_NUMBER_OF_INFER_REQUESTS": "2"}, 2))
    measured = make_measurement(num_requests=4, opening=opening)
    trial = make_trial(3, configuration=configuration, measurement=measured)
    best = make_best(trial=trial, trials=(trial,))
    assert configuration_of(best, "best.json").num_requests == 4
