"""Faults of the database turned into messages with a way out."""

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from autotune.errors import StorageError


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
