"""A file that cannot be used is refused before anything is written, with the way out."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from autotune.errors import StorageError, StudyMismatchError
from autotune.storage.backup import back_up
from autotune.storage.database import open_read_only
from autotune.storage.faults import explain, faults_explained
from autotune.storage.optuna_study import open_study
from autotune.storage.reader import StudyReader
from autotune.storage.schema import SCHEMA_VERSION
from autotune.storage.writer import StudyWriter
from tests.builders import GOAL, make_trial
from tests.storage.studies import opened


def begun(folder: Path) -> Path:
    """A study with one trial; its database."""
    store = opened(folder)
    store.start_session({}, {})
    store.record(make_trial(0), elapsed_s=1.0)
    store.close()
    return folder / "study.db"


def execute(file: Path, *statements: str) -> None:
    """By hand."""
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def text_file(folder: Path) -> None:
    """Not a database at all."""
    (folder / "study.db").write_text("Dear diary, " * 100)


def another_programs(folder: Path) -> None:
    """A database, but of somebody else."""
    execute(folder / "study.db", "CREATE TABLE recipes (name TEXT)")


def newer(folder: Path) -> None:
    """Ours, but from the future."""
    execute(begun(folder), "UPDATE autotune_study SET schema_version = schema_version + 1")


def emptied(folder: Path) -> None:
    """Nothing is left of it but the copy of the last start."""
    back_up(begun(folder))
    (folder / "study.db").write_bytes(b"")


def damaged(folder: Path) -> None:
    """The first page is gone."""
    file = begun(folder)
    content = bytearray(file.read_bytes())
    content[20:4096] = os.urandom(4076)
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (text_file, "not a database.*move this file away"),
        (another_programs, "study.db: .*database"),
        (newer, rf"schema {SCHEMA_VERSION + 1}, this one reads {SCHEMA_VERSION}\); upgrade"),
        (damaged, "study.db"),
        (emptied, r"the file is empty, and was not; the newest sound copy: cp \S+\.backup"),
    ],
)
@pytest.mark.parametrize("use", ["tuner", "viewer"])
def test_a_file_that_is_no_study_is_refused_untouched(
    tmp_path: Path, make: object, words: str, use: str
) -> None:
    """By the tuner, before Optuna makes tables in it, and by viewers."""
    assert callable(make)
    make(tmp_path)
    before = (tmp_path / "study.db").read_bytes()
    with pytest.raises(StorageError, match=words):
        open_study(tmp_path, "demo", GOAL) if use == "tuner" else open_read_only(tmp_path)
    assert (tmp_path / "study.db").read_bytes() == before


def test_a_viewer_of_nothing_is_told_how_to_begin(tmp_path: Path) -> None:
    """And makes no file."""
    with pytest.raises(StorageError, match="nothing was measured yet; begin with: autotune tune"):
        open_read_only(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Here a file stands where the folder should be."""
    (tmp_path / "demo").write_text("")
    with pytest.raises(StorageError, match=r"study\.db: .*(folder|directory)"):
        open_study(tmp_path / "demo", "demo", GOAL)


def test_a_viewer_cannot_write(tmp_path: Path) -> None:
    """Not even by mistake; the message says what stands in the way."""
    begun(tmp_path)
    reader = StudyWriter.read_only(tmp_path)
    with pytest.raises(StorageError, match="readonly database: make the folder writable"):
        reader.record(make_trial(1), elapsed_s=2.0)
    reader.close()


def test_a_viewer_reads_while_a_transaction_is_open(tmp_path: Path) -> None:
    """It sees what was committed before, at once."""
    with closing(sqlite3.connect(begun(tmp_path), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE autotune_session SET elapsed_s = 99")
        assert (tmp_path / "study.db-journal").exists()
        reader = StudyReader.read_only(tmp_path)
        assert reader.sessions()[0].elapsed_s == 1.0
        assert len(reader.trials()) == 1
        reader.close()
        writer.execute("ROLLBACK")


def test_what_a_killed_tuner_left_half_written_is_rolled_back(tmp_path: Path) -> None:
    """By the first who opens the file, be it only a viewer."""
    file = begun(tmp_path)
    script = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE autotune_session SET elapsed_s = 99")
connection.execute("CREATE TABLE filler (x)")
for _ in range(200):
    connection.execute("INSERT INTO filler VALUES (randomblob(4000))")
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script, file], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "study.db-journal").stat().st_size > 0

    reader = StudyReader.read_only(tmp_path)
    assert reader.sessions()[0].elapsed_s == 1.0
    reader.close()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize(
    ("words", "way_out"),
    [
        ("file is not a database", "give the folder of a study"),
        ("database disk image is malformed", "restore a copy"),
        ("database or disk is full", "free some space"),
        ("attempt to write a readonly database", "make the folder writable"),
        ("unable to open database file", "make the folder readable"),
        ("database is locked", "close it"),
        ("disk I/O error", "check the disk"),
    ],
)
def test_every_fault_of_the_database_has_a_way_out(words: str, way_out: str) -> None:
    """SQLite's words come first."""
    assert explain(words).startswith(f"{words}: ")
    assert way_out in explain(words)


def test_unknown_words_stay_as_they_are() -> None:
    """Better than a guess."""
    assert explain("no such table: x") == "no such table: x"
    with pytest.raises(StorageError, match=r"^here: no such table: x$"), faults_explained("here"):
        raise sqlite3.OperationalError("no such table: x")


# --- somebody else's study


def test_another_s_study_is_resumed_only_when_trusted(tmp_path: Path) -> None:
    """Then it is one's own; to look at it never needs that."""
    file = begun(tmp_path)
    execute(file, "UPDATE autotune_study SET owner = 'somebody else'")
    before = file.read_bytes()
    with pytest.raises(StudyMismatchError, match="--trust"):
        open_study(tmp_path, "demo", GOAL)
    assert file.read_bytes() == before
    assert not (tmp_path / "study.db.backup").exists()
    open_read_only(tmp_path).dispose()

    _, engine = open_study(tmp_path, "demo", GOAL, trust=True)
    store = StudyWriter(engine, file)
    store.begin(store.identity())
    store.close()
    open_study(tmp_path, "demo", GOAL)[1].dispose()


def test_a_value_without_end_does_not_fill_a_viewer_s_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused as the fault of the file that it is."""
    monkeypatch.setattr("autotune.storage.sqlite._LONGEST_VALUE", 100_000)
    execute(begun(tmp_path), "UPDATE autotune_study SET spec = printf('%.*c', 200000, 'x')")
    reader = StudyReader.read_only(tmp_path)
    with pytest.raises(StorageError, match="too big"):
        reader.identity()
    reader.close()
