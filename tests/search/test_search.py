"""Ask, begin, tell: nothing twice, nothing lost, the same after a restart."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.domain.history import History
from autotune.domain.sampler import Sampler
from autotune.domain.trial import Trial
from autotune.search.choose import search_of
from autotune.search.derive import seeds
from autotune.search.points import PointTable
from autotune.search.sampler import (
    DistinctSampler,
    Tpe,
    Uniform,
    distributions,
    parameters,
    point_of,
)
from autotune.search.score import CLIP, CONSTRAINT
from autotune.search.search import Proposal, Search
from autotune.space.configuration import Configuration
from autotune.space.dimensions import Api
from autotune.space.space import SearchSpace
from tests.domain.builders import make_trial
from tests.search.conftest import NewSearch
from tests.search.surface import LARGE, advance, failed, make_space, measured, missed, points_of
from tests.space.builders import at

SMALL = make_space()
PARETO = Goal(Objective.PARETO, 99, None)


def lost(proposal: Proposal) -> Trial:
    """The trial of a proposal whose worker was lost."""
    return failed(proposal, FailureKind.LOST)


def stored_trials(storage: BaseStorage) -> list[FrozenTrial]:
    """Optuna's side of the study."""
    return storage.get_all_trials(storage.get_study_id_from_name("study"), deepcopy=False)


def asked(search: Search) -> Proposal:
    """The next proposal, which there is."""
    proposal = search.ask()
    assert proposal is not None
    return proposal


# --- nothing twice


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_small_space_is_exhausted_exactly(new_search: NewSearch, seed: int) -> None:
    """Every point is proposed once, then nothing."""
    search = new_search(SMALL, seed=seed)
    proposed = advance(search, SMALL.size)
    assert sorted(points_of(SMALL, proposed)) == sorted(SMALL.points())
    assert search.ask() is None
    assert all(search.is_taken(point) for point in SMALL.points())


def test_a_space_of_one_point_is_asked_once(new_search: NewSearch) -> None:
    """A study may fix every dimension."""
    only = make_space(threads_per_stream=(2,), streams=(2,), requests_per_stream=(1,), batch=(1,))
    search = new_search(only)
    assert advance(search, 1) == [only.configuration(next(only.points()))]
    assert search.ask() is None


def test_a_large_space_is_never_sampled_twice(new_search: NewSearch) -> None:
    """Also when the model-guided part has taken over, every proposal is a new one."""
    proposed = advance(new_search(LARGE), 60)
    assert len(set(proposed)) == 60


def test_spaces_with_two_devices_and_both_apis_are_exhausted(new_search: NewSearch) -> None:
    """Repaired dimensions do not make the sampler repeat itself or stop early."""
    space = make_space(device=("CPU", "GPU"), api=(Api.ASYNC, Api.SYNC), batch=(1,))
    proposed = advance(new_search(space), space.size)
    assert len(set(proposed)) == space.size


def test_what_is_taken_is_not_proposed(new_search: NewSearch) -> None:
    """Points that are known by other ways are left out."""
    search = new_search(SMALL)
    first, *others = SMALL.points()
    search.take(others)
    assert asked(search).configuration == SMALL.configuration(first)
    assert search.ask() is None


def test_what_is_running_is_not_proposed(new_search: NewSearch) -> None:
    """A configuration that was asked for and not yet told is taken."""
    search = new_search(SMALL)
    running = {asked(search).configuration for _ in range(SMALL.size)}
    assert len(running) == SMALL.size


def test_failures_are_not_proposed_again(new_search: NewSearch) -> None:
    """What crashed, missed or was lost is not the sampler's business any more."""
    search = new_search(SMALL)
    outcomes: list[Callable[[Proposal], Trial]] = [failed, missed, lost]
    proposed = []
    for number in range(SMALL.size):
        proposal = asked(search)
        proposed.append(proposal.configuration)
        search.tell(outcomes[number % 3](proposal))
    assert len(set(proposed)) == SMALL.size


def test_the_sampler_learns(new_search: NewSearch) -> None:
    """After some trials, proposals are better than a random choice would be."""
    search = new_search(LARGE, Goal(Objective.THROUGHPUT, 99, None))

    def throughput(configurations: list[Configuration]) -> float:
        rates = [measured(Proposal(0, c)).measurement for c in configurations]
        return sum(rate.throughput_per_s for rate in rates if rate) / len(rates)

    everything = [LARGE.configuration(point) for point in LARGE.points()]
    advance(search, 30)
    assert throughput(advance(search, 20)) > 1.3 * throughput(everything)


