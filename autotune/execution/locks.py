"""One tuner for each study, one measurement on each machine."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from autotune.errors import BusyError, StorageError

_STUDY_LOCK = ".lock"
_MACHINE_LOCK = "autotune-machine.lock"


@contextlib.contextmanager
def study_lock(folder: Path) -> Iterator[None]:
    """Hold a study.

    Raises:
        BusyError: another process tunes it; the message has its pid.
    """
    with _held(folder / _STUDY_LOCK, f"the study {folder} is being tuned already"):
        yield


@contextlib.contextmanager
def machine_lock() -> Iterator[None]:
    """Hold the right to measure on this machine: two measurements at once are two wrong numbers.

    Raises:
        BusyError: another process measures; the message has its pid.
    """
    folder = Path(os.environ.get("AUTOTUNE_LOCK_DIR") or tempfile.gettempdir())
    with _held(folder / _MACHINE_LOCK, "another measurement runs on this machine"):
        yield


def holder_of_study(folder: Path) -> int | None:
    """Process that tunes a study now, or None; takes no lock, so it is in nobody's way."""
    pid = _pid(_holder_file(folder / _STUDY_LOCK))
    return pid if pid is not None and psutil.pid_exists(pid) else None


@contextlib.contextmanager
def _held(path: Path, busy: str) -> Iterator[None]:
    # Shared by all users of the machine, so the lock file is open to all; who holds it is written
    # beside it, because opening a lock file may truncate it.
    lock = FileLock(path, timeout=0, mode=0o666)
    holder = _holder_file(path)
    try:
        lock.acquire()
    except Timeout:
        message = f"{busy} by {_name(holder)}; wait for it to end, or stop it"
        raise BusyError(message) from None
    except OSError as error:
        message = f"{path}: cannot be locked: {error.strerror}"
        raise StorageError(message) from error
    try:
        with contextlib.suppress(OSError):
            holder.write_text(json.dumps({"pid": os.getpid()}))
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _holder_file(lock: Path) -> Path:
    return lock.with_name(lock.name + ".holder")


def _pid(holder: Path) -> int | None:
    try:
        return int(json.loads(holder.read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _name(holder: Path) -> str:
    pid = _pid(holder)
    return "a process that did not say its pid" if pid is None else f"process {pid}"
