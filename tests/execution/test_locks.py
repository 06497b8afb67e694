"""One tuner for each study, one measurement on each machine."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.errors import BusyError, StorageError
from autotune.execution.locks import machine_lock, study_lock

_HOLD = """
import sys, time
from pathlib import Path
from autotune.execution.locks import machine_lock, study_lock
with study_lock(Path(sys.argv[1])) if len(sys.argv) > 1 else machine_lock():
    print("held", flush=True)
    time.sleep(1000)
"""


def hold(*arguments: str) -> subprocess.Popen[bytes]:
    """Another process that holds a lock."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, *arguments], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


@pytest.fixture
def measuring() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that measures."""
    with hold() as holder:
        yield holder
        holder.kill()


def test_a_second_measurement_is_refused_with_the_pid_of_the_first(
    measuring: subprocess.Popen[bytes],
) -> None:
    """So that the user knows whom to stop."""
    with pytest.raises(BusyError, match=f"process {measuring.pid};"), machine_lock():
        pass


def test_a_killed_holder_holds_nothing(measuring: subprocess.Popen[bytes]) -> None:
    """The kernel lets go of the lock; the note that it left is overwritten."""
    measuring.send_signal(signal.SIGKILL)
    measuring.wait()
    with machine_lock(), pytest.raises(BusyError, match="process"), machine_lock():
        pass


def test_a_study_is_held_by_one_process(tmp_path: Path) -> None:
    """Another study is free meanwhile."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with hold(str(tmp_path / "one")) as holder:
        with pytest.raises(BusyError, match=f"one is being tuned already by process {holder.pid};"):
            study_lock(tmp_path / "one").__enter__()
        with study_lock(tmp_path / "two"):
            pass
        holder.kill()


def test_a_lock_can_be_taken_again_after_it_was_released(tmp_path: Path) -> None:
    """And leaves no note of its holder."""
    for _ in range(2):
        with study_lock(tmp_path), pytest.raises(BusyError), study_lock(tmp_path):
            pass
    assert not list(tmp_path.glob("*.holder"))


def test_a_folder_that_cannot_hold_a_lock_is_named(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "study").write_text("")
    with pytest.raises(StorageError, match=r"study/\.lock: cannot be locked"):
        study_lock(tmp_path / "study").__enter__()
