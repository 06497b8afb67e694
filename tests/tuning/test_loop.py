"""The whole loop, on a machine that is known exactly and a clock that nobody waits for."""

import shutil
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from autotune.analysis.story import story
from autotune.domain.budget import seconds_until
from autotune.domain.events import (
    Event,
    Noted,
    StudyFinished,
    StudyOpened,
    TrialFinished,
    TrialStarted,
)
from autotune.domain.failure import FailureKind, TrialFault
from autotune.domain.goal import Verdict
from autotune.domain.history import is_noisy
from autotune.domain.measurement import Block
from autotune.domain.sampler import Sampler
from autotune.domain.trial import Origin, Trial
from autotune.errors import (
    BusyError,
    MachineFaultError,
    ModelError,
    SpecError,
    StudyMismatchError,
)
from autotune.machines.locks import study_lock
from autotune.machines.ports import Load
from autotune.search.search import Search
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.space.space import SearchSpace
from autotune.spec import StudySpec, build_spec
from autotune.storage.study_store import StudyStore
from autotune.testing.simulated import SimulatedCpu, SimulatedModel, SimulatedRunner
from autotune.tuning import allowance
from autotune.tuning.allowance import StopRequest
from autotune.tuning.tune import tune
from tests.builders import make_failure

LATENCY = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
THROUGHPUT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
LONE = Configuration(
    device="CPU",
    hint=PerformanceHint.THROUGHPUT,
    streams=1,
    threads_per_stream=4,
    pinning=True,
    precision="f32",
    num_requests=1,
)
"""The three seeds of a CPU with four cores."""
ALONE = {"reference": False}
"""[measure] without a reference: every opening is a trial's."""
FEW = {"batch": 1, "pinning": True, "requests_per_stream": [1, 2]}
"""[space] that is soon exhausted."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a model file: its content matters to nobody but the digest."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path


def make_spec(cap: str = "20ms", trials: int | None = 8, **sections: dict[str, Any]) -> StudySpec:
    """A small space: streams, threads, requests and two batches."""
    space = {"batch": [1, 4], "pinning": True, "requests_per_stream": [1, 2]}
    values: dict[str, dict[str, Any]] = {
        "model": {"path": "model.onnx"},
        "goal": {"max_latency": cap},
        "budget": {} if trials is None else {"trials": trials},
        "space": space,
        "race": {"share": 0.0},
        **sections,
    }
    return build_spec(values, "study.toml")


@dataclass
class Told:
    """Keeps every event."""

    events: list[Event] = field(default_factory=list)
    on_trial: Callable[[TrialFinished], None] = lambda _: None

    def __call__(self, event: Event) -> None:
        """Hear one."""
        self.events.append(event)
        if isinstance(event, TrialFinished):
            self.on_trial(event)


def stored(folder: Path) -> list[Trial]:
    """What the database has."""
    store = StudyStore.read_only(folder)
    with closing(store):
        return store.trials()


def optuna_trials(folder: Path) -> list[FrozenTrial]:
    """What Optuna has."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    try:
        return optuna.load_study(study_name=folder.name, storage=storage).trials
    finally:
        storage.engine.dispose()


def states(folder: Path) -> list[TrialState]:
    """Optuna's states by number."""
    return [trial.state for trial in optuna_trials(folder)]


def all_configurations(folder: Path) -> list[Configuration]:
    """Every point of the study's space."""
    store = StudyStore.read_only(folder)
    with closing(store):
        choices = {name: tuple(c) for name, c in store.identity().space.items() if name != "cpus"}
    space = SearchSpace(choices, cpus=4)
    return [space.configuration(point) for point in space.points()]


def effective_keys(runner: SimulatedRunner, configurations: Sequence[Configuration]) -> set[str]:
    """Distinct deployments among them."""
    return {runner.cpu.effective(c.compile_key).key(c) for c in configurations}


def kinds(trials: Sequence[Trial]) -> list[str]:
    """Failure kind or verdict of each."""
    return [
        str(t.failure.kind if t.failure else t.measurement and t.measurement.verdict)
        for t in trials
    ]


# --- what is tried, and what is found


