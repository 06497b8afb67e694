"""SQLite's own matters: files opened to be read only, or so that what is committed stays."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event

from autotune.errors import StorageError
from autotune.storage.backup import BUSY_TIMEOUT_S, read_only_uri

WRITER_TIMEOUT_S = 300.0
"""For the tuner: a viewer that holds its lock for a minute must not end a night."""
CONNECT_ARGS = {"timeout": WRITER_TIMEOUT_S}
_LONGEST_VALUE = 64 * 2**20


def file_url(file: Path) -> str:
    """A database file as SQLAlchemy and Optuna take it.

    With escapes, which SQLAlchemy undoes from version 2.1 on: a path may hold a question mark,
    which would begin options, or braces, which Optuna would fill in.
    """
    return f"sqlite:///{quote(str(file.absolute()), safe='/:')}"


def durable_engine(url: str) -> Engine:
    """An engine for whoever writes; what it commits stays."""
    is_sqlite = url.startswith("sqlite")
    engine = create_engine(url, connect_args=CONNECT_ARGS if is_sqlite else {})
    make_durable(engine)
    return engine


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


@contextlib.contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds changes of tables as well.

    SQLite's driver begins none before a change of tables: a kill would leave half of them.
    """
    with engine.connect() as connection, _whole(connection):
        yield connection


@contextlib.contextmanager
def rebuilding(engine: Engine) -> Iterator[Connection]:
    """As `transaction`; within it a table to which others refer can be made anew.

    Raises:
        StorageError: in the end a row refers to one that is not there; nothing was changed.
    """
    with engine.connect() as connection:
        _set(connection, "foreign_keys", "OFF")  # of no effect within a transaction
        # A view of the user's own, on a table that is away for a moment, is none of our business.
        _set(connection, "legacy_alter_table", "ON")
        try:
            with _whole(connection):
                yield connection
                _check_foreign_keys(connection)
        finally:
            _set(connection, "legacy_alter_table", "OFF")
            _set(connection, "foreign_keys", "ON")


@contextlib.contextmanager
def _whole(connection: Connection) -> Iterator[None]:
    with connection.begin():
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield


def _set(connection: Connection, pragma: str, value: str) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
        connection.commit()


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    # Optuna's tables are not touched, and went on with whatever is wrong in them.
    found = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    lost = next((one for one in found if one[0].startswith("autotune_")), None)
    if lost is not None:
        table, row, missing, _ = lost
        raise StorageError(
            f"{connection.engine.url.database}: row {row} of {table} refers to one of {missing} "
            "that is not there; the file is damaged: move it away, or restore a copy"
        )


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
