"""The last stage of a study on a simulated machine: who races, for how long, and what survives."""

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from autotune.analysis.answer import answer
from autotune.domain.events import (
    Event,
    LaunchFinished,
    Noted,
    RaceFinished,
    RaceStarted,
    StudyFinished,
    StudyOpened,
    TrialFinished,
    TrialStarted,
)
from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.domain.inspection import Inspection
from autotune.domain.race import Choice, End, Slice, Status
from autotune.domain.ranking import best, better_hint
from autotune.errors import StudyMismatchError
from autotune.export.from_study import best_of_study
from autotune.machines.fingerprint import Machine, versions
from autotune.racing.calibration import Calibration, save_calibration
from autotune.space.configuration import CompileKey
from autotune.storage.races import RaceLog
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedModel, SimulatedRunner
from autotune.tuning.allowance import StopRequest
from autotune.tuning.tune import tune
from tests.builders import make_failure
from tests.tuning.races import FEW, Told, elapsed, make_spec, races, slices, stored_race
from tests.tuning.studies import LATENCY, THROUGHPUT, CrashError

TPE: dict[str, Any] = {"search": {"sampler": "tpe"}}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of six trials, both hints among them, that has held no race; not to be changed."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "model.onnx").write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_LOCK_DIR", str(tmp_path_factory.mktemp("locks")))
        tune(make_spec(**FEW, race={"share": 0.0}), folder, runner=SimulatedRunner())
    return folder


@pytest.fixture
def searched(tmp_path: Path, once: Path) -> Path:
    """A copy of it: what `tune` does next is the race."""
    return shutil.copytree(once, tmp_path / "searched")


def test_the_race_follows_the_search_within_the_budget(folder: Path) -> None:
    """Both together take the study's time, on the runner's clock; the race up to twice its share.

    A dozen launches would need more.
    """
    runner, told = SimulatedRunner(noise=0.03), Told()
    outcome = tune(make_spec(), folder, runner=runner, on_event=told)
    assert outcome.reason == "budget"
    assert outcome.race is not None
    assert 0.8 * 120 < runner.clock() < 1.05 * 120
    assert 2 * 24.0 <= told.one(RaceStarted).budget_s < 2 * 24.0 + 10
    assert outcome.race.duration_s <= 1.15 * told.one(RaceStarted).budget_s
    assert elapsed(folder) == [pytest.approx(runner.clock(), abs=2.0)]


def test_the_search_leaves_the_race_its_share(folder: Path) -> None:
    """No trial begins in it, nor reaches far into it; half of the time if that was asked for."""
    told = Told()
    spec = make_spec(race={"share": 0.5})
    tune(spec, folder, runner=SimulatedRunner(noise=0.03), on_event=told)
    starts = [event.left_s for event in told.events if isinstance(event, TrialStarted)]
    ends = [event.left_s for event in told.events if isinstance(event, TrialFinished)]
    assert min(left for left in starts if left is not None) > 60
    assert min(left for left in ends if left is not None) > 55
    assert told.one(RaceStarted).budget_s == pytest.approx(60, abs=5)


@pytest.mark.parametrize("limits", [{"duration": "2m"}, {"trials": 6}], ids=["time", "trials"])
def test_no_share_is_no_race(folder: Path, limits: dict[str, Any]) -> None:
    """The search has all of the time, and what it found is the outcome."""
    runner, told = SimulatedRunner(), Told()
    spec = make_spec(budget=limits, race={"share": 0.0})
    outcome = tune(spec, folder, runner=runner, on_event=told)
    assert (outcome.race, races(folder)) == (None, 0)
    assert outcome.best is not None
    assert outcome.best.number == getattr(best(outcome.trials, outcome.goal), "number", None)
    assert not told.count(RaceStarted)
    assert "duration" not in limits or runner.clock() > 0.9 * 120