def test_the_sampler_avoids_what_misses_the_cap(new_search: NewSearch) -> None:
    """With large batches told as clear misses, small ones are proposed."""
    search, batches = new_search(LARGE), []
    for _ in range(50):
        proposal = asked(search)
        batches.append(proposal.configuration.batch_size)
        search.tell(missed(proposal) if batches[-1] > 4 else make_trial(proposal.number))
    assert sum(batch <= 4 for batch in batches[30:]) >= 15  # a random choice gives half


# --- the same after a restart


@pytest.mark.parametrize("before", [0, 3, 12, 20])
def test_a_resumed_study_proposes_what_an_uninterrupted_one_does(
    new_search: NewSearch, before: int
) -> None:
    """The next proposals follow from the seed and the stored trials alone."""
    whole = advance(alone(seed=7), before + 4)
    first = advance(new_search(LARGE, seed=7), before)
    resumed = new_search(LARGE, seed=7)
    resumed.take(points_of(LARGE, first))
    assert first + advance(resumed, 4) == whole


def test_a_resumed_study_does_not_replay_its_draws(new_search: NewSearch) -> None:
    """Even when nothing is known to be taken, the second run draws on instead of again."""
    first = advance(new_search(LARGE, seed=42), 6)
    again = advance(new_search(LARGE, seed=42), 6)
    assert not set(first) & set(again)


def test_seeds_make_different_searches(new_search: NewSearch) -> None:
    """Another seed begins elsewhere."""
    other = alone(seed=1)
    assert advance(new_search(LARGE, seed=0), 5) != advance(other, 5)


def test_a_database_resumes_like_memory(
    new_search: NewSearch, new_stored_search: NewSearch
) -> None:
    """A study in a file, closed and opened in the middle, proposes the same configurations."""
    whole = advance(new_search(LARGE), 14)
    first = advance(new_stored_search(LARGE), 11)
    resumed = new_stored_search(LARGE)
    resumed.take(points_of(LARGE, first))
    assert first + advance(resumed, 3) == whole


def alone(seed: int) -> Search:
    """A search of a study that nobody else has."""
    study = optuna.create_study(direction="maximize")
    return search_of(Sampler.TPE, study, LARGE, _capped(), seed=seed, name="study.db")


def _capped() -> Goal:
    return Goal(Objective.THROUGHPUT, 99, 10)


# --- trials that are not the sampler's idea


def test_a_hint_inside_the_space_is_learnt_from(
    new_search: NewSearch, storage: BaseStorage
) -> None:
    """A hint that resolves to a point is stored at this point, which is then taken."""
    search, point = new_search(SMALL), next(SMALL.points())
    proposal = search.begin(Configuration(device="CPU"), point)
    search.tell(measured(proposal))
    (trial,) = stored_trials(storage)
    assert trial.state is TrialState.COMPLETE
    assert point_of(SMALL, trial.params) == point
    assert search.is_taken(point)


def test_hints_outside_of_the_space_do_not_disturb(
    new_search: NewSearch, storage: BaseStorage
) -> None:
    """Trials without parameters are kept, and the sampler goes on over the whole space."""
    search = new_search(LARGE)
    for hint in seeds(LARGE)[:2]:
        search.tell(measured(search.begin(hint, None)))
    proposed = advance(search, 25)
    assert len(set(proposed)) == 25
    hints, sampled = stored_trials(storage)[:2], stored_trials(storage)[2:]
    assert [trial.params for trial in hints] == [{}, {}]
    assert all(set(trial.params) == set(LARGE.sampled) for trial in sampled)


def test_a_sweep_in_between_does_not_disturb(new_search: NewSearch) -> None:
    """Points begun by others while the sampler runs are never proposed by it."""
    search, begun = new_search(SMALL), []
    for point in list(SMALL.points())[::4]:
        if not search.is_taken(point):
            begun.append(SMALL.configuration(point))
            search.tell(measured(search.begin(begun[-1], point)))
        advance(search, 1)
    rest = advance(search, sum(not search.is_taken(point) for point in SMALL.points()))
    assert not set(begun) & set(rest)
    assert search.ask() is None


def test_trials_are_numbered_in_order(new_search: NewSearch) -> None:
    """Seeds, proposals and sweeps share one numbering from 0."""
    search = new_search(SMALL)
    numbers = [search.begin(Configuration(device="CPU"), None).number]
    numbers += [asked(search).number, search.begin(*_at(SMALL, -1)).number, asked(search).number]
    assert numbers == [0, 1, 2, 3]


