"""A database of an older autotune goes on: nothing in it is lost."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Feed, Interval, Measurement, Readings
from autotune.domain.race import Contender, End, Slice
from autotune.domain.trial import Trial
from autotune.errors import StudyMismatchError
from autotune.storage import migrations
from autotune.storage.columns import costs
from autotune.storage.owner import owner
from autotune.storage.races import RaceLog, last_race
from autotune.storage.reader import StudyReader
from autotune.storage.schema import METADATA, SCHEMA_VERSION
from tests.builders import (
    make_block,
    make_configuration,
    make_failure,
    make_measurement,
    make_trial,
)
from tests.storage.studies import IDENTITY, opened


def costing(cpu_s_per_item: float) -> Measurement:
    """What an older file says of CPU time: what its blocks add up to, and no interval."""
    about: Any = pytest.approx(cpu_s_per_item)
    return make_measurement(readings=Readings(cpu_s_per_item=Interval(about, None, None)))


BATCH = make_configuration(batch_size=2)
TRIALS = (
    make_trial(0, measurement=costing(2 * 0.39 / 200)),
    make_trial(1, failure=make_failure(FailureKind.HANG)),
    make_trial(2, configuration=BATCH, reused_from=0, measurement=costing(2 * 0.39 / 200 / 2)),
)
VERSIONS = range(1, SCHEMA_VERSION)
_COLUMNS = {
    2: {"autotune_measurement": {"feed"}},
    3: {"autotune_study": {"owner"}},
    4: {
        "autotune_contender": {"dropped"},
        "autotune_measurement": {"unproven"},
        "autotune_session": {"machine_id"},
        "autotune_slice": {"machine_id"},
        "autotune_study": {"items_per_request", "fed"},
    },
    5: {
        "autotune_failure": {"study_id", "machine_id"},
        "autotune_measurement": {"study_id", "machine_id"},
        "autotune_session": {"study_id"},
    },
    6: {
        "autotune_measurement": {column.name for column in costs()} - {"prepare_ms"},
        "autotune_session": {"why_no_energy"},
        "autotune_contender": {"search_efficiency"},
        **{
            f"autotune_{name}": {"rss_bytes", "energy_j"}
            for name in ("block", "reference", "slice")
        },
    },
    7: {
        "autotune_measurement": {"prepare_ms"},
        **{
            f"autotune_{name}": {"prepare_s", "prepare_cpu_s"}
            for name in ("block", "reference", "slice")
        },
    },
    8: {"autotune_measurement": {"accuracy"}},
}
"""What every version added to tables that were there."""
_TABLES = {
    2: ("autotune_slice", "autotune_contender", "autotune_race", "autotune_reference"),
    4: ("autotune_launch", "autotune_machine"),
    6: ("autotune_resident",),
}


_COSTED = 6
"""Since this version it is written down what a trial cost, and not found in its blocks."""


def query(file: Path, *statements: str) -> list[Any]:
    """By hand; what the last statement gives."""
    rows: list[Any] = []
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.commit()
    return rows


def forgetful(trial: Trial) -> Trial:
    """The same as an older version measured it."""
    if trial.measurement is None:
        return trial
    return replace(trial, measurement=replace(trial.measurement, readings=Readings()))


def downgraded(
    folder: Path,
    to: int,
    trials: Sequence[Trial] = TRIALS,
    machines: Sequence[dict[str, str]] = ({"cpu_model": "x"},),
) -> Path:
    """A study as an older version wrote it, with a session on each machine; from 2 on, a race."""
    store = opened(folder)
    for machine in machines:
        store.start_session(machine, {"python": "3"})
    for trial in trials:
        store.record(forgetful(trial), elapsed_s=7.0)
    contender = Contender(name="a", configuration=make_configuration())
    log = RaceLog.begin(
        store, [contender], trials=3, baseline=None, feed=Feed.COPY, tie_margin=0.01, noise=None
    )
    log.keep([Slice(0, 0, 0, 0.5, make_block())], 7.0)
    store.close()
    file = folder / "study.db"
    for added in range(SCHEMA_VERSION, to, -1):
        for table in _TABLES.get(added, ()):
            query(file, "PRAGMA foreign_keys = OFF", f"DROP TABLE {table}")
        for table, columns in _COLUMNS[added].items():
            if table not in _TABLES.get(2, ()) or to >= 2:
                _take_out(file, table, columns)
    if to < 5:
        query(file, "DROP INDEX ix_autotune_study_name")
    query(file, f"UPDATE autotune_study SET schema_version = {to}")  # noqa: S608 - a number
    return file


def _take_out(file: Path, table: str, columns: set[str]) -> None:
    """Make a table anew without some columns, as SQLite drops none that refers to another table."""
    made = query(
        file, "SELECT tbl_name, sql FROM sqlite_schema WHERE sql NOTNULL ORDER BY type DESC"
    )
    whole, *indexes = [sql for name, sql in made if name == table]
    if "study_id" in columns:
        whole = whole.replace("UNIQUE (study_id, trial_number)", "UNIQUE (trial_number)")
    words = "|".join(columns)
    lines = [line for line in whole.splitlines() if not re.match(rf".*\b({words})\b", line)]
    kept = ", ".join(
        row[1] for row in query(file, f"PRAGMA table_info({table})") if row[1] not in columns
    )
    query(
        file,
        "PRAGMA foreign_keys = OFF",
        f"CREATE TEMP TABLE kept AS SELECT {kept} FROM {table}",  # noqa: S608 - our own names
        f"DROP TABLE {table}",
        re.sub(r",\s*\)\Z", "\n)", "\n".join(lines)),
        f"INSERT INTO {table} ({kept}) SELECT {kept} FROM kept",  # noqa: S608 - our own names
        *indexes,
    )


def layout(file: Path) -> dict[str, set[str]]:
    """Columns of every table of ours."""
    return {
        table.name: {row[1] for row in query(file, f"PRAGMA table_info({table.name})")}
        for table in METADATA.sorted_tables
    }


def rules(file: Path) -> dict[str, set[tuple[object, ...]]]:
    """What every table is sorted by, what is unique in it, and to what it refers."""
    found: dict[str, set[tuple[object, ...]]] = {}
    for table in METADATA.sorted_tables:
        name = table.name
        columns = "SELECT name FROM pragma_index_info(?1)"
        with closing(sqlite3.connect(file)) as connection:
            found[name] = {
                (unique, *(column for (column,) in connection.execute(columns, (index,))))
                for _, index, unique, *_ in connection.execute(f"PRAGMA index_list({name})")
            }
            keys = connection.execute(f"PRAGMA foreign_key_list({name})")
            found[name] |= {(one[2], one[3], one[4]) for one in keys}
    return found


def version(file: Path) -> int:
    """Of the autotune tables."""
    ((found,),) = query(file, "SELECT schema_version FROM autotune_study")
    return int(found)


def test_version_1_is_brought_up_to_date_with_all_its_trials(tmp_path: Path) -> None:
    """Measured, failed and reused ones, with blocks; the requests of then were bound."""
    file = downgraded(tmp_path, 1)
    store = opened(tmp_path)
    assert version(file) == SCHEMA_VERSION
    assert [store.with_blocks(trial) for trial in store.trials()] == list(TRIALS)
    assert {t.measurement.feed for t in store.trials() if t.measurement} == {Feed.BIND}
    assert (store.identity(), store.sessions()[0].elapsed_s) == (IDENTITY, 7.0)
    assert query(file, "PRAGMA integrity_check") == [("ok",)]
    assert query(file, "PRAGMA foreign_key_check") == []
    store.close()


@pytest.mark.parametrize("then", VERSIONS)
def test_a_migrated_database_is_laid_out_as_a_new_one(tmp_path: Path, then: int) -> None:
    """Every table and every column, so that nothing depends on where a study began."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    file = downgraded(tmp_path / "old", then)
    assert bool(layout(file)["autotune_machine"]) == (then >= 4)
    assert ("feed" in layout(file)["autotune_measurement"]) == (then >= 2)
    opened(tmp_path / "old").close()
    opened(tmp_path / "new").close()
    assert layout(file) == layout(tmp_path / "new" / "study.db")
    assert rules(file) == rules(tmp_path / "new" / "study.db")


