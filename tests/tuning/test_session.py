"""A study that goes on where it was, whatever ended the last session."""

from pathlib import Path

import pytest
from optuna.trial import TrialState

from autotune.domain.events import (
    StudyOpened,
)
from autotune.domain.trial import Trial
from autotune.search.search import Search
from autotune.storage.writer import StudyWriter
from autotune.testing import SimulatedRunner
from autotune.tuning.allowance import StopRequest
from autotune.tuning.tune import tune
from tests.tuning.studies import (
    CrashError,
    Told,
    make_spec,
    optuna_trials,
    states,
    stored,
)


def test_a_continued_study_goes_on_with_numbers_and_budget(folder: Path) -> None:
    """Nothing is measured again, and every number is there once."""
    stop = StopRequest()
    told = Told(on_trial=lambda event: setattr(stop, "requested", event.trials == 4))
    tune(make_spec(), folder, runner=SimulatedRunner(), stop=stop, on_event=told)
    before = stored(folder)

    told = Told()
    outcome = tune(make_spec(), folder, runner=SimulatedRunner(), on_event=told)
    assert isinstance(told.events[0], StudyOpened)
    assert told.events[0].trials_before == 4
    assert told.events[0].spent_s > 0
    assert [trial.number for trial in outcome.trials] == list(range(8))
    assert stored(folder)[:4] == before
    configurations = [trial.configuration for trial in outcome.trials]
    assert len(set(configurations)) == 8


def test_a_finished_study_has_nothing_to_do(folder: Path) -> None:
    """And gives the same answer."""
    first = tune(make_spec(), folder, runner=SimulatedRunner())
    runner = SimulatedRunner()
    again = tune(make_spec(), folder, runner=runner)
    assert (again.reason, runner.opened) == ("trials", [])
    assert again.best == first.best


@pytest.mark.parametrize("number", [1, 6], ids=["a seed", "a proposal"])
def test_evidence_that_was_not_told_is_told_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A crash between record and tell loses nothing and measures nothing again."""
    tell = Search.tell

    def crash(self: Search, trial: Trial, *, is_final: bool) -> None:
        if trial.number == number:
            raise CrashError
        tell(self, trial, is_final=is_final)

    with monkeypatch.context() as patch:
        patch.setattr(Search, "tell", crash)
        with pytest.raises(CrashError):
            tune(make_spec(), folder, runner=SimulatedRunner(start_s=0.01, compile_s=0.01))
    before = stored(folder)
    assert len(before) == number + 1
    assert states(folder)[number] is TrialState.RUNNING

    told = Told()
    outcome = tune(make_spec(), folder, runner=SimulatedRunner(), on_event=told)
    assert outcome.reason == "trials"
    assert stored(folder)[: number + 1] == before
    assert states(folder) == [TrialState.COMPLETE] * 8
    mended = optuna_trials(folder)[number]
    measurement = before[number].measurement
    assert measurement is not None
    assert mended.values == [measurement.throughput_per_s]
    assert "latency" in mended.constraints
    assert isinstance(told.events[0], StudyOpened)
    assert "cut off" in told.events[0].notes[0]


@pytest.mark.parametrize("number", [1, 6], ids=["a seed", "a proposal"])
def test_what_was_lost_in_flight_is_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A crash before the evidence was written: the number is spent, the configuration is not."""
    record = StudyWriter.record
    lost = []

    def crash(self: StudyWriter, trial: Trial, elapsed_s: float) -> None:
        if trial.number == number:
            lost.append(trial.configuration)
            raise CrashError
        record(self, trial, elapsed_s)

    with monkeypatch.context() as patch:
        patch.setattr(StudyWriter, "record", crash)
        with pytest.raises(CrashError):
            tune(make_spec(), folder, runner=SimulatedRunner(start_s=0.01, compile_s=0.01))
    outcome = tune(make_spec(), folder, runner=SimulatedRunner())
    assert outcome.reason == "trials"
    assert states(folder)[number] is TrialState.FAIL
    assert number not in [trial.number for trial in outcome.trials]
    assert set(lost) <= {trial.configuration for trial in outcome.trials}
