"""Bring copies of a study up to date, each killed before another statement: see test_upgrade."""

import json
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from autotune.storage.optuna_study import open_study
from autotune.storage.reader import StudyReader
from autotune.storage.writer import StudyWriter

FIRST = "BEGIN IMMEDIATE"
"""The statement with which the change begins; all before only read, or copy."""


def bring_up_to_date(folder: Path) -> None:
    """As the tuner does when it goes on with a study."""
    stored = StudyReader.read_only(folder)
    identity = stored.identity()
    stored.close()
    _, engine = open_study(folder, identity.name, identity.goal, trust=True)
    store = StudyWriter(engine, folder / "study.db")
    store.begin(identity)
    store.close()


def configure(connection: sqlite3.Connection, _: Any) -> None:
    """What is not yet committed goes to the file at once; the disk itself is not waited for."""
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA synchronous = OFF")


def killed(folder: Path, after: int) -> str | None:
    """Go on, in a process of its own, until so many statements of the change are done.

    Those that only read count for nothing, but for the look before and after the commit.

    Returns:
        The statement before which it was killed; None where it came to its end.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        done: list[str] = []

        def count(_: Any, __: Any, statement: str, *___: Any) -> None:
            is_change = not statement.startswith(("PRAGMA main", "PRAGMA temp", "SELECT"))
            if is_change and FIRST in {statement, *done}:
                if len(done) == after:
                    os.write(theirs, statement.encode())
                    os.kill(os.getpid(), signal.SIGKILL)
                done.append(statement)

        event.listen(Engine, "before_cursor_execute", count)
        bring_up_to_date(folder)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as heard:
        statement = heard.read().decode()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return statement
    assert os.WEXITSTATUS(status) == 0
    return None


def content(file: Path) -> list[str]:
    """Everything in a database, after what was left half done is rolled back."""
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(connection.iterdump())
    finally:
        connection.close()


def main(study: Path, scratch: Path) -> None:
    """Say for every statement whether the file was as before or as after, and what lay beside."""
    event.listen(Engine, "connect", configure)
    setattr(os, "fsync", lambda _: None)  # noqa: B010 - the disk is not waited for
    found: list[tuple[str | None, str, list[str]]] = []
    whole = scratch / "whole"
    shutil.copytree(study, whole)
    bring_up_to_date(whole)
    states = {
        str(content(study / "study.db")): "before",
        str(content(whole / "study.db")): "after",
    }
    is_going_on = True
    while is_going_on:
        copy = scratch / str(len(found))
        shutil.copytree(study, copy)
        statement = killed(copy, len(found))
        is_going_on = statement is not None
        what = states.get(str(content(copy / "study.db")), "between")
        found.append((statement, what, sorted(path.name for path in copy.glob("study.db.*"))))
        if len(found) % 5 == 0:
            bring_up_to_date(copy)  # the next start
            assert states.get(str(content(copy / "study.db"))) == "after"
        shutil.rmtree(copy)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
