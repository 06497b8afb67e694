"""The whole loop, on a machine that is known exactly and a clock that nobody waits for."""

from collections.abc import Collection, Generator
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest
from optuna.trial import TrialState

from autotune.domain.events import (
    StudyFinished,
    StudyOpened,
    TrialFinished,
    TrialStarted,
)
from autotune.domain.failure import FailureKind
from autotune.domain.goal import Verdict
from autotune.domain.history import is_noisy
from autotune.domain.measurement import Block, Cached
from autotune.domain.sampler import Sampler
from autotune.domain.trial import Origin
from autotune.machines.ports import Load
from autotune.space.configuration import CompileKey
from autotune.spec import StudySpec
from autotune.testing import SimulatedModel, SimulatedRunner
from autotune.tuning.allowance import StopRequest
from autotune.tuning.tune import tune
from tests.builders import make_failure
from tests.tuning.studies import (
    ALONE,
    LATENCY,
    LONE,
    THROUGHPUT,
    Told,
    all_configurations,
    effective_keys,
    kinds,
    make_spec,
    optuna_trials,
    origins,
    states,
    stored,
)

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


@pytest.mark.parametrize("cached", [True, False])
def test_a_cache_is_tried_once_for_each_model_where_that_is_asked_for(
    folder: Path, *, cached: bool
) -> None:
    """Its times stand beside the cold ones; otherwise nobody spends time on it."""
    runner = Caching()
    outcome = tune(with_cache(cached=cached), folder, runner=runner)
    measured = [trial.measurement for trial in outcome.trials if trial.measurement]
    times = {one.opening.cached_compile_s for one in measured}
    assert times == ({runner.cached_s} if cached else {None})
    keys = {one.configuration.compile_key for one in measured}
    assert sorted(runner.tried, key=str) == (sorted(keys, key=str) if cached else [])


def test_a_cache_that_is_of_no_use_costs_no_trial(folder: Path) -> None:
    """The reason stands with every trial: that of the device, or what went wrong."""
    outcome = tune(with_cache(cached=True), folder, runner=SimulatedRunner(cached_s=None))
    openings = [trial.measurement.opening for trial in outcome.trials if trial.measurement]
    assert openings
    assert all("no model cache" in (one.why_not_cached or "") for one in openings)
    assert {one.cached_compile_s for one in openings} == {None}


def with_cache(*, cached: bool) -> StudySpec:
    """A short study."""
    spec = make_spec("20ms", trials=8)
    return spec.model_copy(update={"measure": spec.measure.model_copy(update={"cached": cached})})


class Caching(SimulatedRunner):
    """Notes whose cache is tried."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[CompileKey] = []

    def cached(self, key: CompileKey) -> Cached:
        """As the simulation has it."""
        self.tried.append(key)
        return super().cached(key)


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
