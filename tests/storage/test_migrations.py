"""A database of an older autotune goes on: nothing in it is lost."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Feed
from autotune.domain.race import Contender, End, Slice
from autotune.domain.trial import Trial
from autotune.errors import StudyMismatchError
from autotune.storage import migrations
from autotune.storage.owner import owner
from autotune.storage.races import RaceLog, last_race
from autotune.storage.schema import METADATA, SCHEMA_VERSION
from autotune.storage.study_store import StudyStore
from tests.builders import GOAL, make_block, make_configuration, make_failure, make_trial
from tests.storage.test_study_store import IDENTITY, opened

TRIALS = (
    make_trial(0),
    make_trial(1, failure=make_failure(FailureKind.HANG)),
    make_trial(2, configuration=make_configuration(batch_size=2), reused_from=0),
)
_NEW_TABLES = ("autotune_slice", "autotune_contender", "autotune_race", "autotune_reference")


def query(file: Path, *statements: str) -> list[Any]:
    """By hand; what the last statement gives."""
    rows: list[Any] = []
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.commit()
    return rows


def old(folder: Path, trials: Sequence[Trial] = TRIALS) -> Path:
    """A study with trials as version 1 wrote it: no races, no reference, no column `feed`."""
    store = opened(folder)
    store.start_session({"cpu_model": "x"}, {"python": "3"})
    for trial in trials:
        store.record(trial, elapsed_s=7.0)
    store.close()
    query(
        folder / "study.db",
        *(f"DROP TABLE {name}" for name in _NEW_TABLES),
        "ALTER TABLE autotune_measurement DROP COLUMN feed",
        "ALTER TABLE autotune_study DROP COLUMN owner",
        "UPDATE autotune_study SET schema_version = 1",
    )
    return folder / "study.db"


def version_2(folder: Path) -> Path:
    """A study with trials as version 2 wrote it: nobody's."""
    store = opened(folder)
    store.start_session({"cpu_model": "x"}, {"python": "3"})
    for trial in TRIALS:
        store.record(trial, elapsed_s=7.0)
    store.close()
    query(
        folder / "study.db",
        "ALTER TABLE autotune_study DROP COLUMN owner",
        "UPDATE autotune_study SET schema_version = 2",
    )
    return folder / "study.db"


def layout(file: Path) -> dict[str, set[str]]:
    """Columns of every table of ours."""
    return {
        table.name: {row[1] for row in query(file, f"PRAGMA table_info({table.name})")}
        for table in METADATA.sorted_tables
    }


def version(file: Path) -> int:
    """Of the autotune tables."""
    ((found,),) = query(file, "SELECT schema_version FROM autotune_study")
    return int(found)


def test_version_1_is_brought_up_to_date_with_all_its_trials(tmp_path: Path) -> None:
    """Measured, failed and reused ones, with blocks; the requests of then were bound."""
    file = old(tmp_path)
    store = opened(tmp_path)
    assert version(file) == SCHEMA_VERSION
    assert [store.with_blocks(trial) for trial in store.trials()] == list(TRIALS)
    assert {t.measurement.feed for t in store.trials() if t.measurement} == {Feed.BIND}
    assert (store.identity(), store.sessions()[0].elapsed_s) == (IDENTITY, 7.0)
    assert query(file, "PRAGMA integrity_check") == [("ok",)]
    assert query(file, "PRAGMA foreign_key_check") == []
    store.close()


