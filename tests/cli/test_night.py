"""A study outlives what its terminal, its shell and its machine do: best.json is always written."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from autotune.storage.reader import StudyReader
from tests.cli.night import IGNORED_BEFORE, PHASES

STUDY = """
[model]
path = "model.onnx"
[goal]
max_latency = "20ms"
percentile = 95.0
[budget]
duration = "50s"
[space]
batch = [1, 4]
pinning = true
precision = "f32"
[race]
share = 0.5
[search]
sampler = "random"
"""
ROOT = Path(__file__).parents[2]
LOSSES = ("full device", "no reader", "no terminal", "closed")
"""Ways to lose the output, from one moment to the next."""
IGNORED = ("SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT")
HEARD = ("hang up", "SIGHUP", "SIGINT", "SIGTERM")
TROUBLES = ("machine", "storage", "bug", "stopped while stopping")


def matrix(faults: Sequence[str], phases: Sequence[str] = tuple(PHASES)) -> pytest.MarkDecorator:
    """Every fault in every phase; each once in the quick tests, the others with the faults."""
    cases = [
        pytest.param(fault, phase, marks=() if at == i % len(phases) else pytest.mark.faults)
        for i, fault in enumerate(faults)
        for at, phase in enumerate(phases)
    ]
    return pytest.mark.parametrize(("fault", "phase"), cases)


class Done(NamedTuple):
    """How a night ended."""

    code: int
    said: str
    best: str | None
    """Status of best.json."""
    end: str | None
    """What the last session says of its end."""
    has_report: bool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study that was never started."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def night(folder: Path, fault: str, phase: str, *, ignored: signal.Signals | None = None) -> Done:
    """One study with a fault in its middle, begun by whoever had a signal ignored."""
    command = [sys.executable, "-m", "tests.cli.night", fault, phase, str(folder)]
    before = ignored and signal.signal(ignored, signal.SIG_IGN)  # inherited
    try:
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                **({} if ignored is None else {IGNORED_BEFORE: str(ignored.value)}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=100,
        )
    finally:
        if ignored is not None:
            signal.signal(ignored, before)
    best = folder / "best.json"
    with closing(StudyReader.read_only(folder)) as store:
        end = store.sessions()[-1].end
    return Done(
        ended.returncode,
        ended.stdout,
        json.loads(best.read_text())["status"] if best.exists() else None,
        end,
        (folder / "report.html").exists(),
    )


@matrix(LOSSES)
def test_output_that_is_lost_ends_nothing(folder: Path, fault: str, phase: str) -> None:
    """The study goes on to its end, as if nothing had been, and says nothing of it."""
    done = night(folder, fault, phase)

    assert (done.code, done.end) == (0, "budget"), done.said
    assert done.best in {"certified", "provisional"}
    assert done.has_report
    assert "Traceback" not in done.said
    assert "end: the budget is spent" in (folder / "tune.log").read_text()


@matrix(IGNORED)
def test_a_signal_that_was_ignored_stays_ignored(folder: Path, fault: str, phase: str) -> None:
    """As nohup asks for, and the shells for their background jobs."""
    done = night(folder, fault, phase, ignored=signal.Signals[fault])

    assert (done.code, done.end) == (0, "budget"), done.said
    assert done.best in {"certified", "provisional"}


@matrix(HEARD)
def test_a_signal_stops_the_study_with_what_is_known(folder: Path, fault: str, phase: str) -> None:
    """A terminal that is closed as well as Ctrl-C; at the end there is nothing left to stop.

    SIGTERM stops at once, whatever is left.
    """
    done = night(folder, fault, phase)

    assert done.code == (0 if phase == "end" and fault != "SIGTERM" else 130), done.said
    assert done.best is not None
    assert done.has_report
    assert done.end in {"budget", "stopped", "interrupted"}
    assert "Traceback" not in done.said
    if fault != "hang up" and phase != "end":
        assert "go on with: autotune tune" in done.said


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, -signal.SIGTERM, marks=pytest.mark.faults),
        (signal.SIGHUP, -signal.SIGHUP),
    ],
)
def test_a_signal_ends_the_wait_for_a_reader(
    folder: Path, number: signal.Signals, code: int
) -> None:
    """The closing table is all that is missing then; no success is claimed, and no fault."""
    command = [sys.executable, "-m", "tests.cli.night", "unread", "end", str(folder)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while not (folder / "waits").exists():
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, said) == (code, "")
    assert (folder / "best.json").exists()
    assert (folder / "report.html").exists()


@matrix(TROUBLES, ("search", "race"))
def test_an_end_without_an_outcome_leaves_what_is_known(
    folder: Path, fault: str, phase: str
) -> None:
    """best.json and the report are written from the database; the error is told as ever."""
    done = night(folder, fault, phase)

    assert done.best is not None, done.said
    assert done.has_report
    assert done.code == (130 if fault == "stopped while stopping" else 1)
    assert ("nobody expected that" in done.said) is (fault == "bug")
    if fault in {"machine", "storage"}:
        assert "what was measured is kept" in done.said
    assert ("Traceback" in done.said) is (fault == "bug")


def test_a_file_that_was_raced_is_not_replaced_by_what_was_not(folder: Path) -> None:
    """Neither by a rescue."""
    assert night(folder, "closed", "end").best in {"certified", "provisional"}
    before = (folder / "best.json").read_bytes()
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace("50s", "3m"))
    done = night(folder, "machine", "search")

    assert done.code == 1
    assert (folder / "best.json").read_bytes() == before
    assert "kept" in done.said
