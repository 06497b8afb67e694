"""What earlier versions left behind is brought up to date whole or not at all, as it was seen."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from autotune.analysis.story import story
from autotune.storage.backup import damage
from autotune.storage.optuna_study import open_study
from autotune.storage.races import last_race
from autotune.storage.reader import StudyReader
from autotune.storage.schema import MEASUREMENT, METADATA, SCHEMA_VERSION
from autotune.storage.writer import StudyWriter
from tests.builders import GOAL
from tests.storage import killed
from tests.test_artefacts import ARTEFACTS, SCHEMAS

ROOT = Path(__file__).parent.parent.parent
SINCE_4 = {"autotune_session": {"machine_id"}, "autotune_slice": {"machine_id"}}
"""Which machine of several an older version used is worked out when a study is brought up to date:
its viewers read the same from what sessions noted."""
SINCE_5 = {"autotune_measurement": {"machine_id"}, "autotune_failure": {"machine_id"}}


@pytest.fixture
def artefact(tmp_path: Path, name: str) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(ARTEFACTS / name, tmp_path / name))


def seen(folder: Path) -> dict[str, Any]:
    """All that a study is read as."""
    with closing(StudyReader.read_only(folder)) as store:
        race = last_race(store)
        return {
            "identity": store.identity(),
            "sessions": store.sessions(),
            "trials": [store.with_blocks(trial) for trial in store.trials()],
            "session of each": [
                store.session_of(t.number) for t in store.trials() if not t.failure
            ],
            "reference": store.reference(),
            "findings": store.findings(),
            "doubts": store.doubts(),
            "moments": store.moments(),
            "latencies": list(store.latencies()),
            "race": race,
            "story": story(store),
        }


def rows(folder: Path, version: int) -> dict[str, list[dict[str, Any]]]:
    """Every table as it is read, but for what has changed with the version, or with the owner."""
    changed = {"autotune_study": {"schema_version", "owner"}}
    if version < 4:
        changed |= SINCE_4 | SINCE_5
    found = {}
    with closing(StudyReader.read_only(folder)) as store:
        for table in METADATA.sorted_tables:
            if version < 4 and table.name == "autotune_machine":
                continue
            kept = [c for c in table.columns if c.name not in changed.get(table.name, ())]
            with store.engine.connect() as connection:
                query = select(*kept).order_by(table.c.id)
                found[table.name] = [dict(row) for row in connection.execute(query).mappings()]
    return found


@pytest.mark.parametrize("name", SCHEMAS)
def test_views_and_steps_give_the_same_values(artefact: Path, name: str) -> None:
    """To viewers, and in the tables themselves."""
    before = seen(artefact), rows(artefact, SCHEMAS[name])
    killed.bring_up_to_date(artefact)
    assert (seen(artefact), rows(artefact, SCHEMAS[name])) == before


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_trial_says_where_it_was_measured(artefact: Path, name: str) -> None:
    """As its session did."""
    killed.bring_up_to_date(artefact)
    with closing(StudyReader.read_only(artefact)) as store:
        assert store.rows.all(select(MEASUREMENT).where(MEASUREMENT.c.machine_id.is_(None))) == []
        assert len({session.place.digest for session in store.sessions()}) == 1


KILLED = [
    pytest.param(name, marks=() if name == "schema4" else pytest.mark.faults) for name in SCHEMAS
]
"""All of them with the heavy faults, the latest in any case."""


@pytest.mark.parametrize("name", KILLED)
def test_a_kill_before_any_statement_leaves_the_old_or_the_new_version(
    tmp_path: Path, name: str
) -> None:
    """Nothing in between; the copy of what it was is there before anything is changed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.storage.killed", ARTEFACTS / name, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=110,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    states = [state for _, state, _ in found]
    cut = states.index("after")
    assert set(states[:cut]) == {"before"}
    assert set(states[cut:]) == {"after"}
    assert found[cut - 1][0] == "PRAGMA foreign_key_check"  # the last one before the commit
    assert cut > 10
    copies = ["study.db.backup", f"study.db.schema{SCHEMAS[name]}.backup"]
    assert all(beside == copies for _, _, beside in found)


@pytest.mark.parametrize("name", ["schema1", "schema4"])
def test_the_user_is_told_once_where_the_old_study_is_kept(artefact: Path, name: str) -> None:
    """And it is there, as it was."""
    told: list[str] = []
    for _ in range(2):
        _, engine = open_study(artefact, name, GOAL, trust=True, tell=told.append)
        with closing(StudyWriter(engine, artefact / "study.db")) as store:
            store.begin(store.identity())
    version = SCHEMAS[name]
    (line,) = told
    assert f"from schema {version} to {SCHEMA_VERSION}" in line
    assert line.endswith(f"it is kept as study.db.schema{version}.backup")
    kept = artefact / f"study.db.schema{version}.backup"
    assert damage(kept) is None
    assert killed.content(kept) == killed.content(ARTEFACTS / name / "study.db")


OWNED = {
    "a view": "CREATE VIEW mine AS SELECT * FROM autotune_measurement",
    "an index": "CREATE INDEX mine ON autotune_measurement (verdict)",
    "a trigger": "CREATE TRIGGER mine AFTER INSERT ON autotune_failure BEGIN SELECT 1; END",
    "half of an upgrade by hand": "CREATE TABLE autotune_session_part (id INTEGER)",
    "a stray row of Optuna's": "INSERT INTO trial_params (trial_id, param_name, param_value, "
    "distribution_json) VALUES (99999, 'x', 0, '{}')",
}
"""What somebody may have put into their own database."""


@pytest.mark.parametrize("owned", OWNED)
@pytest.mark.parametrize("name", ["schema1", "schema4"])
def test_what_its_owner_has_added_stands_in_no_ones_way(
    artefact: Path, name: str, owned: str
) -> None:
    """And views, triggers and indexes are there afterwards."""
    with closing(sqlite3.connect(artefact / "study.db")) as file, file:
        file.execute(OWNED[owned])
    _, engine = open_study(artefact, name, GOAL, trust=True)
    with closing(StudyWriter(engine, artefact / "study.db")) as store:
        store.begin(store.identity())
        assert store.trials()
    with closing(sqlite3.connect(artefact / "study.db")) as file:
        kept = file.execute("SELECT count(*) FROM sqlite_master WHERE name = 'mine'").fetchone()
        assert kept == (1 if "mine" in OWNED[owned] else 0,)
        assert file.execute("SELECT schema_version FROM autotune_study").fetchone() == (
            SCHEMA_VERSION,
        )
