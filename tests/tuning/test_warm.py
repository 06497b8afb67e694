"""What a study takes over from another one."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from autotune.domain.events import (
    StudyOpened,
)
from autotune.domain.goal import Verdict
from autotune.domain.trial import Origin
from autotune.errors import (
    SpecError,
)
from autotune.space.configuration import Configuration
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.allowance import StopRequest
from autotune.tuning.tune import tune
from tests.tuning.studies import (
    FEW,
    LATENCY,
    LONE,
    THROUGHPUT,
    Told,
    all_configurations,
    make_spec,
    optuna_trials,
    origins,
    stored,
)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of 25 trials; not to be changed."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "model.onnx").write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_LOCK_DIR", str(tmp_path_factory.mktemp("locks")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        tune(make_spec(trials=25), folder, runner=SimulatedRunner())
    return folder


@pytest.fixture
def other(folder: Path, searched: Path) -> Path:
    """A finished study of the same model beside this one."""
    return shutil.copytree(searched, folder / "other")


WARM: dict[str, Any] = {"warm_start": "other"}


def ranked(folder: Path) -> list[Configuration]:
    """Feasible configurations of a study, the one that claims most first."""
    found = [t for t in stored(folder) if t.measurement and t.measurement.verdict is Verdict.MET]
    found.sort(key=lambda t: t.measurement.claim_per_s if t.measurement else 0, reverse=True)
    return [trial.configuration for trial in found]


def test_the_best_of_another_study_come_right_after_the_hints(folder: Path, other: Path) -> None:
    """In their order, before the sampler has its first say; nothing but them is taken over."""
    outcome = tune(make_spec(trials=12, search=WARM), folder, runner=SimulatedRunner())
    expected = [c for c in ranked(other) if not c.is_hint and c != LONE][:5]
    assert len(expected) == 5
    last = 3 + len(expected)
    assert [trial.configuration for trial in outcome.trials[:3]] == [LATENCY, THROUGHPUT, LONE]
    assert [trial.configuration for trial in outcome.trials[3:last]] == expected
    assert origins(outcome.trials[:last]) == [Origin.SEED] * 3 + [Origin.WARM] * len(expected)
    assert Origin.WARM not in origins(outcome.trials[last:])
    assert len(outcome.trials) == 12
    assert origins(stored(folder)) == origins(outcome.trials)


def test_what_is_taken_over_is_measured_here(folder: Path, other: Path) -> None:
    """Numbers of another machine are not believed: this one is half as fast."""
    runner = SimulatedRunner(cpu=SimulatedCpu(item_ms=8.0))
    outcome = tune(make_spec("40ms", trials=12, search=WARM), folder, runner=runner)
    warm = [trial for trial in outcome.trials if trial.origin is Origin.WARM]
    assert warm
    for trial in warm:
        assert trial.measurement is not None
        predicted = runner.predict(trial.configuration)
        assert trial.measurement.throughput_per_s == pytest.approx(predicted.throughput_per_s)


def test_a_warm_start_is_learnt_from_and_not_repeated(folder: Path, other: Path) -> None:
    """What was measured first is a trial like any other."""
    spec = make_spec(trials=200, search=WARM, space=FEW)
    outcome = tune(spec, folder, runner=SimulatedRunner())
    configurations = [trial.configuration for trial in outcome.trials]
    assert outcome.reason == "exhausted"
    assert len(set(configurations)) == len(configurations)
    assert all(
        trial.params
        for trial, found in zip(optuna_trials(folder), outcome.trials, strict=True)
        if found.origin is Origin.WARM
    )


def test_a_warm_start_is_made_once(folder: Path, other: Path) -> None:
    """A study that is continued does not begin again."""
    stop = StopRequest()
    told = Told(on_trial=lambda event: setattr(stop, "requested", event.trials == 4))
    spec = make_spec(trials=12, search=WARM)
    first = tune(spec, folder, runner=SimulatedRunner(), stop=stop, on_event=told)
    assert origins(first.trials) == [Origin.SEED] * 3 + [Origin.WARM]
    whole = tune(spec, folder, runner=SimulatedRunner())
    again = tune(spec, folder, runner=SimulatedRunner())
    configurations = [trial.configuration for trial in whole.trials]
    assert len(set(configurations)) == len(configurations) == 12
    assert (
        configurations[3 : 3 + origins(whole.trials).count(Origin.WARM)]
        == [c for c in ranked(other) if not c.is_hint and c != LONE][:5]
    )
    assert again.trials == whole.trials


def test_choices_are_moved_to_the_nearest(folder: Path, other: Path) -> None:
    """Another machine or study has other choices; what becomes equal is measured once."""
    space = {"batch": [2], "streams": [1, 4], "requests_per_stream": [2], "pinning": True}
    outcome = tune(
        make_spec("40ms", trials=30, search=WARM, space=space), folder, runner=SimulatedRunner()
    )
    points = all_configurations(folder)
    warm = [trial.configuration for trial in outcome.trials if trial.origin is Origin.WARM]
    assert warm
    assert set(warm) <= set(points)
    assert len(set(warm)) == len(warm)


def test_the_winner_of_a_race_comes_first(folder: Path) -> None:
    """It was compared with more care than the search could."""
    there = folder / "other"
    there.mkdir()
    (there / "model.onnx").write_bytes(b"weights")
    spec = make_spec("80ms", budget={"duration": "3m"}, race={"share": 0.2})
    runner = SimulatedRunner(noise=0.02, launch_noise=0.02)
    raced = tune(spec, there, runner=runner).race
    assert raced is not None
    assert raced.winner is not None
    winner = raced.winner.contender.configuration
    assert winner not in {LATENCY, THROUGHPUT, LONE}  # or this would show nothing
    outcome = tune(make_spec(trials=8, search=WARM), folder, runner=SimulatedRunner())
    assert outcome.trials[3].configuration == winner
    assert outcome.trials[3].origin is Origin.WARM


def test_a_study_that_found_nothing_gives_nothing(folder: Path) -> None:
    """Then the search begins as it always does."""
    there = folder / "other"
    there.mkdir()
    (there / "model.onnx").write_bytes(b"weights")
    tune(make_spec("100us", trials=6), there, runner=SimulatedRunner())
    outcome = tune(make_spec(trials=6, search=WARM), folder, runner=SimulatedRunner())
    assert Origin.WARM not in origins(outcome.trials)
    assert len(outcome.trials) == 6


def test_a_missing_study_to_start_from_is_refused(folder: Path) -> None:
    """Before a database is made, and with the name of what asked for it."""
    spec = make_spec(search={"warm_start": "nosuch"})
    with pytest.raises(SpecError, match=r"warm_start.*nosuch"):
        tune(spec, folder, runner=SimulatedRunner())
    assert not (folder / "study.db").exists()


def test_a_study_that_was_begun_needs_the_other_no_more(folder: Path, other: Path) -> None:
    """It goes on, and says what it goes on without."""
    first = tune(make_spec(trials=10, search=WARM), folder, runner=SimulatedRunner())
    shutil.rmtree(other)
    told = Told()
    spec = make_spec(trials=12, search=WARM)
    whole = tune(spec, folder, runner=SimulatedRunner(), on_event=told)
    assert [t.configuration for t in whole.trials[:10]] == [t.configuration for t in first.trials]
    assert len(whole.trials) == 12
    assert isinstance(told.events[0], StudyOpened)
    assert any("goes on without" in note for note in told.events[0].notes)
