"""A race that is stored, judged by any goal: statistics are made anew from its slices."""

from autotune.domain.goal import Goal
from autotune.domain.race import End, RaceResult
from autotune.racing.judge import Field, judge
from autotune.storage.races import StoredRace


def field_of(stored: StoredRace, goal: Goal) -> Field:
    """Who ran and what was seen, to be judged by `goal`; a stored race is of one search."""
    return Field(
        contenders=stored.contenders,
        dossiers=stored.dossiers,
        slices=stored.slices,
        goal=goal,
        baseline=stored.baseline,
        tie_margin=stored.tie_margin,
        feed=stored.feed,
        of_one_search=True,
        doubts=stored.doubts,
        launches=stored.readings,
    )


def result_of(stored: StoredRace, goal: Goal) -> RaceResult:
    """What it proves under `goal`, whole or cut off."""
    return judge(
        field_of(stored, goal),
        end=stored.end or End.STOPPED,
        duration_s=stored.duration_s,
        noise=stored.noise,
    )
