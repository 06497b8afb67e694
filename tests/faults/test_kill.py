"""kill -9 of the tuner at any instant: what was completed is kept, and nobody is left behind."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from autotune.domain.history import History, is_machine_fault
from autotune.storage.reader import StudyReader
from tests import models

pytestmark = pytest.mark.openvino
_MORE = 4
_RACED = "60s"
_KILLS = int(os.environ.get("AUTOTUNE_KILLS", "20"))


@pytest.fixture
def folder(tmp_path: Path, model_folder: Path) -> Path:
    """A study's folder with a tiny real model."""
    for file in (models.TINY, models.TINY.replace(".xml", ".bin")):
        shutil.copy(model_folder / file, tmp_path)
    return tmp_path


def start(folder: Path, budget: int | str, share: float = 0.0) -> subprocess.Popen[str]:
    """The tuner, in a process of its own; without a race unless there is a share for it."""
    module = "tests.faults.tuning"
    command = [sys.executable, "-m", module, str(folder), str(budget), str(share)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": ""}
    )


def kill_after(
    folder: Path,
    event: str,
    count: int,
    delay_s: float,
    *,
    budget: int | str = 1000,
    share: float = 0.0,
) -> None:
    """Start, wait for the n-th event of a kind and a little longer, kill, and look for orphans."""
    with start(folder, budget, share) as tuner:
        assert tuner.stdout is not None
        seen = 0
        for line in tuner.stdout:
            seen += line.strip() == event
            if seen == count:
                break
        else:
            pytest.fail("the tuner ended by itself")
        time.sleep(delay_s)
        tuner.send_signal(signal.SIGKILL)
    assert no_worker_is_left()


def no_worker_is_left() -> bool:
    """Whether all processes with this test's lock folder are gone, given a moment."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not [process for process in psutil.process_iter() if _is_worker(process)]:
            return True
        time.sleep(0.01)
    return False


def _is_worker(process: psutil.Process) -> bool:
    try:
        own = process.environ().get("AUTOTUNE_LOCK_DIR") == os.environ["AUTOTUNE_LOCK_DIR"]
        return own and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def completed(folder: Path) -> dict[str, Any]:
    """Every completed trial by table and number, in full; the database is sound."""
    file = folder / "study.db"
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        assert [tuple(r) for r in connection.execute("PRAGMA integrity_check")] == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if not {"autotune_study", "trials", "trial_values"} <= tables:
            return {}
        found = {}
        for name, query in _QUERIES.items():
            for row in connection.execute(query):
                found[f"{name} {row[0]}"] = json.dumps(dict(row), default=bytes.hex)
        return found


_QUERIES = {
    "measurement": "SELECT * FROM autotune_measurement",
    "block": "SELECT * FROM autotune_block",
    "failure": "SELECT * FROM autotune_failure",
    "trial": "SELECT * FROM trials WHERE state = 'COMPLETE'",
    "value": "SELECT v.* FROM trial_values v JOIN trials USING (trial_id) WHERE state = 'COMPLETE'",
    "parameter": "SELECT p.* FROM trial_params p JOIN trials USING (trial_id)"
    " WHERE state = 'COMPLETE'",
    "contender": "SELECT id, race_id, name, configuration FROM autotune_contender",
    "slice": "SELECT * FROM autotune_slice",
    "attribute": "SELECT a.* FROM trial_system_attributes a JOIN trials USING (trial_id)"
    " WHERE state = 'COMPLETE'",
}


def finish(folder: Path) -> None:
    """Go on to the end, and check that both sides of the database agree."""
    trials = _MORE + len(settled(folder))
    with start(folder, trials) as tuner:
        said, _ = tuner.communicate(timeout=100)
    assert tuner.returncode == 0
    assert said.split()[-1] == "trials"
    assert no_worker_is_left()
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        told = connection.execute("SELECT number FROM trials WHERE state = 'COMPLETE'").fetchall()
        running = connection.execute("SELECT * FROM trials WHERE state = 'RUNNING'").fetchall()
    assert sorted(number for (number,) in told) == settled(folder)
    assert len(told) == trials
    assert running == []


def settled(folder: Path) -> list[int]:
    """Trials that count; those that others disturbed do not, until they are repeated."""
    if not completed(folder):
        return []
    with closing(StudyReader.read_only(folder)) as store:
        trials = store.trials()
    history, found = History(), []
    for trial in trials:
        if history.is_final(trial) and not is_machine_fault(trial):
            found.append(trial.number)
        history.add(trial)
    return found


def check_kills(folder: Path, kills: int, seed: int) -> None:
    """Kill so many times, each at another instant of the tuner's life; then go on to the end."""
    generator = random.Random(seed)  # noqa: S311 - an instant, not a secret
    kept: dict[str, Any] = {}
    for _ in range(kills):
        event = generator.choice(["StudyOpened", "TrialStarted", "TrialFinished"])
        count = 1 if event == "StudyOpened" else generator.randint(1, 3)
        kill_after(folder, event, count, delay_s=generator.choice([0.0, 0.01, 0.1, 0.5, 1.0]))
        now = completed(folder)
        assert kept.items() <= now.items()
        kept = now
    finish(folder)
    assert kept.items() <= completed(folder).items()


