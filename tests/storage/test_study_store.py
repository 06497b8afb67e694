"""One file holds everything, and what was written is read back as it was."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from sqlalchemy import event, text

from autotune.domain.doubts import Doubts
from autotune.domain.failure import FailureKind
from autotune.domain.fed import Fed
from autotune.domain.goal import Goal, Objective
from autotune.domain.trial import Origin
from autotune.errors import StorageError, StudyMismatchError
from autotune.storage.optuna_study import open_study
from autotune.storage.study_store import Identity, StudyStore
from tests.builders import (
    GOAL,
    make_block,
    make_configuration,
    make_failure,
    make_measurement,
    make_trial,
)

IDENTITY = Identity(
    name="demo",
    spec="[goal]\n",
    model_sha256="ab" * 32,
    inputs={"shapes": {}, "data_sha256": None},
    goal=GOAL,
    space={"cpus": 2, "batch": [1]},
)


def opened(folder: Path, identity: Identity = IDENTITY) -> StudyStore:
    """The store as the tuner opens it."""
    _, engine = open_study(folder, identity.name, identity.goal)
    store = StudyStore(engine, folder / "study.db")
    try:
        store.begin(identity)
    except Exception:
        store.close()
        raise
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyStore]:
    """A new study with a session."""
    found = opened(tmp_path)
    found.start_session({"cpu_model": "x"}, {"python": "3"})
    yield found
    found.close()


def test_trials_are_read_back_as_they_were_recorded(store: StudyStore, tmp_path: Path) -> None:
    """Measured, failed and reused ones, by number, from a real file by another connection."""
    measured = make_trial(0, origin=Origin.SEED)
    failed = make_trial(1, failure=make_failure(FailureKind.CRASH, exit_code=-11, stderr_tail="é"))
    reused = make_trial(2, configuration=make_configuration(batch_size=2), reused_from=0)
    for trial in (reused, measured, failed):
        store.record(trial, elapsed_s=1.0)

    reader = StudyStore.read_only(tmp_path)
    found = reader.trials()
    assert [reader.with_blocks(trial) for trial in found] == [measured, failed, reused]
    assert all(trial.measurement is None or not trial.measurement.blocks for trial in found)
    assert len(reader.blocks(0)) == 3
    assert reader.blocks(2) == ()
    reader.close()


@pytest.mark.parametrize("name", ["a {0} b", "what?", "100%41", "#1", "line\nline", "🎈 'x' \"y\""])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    """The database lies in it and nowhere else."""
    folder = tmp_path / name
    folder.mkdir()
    opened(folder).close()

    assert sorted(tmp_path.rglob("*")) == [folder, folder / "study.db"]
    reader = StudyStore.read_only(folder)
    assert reader.identity() == IDENTITY
    reader.close()


def test_identity_and_sessions_are_kept(store: StudyStore, tmp_path: Path) -> None:
    """Time spent is brought up to date with every trial, so a crash loses none of it."""
    store.record(make_trial(0), elapsed_s=12.5)
    reader = StudyStore.read_only(tmp_path)
    assert reader.identity() == IDENTITY
    (session,) = reader.sessions()
    assert (session.elapsed_s, session.end) == (12.5, None)
    assert (session.machine, session.versions) == ({"cpu_model": "x"}, {"python": "3"})
    store.end_session(13.0, "budget")
    (session,) = reader.sessions()
    assert (session.elapsed_s, session.end) == (13.0, "budget")
    reader.close()


@pytest.mark.parametrize(("stored", "now"), [(1, 8), (8, 1)])
def test_other_items_in_a_request_are_another_study(tmp_path: Path, stored: int, now: int) -> None:
    """Throughputs would count other things."""
    opened(tmp_path, replace(IDENTITY, items_per_request=stored)).close()
    before = (tmp_path / "study.db").read_bytes()
    with pytest.raises(StudyMismatchError, match=f"items in a request .*{stored} then, {now} now"):
        opened(tmp_path, replace(IDENTITY, items_per_request=now))
    assert (tmp_path / "study.db").read_bytes() == before


def test_what_was_fed_may_change_and_is_brought_up_to_date(tmp_path: Path) -> None:
    """An older study learns it when it goes on; who does not know it forgets nothing."""
    fed = Fed(data="random", warnings=("NonZero",))
    for given, kept in (
        (None, None),
        (fed, fed),
        (None, fed),
        (Fed(data="real"), Fed(data="real")),
    ):
        store = opened(tmp_path, replace(IDENTITY, fed=given))
        assert store.identity().fed == kept
        store.close()


def test_what_is_unproven_now_was_unproven_before(store: StudyStore, tmp_path: Path) -> None:
    """The last session that had a look has the say; the evidence itself stays as it was."""
    batch = make_trial(0, configuration=make_configuration(batch_size=2))
    store.record(batch, elapsed_s=1.0)
    for doubts in (Doubts(), Doubts(batch="all zero"), Doubts(batch="all zero"), Doubts()):
        store.start_session({"cpu_model": "x"}, {"python": "3"})
        store.doubt(doubts)
        with closing(StudyStore.read_only(tmp_path)) as reader:
            (found,) = reader.trials()
            assert reader.doubts() == doubts
        assert found.measurement is not None
        assert found.measurement.opening.unproven == doubts.batch
    with sqlite3.connect(tmp_path / "study.db") as connection:
        noted = connection.execute("SELECT data FROM autotune_event WHERE kind = 'unproven'")
        assert [json.loads(data)["batch"] for (data,) in noted] == ["all zero", None]


@pytest.mark.parametrize("data", ["[]", '{"precisions": 1}', "no JSON"])
def test_a_doubt_that_cannot_be_read_is_named(store: StudyStore, tmp_path: Path, data: str) -> None:
    """It is not taken for none."""
    store.doubt(Doubts(batch="all zero"))
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("UPDATE autotune_event SET data = ?", (data,))
    with pytest.raises(StorageError, match="an event cannot be read"):
        store.trials()


@pytest.mark.parametrize(
    "change",
    ["items_per_request = -1", "items_per_request = 'x'", "fed = '{\"data\": 1}'", "fed = '['"],
)
def test_what_a_study_cannot_be_is_named(tmp_path: Path, change: str) -> None:
    """Anybody may have written the file."""
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection, connection:
        connection.execute(f"UPDATE autotune_study SET {change}")  # noqa: S608 - of this list
    with (
        closing(StudyStore.read_only(tmp_path)) as store,
        pytest.raises(StorageError, match="read"),
    ):
        store.identity()


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


def test_a_trial_is_recorded_whole_or_not_at_all(store: StudyStore) -> None:
    """The second row of the same number breaks a rule of the table; nothing of it stays."""
    store.record(make_trial(0), elapsed_s=1.0)
    with pytest.raises(StorageError, match="UNIQUE"):
        store.record(make_trial(0), elapsed_s=99.0)
    assert len(store.trials()) == 1
    assert len(store.blocks(0)) == 3
    assert store.sessions()[0].elapsed_s == 1.0


def test_one_file_holds_optunas_tables_and_ours(store: StudyStore, tmp_path: Path) -> None:
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
def test_the_tuners_connections_are_durable(store: StudyStore, pragma: str, value: object) -> None:
    """Commits survive a power cut (2 is FULL), and a reader is waited for."""
    with store.engine.connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_a_study_is_begun_once(tmp_path: Path) -> None:
    """Opening it again changes nothing."""
    opened(tmp_path).close()
    again = opened(tmp_path, replace(IDENTITY, spec="another text, the same study"))
    assert again.identity() == IDENTITY
    again.close()


def test_another_study_is_refused_with_every_difference(tmp_path: Path) -> None:
    """Model, goal and each dimension, and the way out."""
    opened(tmp_path).close()
    other = replace(
        IDENTITY,
        model_sha256="cd" * 32,
        goal=Goal(Objective.THROUGHPUT, 95.0, 5.0),
        space={"cpus": 4, "batch": [1, 2]},
    )
    with pytest.raises(StudyMismatchError) as caught:
        opened(tmp_path, other)
    message = str(caught.value)
    for words in (
        "the model file has changed",
        "throughput, p99, cap 10 ms then, throughput, p95, cap 5 ms now",
        "cpus 2 then, 4 now",
        "batch [1] then, [1, 2] now",
        "--name",
    ):
        assert words in message


def test_a_digest_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """The same model, of which 0.1 did not see every file: from now on, its digest is of all."""
    opened(tmp_path).close()
    now = replace(IDENTITY, model_sha256="cd" * 32, earlier_sha256=("ab" * 32,))
    opened(tmp_path, now).close()
    again = opened(tmp_path, replace(now, earlier_sha256=()))
    assert again.identity().model_sha256 == "cd" * 32
    again.close()
    with pytest.raises(StudyMismatchError, match="the model file has changed"):
        opened(tmp_path, replace(IDENTITY, model_sha256="ef" * 32, earlier_sha256=("ab" * 32,)))


def test_a_crash_before_the_studys_row_is_mended(tmp_path: Path) -> None:
    """Optuna's tables alone, or ours without a row, are the beginning of a study."""
    study, engine = open_study(tmp_path, "demo", GOAL)
    assert study.trials == []
    engine.dispose()
    store = opened(tmp_path)
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM autotune_study"))
    store.close()
    again = opened(tmp_path)
    assert again.identity() == IDENTITY
    again.close()


def test_a_full_disk_keeps_what_was_there(store: StudyStore) -> None:
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


def test_a_copy_of_the_folder_is_the_same_study(store: StudyStore, tmp_path: Path) -> None:
    """Nothing lies outside of the file."""
    store.record(make_trial(0), elapsed_s=1.0)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "study.db", copy)
    reader = StudyStore.read_only(copy)
    assert reader.trials() == store.trials()
    reader.close()
