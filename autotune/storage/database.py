"""A study's file: opened for viewers, and refused by tuners where they must not write."""

import os
from pathlib import Path

from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import DBAPIError

from autotune.errors import StorageError, StudyMismatchError
from autotune.storage.backup import damage, newest_backup
from autotune.storage.faults import explain, faults_explained
from autotune.storage.older import show_as_current
from autotune.storage.owner import owner
from autotune.storage.schema import SCHEMA_VERSION, STUDY
from autotune.storage.sqlite import check_access, file_url, read_only_engine
from autotune.storage.versions import Versioned

DATABASE = "study.db"
_OPTUNA_TABLE = "studies"
_OWNED_SINCE = 3
_STUDY_FILE = Versioned(
    table=STUDY,
    current=SCHEMA_VERSION,
    absent="this database holds no autotune study; give the folder of a study",
    unbegun="the study was never begun; remove the file and tune again",
    damaged="its schema has no version that could be read; it is damaged: move it away, or restore "
    "a copy",
    newer="written by a newer autotune (schema {found}, this one reads {current}); upgrade "
    "autotune",
)


def database_url(folder: Path) -> str:
    """Where a study's database lies."""
    return file_url(folder / DATABASE)


def open_read_only(folder: Path) -> Engine:
    """An engine that cannot write, for viewers; also while a tuner runs.

    Raises:
        StorageError: no study there, or not one that this version reads.
    """
    file = folder / DATABASE
    try:
        is_there = file.is_file()
    except OSError as error:
        raise StorageError(f"{file}: cannot be read: {error.strerror}") from error
    if is_there:
        check_access(file, os.R_OK)
    else:
        message = f"{file}: nothing was measured yet; begin with: autotune tune {folder}"
        raise StorageError(message)
    _refuse_emptied(file)
    engine = read_only_engine(file)
    if check_schema(engine, file) < SCHEMA_VERSION:
        show_as_current(engine)
    return engine


def refuse_foreign(folder: Path, *, trust: bool = False) -> int | None:
    """Refuse what a tuner must not write into: damaged, another program's, of a newer schema.

    And another user's or machine's study, unless it is trusted. What a killed tuner left behind
    before the study's row was written is not refused.

    Returns:
        The version of its schema; None where nothing was begun.

    Raises:
        StorageError: with the way out; the file is as it was.
        StudyMismatchError: somebody else began it.
    """
    file = folder / DATABASE
    if folder.is_dir():
        check_access(folder, os.R_OK | os.W_OK | os.X_OK)
    if not file.exists():
        return None
    _refuse_emptied(file)
    if not file.stat().st_size:
        return None
    check_access(file, os.R_OK | os.W_OK)
    found = damage(file)
    if found is not None:
        raise StorageError(_damaged(file, found))
    engine = read_only_engine(file)
    try:
        with faults_explained(file), engine.connect() as connection:
            tables = set(inspect(connection).get_table_names())
            is_begun = STUDY.name in tables and connection.execute(select(STUDY.c.id)).first()
        if is_begun:
            version = check_schema(engine, file)
            if not trust and version >= _OWNED_SINCE:
                _refuse_another_owner(engine, file)
            return version
        if tables and not tables & {STUDY.name, _OPTUNA_TABLE}:
            message = f"{file}: another program's database; move it away, or give another folder"
            raise StorageError(message)
    finally:
        engine.dispose()
    return None


def owner_of(folder: Path) -> str | None:
    """Who began the study of a folder, as `owner` says it; None where nobody did, or none says."""
    file = folder / DATABASE
    if not file.is_file() or not file.stat().st_size:
        return None
    engine = read_only_engine(file)
    try:
        with engine.connect() as connection:
            found = connection.execute(select(STUDY.c.owner)).scalars().first()
            return str(found) if found is not None else ""
    except DBAPIError:  # damaged, of an older schema, or no study: whoever opens it says so
        return ""
    finally:
        engine.dispose()


def _refuse_another_owner(engine: Engine, file: Path) -> None:
    with faults_explained(file), engine.connect() as connection:
        found = connection.execute(select(STUDY.c.owner)).scalar_one_or_none()
    if found is not None and found != owner():
        raise StudyMismatchError(
            f"{file}: another user, or another machine, began this study. To look at it is safe; "
            "to go on with it takes its numbers for your own: if you know where it comes from, "
            "add --trust"
        )


def _refuse_emptied(file: Path) -> None:
    """Refuse a file of nothing that has a copy: a new study would take the place of both."""
    if not file.stat().st_size and newest_backup(file) is not None:
        raise StorageError(_damaged(file, "the file is empty, and was not"))


def _damaged(file: Path, found: str) -> str:
    """What to say of a damaged database."""
    said = f"{file}: {explain(found)}"
    copy = newest_backup(file)
    return said if copy is None else f"{said}; the newest sound copy: cp {copy} {file}"


def check_schema(engine: Engine, name: object) -> int:
    """Refuse what is no study of ours, and one of a newer schema.

    Returns:
        The version of its schema.

    Raises:
        StorageError: with the way out.
    """
    return _STUDY_FILE.check(engine, name)