def test_version_2_is_brought_up_to_date_and_has_an_owner(tmp_path: Path) -> None:
    """Whoever goes on with it; a copy of what it was is kept."""
    file = downgraded(tmp_path, 2)
    store = opened(tmp_path)
    assert version(file) == SCHEMA_VERSION
    assert [store.with_blocks(trial) for trial in store.trials()] == list(TRIALS)
    store.close()
    assert query(file, "SELECT owner FROM autotune_study") == [(owner(),)]
    copy = tmp_path / "study.db.schema2.backup"
    assert version(copy) == 2
    assert "owner" not in layout(copy)["autotune_study"]


def test_a_migrated_study_takes_trials_races_and_the_reference(tmp_path: Path) -> None:
    """It goes on as any other."""
    downgraded(tmp_path, 1)
    store = opened(tmp_path)
    store.start_session({}, {})
    assert last_race(store) is None
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
    assert last_race(store) is not None
    store.close()


@pytest.mark.parametrize("then", VERSIONS)
def test_every_version_goes_on_with_all_it_has(tmp_path: Path, then: int) -> None:
    """Trials, identity and sessions, and from 2 on its race; a copy of what it was is kept."""
    file = downgraded(tmp_path, then)
    store = opened(tmp_path)
    assert version(file) == SCHEMA_VERSION
    told = then >= _COSTED  # what a trial cost was on record, and here it was nothing
    wanted = list(map(forgetful, TRIALS)) if told else list(TRIALS)
    assert [store.with_blocks(trial) for trial in store.trials()] == wanted
    assert (store.identity(), store.sessions()[0].elapsed_s) == (IDENTITY, 7.0)
    assert (last_race(store) is None) == (then < 2)
    assert query(file, "PRAGMA integrity_check") == [("ok",)]
    assert query(file, "PRAGMA foreign_key_check") == []
    store.close()
    assert version(tmp_path / f"study.db.schema{then}.backup") == then


