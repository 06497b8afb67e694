"""One file holds everything, each trial whole or not at all."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from sqlalchemy import event, text

from autotune.errors import StorageError
from autotune.storage.writer import StudyWriter
from tests.builders import (
    make_block,
    make_measurement,
    make_trial,
)
from tests.storage.studies import opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyWriter]:
    """A new study with a session."""
    found = opened(tmp_path)
    found.start_session({"cpu_model": "x"}, {"python": "3"})
    yield found
    found.close()


def test_sessions_of_one_machine_share_its_row(tmp_path: Path) -> None:
    """Another kernel is the same machine, another runtime is another one."""
    store = opened(tmp_path)
    rows = []
    for machine, versions in (
        ({"cpu_model": "x", "system": "Linux 1"}, {"openvino": "1"}),
        ({"cpu_model": "x", "system": "Linux 2"}, {"openvino": "1", "numpy": "2"}),
        ({"cpu_model": "x"}, {"openvino": "2"}),
        ({"cpu_model": "x", "environment": {"LD_PRELOAD": "m.so"}}, {"openvino": "1"}),
        ({"cpu_model": "y"}, {"openvino": "1"}),
    ):
        store.start_session(machine, versions)
        rows.append(store.machine_id)
    store.close()
    assert rows == [1, 1, 2, 3, 4]


def test_a_trial_is_recorded_whole_or_not_at_all(store: StudyWriter) -> None:
    """The second row of the same number breaks a rule of the table; nothing of it stays."""
    store.record(make_trial(0), elapsed_s=1.0)
    with pytest.raises(StorageError, match="UNIQUE"):
        store.record(make_trial(0), elapsed_s=99.0)
    assert len(store.trials()) == 1
    assert len(store.blocks(0)) == 3
    assert store.sessions()[0].elapsed_s == 1.0


def test_one_file_holds_optunas_tables_and_ours(store: StudyWriter, tmp_path: Path) -> None:
    """Other Optuna tools open it, and SQLite finds nothing wrong with it."""
    store.record(make_trial(0), elapsed_s=1.0)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        assert {"studies", "trials", "autotune_study", "autotune_measurement"} <= tables
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    assert optuna.load_study(study_name="demo", storage=storage).trials == []
    storage.engine.dispose()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "delete"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 300_000),
    ],
)
def test_the_tuners_connections_are_durable(store: StudyWriter, pragma: str, value: object) -> None:
    """Commits survive a power cut (2 is FULL), and a reader is waited for."""
    with store.engine.connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_a_full_disk_keeps_what_was_there(store: StudyWriter) -> None:
    """The message says what to do; the trial before is still readable."""
    store.record(make_trial(0), elapsed_s=1.0)
    store.engine.dispose()

    @event.listens_for(store.engine, "connect")
    def _no_more_pages(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    latencies_ms = [(number**2 % 1_000_003) / 100 for number in range(20_000)]
    large = make_measurement(blocks=(make_block(latencies_ms),))
    with pytest.raises(StorageError, match="free some space"):
        store.record(make_trial(1, measurement=large), elapsed_s=2.0)
    assert [store.with_blocks(trial) for trial in store.trials()] == [make_trial(0)]
    assert store.sessions()[0].elapsed_s == 1.0