@pytest.mark.parametrize("cap_ms", [5.0, 11.0, 40.0])
def test_the_whole_space_gives_the_exact_best(folder: Path, cap_ms: float) -> None:
    """Without noise the winner is the fastest configuration whose latency is under the cap."""
    runner = SimulatedRunner()
    outcome = tune(make_spec(f"{cap_ms:g}ms", trials=200), folder, runner=runner)
    predicted = {
        c: runner.predict(c)
        for c in all_configurations(folder)
        if runner.predict(c).latency_ms <= cap_ms
    }
    assert outcome.reason == "exhausted"
    assert outcome.best is not None
    assert outcome.best.measurement is not None
    fastest = max(flow.throughput_per_s for flow in predicted.values())
    assert outcome.best.measurement.throughput_per_s == pytest.approx(fastest)
    assert outcome.best.measurement.latency.goal_ms <= cap_ms
    assert outcome.best.measurement.blocks


def test_every_measurement_is_what_was_predicted(folder: Path) -> None:
    """Throughput and latency, and no verdict against them (a slow one may be left unclear)."""
    runner = SimulatedRunner()
    outcome = tune(make_spec("11ms", trials=12), folder, runner=runner)
    assert len(outcome.trials) == 12
    for trial in outcome.trials:
        predicted, found = runner.predict(trial.configuration), trial.measurement
        assert found is not None
        assert found.throughput_per_s == pytest.approx(predicted.throughput_per_s)
        assert found.latency.goal_ms == pytest.approx(predicted.latency_ms, abs=1e-4)
        assert found.verdict is not (Verdict.MISSED if predicted.latency_ms <= 11 else Verdict.MET)


def test_seeds_come_first(folder: Path) -> None:
    """Both hints, then a single request."""
    outcome = tune(make_spec(trials=3), folder, runner=SimulatedRunner())
    assert [trial.configuration for trial in outcome.trials] == [LATENCY, THROUGHPUT, LONE]
    assert {trial.origin for trial in outcome.trials} == {Origin.SEED}


def test_no_configuration_is_tried_twice(folder: Path) -> None:
    """Not as requested, and not as effective: what is equal is measured once."""
    runner = SimulatedRunner(noise=0.05)
    outcome = tune(make_spec(trials=200), folder, runner=runner)
    configurations = [trial.configuration for trial in outcome.trials]
    assert len(set(configurations)) == len(configurations)
    measured = [
        t.measurement.opening.effective.key(t.configuration)
        for t in outcome.trials
        if t.measurement and t.reused_from is None
    ]
    assert len(set(measured)) == len(measured)


def test_what_is_effectively_known_is_reused(folder: Path) -> None:
    """The single request with all threads is the LATENCY hint: no second measurement, no blocks."""
    runner = SimulatedRunner()
    outcome = tune(make_spec(trials=3), folder, runner=runner)
    hint, _, lone = outcome.trials
    assert (lone.reused_from, hint.reused_from) == (0, None)
    assert lone.measurement is not None
    assert hint.measurement is not None
    assert lone.measurement.throughput == hint.measurement.throughput
    assert stored(folder)[2].configuration == LONE
    assert states(folder) == [TrialState.COMPLETE] * 3


def test_what_reuses_a_measurement_keeps_its_own_doubts(folder: Path) -> None:
    """What was opened could not be proven now, whatever was found when it was measured."""

    class Doubting(SimulatedRunner):
        def open(self, key: CompileKey) -> SimulatedModel:
            """Only the hint is proven."""
            model = super().open(key)
            if key != LATENCY.compile_key:
                model.opening = replace(model.opening, unproven="all zero")
            return model

    outcome = tune(make_spec(trials=3), folder, runner=Doubting())
    hint, _, lone = (t.measurement for t in outcome.trials)
    assert hint is not None
    assert lone is not None
    assert (hint.opening.unproven, lone.opening.unproven) == (None, "all zero")
    kept = stored(folder)[2].measurement
    assert kept is not None
    assert kept.opening == lone.opening


def test_a_sweep_follows_on_a_model_that_was_costly_to_open(folder: Path) -> None:
    """Another request count, without compiling again."""
    runner = SimulatedRunner(compile_s=60.0)
    told = Told()
    spec = make_spec("40ms", trials=10, measure=ALONE)
    tune(spec, folder, runner=runner, on_event=told)
    swept = [e for e in told.events if isinstance(e, TrialStarted) and e.origin is Origin.SWEEP]
    assert swept
    assert len(runner.opened) == 10 - len(swept)


