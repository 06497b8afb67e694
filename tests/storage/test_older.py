"""An older schema seen as the current one, through views of the connection."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from autotune.storage.database import open_read_only
from autotune.storage.schema import METADATA, SCHEMA_VERSION
from tests.storage.test_migrations import VERSIONS, downgraded


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=lambda table: table.name)
def test_every_table_can_be_read(tmp_path: Path, version: int, table: object) -> None:
    """All its columns, and what the older version did not know is its default or null."""
    downgraded(tmp_path, version)
    engine = open_read_only(tmp_path)
    with engine.connect() as connection:
        for row in connection.execute(select(table)).mappings():  # type: ignore[call-overload]  # a table of ours
            missing = {c.name for c in table.columns if row[c.name] is None and not c.nullable}  # type: ignore[attr-defined]
            assert not missing
    engine.dispose()


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_can_be_written(tmp_path: Path, version: int) -> None:
    """Neither through a view nor beside it."""
    file = downgraded(tmp_path, version)
    before = file.read_bytes()
    engine = open_read_only(tmp_path)
    for statement in ("DELETE FROM autotune_session", "CREATE TABLE more (x)"):
        with (
            pytest.raises(OperationalError, match=r"readonly|cannot modify"),
            engine.begin() as connection,
        ):
            connection.execute(text(statement))
    engine.dispose()
    assert file.read_bytes() == before


def test_indexes_are_used_through_a_view(tmp_path: Path) -> None:
    """A large study is not searched from its first row to its last for each trial."""
    downgraded(tmp_path, 1)
    engine = open_read_only(tmp_path)
    plan = "EXPLAIN QUERY PLAN SELECT feed FROM autotune_measurement WHERE trial_number = 1"
    with engine.connect() as connection:
        steps = [str(row) for row in connection.execute(text(plan))]
    engine.dispose()
    assert any("USING INDEX" in step for step in steps)


def test_a_current_study_is_read_as_it_is(tmp_path: Path) -> None:
    """Without views."""
    downgraded(tmp_path, SCHEMA_VERSION)
    engine = open_read_only(tmp_path)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sqlite_temp_schema")).scalar() == 0
    engine.dispose()


def test_what_later_versions_add_has_a_default_or_may_be_null(tmp_path: Path) -> None:
    """Else an older file could not be read, nor brought up to date."""
    file = downgraded(tmp_path, 1)
    with closing(sqlite3.connect(file)) as connection:
        for table in METADATA.sorted_tables:
            known = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
            added = [c for c in table.columns if known and c.name not in known]
            assert all(c.nullable or c.server_default is not None for c in added), table.name