def test_a_killed_tuner_loses_only_what_was_in_flight(folder: Path) -> None:
    """Three instants."""
    check_kills(folder, kills=3, seed=1)


@pytest.mark.faults
@pytest.mark.timeout(30 * _KILLS)
def test_many_kills_lose_only_what_was_in_flight(folder: Path) -> None:
    """Twenty instants of one study, or as many as AUTOTUNE_KILLS says."""
    check_kills(folder, kills=_KILLS, seed=2)


def race_is_over(folder: Path) -> bool:
    """Whether the last race ended by itself, if only for lack of time."""
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        rows = connection.execute("SELECT end FROM autotune_race ORDER BY id").fetchall()
    return bool(rows) and rows[-1] != (None,)


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("event", "count"), [("RaceStarted", 1), ("LaunchFinished", 1), ("LaunchFinished", 2)]
)
def test_a_kill_in_the_race_loses_only_the_round_in_flight(
    folder: Path, event: str, count: int
) -> None:
    """The next start goes on with the same race, or lets it stand where its time is up."""
    for delay_s in (0.0, 2.5):
        kill_after(folder, event, count, delay_s, budget=_RACED, share=0.5)
    kept, was_over = completed(folder), race_is_over(folder)
    with start(folder, _RACED, share=0.5) as tuner:
        said, _ = tuner.communicate(timeout=200)
    assert (tuner.returncode, said.split()[-1]) == (0, "budget")
    assert "TrialStarted" not in said.split()
    assert no_worker_is_left()
    now = completed(folder)
    assert kept.items() <= now.items()
    grown = len([key for key in now if key.startswith("slice")]) - len(
        [key for key in kept if key.startswith("slice")]
    )
    # Either it went on and ended, or it was over, or there was no time left, and that was said.
    assert (grown > 0) is ("RaceFinished" in said.split())
    assert grown > 0 or was_over or "Noted" in said.split()
    assert race_is_over(folder)
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        raced = connection.execute("SELECT DISTINCT race_id FROM autotune_slice").fetchall()
    assert len(raced) == 1  # one that was killed before its first round left nothing to go on with


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=[pytest.mark.short] if seed < 2 else []) for seed in range(12)],
)
def test_a_kill_during_the_first_seconds_can_be_recovered(folder: Path, seed: int) -> None:
    """While Python starts, the model is looked at, or tables are made."""
    delay_s = random.Random(seed).uniform(0.3, 3.0)  # noqa: S311 - an instant, not a secret
    with start(folder, 100) as tuner:
        time.sleep(delay_s)
        tuner.send_signal(signal.SIGKILL)
    assert no_worker_is_left()
    kept = completed(folder)
    finish(folder)
    assert kept.items() <= completed(folder).items()
