"""What a stored study answers: verdicts for a goal, and the race where it has a say."""

from collections.abc import Sequence

from autotune.analysis.what_if import needs_judging, under
from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.ranking import best
from autotune.domain.space import SearchSpace
from autotune.domain.trial import Trial
from autotune.storage.database import rows_explained
from autotune.storage.races import last_race
from autotune.storage.study_store import Identity, StudyStore


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
    winner = result.winner
    known = leader is not None and winner is not None and winner.contender.trial == leader.number
    return result if known else None


def space_size(identity: Identity, name: object) -> int:
    """How many configurations a study's space has; `name` is the database's.

    Raises:
        StorageError: it is stored as none.
    """
    with rows_explained(name, "the study's space"):
        return SearchSpace.from_dict(identity.space).size
