"""What a study takes over from another one: where to look first, and nothing else."""

import contextlib
from pathlib import Path

from autotune.domain.ranking import is_feasible, merit
from autotune.errors import SpecError, StorageError
from autotune.racing.stored import result_of
from autotune.search.derive import openers
from autotune.space.configuration import Configuration
from autotune.space.space import SearchSpace
from autotune.spec import StudySpec
from autotune.storage.database import DATABASE
from autotune.storage.races import last_race
from autotune.storage.reader import StudyReader

_MOST_WARM = 5


def warm_start(
    spec: StudySpec, folder: Path, choices: SearchSpace
) -> tuple[list[Configuration], list[str]]:
    """What to measure first of another study, and what to tell the user of it.

    A study that was begun goes on without one that is gone.

    Raises:
        SpecError: there is no such study, or it cannot be read.
    """
    try:
        return _best_of_another(spec, folder, choices), []
    except SpecError as error:
        if not (folder / DATABASE).is_file():
            raise
        return [], [f"{error}; the study goes on without it"]


def _best_of_another(spec: StudySpec, folder: Path, choices: SearchSpace) -> list[Configuration]:
    """The best few configurations of the study that this one is to start from, as far as they fit.

    They are moved to the nearest choices of this space. Nothing else is taken over: another
    model, machine or load makes other numbers.

    Raises:
        SpecError: there is no such study, or it cannot be read.
    """
    if spec.search.warm_start is None:
        return []
    try:
        with contextlib.closing(StudyReader.read_only(folder / spec.search.warm_start)) as other:
            goal, trials = other.identity().goal, other.trials()
            raced = last_race(other)
    except StorageError as error:
        message = f"the study to start from (search.warm_start, --from): {error}"
        raise SpecError(message) from error
    winner = None if raced is None else result_of(raced, goal).winner
    able = [t for t in trials if t.measurement is not None and is_feasible(t.measurement, goal)]
    ranked = sorted(able, key=lambda trial: merit(trial, goal), reverse=True)
    found = [] if winner is None else [winner.contender.configuration]
    found += [trial.configuration for trial in ranked]
    points = [choices.nearest(configuration) for configuration in found]
    distinct = dict.fromkeys(choices.configuration(p) for p in points if p is not None)
    known = set(openers(choices))  # every study begins with them anyhow
    return [configuration for configuration in distinct if configuration not in known][:_MOST_WARM]