@pytest.mark.parametrize(
    ("machines", "rows", "known"),
    [
        ([{"cpu_model": "x"}], 1, True),
        ([{"cpu_model": "x"}, {"cpu_model": "x", "system": "a new kernel"}], 1, True),
        ([{"cpu_model": "x"}, {"cpu_model": "y"}], 2, False),
    ],
    ids=["one", "one with another kernel", "two"],
)
def test_version_3_is_told_where_it_was_measured(
    tmp_path: Path, machines: list[dict[str, str]], rows: int, known: bool
) -> None:
    """Every session; and every slice, unless it may be of either of two machines."""
    file = downgraded(tmp_path, 3, machines=machines)
    opened(tmp_path).close()
    assert len(query(file, "SELECT id FROM autotune_machine")) == rows
    assert query(file, "SELECT id FROM autotune_session WHERE machine_id IS NULL") == []
    found = query(file, "SELECT id FROM autotune_slice WHERE machine_id IS NOT NULL")
    assert bool(found) is known


def test_beginning_twice_is_harmless(tmp_path: Path) -> None:
    """The second time there is nothing left to do."""
    file = downgraded(tmp_path, 1)
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
    file = downgraded(tmp_path, 1)
    before = file.read_bytes()
    with closing(StudyReader.read_only(tmp_path)) as store:
        assert [store.with_blocks(trial) for trial in store.trials()] == list(TRIALS)
        assert last_race(store) is None
        assert store.reference() == []
    assert file.read_bytes() == before


def test_another_study_is_still_refused_after_the_step(tmp_path: Path) -> None:
    """Bringing it up to date does not make it another one; its trials stay."""
    downgraded(tmp_path, 1)
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
    file = downgraded(tmp_path, 1, trials=())
    store = opened(tmp_path)
    assert (store.trials(), version(file)) == ([], SCHEMA_VERSION)
    store.close()


@pytest.mark.parametrize("then", VERSIONS)
def test_tables_that_a_killed_older_version_left_are_made_anew(tmp_path: Path, then: int) -> None:
    """Its study was never begun: they are empty."""
    file = downgraded(tmp_path, then)
    empty = [f"DELETE FROM {name}" for name, columns in layout(file).items() if columns]  # noqa: S608 - our own names
    query(file, "PRAGMA foreign_keys = OFF", *empty)
    store = opened(tmp_path)
    store.start_session({}, {})
    store.record(make_trial(0), elapsed_s=1.0)
    assert (store.identity(), len(store.trials())) == (IDENTITY, 1)
    store.close()


def test_a_crash_within_a_step_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole or not at all: the next start takes the step again."""
    file = downgraded(tmp_path, 1)
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
