"""Copies of a study's database, made by SQLite itself while nobody writes."""

import contextlib
import os
import sqlite3
from pathlib import Path

from autotune.errors import StorageError

SUFFIX = ".backup"
BUSY_TIMEOUT_S = 30.0
"""For whoever reads, and may try again."""


def back_up(file: Path, suffix: str = SUFFIX) -> Path:
    """Copy a database beside itself, in place of an earlier copy.

    SQLite's own backup, into another file that is renamed when it is whole: a copy of the bytes
    could be of the middle of a transaction, and half a copy would replace a good one.

    Args:
        file: a database that is whole.
        suffix: what the copy's name has in addition.

    Raises:
        StorageError: the copy cannot be written.
    """
    target = file.with_name(file.name + suffix)
    part = target.with_name(target.name + ".part")
    try:
        part.unlink(missing_ok=True)
        with (
            contextlib.closing(sqlite3.connect(read_only_uri(file), uri=True)) as source,
            contextlib.closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy)
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageError(f"{target}: the backup cannot be written: {error}") from error
    return target


def damage(file: Path) -> str | None:
    """What is wrong with a database's pages, in SQLite's words; None for a sound one.

    One that cannot be read at all is damaged; one that another program holds is not.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(read_only_uri(file), uri=True, timeout=BUSY_TIMEOUT_S)
        ) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        return None if "locked" in str(error) else str(error)
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else str(found).replace("\n", " ")


def newest_backup(file: Path) -> Path | None:
    """The latest sound copy of a database; None without any."""
    copies = [c for c in file.parent.glob(f"{file.name}*{SUFFIX}") if c.is_file()]
    copies.sort(key=lambda copy: copy.stat().st_mtime, reverse=True)
    return next((copy for copy in copies if damage(copy) is None), None)


def read_only_uri(file: Path) -> str:
    """What SQLite opens to read a database, whatever a killed tuner left of it."""
    # A journal that was left must be rolled back before anything can be read, which SQLite does
    # itself if it may write.
    mode = "rw" if file.with_name(f"{file.name}-journal").exists() else "ro"
    return f"{file.absolute().as_uri()}?mode={mode}"
