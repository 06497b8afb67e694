"""Copies of a database: whole or not there, made before anything is changed, named when needed."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from autotune.errors import StorageError
from autotune.storage.backup import back_up, damage, newest_backup
from autotune.storage.optuna_study import open_study
from tests.builders import GOAL, make_trial
from tests.storage.studies import opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study's database with a trial in it."""
    store = opened(tmp_path)
    store.start_session({}, {})
    store.record(make_trial(0), elapsed_s=1.0)
    store.close()
    return tmp_path / "study.db"


def flip(file: Path, page: int) -> None:
    """Overwrite a page with noise."""
    with file.open("rb+") as data:
        data.seek(4096 * page)
        data.write(os.urandom(4096))


def rows(file: Path) -> list[tuple[object, ...]]:
    """Measurements in a file."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT * FROM autotune_measurement").fetchall()


def test_a_copy_holds_the_same(file: Path) -> None:
    """It is sound, and replaces the one before."""
    copy = back_up(file)
    assert (copy.name, damage(copy), rows(copy)) == ("study.db.backup", None, rows(file))
    assert back_up(file) == copy
    assert sorted(path.name for path in file.parent.glob("study.db*")) == [
        "study.db",
        "study.db.backup",
    ]


def test_a_copy_that_cannot_be_written_leaves_the_old_one(file: Path) -> None:
    """And nothing half."""
    before = back_up(file).read_bytes()
    (file.parent / "study.db.backup.part").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        back_up(file)
    assert (file.parent / "study.db.backup").read_bytes() == before


@pytest.mark.parametrize("page", [2, 5])
def test_a_flipped_page_is_seen(file: Path, page: int) -> None:
    """By SQLite's own check, and the file is only read."""
    flip(file, page)
    before = file.read_bytes()
    assert damage(file) is not None
    assert file.read_bytes() == before


def test_a_truncated_file_is_seen(file: Path) -> None:
    """By a page."""
    os.truncate(file, file.stat().st_size - 4096)
    assert damage(file) is not None


def test_a_file_that_somebody_writes_to_is_not_damaged(file: Path) -> None:
    """It waits, and does not call it broken."""
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert damage(file) is None


def test_a_damaged_study_is_refused_with_the_newest_sound_copy(file: Path) -> None:
    """A damaged copy is not offered, though it is newer."""
    older = back_up(file, ".schema1.backup")
    newer = back_up(file)
    os.utime(older, (1, 1))
    flip(file, 2)
    with pytest.raises(StorageError, match=f"cp {newer} {file}"):
        open_study(file.parent, "demo", GOAL)
    flip(newer, 2)
    assert newest_backup(file) == older
    with pytest.raises(StorageError, match=f"cp {older} {file}"):
        open_study(file.parent, "demo", GOAL)
    older.unlink()
    with pytest.raises(StorageError, match="the file is damaged; move it away") as caught:
        open_study(file.parent, "demo", GOAL)
    assert "cp " not in str(caught.value)


def test_every_session_begins_with_a_copy(file: Path) -> None:
    """Of what the one before left, whatever this one then writes."""
    store = opened(file.parent)
    store.start_session({}, {})
    store.record(make_trial(1), elapsed_s=2.0)
    store.close()
    assert len(rows(file)) == 2
    assert len(rows(file.with_name("study.db.backup"))) == 1


def test_a_copy_is_as_private_as_a_new_file(file: Path) -> None:
    """Its rights are the umask's, as the database's own."""
    assert stat.S_IMODE(back_up(file).stat().st_mode) == stat.S_IMODE(file.stat().st_mode)