def _at(space: SearchSpace, index: int) -> tuple[Configuration, tuple[int, ...]]:
    point = list(space.points())[index]
    return space.configuration(point), point


# --- what is told


@pytest.mark.parametrize("goal", [_capped(), Goal(Objective.LATENCY, 99, None), PARETO])
def test_every_result_has_the_same_constraint(
    new_search: NewSearch, storage: BaseStorage, goal: Goal
) -> None:
    """Good, missed and failed trials all carry the one constraint, and finite values."""
    search = new_search(SMALL, goal)
    for outcome in (measured, missed, failed):
        search.tell(outcome(asked(search)))
    trials = stored_trials(storage)
    assert [set(trial.constraints) for trial in trials] == [{CONSTRAINT}] * 3
    assert trials[2].constraints[CONSTRAINT] == CLIP
    assert all(len(trial.values) == len(search._study.directions) for trial in trials)


def test_a_fault_of_the_machine_is_told_as_failed(
    new_search: NewSearch, storage: BaseStorage
) -> None:
    """A lost worker teaches the sampler nothing."""
    search = new_search(SMALL)
    search.tell(failed(asked(search), FailureKind.LOST))
    (trial,) = stored_trials(storage)
    assert trial.state is TrialState.FAIL
    assert not trial.constraints


def test_an_interrupted_trial_is_forgotten(new_search: NewSearch, storage: BaseStorage) -> None:
    """Nothing is left running."""
    search = new_search(SMALL)
    search.forget(asked(search).number)
    assert [trial.state for trial in stored_trials(storage)] == [TrialState.FAIL]


def test_trials_say_in_words_what_they_are(new_search: NewSearch, storage: BaseStorage) -> None:
    """Parameters are indices, so the configuration stands beside them as text."""
    proposal = asked(new_search(SMALL))
    (trial,) = stored_trials(storage)
    assert trial.user_attrs == {"configuration": str(proposal.configuration)}


def test_both_objectives_at_once(new_search: NewSearch) -> None:
    """A study of two objectives goes past its random start and keeps a front."""
    search = new_search(LARGE, PARETO)
    proposed = advance(search, 25)
    assert len(set(proposed)) == 25
    assert len(search._study.best_trials) >= 2


def test_finished_trials_share_what_they_have_in_common(new_stored_search: NewSearch) -> None:
    """What samplers read stays as it was stored, and the database keeps the rest."""
    search = new_stored_search(LARGE, sampler=Sampler.RANDOM)
    advance(search, 51)
    lean = search._study.get_trials(deepcopy=False)
    stored = new_stored_search(LARGE)._study.get_trials(deepcopy=False)

    assert len({id(trial.distributions) for trial in lean}) == 1
    assert len({id(name) for trial in lean for name in trial.params}) == len(LARGE.sampled)
    for ours, theirs in zip(lean, stored, strict=True):
        assert list(ours.params.items()) == list(theirs.params.items())
        assert ours.distributions == theirs.distributions
        assert (ours.values, ours.constraints) == (theirs.values, theirs.constraints)
        assert (ours.number, ours.state) == (theirs.number, theirs.state)
        assert theirs.user_attrs.keys() == {"configuration"}


# --- after a crash


def cut_off(search: Search, told: int) -> tuple[list[Trial], Proposal]:
    """Some finished trials, and one in flight."""
    finished = []
    for _ in range(told):
        proposal = asked(search)
        finished.append(measured(proposal))
        search.tell(finished[-1])
    return finished, asked(search)


def test_evidence_that_was_stored_is_told(new_stored_search: NewSearch) -> None:
    """A crash between storing and telling loses nothing."""
    finished, running = cut_off(new_stored_search(SMALL), 3)
    evidence = measured(running)
    search = new_stored_search(SMALL)
    recorded = History([*finished, evidence])
    assert search.reconcile(recorded) == ([running.number], [])
    trials = search._study.trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert evidence.measurement is not None
    assert trials[3].value == evidence.measurement.throughput_per_s
    assert CONSTRAINT in trials[3].constraints


def test_a_trial_without_evidence_is_lost_and_returned(new_stored_search: NewSearch) -> None:
    """A measurement that was cut off failed, and its configuration is to be tried again."""
    finished, running = cut_off(new_stored_search(SMALL), 2)
    search = new_stored_search(SMALL)
    recorded = History(finished)
    assert search.reconcile(recorded) == ([], [running.configuration])
    assert search._study.trials[2].state is TrialState.FAIL
    assert search.reconcile(recorded) == ([], [])


