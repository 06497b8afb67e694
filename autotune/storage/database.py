"""Connections: SQLite made durable, faults turned into messages with a way out."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event, inspect, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from autotune.errors import StorageError, StudyMismatchError
from autotune.storage.backup import BUSY_TIMEOUT_S, damage, newest_backup, read_only_uri
from autotune.storage.older import show_as_current
from autotune.storage.owner import owner
from autotune.storage.schema import SCHEMA_VERSION, STUDY

DATABASE = "study.db"
WRITER_TIMEOUT_S = 300.0
"""For the tuner: a viewer that holds its lock for a minute must not end a night."""
CONNECT_ARGS = {"timeout": WRITER_TIMEOUT_S}
_OPTUNA_TABLE = "studies"
_OWNED_SINCE = 3
_LARGEST = 1e15
"""Of numbers: what is measured is smaller, and its square is still one."""
_LONGEST_VALUE = 64 * 2**20


def database_url(folder: Path) -> str:
    """Where a study's database lies."""
    return file_url(folder / DATABASE)


def file_url(file: Path) -> str:
    """A database file as SQLAlchemy and Optuna take it.

    With escapes, which SQLAlchemy undoes from version 2.1 on: a path may hold a question mark,
    which would begin options, or braces, which Optuna would fill in.
    """
    return f"sqlite:///{quote(str(file.absolute()), safe='/:')}"


def make_durable(engine: Engine) -> None:
    """Commits survive a power cut; foreign keys hold.

    A rollback journal: WAL has had a corruption race up to SQLite 3.51.2, and our few rows for
    each trial gain nothing from it.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode = DELETE", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    engine.dispose()


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
    engine = read_only_engine(file)
    if check_schema(engine, file) < SCHEMA_VERSION:
        show_as_current(engine)
    return engine


def check_access(path: Path, mode: int) -> None:
    """Refuse what the system will not let us use; SQLite says of it that it cannot be opened.

    Args:
        path: a file or folder; for one that is missing, others say so.
        mode: what is needed, as `os.access` has it.

    Raises:
        StorageError: with the reason.
    """
    if os.access(path, mode) or not os.access(path, os.F_OK):
        return
    what = "written" if os.access(path, mode & ~os.W_OK) else "read"
    is_fixed = what == "written" and os.statvfs(path).f_flag & os.ST_RDONLY
    raise StorageError(
        f"{path}: cannot be {what}: {os.strerror(errno.EROFS if is_fixed else errno.EACCES)}"
    )


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
    if not file.exists() or not file.stat().st_size:
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


def _refuse_another_owner(engine: Engine, file: Path) -> None:
    with faults_explained(file), engine.connect() as connection:
        found = connection.execute(select(STUDY.c.owner)).scalar_one_or_none()
    if found is not None and found != owner():
        raise StudyMismatchError(
            f"{file}: another user, or another machine, began this study. To look at it is safe; "
            "to go on with it takes its numbers for your own: if you know where it comes from, "
            "add --trust"
        )


def _damaged(file: Path, found: str) -> str:
    """What to say of a damaged database."""
    said = f"{file}: {explain(found)}"
    copy = newest_backup(file)
    return said if copy is None else f"{said}; the newest sound copy: cp {copy} {file}"


def read_only_engine(file: Path) -> Engine:
    """An engine that cannot write to a database file."""
    uri = read_only_uri(file)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)
        connection.execute("PRAGMA query_only = ON")
        # A stranger's file is not to fill our memory with one value.
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        return connection

    return create_engine("sqlite://", creator=connect)


def check_schema(engine: Engine, name: object) -> int:
    """Refuse what is no study of ours, and one of a newer schema.

    Returns:
        The version of its schema.

    Raises:
        StorageError: with the way out.
    """
    with faults_explained(name), engine.connect() as connection:
        if not inspect(connection).has_table(STUDY.name):
            message = f"{name}: this database holds no autotune study; give the folder of a study"
            raise StorageError(message)
        version = connection.execute(select(STUDY.c.schema_version)).scalar_one_or_none()
    if version is None:
        message = f"{name}: the study was never begun; remove the file and tune again"
        raise StorageError(message)
    if not isinstance(version, int) or version < 1:
        raise StorageError(f"{name}: its schema has no version that could be read; it is damaged")
    if version > SCHEMA_VERSION:
        message = (
            f"{name}: written by a newer autotune (schema {version}, "
            f"this one reads {SCHEMA_VERSION}); upgrade autotune"
        )
        raise StorageError(message)
    return int(version)


@contextlib.contextmanager
def faults_explained(name: object) -> Iterator[None]:
    """Turn the database's faults into `StorageError`s that name the file and the way out."""
    try:
        yield
    except DBAPIError as error:
        raise StorageError(f"{name}: {explain(str(error.orig))}") from error
    except SQLAlchemyError as error:
        raise StorageError(f"{name}: {str(error).splitlines()[0]}") from error
    except sqlite3.Error as error:
        raise StorageError(f"{name}: {explain(str(error))}") from error