def test_a_budget_of_trials_has_a_race_as_well(folder: Path) -> None:
    """In proportion to what the search took, and at least a quarter of a minute."""
    told = Told()
    outcome = tune(make_spec(**FEW), folder, runner=SimulatedRunner(), on_event=told)
    assert (outcome.reason, len(outcome.trials)) == ("trials", 6)
    assert told.one(RaceStarted).budget_s >= 15.0
    assert outcome.race is not None


def test_too_little_time_for_a_race_is_said(folder: Path) -> None:
    """With what its first launch needs; the result stays that of the search."""
    told = Told()
    spec = make_spec(budget={"duration": "30s"}, race={"share": 0.1}, measure={"limit": "2s"})
    outcome = tune(spec, folder, runner=SimulatedRunner(), on_event=told)
    assert outcome.race is None
    assert outcome.best is not None
    (note,) = [text for text in told.notes() if text.startswith("no race")]
    assert re.match(r"no race: [3-9] s are left for it and its first launch needs \d+ s", note)
    assert "longer budget" in note


def test_nothing_feasible_is_no_race(folder: Path) -> None:
    """There is nobody to confirm, so the time for it is not spent."""
    told = Told()
    outcome = tune(make_spec("10us", **FEW), folder, runner=SimulatedRunner(), on_event=told)
    assert (outcome.best, outcome.race, races(folder)) == (None, None, 0)
    assert not told.count(RaceStarted)


def test_no_measurement_is_no_race(folder: Path) -> None:
    """Every configuration crashed: the study ends without one."""
    failure = make_failure(FailureKind.CRASH)

    class Hopeless(SimulatedRunner):
        def open(self, key: CompileKey) -> SimulatedModel:
            """Opens, and dies under load."""
            model = super().open(key)
            model._failure = failure
            return model

    outcome = tune(make_spec(**FEW), folder, runner=Hopeless())
    assert (outcome.best, outcome.race, races(folder)) == (None, None, 0)


# --- what comes of it


def test_the_outcome_is_the_chosen_contender(folder: Path) -> None:
    """The trial that the race chose, complete with blocks, though the search liked another one."""
    hint = {THROUGHPUT.compile_key: 2.0}
    runner = SimulatedRunner(slower=hint)
    search = tune(make_spec(**FEW, **TPE, race={"share": 0.0}), folder, runner=runner)
    favourite = best(search.trials, search.goal)
    assert favourite is not None
    assert not favourite.configuration.is_hint

    slower = {**hint, favourite.configuration.compile_key: 3.0}
    outcome = tune(make_spec(**FEW, **TPE), folder, runner=SimulatedRunner(slower=slower))
    assert outcome.race is not None
    assert outcome.race.winner is not None
    assert outcome.best is not None
    assert outcome.best.number == outcome.race.winner.contender.trial
    assert outcome.best.number != favourite.number
    assert outcome.best.measurement is not None
    assert outcome.best.measurement.blocks


def test_the_hints_are_in_every_race(searched: Path) -> None:
    """And ratios are to the better one."""
    told = Told()
    outcome = tune(make_spec(**FEW), searched, runner=SimulatedRunner(), on_event=told)
    assert outcome.race is not None
    assert {str(LATENCY), str(THROUGHPUT)} <= {s.contender.name for s in outcome.race.standings}
    hint = better_hint(outcome.trials, outcome.goal)
    assert hint is not None
    assert outcome.race.better_hint is not None
    assert outcome.race.better_hint.contender.trial == hint.number
    assert len(told.one(RaceStarted).names) == len(set(told.one(RaceStarted).names))


def test_what_beats_no_hint_is_not_exported(folder: Path) -> None:
    """A space of one configuration that is what the hint makes of itself: the hint is chosen."""
    space = {
        "batch": 1,
        "pinning": True,
        "streams": 4,
        "threads_per_stream": 1,
        "requests_per_stream": [1, 2],
    }
    runner = SimulatedRunner(noise=0.02)
    outcome = tune(make_spec("40ms", space=space), folder, runner=runner)
    assert outcome.race is not None
    assert outcome.race.choice is Choice.DEFAULT
    assert outcome.best is not None
    assert outcome.best.configuration == THROUGHPUT


