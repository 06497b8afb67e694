"""An older schema seen as the current one, through views of the connection."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from autotune.storage.database import open_read_only
from autotune.storage.schema import METADATA
from tests.storage.studies import opened
from tests.storage.test_migrations import VERSIONS, downgraded


@pytest.fixture(scope="module", params=VERSIONS)
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study as an older version wrote it; only to be read."""
    return downgraded(tmp_path_factory.mktemp("older"), request.param).parent


def test_every_table_can_be_read(older: Path) -> None:
    """All its columns, and what the older version did not know is its default or null."""
    engine = open_read_only(older)
    with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                missing = {c for c in table.columns if row[c.name] is None and not c.nullable}
                assert not missing
    engine.dispose()


def test_nothing_can_be_written(older: Path) -> None:
    """Neither through a view nor beside it."""
    before = (older / "study.db").read_bytes()
    engine = open_read_only(older)
    for statement in ("DELETE FROM autotune_session", "CREATE TABLE more (x)"):
        with (
            pytest.raises(OperationalError, match=r"readonly|cannot modify"),
            engine.begin() as connection,
        ):
            connection.execute(text(statement))
    engine.dispose()
    assert (older / "study.db").read_bytes() == before


def test_indexes_are_used_through_a_view(older: Path) -> None:
    """A large study is not read from its first row to its last for each trial."""
    engine = open_read_only(older)
    with closing(sqlite3.connect(older / "study.db")) as connection:
        known = connection.execute("PRAGMA table_info(autotune_measurement)").fetchall()
    of_study = "study_id = 1 AND " if "study_id" in {row[1] for row in known} else ""
    wanted = f"SELECT feed FROM autotune_measurement WHERE {of_study}trial_number = 1"  # noqa: S608 - our own names
    plan = f"EXPLAIN QUERY PLAN {wanted}"
    with engine.connect() as connection:
        steps = [str(row) for row in connection.execute(text(plan))]
    engine.dispose()
    assert all("SEARCH" in step for step in steps)


def test_a_current_study_is_read_as_it_is(tmp_path: Path) -> None:
    """Without views."""
    opened(tmp_path).close()
    engine = open_read_only(tmp_path)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sqlite_temp_schema")).scalar() == 0
    engine.dispose()


def test_what_later_versions_add_has_a_default_or_may_be_null(older: Path) -> None:
    """Else an older file could not be read, nor brought up to date."""
    with closing(sqlite3.connect(older / "study.db")) as connection:
        for table in METADATA.sorted_tables:
            known = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
            added = [c for c in table.columns if known and c.name not in known]
            assert all(c.nullable or c.server_default is not None for c in added), table.name