def test_a_migrated_database_is_laid_out_as_a_new_one(tmp_path: Path) -> None:
    """Every table and every column, so that nothing depends on where a study began."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    file = old(tmp_path / "old")
    assert "feed" not in layout(file)["autotune_measurement"]
    opened(tmp_path / "old").close()
    opened(tmp_path / "new").close()
    assert layout(file) == layout(tmp_path / "new" / "study.db")


def test_version_2_is_brought_up_to_date_and_has_an_owner(tmp_path: Path) -> None:
    """Whoever goes on with it; a copy of what it was is kept."""
    file = version_2(tmp_path)
    store = opened(tmp_path)
    assert version(file) == SCHEMA_VERSION
    assert [store.with_blocks(trial) for trial in store.trials()] == list(TRIALS)
    store.close()
    assert query(file, "SELECT owner FROM autotune_study") == [(owner(),)]
    copy = tmp_path / "study.db.schema2.backup"
    assert version(copy) == 2
    assert layout(file)["autotune_study"] == {*layout(copy)["autotune_study"], "owner"}


def test_a_migrated_study_takes_trials_races_and_the_reference(tmp_path: Path) -> None:
    """It goes on as any other."""
    old(tmp_path)
    store = opened(tmp_path)
    store.start_session({}, {})
    store.record(make_trial(3), elapsed_s=1.0)
    store.record_reference("ab", 1.0, make_block())
    contender = Contender(name="a", configuration=make_configuration())
    log = RaceLog.begin(
        store, [contender], trials=4, baseline=None, feed=Feed.COPY, tie_margin=0.01, noise=None
    )
    log.keep([Slice(0, 0, 0, 0.5, make_block())], 2.0)
    log.end(End.BUDGET, 1.0)
    assert [trial.number for trial in store.trials()] == [0, 1, 2, 3]
    assert len(store.reference()) == 1
    assert last_race(store, GOAL) is not None
    store.close()


def test_beginning_twice_is_harmless(tmp_path: Path) -> None:
    """The second time there is nothing left to do."""
    file = old(tmp_path)
    opened(tmp_path).close()
    before = file.read_bytes()
    store = opened(tmp_path)
    assert [store.with_blocks(trial) for trial in store.trials()] == list(TRIALS)
    store.close()
    assert file.read_bytes() == before


def test_a_new_study_needs_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made in the current version."""
    monkeypatch.setattr(migrations, "_STEPS", {})
    opened(tmp_path).close()
    opened(tmp_path).close()
    assert version(tmp_path / "study.db") == SCHEMA_VERSION


def test_every_older_version_has_a_step() -> None:
    """A version that is forgotten could never be read again."""
    assert sorted(migrations._STEPS) == list(range(1, SCHEMA_VERSION))


def test_a_viewer_reads_an_old_database(tmp_path: Path) -> None:
    """As it will be read once it is brought up to date; the file is as it was."""
    file = old(tmp_path)
    before = file.read_bytes()
    with closing(StudyStore.read_only(tmp_path)) as store:
        assert [store.with_blocks(trial) for trial in store.trials()] == list(TRIALS)
        assert last_race(store, IDENTITY.goal) is None
        assert store.reference() == []
    assert file.read_bytes() == before


def test_another_study_is_still_refused_after_the_step(tmp_path: Path) -> None:
    """Bringing it up to date does not make it another one; its trials stay."""
    old(tmp_path)
    other = IDENTITY.__class__(
        name="demo",
        spec="",
        model_sha256=IDENTITY.model_sha256,
        inputs=IDENTITY.inputs,
        goal=Goal(Objective.LATENCY, 99.0, None),
        space=IDENTITY.space,
    )
    with pytest.raises(StudyMismatchError, match="the goal has changed"):
        opened(tmp_path, other)
    store = opened(tmp_path)
    assert len(store.trials()) == 3
    store.close()


def test_an_empty_old_study_goes_on(tmp_path: Path) -> None:
    """It was begun, and nothing was measured yet."""
    file = old(tmp_path, trials=())
    store = opened(tmp_path)
    assert (store.trials(), version(file)) == ([], SCHEMA_VERSION)
    store.close()


def test_a_crash_within_a_step_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole or not at all: the next start takes the step again."""
    file = old(tmp_path)
    step = migrations._STEPS[1]

    def crash(connection: Connection) -> None:
        step(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(migrations._STEPS, 1, crash)
        with pytest.raises(KeyboardInterrupt):
            opened(tmp_path)
    assert (version(file), "feed" in layout(file)["autotune_measurement"]) == (1, False)
    store = opened(tmp_path)
    assert (version(file), len(store.trials())) == (SCHEMA_VERSION, 3)
    store.close()
