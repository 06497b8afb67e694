"""What is tried next, and whether anything better is in sight."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autotune.domain.events import (
    StudyFinished,
)
from autotune.domain.hardware import Hardware
from autotune.domain.sampler import Sampler
from autotune.search.derive import Known, derive_space
from autotune.spec import SpaceSpec
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedRunner
from autotune.tuning.agenda import Agenda
from autotune.tuning.allowance import StopRequest
from autotune.tuning.tune import tune
from tests.tuning.studies import (
    FEW,
    Told,
    all_configurations,
    make_spec,
)


@pytest.mark.parametrize("sampler", Sampler)
def test_a_stable_search_ends(folder: Path, sampler: Sampler) -> None:
    """Before the space is exhausted, and with the best at most a little behind."""
    spec = make_spec(budget={"trials": 200, "stable": True}, search={"sampler": sampler.value})
    runner = SimulatedRunner()
    outcome = tune(spec, folder, runner=runner)
    assert outcome.reason == "stable"
    assert len(outcome.trials) < outcome.space_size
    flows = [runner.predict(c) for c in all_configurations(folder)]
    fastest = max(flow.throughput_per_s for flow in flows if flow.latency_ms <= 20)
    assert outcome.best is not None
    assert outcome.best.measurement is not None
    assert outcome.best.measurement.throughput_per_s >= 0.97 * fastest


def test_a_stable_search_says_so(folder: Path) -> None:
    """In its last event, and to whoever looks at the study later."""
    told = Told()
    spec = make_spec(budget={"trials": 200, "stable": True})
    tune(spec, folder, runner=SimulatedRunner(), on_event=told)
    assert told.events[-1] == StudyFinished(reason="stable")
    with closing(StudyReader.read_only(folder)) as store:
        assert [session.end for session in store.sessions()] == ["stable"]


def test_other_limits_hold_as_well(folder: Path) -> None:
    """Whatever comes first."""
    spec = make_spec(budget={"trials": 5, "stable": True})
    outcome = tune(spec, folder, runner=SimulatedRunner())
    assert (outcome.reason, len(outcome.trials)) == ("trials", 5)


def test_a_search_without_anything_feasible_is_never_stable(folder: Path) -> None:
    """Whatever would meet the cap would be an improvement."""
    spec = make_spec("100us", budget={"trials": 200, "stable": True}, space=FEW)
    outcome = tune(spec, folder, runner=SimulatedRunner())
    assert outcome.reason == "exhausted"


def test_a_race_follows_a_stable_search(folder: Path) -> None:
    """The time that was saved is not taken from it."""
    budget = {"duration": "20m", "stable": True}
    spec = make_spec(budget=budget, race={"share": 0.2})
    outcome = tune(spec, folder, runner=SimulatedRunner())
    assert outcome.reason == "stable"
    assert outcome.race is not None
    assert outcome.race.winner is not None


def test_a_stable_study_has_nothing_to_do(folder: Path) -> None:
    """Continued without a change it measures nothing, like one whose other limits are reached."""
    spec = make_spec(budget={"trials": 200, "stable": True})
    first = tune(spec, folder, runner=SimulatedRunner())
    again = tune(spec, folder, runner=SimulatedRunner())
    assert (again.reason, len(again.trials)) == ("stable", len(first.trials))


def test_a_study_that_was_cut_off_before_is_not_stable_after_one_look(folder: Path) -> None:
    """It takes as many calm proposals as if it had never stopped."""
    spec = make_spec(budget={"trials": 200, "stable": True})
    whole = tune(spec, folder, runner=SimulatedRunner())
    parts = folder.parent / "parts"
    parts.mkdir()
    shutil.copy(folder / "model.onnx", parts)
    stop = StopRequest()
    at = len(whole.trials) - 1
    told = Told(on_trial=lambda event: setattr(stop, "requested", event.trials == at))
    tune(spec, parts, runner=SimulatedRunner(), stop=stop, on_event=told)
    again = tune(spec, parts, runner=SimulatedRunner())
    assert again.reason == "stable"
    assert len(again.trials) >= len(whole.trials)


# --- by itself


class Chances:
    """A search that only says how likely an improvement is."""

    def __init__(self, *chances: float) -> None:
        self.chances = list(chances)

    def chance_of_improvement(self, by: float) -> float:
        """The next one."""
        return self.chances.pop(0)


def make_agenda(*chances: float) -> Agenda:
    """Over a space of CPUs; nothing is queued."""
    search: Any = Chances(*chances)
    hardware = Hardware(cpus=4, cores=4, devices={})
    space = derive_space(SpaceSpec(), hardware, Known(precisions={"CPU": ["f32"]}))
    return Agenda(space, search, make_spec().goal.goal, may_sweep=True)


def test_to_ask_whether_it_is_stable_changes_nothing() -> None:
    """However often: looks count."""
    agenda = make_agenda(*[0.0] * 8)
    for _ in range(7):
        agenda.look_ahead()
    assert [agenda.is_stable for _ in range(20)] == [False] * 20
    agenda.look_ahead()
    assert [agenda.is_stable for _ in range(20)] == [True] * 20


def test_one_look_that_sees_something_begins_anew() -> None:
    """All of the last eight must be calm."""
    agenda = make_agenda(*[0.0] * 7, 0.01, *[0.0] * 8)
    found = []
    for _ in range(16):
        agenda.look_ahead()
        found.append(agenda.is_stable)
    assert found == [False] * 15 + [True]
