"""Time and trials: kept over all sessions, and said where they are too short."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from autotune.domain.budget import Budget, seconds_until
from autotune.domain.events import (
    StudyFinished,
    TrialFinished,
    TrialStarted,
)
from autotune.errors import SpecError
from autotune.space.configuration import Configuration
from autotune.spec import to_toml
from autotune.storage.sessions import SessionRow
from autotune.testing import SimulatedRunner
from autotune.tuning import allowance
from autotune.tuning.allowance import Allowance, StopRequest, budget_after
from autotune.tuning.tune import tune
from tests.tuning.studies import (
    LATENCY,
    LONE,
    THROUGHPUT,
    Told,
    make_spec,
    notes,
    states,
)


def test_the_budget_of_trials_is_kept(folder: Path) -> None:
    """Exactly."""
    outcome = tune(make_spec(trials=5), folder, runner=SimulatedRunner())
    assert (outcome.reason, len(outcome.trials)) == ("trials", 5)


def test_the_budget_of_time_is_kept(folder: Path) -> None:
    """On the runner's clock: no trial begins without time for it, none runs far beyond."""
    runner = SimulatedRunner()
    outcome = tune(make_spec(trials=None, budget={"duration": "60s"}), folder, runner=runner)
    assert outcome.reason == "budget"
    assert 50 < runner.clock() < 70
    assert len(outcome.trials) > 5


def test_the_time_spent_counts_over_all_runs(folder: Path) -> None:
    """A study that is continued has its first budget, not a new one."""
    spec = make_spec(trials=None, budget={"duration": "60s"})
    stop = StopRequest()
    told = Told(on_trial=lambda event: setattr(stop, "requested", event.trials >= 4))
    first = SimulatedRunner()
    assert tune(spec, folder, runner=first, stop=stop, on_event=told).reason == "stopped"
    second = SimulatedRunner()
    assert tune(spec, folder, runner=second).reason == "budget"
    assert 50 < first.clock() + second.clock() < 75


def test_it_stops_when_asked(folder: Path) -> None:
    """After the trial that is under way, which is kept."""
    stop = StopRequest()
    told = Told(on_trial=lambda event: setattr(stop, "requested", event.trials == 4))
    outcome = tune(make_spec(), folder, runner=SimulatedRunner(), stop=stop, on_event=told)
    assert (outcome.reason, len(outcome.trials)) == ("stopped", 4)
    assert states(folder) == [TrialState.COMPLETE] * 4


# --- until a time of day


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose clocks change at the end of March and of October; no zone files are needed."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "until", "hours"),
    [
        ("2026-06-10T22:00", "07:00", 9.0),
        ("2026-06-10T06:00", "07:00", 1.0),
        ("2026-06-10T07:00", "07:00", 24.0),
        ("2026-03-29T01:00", "07:00", 5.0),
        ("2026-10-25T01:00", "07:00", 7.0),
        ("2026-03-28T22:00", "07:00", 8.0),
        ("2026-10-24T22:00", "07:00", 10.0),
        ("2026-12-31T23:30", "00:15", 0.75),
    ],
    ids=[
        "tomorrow",
        "today",
        "now means tomorrow",
        "clocks go forward today",
        "clocks go back today",
        "clocks go forward tonight",
        "clocks go back tonight",
        "over the year's end",
    ],
)
def test_until_is_the_next_time_the_clock_on_the_wall_shows_it(
    now: str, until: str, hours: float
) -> None:
    """Real seconds, also in the nights in which clocks are changed."""
    assert seconds_until(until, datetime.fromisoformat(now).astimezone()) == hours * 3600


