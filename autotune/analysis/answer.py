"""What a stored study answers: verdicts for a goal, and the race where it has a say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autotune.analysis.among import ALL, Among
from autotune.analysis.what_if import deciding, is_allowed, needs_judging, under
from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.ranking import best, chosen
from autotune.domain.trial import Trial
from autotune.racing.stored import result_of
from autotune.space.space import SearchSpace
from autotune.storage.identity import Identity
from autotune.storage.races import last_race
from autotune.storage.reader import StudyReader
from autotune.storage.rows import rows_explained


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to deploy under a goal."""

    best: Trial | None
    race: RaceResult | None
    """None where none was held over these trials, or it has no say."""
    held: RaceResult | None
    """The same judged by the goal, whether it has a say or not."""
    trials: tuple[Trial, ...]
    """Judged by the goal: all of them for the study's own, else at least the hints, the failed ones
    and all that decide."""
    is_any_allowed: bool
    """Whether anything that was measured is one that is asked about, and within the limits beside
    latency."""


def answer(store: StudyReader, goal: Goal, among: Among = ALL) -> Answer:
    """The best trial under a goal, of those that are asked about.

    The race has a say where it was held over all trials and what it chose is one of those; under
    another goal than its own, only where that is also the best of them. What is preferred
    among equals makes no other goal.

    Raises:
        StorageError: the study cannot be read.
    """
    stored, trials = store.identity().goal, tuple(store.trials())
    judged = trials
    if needs_judging(stored, goal):
        with rows_explained(store.name, "the requests of a trial"):
            judged = deciding(trials, stored, goal, store.with_blocks, among)
    here = [trial for trial in judged if among.has(trial)]
    race = _held_over(store, goal, len(trials))
    winner = None if race is None else race.winner
    number = None if winner is None else winner.contender.trial
    if replace(goal, portable=stored.portable) == stored:
        has_say = winner is None or any(trial.number == number for trial in here)
    else:
        leader = best(here, goal)
        has_say = leader is not None and leader.number == number
    held, race = race, race if has_say else None
    return Answer(
        best=chosen(here, goal, race),
        race=race,
        held=held,
        trials=judged,
        is_any_allowed=any(is_allowed(trial, goal, among) for trial in here),
    )


def trials_under(store: StudyReader, stored: Goal, goal: Goal) -> tuple[Trial, ...]:
    """All trials with verdicts for `goal`."""
    trials = tuple(store.trials())
    if not needs_judging(stored, goal):
        return trials
    with rows_explained(store.name, "the requests of a trial"):
        return under(trials, goal, store.with_blocks)


def raced(store: StudyReader, trials: Sequence[Trial]) -> RaceResult | None:
    """The study's race, if it was held over these trials."""
    return _held_over(store, store.identity().goal, len(trials))


def space_size(identity: Identity, name: object) -> int:
    """How many configurations a study's space has; `name` is the database's.

    Raises:
        StorageError: it is stored as none.
    """
    with rows_explained(name, "the study's space"):
        return SearchSpace.from_dict(identity.space).size


def _held_over(store: StudyReader, goal: Goal, trials: int) -> RaceResult | None:
    """The last race judged by `goal`, if it has ended and no trial came after it."""
    stored = last_race(store)
    if stored is None or stored.end is None or stored.trials != trials:
        return None
    with rows_explained(store.name, f"race {stored.number}"):  # figures that make no sense
        return result_of(stored, goal)
