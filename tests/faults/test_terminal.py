"""Whatever becomes of the terminal, while searching, racing or at the end: best.json is there.

Real commands, real workers, a tiny real model; the quick form of it is `tests/cli/test_night.py`.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from autotune.export.best_file import read_best
from tests import models
from tests.faults.test_kill import completed, no_worker_is_left
from tests.faults.test_matrix import ROOT, STUDY

pytestmark = [pytest.mark.faults, pytest.mark.openvino, pytest.mark.timeout(300)]
PHASES = {"search": " trial 2 ", "race": " race of ", "end": " end: "}
"""What stands in the log when a phase has begun."""
GOES_ON, STOPS = 0, 130


@pytest.fixture
def folder(tmp_path: Path, model_folder: Path) -> Path:
    """A study with a race that was never started."""
    for file in (models.TINY, models.TINY.replace(".xml", ".bin")):
        shutil.copy(model_folder / file, tmp_path)
    text = STUDY.replace("BUDGET", 'duration = "40s"').replace("SHARE", "0.5")
    (tmp_path / "study.toml").write_text(text)
    return tmp_path


def start(folder: Path, *before: str, **named: Any) -> subprocess.Popen[bytes]:
    """`autotune tune`, started by another command if one is given."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", "autotune", "tune", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **named,
    )


def has_come_to(folder: Path, phase: str) -> bool:
    """Whether the log knows of it."""
    log = folder / "tune.log"
    return log.exists() and PHASES[phase] in log.read_text()


def read_to(folder: Path, phase: str, process: subprocess.Popen[bytes]) -> None:
    """Read line after line until the phase has come."""
    assert process.stdout is not None
    while not has_come_to(folder, phase):
        assert process.stdout.readline()


def hang_up_under_nohup(folder: Path, phase: str) -> int:
    """The shell ends, and sends SIGHUP to what it started."""
    # SIGHUP is sent to the process of `nohup`, which by then is autotune.
    with start(folder, "nohup", stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        read_to(folder, phase, process)
        process.send_signal(signal.SIGHUP)
        process.communicate()
    return process.returncode


def lose_the_reader(folder: Path, phase: str) -> int:
    """`| head` has had enough."""
    with start(folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        read_to(folder, phase, process)
        assert process.stdout is not None
        process.stdout.close()
        return process.wait()


def fill_the_device(folder: Path, phase: str) -> int:
    """It is full from the beginning; stopped in the phase, unless that is the end."""
    with Path("/dev/full").open("wb") as full, start(folder, stdout=full, stderr=full) as process:
        while not has_come_to(folder, phase):
            assert process.poll() is None
            time.sleep(0.05)
        if phase != "end":
            process.send_signal(signal.SIGTERM)
        return process.wait()


def _close_the_terminal(folder: Path, phase: str, prepare: Callable[[], None]) -> int:
    terminal, here = os.openpty()

    def begin() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # from now on it is the terminal of this session
        prepare()

    with ExitStack() as stack:
        stack.callback(os.close, terminal)
        process = start(
            folder,
            stdin=here,
            stdout=here,
            stderr=here,
            start_new_session=True,
            preexec_fn=begin,
        )
        os.close(here)
        while not has_come_to(folder, phase):
            assert os.read(terminal, 1 << 16)
    with process:
        return process.wait()


def close_the_terminal(folder: Path, phase: str) -> int:
    """The window is closed: SIGHUP, and every write fails."""
    return _close_the_terminal(folder, phase, lambda: None)


def close_the_terminal_of_a_daemon(folder: Path, phase: str) -> int:
    """The same after `trap '' HUP`: every write fails."""

    def trap() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    return _close_the_terminal(folder, phase, trap)


FAULTS: dict[Callable[[Path, str], int], int] = {
    hang_up_under_nohup: GOES_ON,
    lose_the_reader: GOES_ON,
    fill_the_device: STOPS,
    close_the_terminal: STOPS,
    close_the_terminal_of_a_daemon: GOES_ON,
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_lost_terminal_costs_no_result(
    folder: Path, fault: Callable[[Path, str], int], phase: str
) -> None:
    """best.json and the report of what is known; nobody is left behind; the database is sound."""
    code = fault(folder, phase)

    log = (folder / "tune.log").read_text()
    assert code == (GOES_ON if phase == "end" else FAULTS[fault]), log
    assert no_worker_is_left()
    assert completed(folder)
    best = read_best(folder / "best.json")
    if code == GOES_ON:
        assert "race: launch 1" in log
        assert best.certificate is not None
    assert (folder / "report.html").exists()


def test_a_job_in_the_background_of_a_script_is_not_stopped_by_ctrl_c(folder: Path) -> None:
    """The shell starts it with SIGINT ignored; the user of the script presses Ctrl-C."""
    text = (folder / "study.toml").read_text()
    text = text.replace('duration = "40s"', "trials = 4").replace("share = 0.5", "share = 0.0")
    (folder / "study.toml").write_text(text)
    script = '"$@" & echo $!; wait $!'
    with start(folder, "sh", "-c", script, "sh", stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        pid = int(shell.stdout.readline())
        read_to(folder, "search", shell)
        os.kill(pid, signal.SIGINT)
        shell.communicate()
    assert shell.returncode == 0
    assert (folder / "best.json").exists()