def test_headroom_is_kept_in_search_race_and_export(folder: Path) -> None:
    """What is exported is within the cap over 1.5; the file says the cap, and what is left."""
    goal = {"max_latency": "20ms", "headroom": "50%"}
    spec = make_spec(goal=goal, budget={"trials": 12})
    outcome = tune(spec, folder, runner=SimulatedRunner(noise=0.01))
    assert outcome.race is not None
    assert outcome.race.status is Status.CERTIFIED
    assert outcome.best is not None
    with closing(StudyReader.read_only(folder)) as store:
        assert store.identity().goal == spec.goal.goal
        file = best_of_study(
            store, folder, outcome.best, outcome.trials, outcome.goal, race=outcome.race
        )
    assert file.sla is not None
    assert (file.sla.cap_ms, file.sla.headroom) == (20.0, 0.5)
    claim = file.certificate
    assert claim is not None
    assert claim.latency_upper_ms is not None
    assert claim.headroom is not None
    assert claim.latency_upper_ms <= 20.0 / 1.5
    assert claim.headroom == pytest.approx(20.0 / claim.latency_upper_ms - 1)
    assert claim.headroom >= 0.5
    assert claim.hint_at_risk_per_s is not None
    with pytest.raises(StudyMismatchError, match="goal has changed"):
        tune(make_spec(budget={"trials": 13}), folder, runner=SimulatedRunner())


def test_a_race_without_a_choice_exports_nothing(searched: Path) -> None:
    """The search saw them under the cap; in the race all are far over it."""

    class Slow(SimulatedRunner):
        def open(self, key: CompileKey) -> SimulatedModel:
            """Everything takes a hundred times as long."""
            model = super().open(key)
            model._slowness *= 100
            return model

    outcome = tune(make_spec(**FEW), searched, runner=Slow())
    assert outcome.race is not None
    assert (outcome.best, outcome.race.winner) == (None, None)
    assert outcome.race.status is Status.UNCONFIRMED


def test_calibrated_noise_is_the_tie_margin(searched: Path) -> None:
    """What this machine makes of two equal configurations is no difference."""
    runner = SimulatedRunner()
    machine = runner.machine(runner.inspect(["CPU"], try_batch=False))
    noise = Calibration(
        measured_at="2026-05-01T10:00:00+00:00",
        model="m",
        noise=0.034,
        ratio=1.0,
        slice_sd=0.02,
        launches=6,
        rounds=30,
        duration_s=90.0,
    )
    save_calibration(machine, noise)
    told = Told()
    outcome = tune(make_spec(**FEW), searched, runner=runner, on_event=told)
    assert outcome.race is not None
    assert (outcome.race.tie_margin, outcome.race.conditions.noise) == (0.034, 0.034)
    assert told.one(RaceStarted).calibration == str(noise)


def test_other_objectives_race_too(folder: Path) -> None:
    """The lowest latency without any cap: the winner is faster than it is wide."""
    goal = {"objective": "latency", "max_latency": None, "percentile": 99.0}
    outcome = tune(make_spec(goal=goal, **FEW), folder, runner=SimulatedRunner())
    assert outcome.race is not None
    assert outcome.goal == Goal(Objective.LATENCY, 99.0, None)
    assert outcome.race.winner is not None
    assert outcome.race.winner.latency is not None
    lowest = min(s.latency.goal_ms for s in outcome.race.standings if s.latency)
    assert outcome.race.winner.latency.goal_ms <= 1.02 * lowest


# --- once, and again