def test_no_sweep_where_opening_is_cheap(folder: Path) -> None:
    """The sampler knows better."""
    runner = SimulatedRunner(start_s=0.01, compile_s=0.01)
    outcome = tune(make_spec("40ms", trials=10), folder, runner=runner)
    assert Origin.SWEEP not in {trial.origin for trial in outcome.trials}


# --- when it ends


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


def test_events_tell_the_whole_story(folder: Path) -> None:
    """Opened, then started and finished in turn, then the reason."""
    told = Told()
    tune(make_spec(trials=3), folder, runner=SimulatedRunner(), on_event=told)
    assert [type(event) for event in told.events] == [
        StudyOpened,
        *[TrialStarted, TrialFinished] * 3,
        StudyFinished,
    ]
    opened, finished = told.events[0], told.events[-2]
    assert isinstance(opened, StudyOpened)
    assert (opened.trials_before, opened.budget_trials) == (0, 3)
    assert opened.space_size == len(all_configurations(folder))
    assert isinstance(finished, TrialFinished)
    assert finished.better_hint is not None
    assert finished.better_hint.configuration == THROUGHPUT


# --- interruptions


class InterruptingRunner(SimulatedRunner):
    """Someone presses Ctrl-C while the n-th opened model is under load, or is being opened."""

    interrupted = 0
    phase = "load"

    def open(self, key: CompileKey) -> SimulatedModel:
        """As always, but for one."""
        model = super().open(key)
        if len(self.opened) == self.interrupted:
            if self.phase == "open":
                raise KeyboardInterrupt
            return InterruptedModel(self, key, None)
        return model


class InterruptedModel(SimulatedModel):
    """Breaks off after a block."""

    def load(self, load: Load) -> Generator[Block]:
        """One block."""
        yield next(super().load(load))
        raise KeyboardInterrupt


@pytest.mark.parametrize("phase", ["open", "load"])
@pytest.mark.parametrize("number", [1, 5], ids=["a seed", "a proposal"])
def test_an_interruption_leaves_nothing_half_done(folder: Path, phase: str, number: int) -> None:
    """No trial is running, what was measured is kept, and the next run goes on."""
    runner = InterruptingRunner(start_s=0.01, compile_s=0.01)
    runner.interrupted, runner.phase = number, phase
    spec = make_spec(measure=ALONE)  # every opening and load is a trial's
    outcome = tune(spec, folder, runner=runner)
    assert outcome.reason == "interrupted"
    assert len(stored(folder)) == number - 1
    assert TrialState.RUNNING not in states(folder)

    resumed = tune(make_spec(), folder, runner=SimulatedRunner())
    assert (resumed.reason, len(resumed.trials)) == ("trials", 8)
    assert [t.configuration for t in resumed.trials[:3]] == [LATENCY, THROUGHPUT, LONE]


# --- failures


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        (FailureKind.COMPILE_ERROR, "open"),
        (FailureKind.COMPILE_TIMEOUT, "open"),
        (FailureKind.WRONG_OUTPUT, "open"),
        (FailureKind.OUT_OF_MEMORY, "open"),
    ],
)
def test_a_configurations_own_fault_costs_its_trial(
    folder: Path, kind: FailureKind, phase: str
) -> None:
    """It is complete, with the worst value, its constraint at the clip; the study goes on."""
    runner = SimulatedRunner(
        faults={THROUGHPUT.compile_key: repeat(make_failure(kind, phase=phase))}
    )
    outcome = tune(make_spec(), folder, runner=runner)
    assert outcome.reason == "trials"
    assert kinds(outcome.trials)[1] == kind
    assert [t.failure for t in stored(folder)][1] == make_failure(kind, phase=phase)
    failed = optuna_trials(folder)[1]
    assert (failed.state, failed.values) == (TrialState.COMPLETE, [0.0])
    assert failed.constraints == {"latency": 3.0}
    assert runner.opened.count(THROUGHPUT.compile_key) == 1


