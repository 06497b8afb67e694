"""What could not be shown of a model's answers is never certified; a study keeps its choices."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from autotune.domain.events import Event, StudyOpened
from autotune.domain.hardware import Hardware
from autotune.domain.inspection import Inspection
from autotune.domain.race import Status
from autotune.errors import SpecError, StudyMismatchError
from autotune.export.from_study import best_of_study
from autotune.spec import StudySpec, build_spec
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedRunner
from autotune.tuning.choices import space_of
from autotune.tuning.findings import doubts
from autotune.tuning.session import Outcome
from autotune.tuning.tune import tune
from tests import planted

FOUR = Hardware(cpus=4, cores=4, devices={})

SILENT = "its output is the same for every sample"
WRONG = "outputs deviate from batch 1 by 0.9 of their largest value, more than 0.001"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a model file: its content matters to nobody but the digest."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path


def make_spec(duration: str = "60s", **sections: dict[str, Any]) -> StudySpec:
    """A minute on a small space."""
    values: dict[str, dict[str, Any]] = {
        "model": {"path": "model.onnx"},
        "goal": {"max_latency": "25ms"},
        "budget": {"duration": duration},
        "space": {"pinning": True, "requests_per_stream": [1, 2]},
        "measure": {"limit": "1s"},
        **sections,
    }
    return build_spec(values, "study.toml")


BY_HAND = {"pinning": True, "requests_per_stream": [1, 2], "batch": [4]}


def tuned(
    folder: Path, spec: StudySpec, runner: SimulatedRunner
) -> tuple[Outcome, tuple[str, ...]]:
    """How a session ended, and the notes that it began with."""
    told: list[Event] = []
    outcome = tune(spec, folder, runner=runner, on_event=told.append)
    return outcome, next(event.notes for event in told if isinstance(event, StudyOpened))


def facts(**fields: Any) -> Inspection:
    """What inspection said."""
    found = SimulatedRunner().inspect(["CPU"], try_batch=True)
    return replace(found, **fields)


def status_of(folder: Path, outcome: Outcome) -> tuple[Status, str | None]:
    """Status in best.json, and why it is unproven."""
    assert outcome.best is not None
    with contextlib.closing(StudyReader.read_only(folder)) as store:
        best = best_of_study(
            store, folder, outcome.best, outcome.trials, outcome.goal, race=outcome.race
        )
    return best.status, best.unproven


def test_an_unproven_batch_stays_one(folder: Path) -> None:
    """In one line, with the way out; what is certified then has batch 1."""
    outcome, notes = tuned(folder, make_spec(), SimulatedRunner(unproven_batch=SILENT))
    assert {trial.configuration.batch_size for trial in outcome.trials} == {1}
    (note,) = [note for note in notes if "batch" in note]
    assert SILENT in note
    assert "[model] inputs" in note
    assert status_of(folder, outcome) == (Status.CERTIFIED, None)


def test_a_proven_batch_is_certified(folder: Path) -> None:
    """Nothing is said of it."""
    outcome, notes = tuned(folder, make_spec(), SimulatedRunner())
    assert outcome.best is not None
    assert outcome.best.configuration.batch_size > 1
    assert not [note for note in notes if "batch" in note]
    assert status_of(folder, outcome) == (Status.CERTIFIED, None)


@pytest.mark.parametrize("race", [{}, {"share": 0.0}], ids=["raced", "not raced"])
def test_a_batch_by_hand_is_measured_and_never_certified(
    folder: Path, race: dict[str, Any]
) -> None:
    """It may be the fastest, and is what was asked for."""
    spec = make_spec(space=BY_HAND, race=race)
    outcome, notes = tuned(folder, spec, SimulatedRunner(unproven_batch=SILENT))
    assert outcome.best is not None
    assert outcome.best.configuration.batch_size == 4
    assert [note for note in notes if f"batch is unproven on random data, as {SILENT}" in note]
    assert status_of(folder, outcome) == (Status.UNPROVEN, SILENT)


def test_a_study_that_was_begun_with_a_batch_goes_on_without_its_proof(folder: Path) -> None:
    """As an older version proved it; what it finds is then no longer certified."""
    tuned(folder, make_spec("20s", race={"share": 0.0}), SimulatedRunner())
    spec = make_spec("60s")
    outcome, notes = tuned(folder, spec, SimulatedRunner(unproven_batch=SILENT))
    assert [note for note in notes if "batch is unproven" in note]
    assert outcome.best is not None
    assert outcome.best.configuration.batch_size > 1
    assert status_of(folder, outcome)[0] is Status.UNPROVEN


def test_a_study_that_was_begun_without_a_batch_keeps_to_that(folder: Path) -> None:
    """Its space must not change, whatever could be shown by now."""
    tuned(folder, make_spec("20s"), SimulatedRunner(unproven_batch=SILENT))
    outcome, _ = tuned(folder, make_spec("40s"), SimulatedRunner())
    assert {trial.configuration.batch_size for trial in outcome.trials} == {1}


def test_a_study_that_was_begun_with_a_wrong_batch_is_refused(folder: Path) -> None:
    """With the reason, and as it was."""
    tuned(folder, make_spec("20s", race={"share": 0.0}), SimulatedRunner())
    before = (folder / "study.db").read_bytes()
    with pytest.raises(StudyMismatchError, match=r"other answers: outputs deviate .*--name"):
        tune(make_spec("60s"), folder, runner=SimulatedRunner(why_no_batch=WRONG))
    assert (folder / "study.db").read_bytes() == before


def test_a_wrong_batch_by_hand_is_refused() -> None:
    """It is known to be wrong, not only unproven."""
    with pytest.raises(SpecError, match=r"the model cannot be batched: outputs deviate"):
        space_of(make_spec(space=BY_HAND), facts(why_no_batch=WRONG), FOUR)


@pytest.mark.parametrize(
    ("fields", "by_hand", "words"),
    [
        ({}, {}, []),
        ({"unproven_batch": SILENT}, {}, ["batch stays 1"]),
        ({"unproven_batch": SILENT}, {"batch": [1, 2]}, ["batch is unproven"]),
        ({"is_deterministic": False, "unproven_batch": "x"}, {}, ["differ from run to run"]),
        ({"unproven_batch": SILENT, "why_no_batch": WRONG}, {}, []),
        ({"untrusted": {"f16": "it differs"}}, {}, []),
        ({"untrusted": {"f16": "it differs"}}, {"precision": "f16"}, ["precision f16 is unproven"]),
        (
            {"untrusted": {"f16": SILENT}, "unproven_batch": SILENT},
            {"precision": ["f32", "f16"], "batch": 2},
            ["batch is unproven", "precision f16 is unproven"],
        ),
    ],
)
def test_each_doubt_is_one_line(
    fields: dict[str, Any], by_hand: dict[str, Any], words: list[str]
) -> None:
    """Only of what is in the space."""
    spec, found = make_spec(space=by_hand), facts(**fields)
    lines = doubts(spec, found, space_of(spec, found, FOUR))
    assert len(lines) == len(words)
    assert all(word in line and "\n" not in line for word, line in zip(words, lines, strict=True))


def test_doubts_say_what_data_they_come_from() -> None:
    """The user's own data may say as little as random ones."""
    spec = make_spec(model={"path": "model.onnx", "inputs": "data.npz"})
    found = facts(unproven_batch=SILENT)
    assert "on the data given" in doubts(spec, found, space_of(spec, found, FOUR))[0]