def test_a_finished_race_is_not_held_again(searched: Path) -> None:
    """Nothing is opened, and the answer is the same."""
    spec = make_spec(**FEW)
    first = tune(spec, searched, runner=SimulatedRunner())
    told, runner = Told(), SimulatedRunner()
    again = tune(spec, searched, runner=runner, on_event=told)
    assert (runner.opened, races(searched)) == ([], 1)
    assert not told.count(RaceStarted)
    assert again.race is not None
    assert first.race is not None
    assert again.race.winner is not None
    assert first.race.winner is not None
    assert again.race.winner.throughput == first.race.winner.throughput
    assert again.race.status is first.race.status
    assert again.best == first.best


def test_more_trials_lead_to_a_new_race(searched: Path) -> None:
    """Over everyone who is known by then; the first one stays in the file."""
    tune(make_spec(**FEW), searched, runner=SimulatedRunner())
    outcome = tune(make_spec(budget={"trials": 10}), searched, runner=SimulatedRunner())
    assert (races(searched), len(outcome.trials)) == (2, 10)
    assert stored_race(searched).trials == 10
    assert outcome.race is not None


def cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch, rounds: int) -> Sequence[Slice]:
    """A study whose process ended in its race, after so many rounds; the slices that are kept."""
    keep = RaceLog.keep
    kept: list[Sequence[Slice]] = []

    def crash(self: RaceLog, taken: Sequence[Slice], elapsed_s: float) -> None:
        if len(kept) == rounds:
            raise CrashError
        kept.append(taken)
        keep(self, taken, elapsed_s)

    with monkeypatch.context() as patch:
        patch.setattr(RaceLog, "keep", crash)
        with pytest.raises(CrashError):
            tune(make_spec(**FEW), folder, runner=SimulatedRunner(noise=0.02))
    return [piece for taken in kept for piece in taken]