@pytest.mark.parametrize("phase", ["open", "load"])
@pytest.mark.parametrize(
    "kind", [FailureKind.CRASH, FailureKind.HANG, FailureKind.RUNTIME_ERROR], ids=str
)
def test_what_may_be_chance_is_the_configurations_fault_when_it_happens_twice(
    folder: Path, kind: FailureKind, phase: str
) -> None:
    """The first is FAIL and tried again; the second costs the trial."""
    failure = make_failure(kind, phase=phase)
    runner = SimulatedRunner(faults={THROUGHPUT.compile_key: repeat(failure)})
    outcome = tune(make_spec(trials=6), folder, runner=runner)
    failed = [trial for trial in outcome.trials if trial.failure]
    assert [(t.configuration, t.failure) for t in failed] == [(THROUGHPUT, failure)] * 2
    first, second = (optuna_trials(folder)[trial.number] for trial in failed)
    assert (first.state, second.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert second.constraints == {"latency": 3.0}
    assert runner.opened.count(THROUGHPUT.compile_key) == 2
    assert len(outcome.trials) == 7


def test_a_crash_by_chance_rules_nothing_out(folder: Path) -> None:
    """The second try works, and so do other request counts of the model."""
    key = replace(LONE, streams=2, threads_per_stream=1, num_requests=2).compile_key
    crash = make_failure(FailureKind.CRASH, phase="open")
    runner = SimulatedRunner(faults={key: repeat(crash, 1)})
    outcome = tune(make_spec(trials=200), folder, runner=runner)
    mine = [trial for trial in outcome.trials if trial.configuration.compile_key == key]
    assert [trial.failure for trial in mine[:2]] == [crash, None]
    assert len({trial.configuration for trial in mine}) == len(mine) - 1 > 1


class NoisyRunner(SimulatedRunner):
    """Others take the machine during every block of some of its loads, by number."""

    def __init__(self, noisy: Collection[int]) -> None:
        super().__init__()
        self.loads = 0
        self.noisy = noisy

    def open(self, key: CompileKey) -> SimulatedModel:
        """A model that tells of it."""
        super().open(key)
        return NoisyModel(self, key, None)


class NoisyModel(SimulatedModel):
    """Flags its blocks."""

    def load(self, load: Load) -> Generator[Block]:
        """As it is, and steal."""
        runner = self._runner
        assert isinstance(runner, NoisyRunner)
        runner.loads += 1
        is_noisy_load = runner.loads in runner.noisy
        for block in super().load(load):
            yield replace(block, steal_s=block.duration_s) if is_noisy_load else block


def test_a_trial_that_others_disturbed_is_repeated_later(folder: Path) -> None:
    """It is kept, the sampler does not hear of it, and it does not count; the repetition does."""
    outcome = tune(make_spec(trials=30, measure=ALONE), folder, runner=NoisyRunner({15}))
    noisy = [trial for trial in outcome.trials if is_noisy(trial)]
    assert len(noisy) == 1
    again = [t for t in outcome.trials if t.configuration == noisy[0].configuration]
    first, second = (trial.number for trial in again)
    assert second > first + 5
    assert not is_noisy(again[1])
    assert again[1].reused_from is None
    assert optuna_trials(folder)[first].state is TrialState.FAIL
    assert len(outcome.trials) == 31


def test_where_it_is_never_quiet_a_tenth_is_repeated(folder: Path) -> None:
    """The night is for new configurations."""
    runner = NoisyRunner(range(1000))
    outcome = tune(make_spec(trials=40, measure=ALONE), folder, runner=runner)
    repeated = len(outcome.trials) - len({trial.configuration for trial in outcome.trials})
    assert 0 < repeated <= 4


def test_a_model_that_cannot_be_opened_is_not_opened_for_another_request_count(
    folder: Path,
) -> None:
    """Its compile key is ruled out, in this run and in the next; of others nothing is lost."""
    broken = replace(LONE, streams=2, threads_per_stream=2, num_requests=2).compile_key
    failure = make_failure(FailureKind.COMPILE_ERROR, phase="open")
    runner = SimulatedRunner(faults={broken: repeat(failure)})
    tune(make_spec(trials=200), folder, runner=runner)
    assert runner.opened.count(broken) == 1
    others = [c for c in all_configurations(folder) if c.compile_key != broken]
    assert effective_keys(runner, others) <= effective_keys(
        runner, [trial.configuration for trial in stored(folder)]
    )

    again = SimulatedRunner(faults={broken: repeat(failure)})
    assert tune(make_spec(trials=200), folder, runner=again).reason == "exhausted"
    assert again.opened == []


@pytest.mark.parametrize("phase", ["start", "open", "load"])
@pytest.mark.parametrize(("faults", "tries"), [(1, 2), (2, 3), (3, 3), (9, 3)])
def test_a_machine_fault_is_tried_again_at_most_twice(
    folder: Path, phase: str, faults: int, tries: int
) -> None:
    """It is FAIL, invisible to the sampler, and does not count against the budget."""
    failure = make_failure(FailureKind.LOST, phase=phase)
    runner = SimulatedRunner(faults={THROUGHPUT.compile_key: repeat(failure, faults)})
    outcome = tune(make_spec(trials=6), folder, runner=runner)
    assert runner.opened.count(THROUGHPUT.compile_key) == tries
    lost = [trial for trial in outcome.trials if trial.failure]
    assert [trial.configuration for trial in lost] == [THROUGHPUT] * min(faults, 3)
    assert states(folder).count(TrialState.FAIL) == len(lost)
    assert len(outcome.trials) - len(lost) == 6


def test_tries_are_counted_over_runs(folder: Path) -> None:
    """Two before a stop, the third after it, and no fourth; what has worked is not tried again."""
    runner = SimulatedRunner(
        faults={
            THROUGHPUT.compile_key: repeat(make_failure(FailureKind.LOST, phase="start")),
            LATENCY.compile_key: repeat(make_failure(FailureKind.LOST, phase="start"), 1),
        }
    )
    stop = StopRequest()

    def stop_after_two(event: TrialFinished) -> None:
        stop.requested = runner.opened.count(THROUGHPUT.compile_key) == 2

    tune(
        make_spec(measure=ALONE),
        folder,
        runner=runner,
        stop=stop,
        on_event=Told(on_trial=stop_after_two),
    )
    tune(make_spec(trials=10, measure=ALONE), folder, runner=runner)
    tune(make_spec(trials=12, measure=ALONE), folder, runner=runner)
    assert runner.opened.count(THROUGHPUT.compile_key) == 3
    assert runner.opened.count(LATENCY.compile_key) == 2


class BrokenRunner(SimulatedRunner):
    """Its first so many openings fail, for no fault of the configurations."""

    def __init__(self, faults: int = 1000) -> None:
        super().__init__()
        self._broken = faults

    def open(self, key: CompileKey) -> SimulatedModel:
        """Works after a while."""
        if len(self.opened) < self._broken:
            self.opened.append(key)
            raise TrialFault(make_failure(FailureKind.LOST, phase="start"))
        return super().open(key)


def test_five_machine_faults_in_a_row_end_the_run(folder: Path) -> None:
    """Something is wrong with the machine, and a night must not be spent on it."""
    broken = BrokenRunner()
    with pytest.raises(MachineFaultError, match=r"5 trials in a row.*it broke; no memory; .*logs"):
        tune(make_spec(), folder, runner=broken, recover=lambda: ["no memory"])
    assert len(broken.opened) == 5
    assert states(folder) == [TrialState.FAIL] * 5

    mended = tune(make_spec(), folder, runner=SimulatedRunner())
    assert mended.reason == "trials"
    assert {LATENCY, THROUGHPUT, LONE} <= {t.configuration for t in mended.trials if t.measurement}


def test_a_machine_that_recovers_in_a_pause_is_tuned_on(folder: Path) -> None:
    """The pause is on record; what was unlucky before it gets its turn again."""
    pauses: list[str] = []
    told = Told()

    def recover() -> list[str]:
        pauses.append("paused")
        return []

    outcome = tune(
        make_spec(),
        folder,
        runner=BrokenRunner(faults=6),
        recover=recover,
        on_event=told,
    )
    assert len(pauses) == 1
    assert outcome.reason == "trials"
    assert {LATENCY, THROUGHPUT, LONE} <= {t.configuration for t in outcome.trials if t.measurement}
    assert any(isinstance(e, Noted) and "pausing" in e.text for e in told.events)
    with closing(StudyStore.read_only(folder)) as store:
        (paused,) = [one for one in story(store) if one.data.get("kind") == "paused"]
    assert "it broke" in paused.data["text"]


def test_two_configurations_that_lose_their_workers_are_no_fault_of_the_machine(
    folder: Path,
) -> None:
    """Six faults in a row, and no pause."""
    lost = make_failure(FailureKind.LOST, phase="open")
    runner = SimulatedRunner(
        faults={key.compile_key: repeat(lost) for key in (THROUGHPUT, LATENCY)}
    )
    pauses: list[str] = []

    def recover() -> list[str]:
        pauses.append("paused")
        return []

    outcome = tune(make_spec(), folder, runner=runner, recover=recover)
    assert (outcome.reason, pauses) == ("trials", [])
    assert [trial.failure for trial in outcome.trials].count(lost) == 6


def test_there_is_one_pause_only(folder: Path) -> None:
    """When the next five fail as well, the night is over."""
    broken, pauses = BrokenRunner(), iter(((),))
    with pytest.raises(MachineFaultError, match="so did as many before a pause"):
        tune(make_spec(), folder, runner=broken, recover=lambda: next(pauses))
    assert len(broken.opened) == 10


# --- going on


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


class CrashError(BaseException):
    """Stands for the end of the process: nothing after it is carried out."""


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
    record = StudyStore.record
    lost = []

    def crash(self: StudyStore, trial: Trial, elapsed_s: float) -> None:
        if trial.number == number:
            lost.append(trial.configuration)
            raise CrashError
        record(self, trial, elapsed_s)

    with monkeypatch.context() as patch:
        patch.setattr(StudyStore, "record", crash)
        with pytest.raises(CrashError):
            tune(make_spec(), folder, runner=SimulatedRunner(start_s=0.01, compile_s=0.01))
    outcome = tune(make_spec(), folder, runner=SimulatedRunner())
    assert outcome.reason == "trials"
    assert states(folder)[number] is TrialState.FAIL
    assert number not in [trial.number for trial in outcome.trials]
    assert set(lost) <= {trial.configuration for trial in outcome.trials}


# --- refusals


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
    with closing(StudyStore.read_only(folder)) as store:
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


# --- until nothing better is in sight


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
    with closing(StudyStore.read_only(folder)) as store:
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


# --- a budget that is too short


def notes(told: Told) -> list[str]:
    """What was noted."""
    return [event.text for event in told.events if isinstance(event, Noted)]


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


# --- from another study


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


def origins(trials: Sequence[Trial]) -> list[Origin]:
    """Who proposed each."""
    return [trial.origin for trial in trials]


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


# --- samplers that go by no result


@pytest.mark.parametrize("sampler", [Sampler.RANDOM, Sampler.GRID, Sampler.EXHAUSTIVE])
def test_what_does_not_learn_does_not_sweep(folder: Path, sampler: Sampler) -> None:
    """However dear opening is: a sweep would go its own way through the space."""
    runner = SimulatedRunner(compile_s=60.0)
    spec = make_spec("40ms", trials=12, measure=ALONE, search={"sampler": sampler.value})
    outcome = tune(spec, folder, runner=runner)
    assert set(origins(outcome.trials)) == {Origin.SEED, Origin.SAMPLED}


@pytest.mark.parametrize("sampler", [Sampler.AUTO, Sampler.GP, Sampler.TPE])
def test_what_learns_sweeps(folder: Path, sampler: Sampler) -> None:
    """Little's law says which request count is worth a measurement."""
    runner = SimulatedRunner(compile_s=60.0)
    spec = make_spec("40ms", trials=12, measure=ALONE, search={"sampler": sampler.value})
    outcome = tune(spec, folder, runner=runner)
    assert Origin.SWEEP in origins(outcome.trials)


def test_an_exhaustive_study_opens_every_model_once(folder: Path) -> None:
    """One compiled model after the other, with all of its request counts."""
    runner = SimulatedRunner()
    spec = make_spec(trials=200, measure=ALONE, search={"sampler": "exhaustive"})
    outcome = tune(spec, folder, runner=runner)
    assert outcome.reason == "exhausted"
    sampled = runner.opened[3:]  # the seeds' own come first
    assert len(set(sampled)) == len(sampled)
