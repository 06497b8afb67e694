"""A night with one thing wrong in it: what was measured stays, and the same command goes on.

Every fault is planted in the real command, with real workers and a tiny real model. After each of
them: the database is sound, no completed trial is lost or changed, nobody is left behind, the exit
code is the documented one, best.json is whole or not there, and the study can be continued.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from autotune.export.best_file import read_best
from autotune.storage.schema import SCHEMA_VERSION
from tests import models
from tests.faults.test_kill import completed, no_worker_is_left

pytestmark = [pytest.mark.faults, pytest.mark.openvino, pytest.mark.timeout(300)]
short = pytest.mark.short

STUDY = f"""
[model]
path = "{models.TINY}"
[goal]
max_latency = "50ms"
percentile = 90.0
[budget]
BUDGET
[space]
batch = [2, 4]
pinning = true
precision = "f32"
requests_per_stream = [1, 2]
[measure]
limit = "300ms"
warmup = "100ms"
reference = false
[race]
share = SHARE
"""
TRIALS, MORE = 4, 6
ROOT = Path(__file__).parents[2]
_NAMES = {"preload": "LD_PRELOAD", "shift": "CLOCK_SHIFT"}
"""What is planted under another name than AUTOTUNE_..."""


@dataclass(frozen=True)
class Night:
    """One study and the command that tunes it."""

    folder: Path

    def write(self, trials: int = TRIALS) -> None:
        """Its study.toml, without a race."""
        text = STUDY.replace("BUDGET", f"trials = {trials}").replace("SHARE", "0.0")
        (self.folder / "study.toml").write_text(text)

    def write_with_race(self) -> None:
        """The same with a race for two thirds of the time."""
        text = STUDY.replace("BUDGET", 'duration = "45s"').replace("SHARE", "0.5")
        (self.folder / "study.toml").write_text(text)

    def start(self, *words: str, **planted: str) -> subprocess.Popen[str]:
        """`autotune tune`, or another command, with a fault planted."""
        command = [sys.executable, "-m", "tests.faults.command", *(words or ("tune",))]
        names = {_NAMES.get(name, f"AUTOTUNE_{name.upper()}"): planted[name] for name in planted}
        count = {"AUTOTUNE_FAULT_COUNT": str(self.folder / "faults")}
        return subprocess.Popen(
            [*command, str(self.folder)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **count, **names},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, **planted: str) -> tuple[int, str]:
        """The same to its end: exit code and what it said."""
        with self.start(*words, **planted) as process:
            said, _ = process.communicate(timeout=240)
        return process.returncode, said

    def failures(self) -> list[str]:
        """Kinds of the failures on record, in order."""
        with closing(sqlite3.connect(self.folder / "study.db")) as connection:
            rows = connection.execute("SELECT kind FROM autotune_failure ORDER BY id").fetchall()
        return [kind for (kind,) in rows]

    def check(self, kept: dict[str, Any]) -> dict[str, Any]:
        """All of it, after whatever happened; what is complete now."""
        assert no_worker_is_left()
        now = completed(self.folder)  # integrity and foreign keys, too
        assert kept.items() <= now.items()
        if (self.folder / "best.json").exists():
            read_best(self.folder / "best.json")
        assert [path.name for path in self.folder.glob("*.part")] == []
        return now

    def go_on(self, kept: dict[str, Any], *words: str) -> None:
        """The same command once more, or another one, with a few trials more: it ends well."""
        self.write(max(MORE, 1 + sum(key.startswith(("measurement", "failure")) for key in kept)))
        code, said = self.run(*words)
        assert code == 0, said
        now = self.check(kept)
        assert len([key for key in now if key.startswith(("measurement", "failure"))]) >= MORE
        assert (self.folder / "best.json").exists()


@pytest.fixture
def night(tmp_path: Path, model_folder: Path) -> Night:
    """A study that was never started."""
    for file in (models.TINY, models.TINY.replace(".xml", ".bin")):
        shutil.copy(model_folder / file, tmp_path)
    found = Night(tmp_path)
    found.write()
    return found


@pytest.fixture(scope="session")
def three_trials(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """A study of three trials, to be copied."""
    found = Night(tmp_path_factory.mktemp("begun") / "study")
    shutil.copytree(model_folder, found.folder)
    found.write(3)
    code, said = found.run(lock_dir=str(tmp_path_factory.mktemp("locks")))
    assert code == 0, said
    return found.folder


@pytest.fixture
def begun(three_trials: Path, tmp_path: Path) -> Night:
    """A study of three trials, of four."""
    found = Night(tmp_path / "study")
    shutil.copytree(three_trials, found.folder)
    found.write()
    return found


# --- the tuner is killed


@pytest.mark.parametrize(
    "point",
    [
        "ask:1",
        "asked:2",
        "begin:2",
        "open:3",
        "opened:3",
        "block:1",
        pytest.param("block:5", marks=short),
        pytest.param("record:5", marks=short),
    ],
)
def test_a_kill_while_searching(night: Night, point: str) -> None:
    """When asking, opening, warming up, measuring, and in the middle of a transaction."""
    night.write(8)
    code, _ = night.run(die_at=point)
    assert code == -signal.SIGKILL
    night.go_on(night.check({}))


@pytest.mark.parametrize("point", [pytest.param("tell:3", marks=short), "told:3"])
def test_a_kill_between_evidence_and_optuna(night: Night, point: str) -> None:
    """The trial is there, and is told once."""
    code, _ = night.run(die_at=point)
    assert code == -signal.SIGKILL
    kept = night.check({})
    assert len([key for key in kept if key.startswith("measurement")]) == 3
    night.go_on(kept)


@pytest.mark.parametrize("point", ["race:1", pytest.param("race:4", marks=short), "raced:1"])
def test_a_kill_in_the_race(night: Night, point: str) -> None:
    """The next start goes on with the race."""
    night.write_with_race()
    code, _ = night.run(die_at=point)
    assert code == -signal.SIGKILL
    kept = night.check({})
    code, said = night.run()
    assert code == 0, said
    night.check(kept)
    assert read_best(night.folder / "best.json").certificate is not None


@short
def test_a_kill_while_exporting(begun: Night) -> None:
    """The old best.json stays until the new one is whole."""
    before = (begun.folder / "best.json").read_bytes()
    code, _ = begun.run(die_at="export:1")
    assert code == -signal.SIGKILL
    kept = begun.check({})
    assert (begun.folder / "best.json").read_bytes() == before
    begun.go_on(kept)


def test_a_kill_while_copying_the_database(begun: Night) -> None:
    """Half a copy is never called one."""
    kept = completed(begun.folder)
    code, _ = begun.run(die_at="backup:1")
    assert code == -signal.SIGKILL
    assert not (begun.folder / "study.db.backup").exists()
    begun.go_on({**kept})
    assert (begun.folder / "study.db.backup").exists()


@short
def test_a_kill_in_a_migration(begun: Night) -> None:
    """The database is of one version or the other."""
    with closing(sqlite3.connect(begun.folder / "study.db")) as connection:
        connection.execute("ALTER TABLE autotune_study DROP COLUMN owner")
        connection.execute("UPDATE autotune_study SET schema_version = 2")
        connection.commit()
    kept = completed(begun.folder)
    code, _ = begun.run(die_at="migration:1")
    assert code == -signal.SIGKILL
    begun.check(kept)
    assert _version(begun.folder) == 2
    begun.go_on(kept)
    assert _version(begun.folder) == SCHEMA_VERSION
    assert (begun.folder / "study.db.schema2.backup").exists()


def _version(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        ((found,),) = connection.execute("SELECT schema_version FROM autotune_study").fetchall()
    return int(found)


# --- a worker misbehaves


@pytest.mark.parametrize("phase", ["open", "load"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("kill", {"lost", "out_of_memory"}),
        ("stop", {"hang", "compile_timeout"}),
        pytest.param("segfault", {"crash"}, marks=short),
        ("abort", {"crash"}),
        pytest.param("hang", {"hang", "compile_timeout"}, marks=short),
        ("exit", {"lost"}),
        pytest.param("garbage", {"protocol"}, marks=short),
        ("flood", {"protocol"}),
    ],
)
def test_a_worker_that_misbehaves_costs_its_trial(
    night: Night, kind: str, phase: str, expected: set[str]
) -> None:
    """It gets a typed failure, and the study goes on to its end."""
    code, said = night.run(fault=f"{kind}:{phase}:1")
    assert code == 0, said
    assert set(night.failures()) <= expected
    assert len(night.failures()) == 1
    night.go_on(night.check({}))


def test_a_gigabyte_of_output_fills_no_disk(night: Night) -> None:
    """The log is cut off, and the trial goes on."""
    code, said = night.run(fault="output:load:1")
    assert code == 0, said
    assert sum(file.stat().st_size for file in (night.folder / "logs").iterdir()) < 200 * 2**20
    night.go_on(night.check({}))


def test_a_worker_that_takes_all_memory_is_ended(night: Night) -> None:
    """Here "all" is a gigabyte and a half."""
    code, said = night.run(fault="memory:load:1", memory=str(3 * 2**29))
    assert code == 0, said
    assert night.failures() == ["out_of_memory"]
    night.go_on(night.check({}))


def test_a_worker_that_is_late_leaves_its_stacks(night: Night) -> None:
    """`autotune log` shows the line where it hung."""
    night.run(fault="hang:load:1")
    code, told = night.run("log")
    assert code == 0
    assert "no answer within" in told
    assert "_hang" in told


# --- the machine


@pytest.fixture
def small_disk(
    night: Night, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], None]]:
    """Fills the study's file system up: a mounted one of eight megabytes."""
    disk = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.fail("needs the right to mount a tmpfs: run as root, or in `unshare -rm`")
    shutil.copytree(night.folder, disk / "study")

    def fill() -> None:
        with (disk / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    fill.folder = disk / "study"  # type: ignore[attr-defined]
    yield fill
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_ends_the_run_and_loses_nothing(small_disk: Any) -> None:
    """The database says so; after some space was made the study goes on."""
    night = Night(small_disk.folder)
    night.write(4)
    assert night.run()[0] == 0
    night.write()
    kept = completed(night.folder)
    before = (night.folder / "best.json").read_bytes()
    small_disk()
    code, said = night.run()
    assert code == 1
    assert "full" in said or "space" in said, said
    night.check(kept)
    assert (night.folder / "best.json").read_bytes() == before
    (night.folder.parent / "filler").unlink()
    night.go_on(kept)


def test_a_folder_that_becomes_read_only(small_disk: Any) -> None:
    """One message, and the way out."""
    night = Night(small_disk.folder)
    night.write(4)
    assert night.run()[0] == 0
    kept = completed(night.folder)
    disk = str(night.folder.parent)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    code, said = night.run()
    assert code == 1
    assert "Traceback" not in said
    assert night.run("status")[0] == 0
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    night.go_on(kept)


@pytest.mark.parametrize("damage", [pytest.param("page", marks=short), "truncated"])
def test_a_damaged_database_is_refused_with_its_copy(begun: Night, damage: str) -> None:
    """And the copy can be taken in its place."""
    night, file = begun, begun.folder / "study.db"
    kept = completed(night.folder)
    night.write(5)
    assert night.run()[0] == 0  # its start made the copy, of three trials
    if damage == "page":
        with file.open("rb+") as data:
            data.seek(8192)
            data.write(os.urandom(4096))
    else:
        os.truncate(file, file.stat().st_size // 4096 * 4096 - 8192)
    code, said = night.run()
    assert code == 1
    assert f"cp {file}.backup {file}" in said
    shutil.copy(f"{file}.backup", file)
    night.go_on(kept)


def test_a_missing_journal(begun: Night) -> None:
    """Deleted after a kill in a transaction: damage is seen, or there is none."""
    kept = completed(begun.folder)
    begun.run(die_at="record:2")
    for journal in begun.folder.glob("*-journal"):
        journal.unlink()
    code, said = begun.run()
    assert code in {0, 1}
    assert "Traceback" not in said
    if code == 1:
        shutil.copy(begun.folder / "study.db.backup", begun.folder / "study.db")
    begun.go_on(kept)


def test_a_reader_that_holds_its_lock_for_a_minute(begun: Night) -> None:
    """The tuner waits, and goes on."""
    with closing(sqlite3.connect(begun.folder / "study.db")) as reader:
        with begun.start() as tuner:
            assert tuner.stdout is not None
            for line in tuner.stdout:
                if line.startswith("trial "):
                    break
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM autotune_study").fetchall()
            time.sleep(60)
            assert tuner.poll() is None
            reader.rollback()
            said, _ = tuner.communicate(timeout=120)
        assert tuner.returncode == 0, said
    begun.go_on(begun.check({}))


@short
def test_a_second_tuner_is_refused(begun: Night) -> None:
    """With the pid of the first, which does not notice."""
    begun.write(11)
    with begun.start() as first:
        assert first.stdout is not None
        first.stdout.readline()
        code, said = begun.run()
        assert code == 1, said
        assert str(first.pid) in said
        said, _ = first.communicate(timeout=120)
    assert first.returncode == 0, said
    begun.go_on(begun.check({}))


@pytest.mark.parametrize(
    ("number", "times", "code"),
    [
        pytest.param(signal.SIGTERM, 1, 130, marks=short),
        (signal.SIGINT, 1, 130),
        (signal.SIGINT, 2, 130),
    ],
    ids=["SIGTERM", "Ctrl-C", "Ctrl-C twice"],
)
def test_a_signal(begun: Night, number: signal.Signals, times: int, code: int) -> None:
    """Everything is kept, and the way to go on is said."""
    kept = completed(begun.folder)
    begun.write(50)
    with begun.start() as tuner:
        assert tuner.stdout is not None
        for line in tuner.stdout:
            if line.startswith("trial "):
                break
        for _ in range(times):
            tuner.send_signal(number)
            time.sleep(0.1)
        said, _ = tuner.communicate(timeout=60)
    assert tuner.returncode == code
    assert "go on with: autotune tune" in said
    begun.go_on(begun.check(kept))


def test_a_model_that_was_replaced(begun: Night) -> None:
    """Refused; with the old one back it goes on."""
    kept, file = completed(begun.folder), begun.folder / models.TINY
    before = file.read_text()
    file.write_text(before + "<!-- -->")
    code, said = begun.run()
    assert (code, "the model file has changed" in said) == (1, True), said
    file.write_text(before)
    begun.go_on(kept)


def test_another_runtime(begun: Night) -> None:
    """Refused without --anyway; nothing was mixed."""
    kept = completed(begun.folder)
    code, said = begun.run(runtime="2031.1.0")
    assert (code, "openvino" in said, "--anyway" in said) == (1, True, True), said
    begun.go_on(kept)


@pytest.fixture(scope="session")
def settable_clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that shifts the time of day of whoever loads it; the machine's own stays."""
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set(begun: Night, settable_clock: Path, hours: int) -> None:
    """Forward or back: time is counted on another clock, also in workers, which preload it too."""
    kept, shift = completed(begun.folder), begun.folder / "shift"
    begun.write(8)
    anyway = ("tune", "--anyway")  # another library is another runtime
    with begun.start(*anyway, preload=str(settable_clock), shift=str(shift)) as tuner:
        assert tuner.stdout is not None
        for line in tuner.stdout:
            if line.startswith("trial "):
                shift.write_text(str(3600 * hours))
                break
        said, _ = tuner.communicate(timeout=120)
    assert tuner.returncode == 0, said
    begun.go_on(begun.check(kept), *anyway)
    with closing(sqlite3.connect(begun.folder / "study.db")) as connection:
        spent = connection.execute("SELECT elapsed_s FROM autotune_session").fetchall()
        times = connection.execute("SELECT measured_at FROM autotune_measurement").fetchall()
    assert all(0 < seconds < 300 for (seconds,) in spent)
    days = [datetime.fromisoformat(at) for (at,) in times]
    assert max(days) - min(days) > timedelta(minutes=55)  # it really was set


def test_ten_thousand_trials(begun: Night) -> None:
    """Every command still answers, and the study goes on."""
    _multiply(begun.folder / "study.db", 10_000)
    kept = completed(begun.folder)
    for words in (("status",), ("best",), ("pareto",), ("log",)):
        code, said = begun.run(*words)
        assert code == 0, said
    assert json.loads(begun.run("status", "--json")[1])["trials"] >= 10_000
    begun.write(10_003)
    code, said = begun.run()
    assert code == 0, said
    begun.check(kept)


def _multiply(file: Path, rows: int) -> None:
    """Copy the last measured trial, in our tables and in Optuna's, until there are so many."""
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        measured = dict(
            connection.execute(
                "SELECT * FROM autotune_measurement WHERE reused_from IS NULL "
                "ORDER BY trial_number DESC LIMIT 1"
            ).fetchone()
        )
        trial = dict(
            connection.execute(
                "SELECT * FROM trials WHERE number = ?", (measured["trial_number"],)
            ).fetchone()
        )
        values = connection.execute(
            "SELECT * FROM trial_values WHERE trial_id = ?", (trial["trial_id"],)
        ).fetchall()
        params = connection.execute(
            "SELECT * FROM trial_params WHERE trial_id = ?", (trial["trial_id"],)
        ).fetchall()
        first = connection.execute("SELECT max(number), max(trial_id) FROM trials").fetchone()
        reused = measured["trial_number"]
        for step in range(1, rows + 1):
            number, trial_id = first[0] + step, first[1] + step
            _insert(connection, "trials", {**trial, "number": number, "trial_id": trial_id})
            for table, key, found in (
                ("trial_values", "trial_value_id", values),
                ("trial_params", "param_id", params),
            ):
                for row in found:
                    copied = {k: row[k] for k in row.keys() if k != key}  # noqa: SIM118 - a Row
                    _insert(connection, table, {**copied, "trial_id": trial_id})
            copy = {k: v for k, v in measured.items() if k != "id"}
            _insert(
                connection,
                "autotune_measurement",
                {**copy, "trial_number": number, "reused_from": reused},
            )
        connection.commit()


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})",  # noqa: S608 - names of ours
        list(row.values()),
    )


# --- the runtime


@pytest.mark.parametrize("device", ["BATCH:CPU(4)", "HETERO:CPU"])
def test_devices_that_are_known_to_hang(night: Night, device: str) -> None:
    """A typed failure or a result, never a study that is stuck."""
    text = (night.folder / "study.toml").read_text()
    text = text.replace("[space]\n", f'[space]\ndevice = ["CPU", "{device}"]\n')
    (night.folder / "study.toml").write_text(text)
    code, said = night.run()
    assert code == 0, said
    night.check({})
    with closing(sqlite3.connect(night.folder / "study.db")) as connection:
        tried = connection.execute(
            "SELECT configuration FROM autotune_measurement "
            "UNION SELECT configuration FROM autotune_failure"
        ).fetchall()
    assert any(json.loads(found)["device"] == device for (found,) in tried)