@contextlib.contextmanager
def rows_explained(name: object, what: str) -> Iterator[None]:
    """Turn what a row should not have into a `StorageError`: anybody may have written it."""
    try:
        yield
    except _UNREADABLE as error:
        raise StorageError(f"{name}: {what} cannot be read: {error}") from error


def fetch(engine: Engine, name: object, query: Any) -> list[dict[str, Any]]:
    """All rows of a query over our tables, every value of its column's type.

    SQLite keeps whatever it is given: text in a column of numbers, infinity, a null where none may
    be. Anybody may have written the file, and what is read is not to surprise anybody later.

    Raises:
        StorageError: the database cannot be read, or holds what it should not.
    """
    with (
        faults_explained(name),
        rows_explained(name, f"a row of {_tables(query)}"),
        engine.connect() as connection,
    ):
        found = connection.execute(query).all()
        columns = zip(*found, strict=True)
        names = []
        for column, values in zip(query.selected_columns, columns, strict=False):
            names.append(column.key)
            kind, may_be_null = column.type.python_type, bool(column.nullable)
            if not _is_sound(values, kind, may_be_null=may_be_null):
                for value in values:
                    _check(column.key, value, kind, may_be_null=may_be_null)
        return [dict(zip(names, row, strict=True)) for row in found]


def _tables(query: Any) -> str:
    return ", ".join(dict.fromkeys(str(table) for table in query.columns_clause_froms))


def _is_sound(values: Sequence[object], kind: type, *, may_be_null: bool) -> bool:
    """Whether a column is what it should be at first glance; most are, and that is quick."""
    kinds = {float, int} if kind is float else {kind}
    if not set(map(type, values)) <= (kinds | {type(None)} if may_be_null else kinds):
        return False
    return kind is not float or all(v is None or abs(v) <= _LARGEST for v in values)  # type: ignore[arg-type]  # numbers by now


def _check(key: str, value: object, kind: type, *, may_be_null: bool) -> None:
    if value is None:
        if not may_be_null:
            raise ValueError(f"{key} is missing")
    elif kind is float:
        if not isinstance(value, float | int) or not abs(value) <= _LARGEST:
            raise ValueError(f"{key} is {_short(value)}, and no number")
    elif not isinstance(value, kind):
        raise ValueError(f"{key} is {_short(value)}, and no {kind.__name__}")


def _short(value: object) -> str:
    return repr(value)[:80]


_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def explain(text: str) -> str:
    """SQLite's words with what to do about them."""
    remedies = {
        "not a database": "give the folder of a study, or move this file away",
        "malformed": "the file is damaged; move it away, or restore a copy",
        "in database main": "the file is damaged; move it away, or restore a copy",
        "disk is full": "free some space; everything up to the last trial is kept",
        "readonly": "make the folder writable",
        "unable to open": "make the folder readable and writable",
        "locked": "another program holds the database open for writing; close it",
        "disk I/O error": "check the disk; everything up to the last trial is kept",
    }
    for sign, remedy in remedies.items():
        if sign in text:
            return f"{text}: {remedy}"
    return text
