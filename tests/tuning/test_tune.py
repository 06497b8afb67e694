"""What is refused before anything is measured, and what may be accepted."""

from contextlib import closing
from pathlib import Path

import pytest

from autotune.domain.events import (
    StudyOpened,
)
from autotune.errors import (
    BusyError,
    ModelError,
    StudyMismatchError,
)
from autotune.machines.locks import machine_lock, study_lock
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.session import Outcome
from autotune.tuning.tune import tune
from tests.tuning.studies import (
    Told,
    make_spec,
    stored,
)


def test_another_machine_is_refused(folder: Path) -> None:
    """With what differs; nothing is added to the study."""
    tune(make_spec(trials=3), folder, runner=SimulatedRunner())
    with pytest.raises(StudyMismatchError, match=r"openvino: 'simulated' then, '2027' now"):
        tune(make_spec(), folder, runner=SimulatedRunner(openvino="2027"))
    assert len(stored(folder)) == 3


def test_another_runtime_may_be_accepted(folder: Path) -> None:
    """The user said so; the notes repeat it."""
    tune(make_spec(trials=3), folder, runner=SimulatedRunner())
    told = Told()
    runner = SimulatedRunner(openvino="2027")
    outcome = tune(make_spec(), folder, runner=runner, anyway=True, on_event=told)
    assert len(outcome.trials) == 8
    assert isinstance(told.events[0], StudyOpened)
    assert "another machine or runtime" in told.events[0].notes[0]


def test_what_is_known_of_another_machine_is_measured_anew(folder: Path) -> None:
    """The single request is effectively the LATENCY hint, but not the hint of the other machine."""
    tune(make_spec(trials=2), folder, runner=SimulatedRunner())
    outcome = tune(make_spec(trials=3), folder, runner=SimulatedRunner(openvino="2"), anyway=True)
    assert [trial.reused_from for trial in outcome.trials] == [None, None, None]


def test_best_names_the_machine_of_a_measurement_that_was_reused(folder: Path) -> None:
    """Not where it was found to be known: back on the first machine, its numbers hold again."""
    for trials, openvino in ((2, "1"), (2, "2"), (3, "1")):
        runner = SimulatedRunner(openvino=openvino)
        outcome = tune(make_spec(trials=trials), folder, runner=runner, anyway=True)
    assert outcome.trials[2].reused_from == 0
    with closing(StudyReader.read_only(folder)) as store:
        assert store.session_of(2) == store.sessions()[0]


def test_more_cpus_are_another_space(folder: Path) -> None:
    """Which nobody can accept: points would have other meanings."""
    tune(make_spec(trials=3), folder, runner=SimulatedRunner())
    runner = SimulatedRunner(cpu=SimulatedCpu(cpus=8))
    with pytest.raises(StudyMismatchError, match="the space has changed: cpus 4 then, 8 now"):
        tune(make_spec(), folder, runner=runner, anyway=True)


def test_a_changed_model_or_goal_is_refused(folder: Path) -> None:
    """The study's numbers belong to what it began with."""
    tune(make_spec(trials=3), folder, runner=SimulatedRunner())
    (folder / "model.onnx").write_bytes(b"other weights")
    with pytest.raises(StudyMismatchError, match=r"model file has changed(.|\n)*goal has changed"):
        tune(make_spec("5ms"), folder, runner=SimulatedRunner())


def test_another_shape_is_refused(folder: Path) -> None:
    """Numbers of two input shapes are not one study, and best.json would name the wrong one."""
    tune(make_spec(), folder, runner=SimulatedRunner())
    model = {"path": "model.onnx", "shape": "x:1,3,64,64"}
    with pytest.raises(StudyMismatchError, match="shape or inputs have changed"):
        tune(make_spec(model=model), folder, runner=SimulatedRunner())


def test_a_renamed_folder_goes_on(folder: Path) -> None:
    """The study in the file keeps its name, and its trials their numbers."""
    tune(make_spec(trials=4), folder, runner=SimulatedRunner())
    moved = folder.rename(folder.with_name("moved"))
    outcome = tune(make_spec(trials=6), moved, runner=SimulatedRunner())
    assert [trial.number for trial in outcome.trials] == list(range(6))


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ({"path": "nosuch.onnx"}, ModelError, "nosuch.onnx: there is no such model file"),
        ({"path": "model.onnx", "inputs": "no.npz"}, ModelError, "no.npz: there is no such input"),
    ],
    ids=["model", "inputs"],
)
def test_a_missing_file_is_found_before_anything_is_written(
    folder: Path, model: dict[str, str], error: type[Exception], words: str
) -> None:
    """No database, no lock, no log."""
    with pytest.raises(error, match=words):
        tune(make_spec(model=model), folder, runner=SimulatedRunner())
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]


def test_a_study_that_is_being_tuned_is_left_alone(folder: Path) -> None:
    """The second process is refused."""
    with study_lock(folder), pytest.raises(BusyError):
        tune(make_spec(), folder, runner=SimulatedRunner())
    assert not (folder / "study.db").exists()


def test_at_the_end_the_database_is_open_and_nothing_is_held(folder: Path) -> None:
    """Whoever exports reads what the outcome says, and others may measure meanwhile."""
    heard: list[Outcome] = []

    def end(outcome: Outcome, store: StudyReader) -> None:
        with study_lock(folder), machine_lock():
            assert [t.number for t in store.trials()] == [t.number for t in outcome.trials]
            assert [session.end for session in store.sessions()] == ["trials"]
        heard.append(outcome)

    outcome = tune(make_spec(trials=4), folder, runner=SimulatedRunner(), on_end=end)
    assert heard == [outcome]


def test_what_ends_without_an_outcome_has_no_end_to_hear_of(folder: Path) -> None:
    """Nobody is told of a study that was refused."""
    heard: list[Outcome] = []
    tune(make_spec(trials=3), folder, runner=SimulatedRunner())
    with pytest.raises(StudyMismatchError):
        tune(
            make_spec("5ms"),
            folder,
            runner=SimulatedRunner(),
            on_end=lambda outcome, _: heard.append(outcome),
        )
    assert heard == []