def test_a_suspended_machine_ends_at_the_time_of_day(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night's sleep is over by then; a budget of time does not count it."""
    asleep = [0.0]
    monkeypatch.setattr(allowance, "asleep_s", lambda: asleep[0])

    def suspend(event: TrialFinished) -> None:
        asleep[0] = 8 * 3600.0 * (event.trials >= 5)

    until = (datetime.now().astimezone() + timedelta(hours=8)).strftime("%H:%M")
    spec = make_spec(budget={"until": until, "trials": 30}, race={"share": 0.0})
    outcome = tune(spec, folder, runner=SimulatedRunner(), on_event=Told(on_trial=suspend))
    assert (outcome.reason, len(outcome.trials)) == ("budget", 5)

    asleep[0] = 0.0
    spec = make_spec(budget={"duration": "8h", "trials": 9}, race={"share": 0.0})
    (folder / "study.db").unlink()
    outcome = tune(spec, folder, runner=SimulatedRunner(), on_event=Told(on_trial=suspend))
    assert outcome.reason == "trials"


def test_a_time_of_day_ends_the_study(folder: Path) -> None:
    """Together with whatever budget ends first."""
    spec = make_spec(trials=None, budget={"until": "07:00", "trials": 4})
    told = Told()
    outcome = tune(spec, folder, runner=SimulatedRunner(), on_event=told)
    assert (outcome.reason, len(outcome.trials)) == ("trials", 4)
    left = [event.left_s for event in told.events if isinstance(event, TrialStarted)]
    assert all(seconds is not None and 0 < seconds <= 25 * 3600 for seconds in left)


@pytest.mark.parametrize("trials", [1, 2])
def test_too_few_trials_for_the_seeds_are_said(folder: Path, trials: int) -> None:
    """With how many are missing, and the least that works."""
    told = Told()
    tune(make_spec(trials=trials), folder, runner=SimulatedRunner(), on_event=told)
    (note,) = notes(told)
    assert note == (
        f"the budget ended before {3 - trials} of the 3 configurations were measured that every "
        "study begins with; the least that works is 3 trials"
    )
    assert isinstance(told.events[-1], StudyFinished)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
@pytest.mark.parametrize(
    ("duration_s", "compile_s"), [(1, 0.4), (3, 0.4), (5, 0.4), (4, 5.0), (30, 20.0), (60, 60.0)]
)
def test_too_little_time_for_the_seeds_is_said(
    folder: Path, duration_s: int, compile_s: float, share: float
) -> None:
    """And another study that has the time that was called the least measures all of them."""

    def told_with(seconds: int, name: str) -> tuple[list[str], list[Configuration]]:
        there, told = folder / name, Told()
        there.mkdir()
        (there / "model.onnx").write_bytes(b"weights")
        spec = make_spec(budget={"duration": f"{seconds}s"}, race={"share": share})
        runner = SimulatedRunner(compile_s=compile_s)
        outcome = tune(spec, there, runner=runner, on_event=told)
        said = [note for note in notes(told) if "the least that works" in note]
        return said, [trial.configuration for trial in outcome.trials]

    (note,), found = told_with(duration_s, "short")
    assert f"before {3 - len(found)} of the 3 configurations" in note
    assert note.split()[-3] == "about"
    least_s = int(note.split()[-2])
    assert least_s > duration_s
    said, found = told_with(least_s, "long")
    assert said == []
    assert found[:3] == [LATENCY, THROUGHPUT, LONE]


@pytest.mark.parametrize("budget", [{"trials": 3}, {"duration": "20s"}, {"trials": 5}])
def test_a_budget_for_the_seeds_needs_no_word(folder: Path, budget: dict[str, Any]) -> None:
    """Three trials are enough."""
    told = Told()
    tune(make_spec(budget=budget), folder, runner=SimulatedRunner(), on_event=told)
    assert notes(told) == []


def test_who_stops_it_need_not_be_told(folder: Path) -> None:
    """The seeds are missing because someone wished it so."""
    stop = StopRequest()
    told = Told(on_trial=lambda _: setattr(stop, "requested", True))
    tune(make_spec(), folder, runner=SimulatedRunner(), stop=stop, on_event=told)
    assert notes(told) == []


def test_the_least_is_told_of_the_limit_that_was_reached(folder: Path) -> None:
    """Time was not what was short."""
    told = Told()
    spec = make_spec(budget={"trials": 2, "duration": "10m"})
    tune(spec, folder, runner=SimulatedRunner(), on_event=told)
    (note,) = notes(told)
    assert note.endswith("the least that works is 3 trials")


# --- by itself, on a clock that is set


@dataclass
class Clock:
    """Shows what it is set to."""

    now_s: float = 100.0

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self.now_s


@pytest.mark.parametrize(
    ("budget", "elapsed_s", "finished", "reserve_s", "why"),
    [
        (Budget(), 1e6, 1000, 0.0, None),
        (Budget(trials=3), 0.0, 2, 0.0, None),
        (Budget(trials=3), 0.0, 3, 0.0, "trials"),
        (Budget(duration_s=60.0), 58.0, 1, 0.0, None),
        (Budget(duration_s=60.0), 58.1, 1, 0.0, "budget"),
        (Budget(duration_s=60.0), 47.9, 1, 10.0, None),
        (Budget(duration_s=60.0), 48.1, 1, 10.0, "budget"),
        (Budget(duration_s=60.0, spent_before_s=50.0), 9.0, 1, 0.0, "budget"),
        (Budget(duration_s=60.0, trials=1), 59.0, 1, 0.0, "trials"),
    ],
)
def test_a_trial_needs_time_beside_the_race(
    budget: Budget, elapsed_s: float, finished: int, reserve_s: float, why: str | None
) -> None:
    """A second of warm-up and one of measuring; to ask changes nothing."""
    clock = Clock()
    mine = Allowance(make_spec(), clock, StopRequest())
    mine.budget = budget
    clock.now_s += elapsed_s
    assert [mine.why_end(finished, reserve_s) for _ in range(2)] == [why] * 2
    assert mine.budget == budget
    assert mine.elapsed_s() == pytest.approx(elapsed_s)


def test_who_asks_to_stop_goes_first() -> None:
    """Whatever else is spent."""
    stop = StopRequest()
    mine = Allowance(make_spec(), Clock(), stop)
    mine.budget = Budget(trials=1)
    stop.requested = True
    assert (mine.is_stopped, mine.why_end(5, 0.0)) == (True, "stopped")


def test_sleep_is_noticed_by_command_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only of a budget that ends at a time of day."""
    asleep = [0.0]
    monkeypatch.setattr(allowance, "asleep_s", lambda: asleep[0])
    mine = Allowance(make_spec(), Clock(), StopRequest())
    mine.budget = Budget(duration_s=500.0, until_s=100.0)
    asleep[0] = 30.0
    assert mine.left_s() == 100.0
    for _ in range(2):
        mine.notice_sleep()
        assert mine.left_s() == 70.0


@pytest.mark.parametrize(
    ("left_s", "reserve_s", "limit_s", "longest_s"),
    [
        (None, 0.0, 10.0, 40.0),
        (100.0, 0.0, 10.0, 40.0),
        (30.0, 5.0, 10.0, 25.0),
        (8.0, 5.0, 3.0, 3.0),
        (2.0, 5.0, 1.0, 1.0),
    ],
)
def test_a_plan_is_shortened_to_what_is_left(
    left_s: float | None, reserve_s: float, limit_s: float, longest_s: float
) -> None:
    """A second is the least."""
    mine = Allowance(make_spec(measure={"limit": "10s"}), Clock(), StopRequest())
    mine.budget = Budget(duration_s=left_s)
    plan = mine.plan(reserve_s)
    assert (plan.limit_s, plan.longest_s) == (limit_s, longest_s)


def make_session(begun: datetime, elapsed_s: float) -> SessionRow:
    """One that ended."""
    return SessionRow(
        started_at=begun.isoformat(), elapsed_s=elapsed_s, end="stopped", machine={}, versions={}
    )


def test_earlier_sessions_leave_the_rest() -> None:
    """A new study's text is its own: it is not read, and need not be readable."""
    now = datetime.now().astimezone()
    spec = make_spec(budget={"duration": "60s", "trials": 9})
    whole = budget_after(spec, [], "no study", now)
    assert (whole.duration_s, whole.spent_before_s, whole.trials) == (60.0, 0.0, 9)
    spent = [make_session(now, 20.0), make_session(now, 15.0)]
    assert budget_after(spec, spent, to_toml(spec), now).left_s(5.0) == 20.0
    with pytest.raises(SpecError):
        budget_after(spec, spent, "no study", now)


def test_a_time_of_day_is_that_of_the_first_night_unless_it_was_changed() -> None:
    """Two days later it has passed; another time is the next one."""
    now = datetime.now().astimezone()
    first = [make_session(now - timedelta(days=2), 20.0)]
    spec, other = (make_spec(budget={"until": until}) for until in ("07:00", "07:01"))
    over = budget_after(spec, first, to_toml(spec), now)
    new = budget_after(spec, first, to_toml(other), now)
    assert over.until_s is not None
    assert new.until_s is not None
    assert over.until_s < 0 < new.until_s