@pytest.mark.parametrize("rounds", [1, 2, 7, 11])
def test_a_race_that_was_cut_off_goes_on(
    searched: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """With the slices that are kept; it is the same race until it is finished, and then no more."""
    before = cut_off(searched, monkeypatch, rounds)
    found = stored_race(searched)
    assert (list(found.slices), found.end) == (list(before), None)

    told = Told()
    outcome = tune(make_spec(**FEW), searched, runner=SimulatedRunner(noise=0.02), on_event=told)
    assert races(searched) == 1
    assert list(slices(searched))[: len(before)] == list(before)
    assert not told.count(TrialStarted)
    assert outcome.race is not None
    assert outcome.race.status is Status.CERTIFIED
    assert outcome.race.rounds == len({(s.launch, s.round) for s in slices(searched)})
    launches = {piece.launch for piece in before}
    later = {piece.launch for piece in slices(searched)[len(before) :]}
    assert not launches & later

    last = SimulatedRunner()
    tune(make_spec(**FEW), searched, runner=last)
    assert last.opened == []


def test_a_cut_off_race_keeps_what_it_knew(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who crashed before the crash of the process has no turn after it."""
    broken = THROUGHPUT.compile_key
    keep = RaceLog.keep

    def crash(self: RaceLog, taken: Sequence[Slice], elapsed_s: float) -> None:
        if taken[0].launch == 1:
            raise CrashError
        keep(self, taken, elapsed_s)

    failing = SimulatedRunner(faults={broken: [make_failure(FailureKind.CRASH, phase="open")]})
    with monkeypatch.context() as patch:
        patch.setattr(RaceLog, "keep", crash)
        with pytest.raises(CrashError):
            tune(make_spec(**FEW), searched, runner=failing)

    runner = SimulatedRunner()
    outcome = tune(make_spec(**FEW), searched, runner=runner)
    assert broken not in runner.opened
    assert outcome.race is not None
    failed = [s for s in outcome.race.standings if s.failure is not None]
    assert [s.contender.configuration for s in failed] == [THROUGHPUT]


# --- stopped


def stopped_after(launches: int, **fields: Any) -> tuple[StopRequest, Told]:
    """Ctrl-C once, while a race's launch ends."""
    stop = StopRequest()

    def hear(event: LaunchFinished) -> None:
        stop.requested = event.result.launches >= launches

    return stop, Told(on_launch=hear)


def test_ctrl_c_in_a_race_ends_it_with_what_is_known(searched: Path) -> None:
    """Provisional, as it was stopped; the outcome is its choice all the same."""
    stop, told = stopped_after(3)
    runner = SimulatedRunner(noise=0.02)
    outcome = tune(make_spec(**FEW), searched, runner=runner, stop=stop, on_event=told)
    assert outcome.reason == "stopped"
    assert outcome.race is not None
    assert (outcome.race.end, outcome.race.status) == (End.STOPPED, Status.PROVISIONAL)
    assert outcome.best is not None
    assert isinstance(told.events[-1], StudyFinished)
    assert told.events[-1].reason == "stopped"


def test_ctrl_c_before_the_first_round_leaves_the_word_to_the_search(searched: Path) -> None:
    """The launch that is under way opens no other model."""
    stop = StopRequest()

    class Watched(SimulatedRunner):
        def open(self, key: CompileKey) -> SimulatedModel:
            """Somebody presses Ctrl-C while the first launch opens its models."""
            stop.requested = stop.requested or told.count(RaceStarted) == 1
            return super().open(key)

    told = Told()
    outcome = tune(make_spec(**FEW), searched, runner=Watched(), stop=stop, on_event=told)
    assert outcome.reason == "stopped"
    assert outcome.race is None
    assert outcome.best is not None


def test_a_stopped_race_goes_on_with_the_next_start(searched: Path) -> None:
    """It is finished then, with all that was seen."""
    stop, told = stopped_after(1)
    runner = SimulatedRunner(noise=0.02)
    tune(make_spec(**FEW), searched, runner=runner, stop=stop, on_event=told)
    before = list(slices(searched))
    assert before
    outcome = tune(make_spec(**FEW), searched, runner=SimulatedRunner(noise=0.02))
    assert races(searched) == 1
    assert list(slices(searched))[: len(before)] == before
    assert outcome.race is not None
    assert outcome.race.status is Status.CERTIFIED


def test_ctrl_c_twice_in_a_race_keeps_every_whole_slice(searched: Path) -> None:
    """The second one comes as KeyboardInterrupt; only the round that it cut off is incomplete."""

    class Impatient(SimulatedRunner):
        blocks = 0

        def advance(self, seconds: float) -> None:
            """The fiftieth stretch of time is the last one that anybody waits for."""
            super().advance(seconds)
            self.blocks += 1
            if self.blocks == 50:
                raise KeyboardInterrupt

    outcome = tune(make_spec(**FEW), searched, runner=Impatient())
    assert outcome.reason == "stopped"
    kept = slices(searched)
    rounds = Counter((piece.launch, piece.round) for piece in kept)
    last = max(rounds)
    assert all(
        count == rounds[launch, 0] for (launch, n), count in rounds.items() if (launch, n) != last
    )
    assert rounds[last] <= rounds[last[0], 0]
    assert stored_race(searched).end is End.STOPPED


@pytest.mark.parametrize(
    ("at", "count"),
    [*(("open", n) for n in (1, 2, 3, 4, 8)), *(("advance", n) for n in (1, 2, 3, 5, 8, 13, 34))],
)
def test_an_interrupt_anywhere_in_a_race_ends_the_study(
    searched: Path, at: str, count: int
) -> None:
    """Also before anybody has had a turn: the end of the budget is another end."""

    class Impatient(SimulatedRunner):
        calls = 0

        def called(self, name: str) -> None:
            self.calls += name == at and told.count(RaceStarted) == 1
            if self.calls == count:
                self.calls += 1
                raise KeyboardInterrupt

        def open(self, key: CompileKey) -> SimulatedModel:
            self.called("open")
            return super().open(key)

        def advance(self, seconds: float) -> None:
            super().advance(seconds)
            self.called("advance")

    told = Told()
    outcome = tune(make_spec(**FEW), searched, runner=Impatient(), on_event=told)
    assert outcome.reason in {"stopped", "interrupted"}
    assert isinstance(told.events[-1], StudyFinished)
    assert told.events[-1].reason == outcome.reason
    assert outcome.best is not None


def test_a_search_that_was_stopped_has_no_race(folder: Path) -> None:
    """Whoever stops wants to go home; the next start goes on with the search."""
    stop, told = StopRequest(), Told()

    def hear(event: Event) -> None:
        told(event)
        stop.requested = told.count(TrialFinished) >= 3

    outcome = tune(make_spec(**FEW), folder, runner=SimulatedRunner(), stop=stop, on_event=hear)
    assert (outcome.reason, outcome.race, races(folder)) == ("stopped", None, 0)
    assert outcome.best is not None


# --- what is said


def test_events_come_in_order(folder: Path) -> None:
    """Trials, then one start, at least one launch, one end, and the end of the study."""
    told = Told()
    outcome = tune(make_spec(**FEW), folder, runner=SimulatedRunner(), on_event=told)
    order = [StudyOpened, TrialStarted, TrialFinished, RaceStarted, LaunchFinished, RaceFinished]
    kinds = [type(event) for event in told.events if not isinstance(event, Noted)]
    assert kinds[0] is StudyOpened
    assert kinds[-1] is StudyFinished
    ranks = [order.index(kind) for kind in kinds[13:-1]]
    assert kinds[1:13] == [TrialStarted, TrialFinished] * 6
    assert ranks == sorted(ranks)
    assert (told.count(RaceStarted), told.count(RaceFinished)) == (1, 1)
    launched = [event for event in told.events if isinstance(event, LaunchFinished)]
    assert [event.result.launches for event in launched] == list(range(1, len(launched) + 1))
    assert all(a.left_s >= b.left_s for a, b in pairwise(launched))
    (ended,) = [event for event in told.events if isinstance(event, RaceFinished)]
    assert ended.result == outcome.race


def test_a_race_that_cannot_go_on_keeps_its_word(folder: Path) -> None:
    """Stopped when its time was nearly up: the next start has a race's choice, not the search's."""
    stop, told = stopped_after(2)
    runner = SimulatedRunner(noise=0.03)
    first = tune(make_spec(), folder, runner=runner, stop=stop, on_event=told)
    again = tune(make_spec(), folder, runner=SimulatedRunner(noise=0.03))
    assert first.race is not None
    assert again.race is not None
    assert again.race.launches >= first.race.launches
    assert again.race.winner is not None
    assert again.best is not None
    assert again.best.number == again.race.winner.contender.trial


# --- another machine


class Elsewhere(SimulatedRunner):
    """Another machine or runtime, by one field of its fingerprint."""

    changes: ClassVar[dict[str, Any]] = {}

    def machine(self, facts: Inspection) -> Machine:
        """Not the one that the study was begun on."""
        return replace(super().machine(facts), **self.changes)


@pytest.mark.parametrize(
    "changes",
    [{"cpu_model": "another"}, {"openvino": "2027"}, {"devices": {"CPU": "another"}}],
    ids=["CPU", "runtime", "device"],
)
@pytest.mark.parametrize("rounds", [1, 7])
def test_a_race_that_was_cut_off_is_not_pooled_with_another_machine(
    searched: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], rounds: int
) -> None:
    """A new one begins, which is said; best.json names the machine that held it."""
    before = cut_off(searched, monkeypatch, rounds)
    runner = Elsewhere()
    monkeypatch.setattr(Elsewhere, "changes", changes)
    told = Told()
    outcome = tune(make_spec(**FEW), searched, runner=runner, on_event=told, anyway=True)

    assert races(searched) == 2
    found = stored_race(searched)
    assert not set(map(id, found.slices)) & set(map(id, before))
    assert len(found.places) == 1
    assert outcome.race is not None
    assert outcome.race.rounds == len({(s.launch, s.round) for s in found.slices})
    assert min(piece.launch for piece in found.slices) == 0
    assert any("a new race begins" in note and "another machine" in note for note in told.notes())
    assert outcome.best is not None
    with closing(StudyReader.read_only(searched)) as store:
        file = best_of_study(
            store, searched, outcome.best, outcome.trials, outcome.goal, race=outcome.race
        )
    assert {name: file.machine[name] for name in changes} == changes


def test_another_package_of_the_runtime_is_another_race(
    searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the runtime says of itself; another kernel is no difference."""
    cut_off(searched, monkeypatch, 2)
    same = {**versions(), "python": "another"}
    monkeypatch.setattr("autotune.tuning.session.versions", lambda: same)
    stop, told = stopped_after(2)
    runner = Elsewhere()
    monkeypatch.setattr(Elsewhere, "changes", {"system": "another kernel"})
    tune(make_spec(**FEW), searched, runner=runner, stop=stop, on_event=told)
    assert races(searched) == 1

    monkeypatch.setattr("autotune.tuning.session.versions", lambda: {**same, "openvino": "2027"})
    tune(make_spec(**FEW), searched, runner=Elsewhere())
    assert races(searched) == 2


def test_without_time_for_a_new_race_the_one_of_another_machine_keeps_its_word(
    searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own machine's name."""
    cut_off(searched, monkeypatch, 11)
    spec = make_spec(budget={"duration": "10s", "trials": 6})
    runner = SimulatedRunner(openvino="2027")
    outcome = tune(spec, searched, runner=runner, anyway=True)
    assert (races(searched), runner.opened) == (1, [])
    assert outcome.race is not None
    assert outcome.best is not None
    with closing(StudyReader.read_only(searched)) as store:
        file = best_of_study(
            store, searched, outcome.best, outcome.trials, outcome.goal, race=outcome.race
        )
    assert file.machine["openvino"] == "simulated"


def test_who_was_dropped_before_the_crash_stays_out(
    searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the database by the end of the launch that dropped it."""
    cut_off(searched, monkeypatch, 7)
    field = stored_race(searched)
    dropped = {i for i, lineup in field.dossiers.items() if lineup.dropped is not None}
    dropped -= {field.baseline}  # which ratios are taken to
    assert dropped
    before = len(slices(searched))
    tune(make_spec(**FEW), searched, runner=SimulatedRunner(noise=0.02))
    later = {piece.contender for piece in slices(searched)[before:]}
    assert not later & dropped


@pytest.mark.parametrize(
    "doubt",
    [{"unproven_batch": "all zero"}, {"unproven_precisions": {"f32": "all zero"}}],
    ids=["batch", "precision"],
)
def test_a_race_is_proven_only_while_its_answers_are(folder: Path, doubt: dict[str, Any]) -> None:
    """It stands as it was held, without being held again; what it proves is what is known now."""
    spec = make_spec("1s", **FEW, space={"batch": [8]})
    for runner, status, why in (
        (SimulatedRunner(), Status.CERTIFIED, None),
        (SimulatedRunner(**doubt), Status.UNPROVEN, "all zero"),
        (SimulatedRunner(), Status.CERTIFIED, None),
    ):
        outcome = tune(spec, folder, runner=runner)
        assert outcome.race is not None
        assert outcome.best is not None
        assert outcome.best.configuration.batch_size == 8
        assert outcome.race.status is status
        with closing(StudyReader.read_only(folder)) as store:
            best = best_of_study(
                store, folder, outcome.best, outcome.trials, outcome.goal, race=outcome.race
            )
            seen = answer(store, outcome.goal).race
        assert (best.status, best.unproven) == (status, why)
        assert seen == outcome.race
    assert races(folder) == 1
    assert runner.opened == []
