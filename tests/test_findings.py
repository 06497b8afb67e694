"""What inspection finds and the user should know: told at the start, kept, shown afterwards."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autotune.analysis.story import What, story
from autotune.cli.progress import lines
from autotune.domain.events import Event, StudyOpened
from autotune.domain.fed import Fed
from autotune.export.from_study import best_of_study
from autotune.report.words import terms_in_words, terms_of
from autotune.spec import StudySpec, build_spec
from autotune.storage.identity import Identity
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedRunner
from autotune.tuning.tune import tune
from tests.command import Autotune
from tests.report.studies import view

WHY = "an output has no batch dimension"
WARNINGS = ("Loop: how often it runs depends on the data", "ids: whole numbers")
MISLEADS = f"random inputs may mislead: {'; '.join(WARNINGS)}; give real ones with [model] inputs"
NO_BATCH = f"only batch 1 is tried: {WHY}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a model file and data."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "data.npz").write_bytes(b"samples")
    return tmp_path


def make_spec(*, trials: int = 3, inputs: str | None = None, **space: Any) -> StudySpec:
    """Any batch, unless one is given."""
    return build_spec(
        {
            "model": {"path": "model.onnx", **({} if inputs is None else {"inputs": inputs})},
            "goal": {"max_latency": "20ms"},
            "budget": {"trials": trials},
            "space": {"pinning": True, **space},
            "race": {"share": 0.0},
        },
        "study.toml",
    )


def told(folder: Path, spec: StudySpec, runner: SimulatedRunner) -> StudyOpened:
    """What a session says when it begins."""
    events: list[Event] = []
    tune(spec, folder, runner=runner, on_event=events.append)
    (found,) = [event for event in events if isinstance(event, StudyOpened)]
    return found


def identity(folder: Path) -> Identity:
    """What is stored of the study."""
    with closing(StudyReader.read_only(folder)) as store:
        return store.identity()


def findings(folder: Path) -> dict[str, str]:
    """What is stored of the last inspection."""
    with closing(StudyReader.read_only(folder)) as store:
        return dict(store.findings())


def test_why_there_is_no_batch_is_told_and_kept(folder: Path, autotune: Autotune) -> None:
    """At the start, in the log, and on the page."""
    opened = told(folder, make_spec(), SimulatedRunner(why_no_batch=WHY))
    assert opened.notes == (NO_BATCH,)
    assert f"note: {NO_BATCH}" in lines(opened)
    assert findings(folder) == {"no_batch": NO_BATCH}
    assert f"no batch: {NO_BATCH}" in autotune("log", folder).out
    assert f"{NO_BATCH[:1].upper()}{NO_BATCH[1:]}." in view(folder).notes


@pytest.mark.parametrize(
    ("runner", "space"),
    [
        (SimulatedRunner(), {}),
        (SimulatedRunner(why_no_batch=WHY), {"batch": 1}),
        (SimulatedRunner(), {"batch": [1, 4]}),
    ],
    ids=["it can be batched", "nobody asked", "it was asked for"],
)
def test_nothing_is_told_where_nothing_was_left_out(
    folder: Path, runner: SimulatedRunner, space: dict[str, Any]
) -> None:
    """A batch that the user fixed was not left out by us."""
    assert told(folder, make_spec(**space), runner).notes == ()
    assert findings(folder) == {}
    assert view(folder).notes == ()


def test_random_data_that_may_mislead_are_told_and_kept(folder: Path, autotune: Autotune) -> None:
    """At the start, with the study, in the log, on the page, and in what is exported."""
    opened = told(folder, make_spec(), SimulatedRunner(fed_warnings=WARNINGS))
    assert opened.notes == (MISLEADS,)
    assert identity(folder).fed == Fed(data="random", warnings=WARNINGS)
    assert f"random inputs: {MISLEADS}" in autotune("log", folder).out
    assert f"{MISLEADS[:1].upper()}{MISLEADS[1:]}." in view(folder).notes
    best = json.loads(autotune("best", folder, "--json").out)
    assert (best["measured"]["data"], best["measured"]["warnings"]) == ("random", list(WARNINGS))
    assert json.loads(autotune("status", folder, "--json").out)["data_warnings"] == list(WARNINGS)


def test_items_that_may_be_more_are_told(folder: Path, autotune: Autotune) -> None:
    """A first dimension that could not be shown to be a batch, unless the study says what it is."""
    opened = told(folder, make_spec(batch=1), SimulatedRunner(first_dimension=8))
    (note,) = opened.notes
    assert note.startswith("a request counts as one item: ")
    assert note.endswith("say [model] items = 8")
    assert f"items: {note}" in autotune("log", folder).out
    assert f"{note[:1].upper()}{note[1:]}." in view(folder).notes
    spec = make_spec(batch=1, trials=4)
    spec = spec.model_copy(update={"model": spec.model.model_copy(update={"items": 1})})
    assert told(folder, spec, SimulatedRunner(first_dimension=8)).notes == ()
    assert view(folder).notes == ()


@pytest.mark.parametrize("items", [1, 8])
def test_a_batch_that_was_found_needs_no_word(folder: Path, items: int) -> None:
    """Nor does a first dimension of one."""
    runner = SimulatedRunner(first_dimension=items, items_per_request=items)
    assert told(folder, make_spec(batch=1), runner).notes == ()


def test_what_is_no_longer_found_is_no_longer_shown(folder: Path) -> None:
    """The last session has the say; the story keeps all."""
    told(folder, make_spec(batch=1), SimulatedRunner(fed_warnings=WARNINGS))
    told(folder, make_spec(batch=1, trials=4), SimulatedRunner())
    assert findings(folder) == {}
    assert view(folder).notes == ()
    with closing(StudyReader.read_only(folder)) as store:
        happened = [one.data["kind"] for one in story(store) if one.what is What.EVENT]
    assert happened == ["random_inputs"]


@pytest.mark.parametrize(
    ("inputs", "said", "data"),
    [
        (None, "inputs: random data, bound once", "random"),
        ("data.npz", "inputs: samples of data.npz, bound once", "real"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_what_was_fed_stands_where_numbers_stand(
    folder: Path, autotune: Autotune, inputs: str | None, said: str, data: str, share: float
) -> None:
    """In the first lines of a session, in every view, on the page, and in best.json."""
    spec = make_spec(inputs=inputs, trials=4)
    spec = spec.model_copy(update={"race": spec.race.model_copy(update={"share": share})})
    opened = told(folder, spec, SimulatedRunner())
    line = f"throughput in items/s; {said}"
    assert line in lines(opened)
    assert identity(folder).fed == Fed(data=data, warnings=())  # type: ignore[arg-type]
    for command in ("status", "log", "best", "pareto"):
        assert line in autotune(command, folder).out, command
    for command in ("status", "best", "pareto"):
        found = json.loads(autotune(command, folder, "--json").out)
        assert (found["measured"] if command == "best" else found)["data"] == data
    assert ("figures", line) in view(folder).facts
    best = json.loads(autotune("best", folder, "--json").out)
    if share:
        assert f", {said};" in best["certificate"]["load"]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (1, "throughput in items/s; inputs: random data"),
        (8, "throughput in items/s, 8 items per request at batch 1; inputs: random data"),
    ],
)
def test_the_unit_is_said_once(items: int, said: str) -> None:
    """With the items in a request, where there are several."""
    assert terms_in_words(items, "random data") == said


def test_a_study_of_an_older_version_says_what_its_file_says(folder: Path) -> None:
    """It has nothing stored, and its study.toml tells."""
    told(folder, make_spec(inputs="data.npz"), SimulatedRunner())
    with closing(StudyReader.read_only(folder)) as store:
        old = Identity(
            **{name: getattr(store.identity(), name) for name in ("name", "spec", "inputs")},
            model_sha256="0" * 64,
            goal=store.identity().goal,
            space=store.identity().space,
        )
        trials = tuple(store.trials())
        best = best_of_study(store, folder, trials[0], trials, old.goal)
    assert terms_of(old, {}) == "throughput in items/s; inputs: samples of data.npz, bound once"
    assert best.measured.data == "real"
