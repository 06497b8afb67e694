"""What was written is read back as it was, by another connection."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autotune.domain.doubts import Doubts
from autotune.domain.failure import FailureKind
from autotune.domain.trial import Origin
from autotune.errors import StorageError
from autotune.storage.reader import StudyReader
from autotune.storage.writer import StudyWriter
from tests.builders import (
    make_configuration,
    make_failure,
    make_trial,
)
from tests.storage.studies import IDENTITY, opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyWriter]:
    """A new study with a session."""
    found = opened(tmp_path)
    found.start_session({"cpu_model": "x"}, {"python": "3"})
    yield found
    found.close()


def test_trials_are_read_back_as_they_were_recorded(store: StudyWriter, tmp_path: Path) -> None:
    """Measured, failed and reused ones, by number, from a real file by another connection."""
    measured = make_trial(0, origin=Origin.SEED)
    failed = make_trial(1, failure=make_failure(FailureKind.CRASH, exit_code=-11, stderr_tail="é"))
    reused = make_trial(2, configuration=make_configuration(batch_size=2), reused_from=0)
    for trial in (reused, measured, failed):
        store.record(trial, elapsed_s=1.0)

    reader = StudyReader.read_only(tmp_path)
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
    reader = StudyReader.read_only(folder)
    assert reader.identity() == IDENTITY
    reader.close()


def test_identity_and_sessions_are_kept(store: StudyWriter, tmp_path: Path) -> None:
    """Time spent is brought up to date with every trial, so a crash loses none of it."""
    store.record(make_trial(0), elapsed_s=12.5)
    reader = StudyReader.read_only(tmp_path)
    assert reader.identity() == IDENTITY
    (session,) = reader.sessions()
    assert (session.elapsed_s, session.end) == (12.5, None)
    assert (session.machine, session.versions) == ({"cpu_model": "x"}, {"python": "3"})
    store.end_session(13.0, "budget")
    (session,) = reader.sessions()
    assert (session.elapsed_s, session.end) == (13.0, "budget")
    reader.close()


def test_what_is_unproven_now_was_unproven_before(store: StudyWriter, tmp_path: Path) -> None:
    """The last session that had a look has the say; the evidence itself stays as it was."""
    batch = make_trial(0, configuration=make_configuration(batch_size=2))
    store.record(batch, elapsed_s=1.0)
    for doubts in (Doubts(), Doubts(batch="all zero"), Doubts(batch="all zero"), Doubts()):
        store.start_session({"cpu_model": "x"}, {"python": "3"})
        store.doubt(doubts)
        with closing(StudyReader.read_only(tmp_path)) as reader:
            (found,) = reader.trials()
            assert reader.doubts() == doubts
        assert found.measurement is not None
        assert found.measurement.opening.unproven == doubts.batch
    with sqlite3.connect(tmp_path / "study.db") as connection:
        noted = connection.execute("SELECT data FROM autotune_event WHERE kind = 'unproven'")
        assert [json.loads(data)["batch"] for (data,) in noted] == ["all zero", None]


@pytest.mark.parametrize("data", ["[]", '{"precisions": 1}', "no JSON"])
def test_a_doubt_that_cannot_be_read_is_named(
    store: StudyWriter, tmp_path: Path, data: str
) -> None:
    """It is not taken for none."""
    store.doubt(Doubts(batch="all zero"))
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("UPDATE autotune_event SET data = ?", (data,))
    with pytest.raises(StorageError, match="an event cannot be read"):
        store.trials()


def test_a_copy_of_the_folder_is_the_same_study(store: StudyWriter, tmp_path: Path) -> None:
    """Nothing lies outside of the file."""
    store.record(make_trial(0), elapsed_s=1.0)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "study.db", copy)
    reader = StudyReader.read_only(copy)
    assert reader.trials() == store.trials()
    reader.close()
