"""Optuna's side of the database: opened, and its faults explained."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy import Engine

from autotune.domain.goal import Goal, Objective
from autotune.errors import StorageError
from autotune.storage.backup import SUFFIX, back_up
from autotune.storage.database import DATABASE, database_url, refuse_foreign
from autotune.storage.faults import explain, faults_explained
from autotune.storage.reader import StudyReader
from autotune.storage.schema import SCHEMA_VERSION
from autotune.storage.sqlite import CONNECT_ARGS, make_durable

DIRECTIONS: dict[Objective, list[StudyDirection]] = {
    Objective.THROUGHPUT: [StudyDirection.MAXIMIZE],
    Objective.LATENCY: [StudyDirection.MINIMIZE],
    Objective.PARETO: [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE],
    Objective.EFFICIENCY: [StudyDirection.MAXIMIZE],
}


def open_study(
    folder: Path,
    name: str,
    goal: Goal,
    *,
    trust: bool = False,
    admit: Callable[[StudyReader], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[optuna.Study, Engine]:
    """The Optuna study in a folder's database, made if it is not there, and the shared engine.

    Whatever may refuse a study is asked first: one that is refused is as it was.

    Args:
        folder: of the study.
        name: of a new study.
        goal: of the study.
        trust: go on although somebody else began it.
        admit: is given what is stored, only to be read; what it raises refuses the study.
        tell: is told where a study of an older schema is kept as it was, in a line of text.

    Raises:
        StudyMismatchError: somebody else began it, and it is not to be trusted.
        StorageError: the database cannot be opened or written.
    """
    file, version = folder / DATABASE, refuse_foreign(folder, trust=trust)
    is_new = not file.exists()
    if version is not None:
        with contextlib.closing(StudyReader.read_only(folder)) as stored:
            admit(stored)
            stored.trials()  # what cannot be read cannot go on
        back_up(file)  # as the last session left it
        if version < SCHEMA_VERSION:  # as no later version can write it again
            kept = back_up(file, f".schema{version}{SUFFIX}")
            tell(
                f"the study is being brought up to date, from schema {version} to "
                f"{SCHEMA_VERSION}; as earlier versions can read it, it is kept as {kept.name}"
            )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with optuna_faults_explained(folder / "study.db"):
        storage = RDBStorage(
            database_url(folder),
            engine_kwargs={"connect_args": CONNECT_ARGS},
            skip_compatibility_check=is_new,  # its tables are made here and now
        )
        make_durable(storage.engine)
        # A folder may be renamed: the study in the file keeps the name that it began with.
        name = next(iter(optuna.get_all_study_names(storage)), name)
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=DIRECTIONS[goal.objective],
            load_if_exists=True,
        )
    return study, storage.engine


def study_in_memory(goal: Goal) -> optuna.Study:
    """An Optuna study that leaves nothing behind."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(directions=DIRECTIONS[goal.objective])


def make_lean(
    trial: FrozenTrial, distributions: dict[str, BaseDistribution], kept: str = ""
) -> None:
    """Let a finished trial of Optuna's cache share what all trials of its study have in common.

    Optuna keeps every trial for good, each with distributions, names, words and times of its own:
    two thirds of what it takes. No sampler sees a difference: what is shared is equal, and words
    and times, which none of them reads, stay in the database; the user attribute `kept` is read.
    """
    if trial.distributions == distributions:
        trial.distributions = distributions
    trial.params = {sys.intern(name): value for name, value in trial.params.items()}
    trial.system_attrs = {sys.intern(key): value for key, value in trial.system_attrs.items()}
    read = {sys.intern(key): value for key, value in trial.user_attrs.items() if key == kept}
    trial.user_attrs = read or _NOTHING
    if not trial.intermediate_values:
        trial.intermediate_values = _NOTHING
    trial.datetime_start = trial.datetime_complete = None


_NOTHING: dict[Any, Any] = {}
"""Shared by all; nobody writes into a trial that is finished."""


@contextlib.contextmanager
def optuna_faults_explained(name: object) -> Iterator[None]:
    """As `faults_explained`, for calls that go through Optuna."""
    try:
        with faults_explained(name):
            yield
    except StorageInternalError as error:
        reason = error.__cause__ or error
        raise StorageError(f"{name}: {explain(str(getattr(reason, 'orig', reason)))}") from error
    except RuntimeError as error:  # how Optuna refuses tables of another version
        raise StorageError(f"{name}: {error}") from error
