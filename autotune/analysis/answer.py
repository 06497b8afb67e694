"""What a stored study answers: verdicts for a goal, the race where it has a say, and who won it."""

from collections.abc import Sequence

from autotune.analysis.what_if import needs_judging, under
from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.ranking import best
from autotune.domain.space import SearchSpace
from autotune.domain.trial import Trial
from autotune.storage.database import rows_explained
from autotune.storage.races import last_race
from autotune.storage.study_store import StudyStore


def judged(store: StudyStore, stored: Goal, goal: Goal) -> tuple[Trial, ...]:
    """All trials with verdicts for `goal`."""
    trials = tuple(store.trials())
    return under(trials, goal, store.with_blocks) if needs_judging(stored, goal) else trials


def raced(store: StudyStore, goal: Goal, trials: Sequence[Trial]) -> RaceResult | None:
    """The study's race judged by `goal`, if it was held over these trials and has what is best.

    For another goal the best trial may never have raced: then the race has no say.
    """
    stored = last_race(store, goal)
    if stored is None or stored.end is None or stored.trials != len(trials):
        return None
    with rows_explained(store.name, f"race {stored.number}"):  # figures that make no sense
        result = stored.result()
    if goal == store.identity().goal:
        return result
    leader = best(trials, goal)
    chosen = result.winner
    known = leader is not None and chosen is not None and chosen.contender.trial == leader.number
    return result if known else None


def space_size(store: StudyStore) -> int:
    """How many configurations the study's space has.

    Raises:
        StorageError: it is stored as none.
    """
    with rows_explained(store.name, "the study's space"):
        return SearchSpace.from_dict(store.identity().space).size


def winner_of(race: RaceResult, trials: Sequence[Trial]) -> Trial | None:
    """The trial that a race chose."""
    number = None if race.winner is None else race.winner.contender.trial
    return next((trial for trial in trials if trial.number == number), None)