def test_stored_failures_are_told_as_such(new_search: NewSearch, storage: BaseStorage) -> None:
    """Recorded failures count as evidence: the configuration's own is infeasible, others fail."""
    first = new_search(SMALL)
    own, fault = asked(first), asked(first)
    recorded = History([failed(own), failed(fault, FailureKind.PROTOCOL)])
    told, lost = new_search(SMALL).reconcile(recorded)
    assert (told, lost) == ([own.number, fault.number], [])
    states = [trial.state for trial in stored_trials(storage)]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]


def test_a_lost_hint_is_not_returned(new_search: NewSearch, storage: BaseStorage) -> None:
    """A hint outside of the space has no parameters; whoever began it begins it again."""
    new_search(SMALL).begin(Configuration(device="CPU"), None)
    assert new_search(SMALL).reconcile(History()) == ([], [])
    assert [trial.state for trial in stored_trials(storage)] == [TrialState.FAIL]


def test_waiting_trials_are_cleaned_up(new_search: NewSearch, storage: BaseStorage) -> None:
    """A crash between queueing a trial and beginning it leaves nothing that others would pop."""
    search = new_search(SMALL)
    finished, running = cut_off(search, 1)
    for point in list(SMALL.points())[:2]:
        search._study.enqueue_trial(parameters(SMALL, point))
    resumed = new_search(SMALL)
    told, lost = resumed.reconcile(History(finished))
    assert (told, lost) == ([], [running.configuration])
    states = [trial.state for trial in stored_trials(storage)]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL, TrialState.FAIL]
    resumed.take(points_of(SMALL, [finished[0].configuration]))
    assert len(set(advance(resumed, SMALL.size - 1))) == SMALL.size - 1


def test_half_written_parameters_are_no_point(new_search: NewSearch) -> None:
    """A trial that was cut off while its parameters were written is failed and not guessed."""
    search = new_search(SMALL)
    trial = search._study.ask()
    trial._suggest("streams", distributions(SMALL)["streams"])
    assert new_search(SMALL).reconcile(History()) == ([], [])


def test_a_study_without_a_crash_is_left_alone(new_search: NewSearch) -> None:
    """Nothing to reconcile, nothing done."""
    first = new_search(SMALL)
    finished, _ = cut_off(first, 3)
    first.forget(3)
    assert new_search(SMALL).reconcile(History(finished)) == ([], [])


# --- parameters


def test_parameters_are_indices_of_what_is_sampled() -> None:
    """Fixed dimensions are no parameters; a point is found again from the others."""
    assert set(distributions(SMALL)) == set(SMALL.sampled)
    for point in SMALL.points():
        assert point_of(SMALL, parameters(SMALL, point)) == point
    assert point_of(SMALL, {}) is None
    assert point_of(SMALL, {"streams": 1}) is None


class Wishful:
    """Stands for Optuna's sampler, and always wishes for the same."""

    wish: ClassVar[dict[str, int]] = {
        "threads_per_stream": 1,
        "streams": 2,
        "requests_per_stream": 1,
        "batch": 0,
    }

    def __init__(self, **options: Any) -> None:
        pass

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, dimensions: dict[str, Any]
    ) -> dict[str, int]:
        """Two threads for each of four streams: too many for four CPUs."""
        assert set(dimensions) == set(self.wish)
        return self.wish


def test_a_wish_is_repaired_before_the_nearest_is_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    """An illegal wish stands for its canonical form; where that is taken, for a neighbour."""
    monkeypatch.setattr("autotune.search.sampler.TPESampler", Wishful)
    study, table = optuna.create_study(), PointTable(SMALL)
    trial = study.ask()._get_latest_trial()
    meant = SMALL.canonical(at(0, 1, 2, 1))
    for expected in (0, 1):
        row = Tpe().choose(study, trial, table, np.random.default_rng(0))
        assert np.abs(table.indices[row] - np.array(meant)).sum() == expected
        table.take([meant])


def test_the_sampler_never_guesses_single_parameters(storage: BaseStorage) -> None:
    """All parameters come from the joint space; there is no independent fallback."""
    sampler = DistinctSampler(PointTable(SMALL), Uniform(), 0)
    study = optuna.create_study(storage=storage)
    with pytest.raises(NotImplementedError):
        sampler.sample_independent(
            study, study.ask()._get_latest_trial(), "x", distributions(SMALL)["streams"]
        )


def test_a_trial_of_a_builder_is_one_of_the_search() -> None:
    """The surface of these tests measures what was proposed."""
    proposal = Proposal(3, Configuration(device="CPU", streams=1, num_requests=1))
    assert measured(proposal).configuration == make_trial(3).configuration