@pytest.mark.openvino
@pytest.mark.parametrize(
    ("data", "note"),
    [
        (None, "empty for every sample"),
        (planted.real_like, None),
    ],
    ids=["random", "real-like"],
)
def test_a_detector_with_a_wrong_batch_is_tuned_at_batch_one(
    tmp_path: Path, data: Callable[[ov.Model], dict[str, np.ndarray]] | None, note: str | None
) -> None:
    """On data that show it and on data that do not; the reference is gone afterwards."""
    network = planted.detections_of_the_first_image()
    ov.save_model(network, tmp_path / "model.xml", compress_to_fp16=False)
    model = {"path": "model.xml"}
    if data is not None:
        np.savez(tmp_path / "data.npz", **data(network))  # type: ignore[arg-type]
        model["inputs"] = "data.npz"
    short = {"limit": "300ms", "warmup": "50ms"}
    spec = make_spec(model=model, budget={"trials": 3}, measure=short, race={"share": 0.0})
    told: list[Event] = []
    outcome = tune(spec, tmp_path, on_event=told.append)
    assert {trial.configuration.batch_size for trial in outcome.trials} == {1}
    assert all(trial.measurement is not None for trial in outcome.trials)
    notes = next(event.notes for event in told if isinstance(event, StudyOpened))
    assert note is None or [line for line in notes if note in line]
    assert not list((tmp_path / "logs").glob("*.npz"))


def test_the_simulated_machine_says_what_it_opens_is_unproven() -> None:
    """Where it has a batch: as a worker does."""
    runner = SimulatedRunner(unproven_batch=SILENT)
    one = build_spec(
        {"model": {"path": "m"}, "goal": {"max_latency": "1s"}, "space": {"batch": [1, 2]}}, ""
    )
    choices = space_of(one, facts(), FOUR)
    found = {
        configuration.batch_size: runner.open(configuration.compile_key).opening.unproven
        for configuration in map(choices.configuration, choices.points())
    }
    assert found == {1: None, 2: SILENT}
