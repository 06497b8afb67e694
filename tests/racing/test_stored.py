"""A stored race proves what its slices say under a goal, whole or cut off."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.domain.goal import Goal, Objective
from autotune.domain.race import Dossier, End, State, Status
from autotune.racing.stored import result_of
from autotune.storage.writer import StudyWriter
from tests.builders import GOAL, make_failure, make_opening
from tests.storage.studies import opened
from tests.storage.test_races import begin, make_round, stored


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyWriter]:
    """A study in its first session."""
    found = opened(tmp_path)
    found.start_session({"cpu_model": "x"}, {"python": "3"})
    yield found
    found.close()


def test_what_it_proves_is_made_from_the_slices(store: StudyWriter) -> None:
    """The same chosen one and status as when it was held; the failed one is named as failed."""
    log = begin(store)
    for launch in range(3):
        for number in range(4):
            log.keep(make_round(launch, number), elapsed_s=1.0)
    log.note({0: Dossier(opening=make_opening()), 1: Dossier(failure=make_failure())})
    log.end(End.BUDGET, 30.0)
    result = result_of(stored(store), GOAL)
    assert result.winner is not None
    assert (result.winner.contender.trial, result.status) == (7, Status.CERTIFIED)
    assert (result.launches, result.rounds, result.end) == (3, 12, End.BUDGET)
    assert result.standings[1].state is State.FAILED
    assert result.standings[0].ratio is not None
    assert result.standings[0].ratio.mean == pytest.approx(450 / 200, rel=1e-3)


def test_another_goal_judges_the_same_slices_anew(store: StudyWriter) -> None:
    """A cap of half a millisecond is missed by everyone: nothing is chosen."""
    log = begin(store)
    for launch in range(3):
        for number in range(4):
            log.keep(make_round(launch, number), elapsed_s=1.0)
    log.end(End.DECIDED, 30.0)
    assert result_of(stored(store), GOAL).winner is not None
    strict = result_of(stored(store), Goal(Objective.THROUGHPUT, 99.0, 0.5))
    assert (strict.winner, strict.status) == (None, Status.UNCONFIRMED)


def test_a_race_that_was_cut_off_proves_no_certificate(store: StudyWriter) -> None:
    """It counts as stopped."""
    log = begin(store)
    for launch in range(3):
        for number in range(4):
            log.keep(make_round(launch, number), elapsed_s=1.0)
    result = result_of(stored(store), GOAL)
    assert (result.end, result.status) == (End.STOPPED, Status.PROVISIONAL)
