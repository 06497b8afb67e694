"""One tuner for each study, one measurement on each machine; accounts take turns.

`flock` of the kernel's own, and not the library `filelock`: that one refuses a lock file of another
account in a folder such as /tmp (whoever owns the file may delete it, and two would hold the lock).
Nobody but the first account could ever measure then.
"""

import contextlib
import fcntl
import json
import os
import pwd
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autotune.domain.units import format_duration
from autotune.errors import BusyError, StorageError

LOCK_FOLDER = "AUTOTUNE_LOCK_DIR"
STUDY_LOCK = ".lock"
_MACHINE_LOCK = "autotune-machine.lock"
_SHARED_FOLDER = "/tmp"  # noqa: S108 - shared on purpose, and nothing is written through a link
_POLL_S = 0.2
_NOTE_BYTES = 4096
_TRIES = 100
# A link is somebody else's file; a pipe must not make us wait for its other end.
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "it is a symbolic link",
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


@dataclass(slots=True, kw_only=True)
class Patience:
    """How long a process waits for the locks that it needs, in all."""

    left_s: float = 0.0
    tell: Callable[[str], None] = lambda _: None
    """Hears for whom it waits."""
    is_stopped: Callable[[], bool] = lambda: False
    """Asked now and then; to be stopped while one waits is a KeyboardInterrupt."""
    is_waiting: bool = False
    """Whether it waits now: nothing has begun that would have to be ended with care."""

    def pause(self) -> None:
        """Wait a moment."""
        begun = time.monotonic()
        time.sleep(min(_POLL_S, max(0.0, self.left_s)))
        self.left_s -= time.monotonic() - begun


@dataclass(frozen=True, slots=True)
class _Holder:
    """Who holds a lock."""

    pid: int
    since: str | None

    def __str__(self) -> str:
        known = [f"of {_user(self.pid)}", self.since and f"since {self.since}"]
        return f"process {self.pid}; {', '.join(filter(None, known))}"


@contextlib.contextmanager
def study_lock(folder: Path, patience: Patience | None = None) -> Iterator[None]:
    """Hold a study.

    Raises:
        BusyError: another process tunes it, and did so for as long as one was to wait; the message
            has its pid.
        StorageError: the lock cannot be taken here.
    """
    busy = f"the study {folder} is being tuned already"
    with _held(folder / STUDY_LOCK, busy, patience, is_shared=False):
        yield


@contextlib.contextmanager
def machine_lock(patience: Patience | None = None) -> Iterator[None]:
    """Hold the right to measure on this machine: two measurements at once are two wrong numbers.

    Raises:
        BusyError: another process measures, and did so for as long as one was to wait; the message
            has its pid.
        StorageError: the lock cannot be taken here.
    """
    path = _machine_folder() / _MACHINE_LOCK
    with _held(path, "another measurement runs on this machine", patience, is_shared=True):
        yield


def holder_of_study(folder: Path) -> int | None:
    """Process that tunes a study now, or None; takes no lock, so it is in nobody's way."""
    holder = _holder(folder / STUDY_LOCK)
    return None if holder is None else holder.pid


def _machine_folder() -> Path:
    """The folder of the machine's lock: one for all accounts.

    Not that of TMPDIR: an account or a job with one of its own would measure beside the others.
    """
    named = os.environ.get(LOCK_FOLDER)
    if named:
        return Path(named)
    if os.access(_SHARED_FOLDER, os.W_OK | os.X_OK):
        return Path(_SHARED_FOLDER)
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        message = (
            f"{_SHARED_FOLDER}: cannot be written, nor can any other folder for temporary files: "
            f"name a folder for the machine's lock in {LOCK_FOLDER}"
        )
        raise StorageError(message) from error


@contextlib.contextmanager
def _held(path: Path, busy: str, patience: Patience | None, *, is_shared: bool) -> Iterator[None]:
    descriptor = _wait(path, busy, patience or Patience(), is_shared=is_shared)
    has_note = False
    try:
        has_note = _write_note(descriptor)
        yield
    finally:
        if has_note:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _wait(path: Path, busy: str, patience: Patience, *, is_shared: bool) -> int:
    """A descriptor that holds the lock; says for whom it waits."""
    told, is_second = "", False
    way_out = "wait for it (--wait 2h), or stop it"
    if patience.left_s > 0:
        way_out = "it was waited for; wait longer, or stop it"
    patience.is_waiting = True
    try:
        while (descriptor := _take(path, is_shared=is_shared)) is None:
            if patience.is_stopped():
                raise KeyboardInterrupt
            holder = _holder(path)
            name = "a process that did not say its pid" if holder is None else str(holder)
            if patience.left_s <= 0:
                raise BusyError(f"{busy} by {name}; {way_out}")
            # It may not have said its pid yet: looked at again before it is told.
            if name != told and (holder is not None or is_second):
                left = format_duration(max(1.0, round(patience.left_s)))
                patience.tell(f"{busy} by {name}; waiting for it, {left} at most")
                told = name
            is_second = True
            patience.pause()
    finally:
        patience.is_waiting = False
    return descriptor


def _take(path: Path, *, is_shared: bool) -> int | None:
    """A descriptor that holds the lock, or None while another process has it.

    Raises:
        StorageError: what lies there is no lock, or it may not be opened.
    """
    for _ in range(_TRIES):
        descriptor = _opened(path, is_shared=is_shared)
        if descriptor is None:
            continue
        is_ours = is_found = False
        try:
            is_ours = _is_locked(descriptor, path, is_shared=is_shared)
            # It may have been deleted in between: a lock that no other process can find.
            is_found = os.path.samestat(os.fstat(descriptor), os.lstat(path))
        except FileNotFoundError:
            is_found = False
        finally:
            if not (is_ours and is_found):
                os.close(descriptor)
        if is_found:
            return descriptor if is_ours else None
    raise StorageError(f"{path}: cannot be locked: it is deleted again and again")


def _is_locked(descriptor: int, path: Path, *, is_shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # what some file systems say instead
        return False
    except OSError as error:  # a file system without locks
        raise _refused(path, error, is_shared=is_shared) from error
    return True


def _opened(path: Path, *, is_shared: bool) -> int | None:
    """The lock file, made where there is none; None if it was deleted just now."""
    try:
        descriptor = _made_or_found(path, is_shared=is_shared)
    except OSError as error:
        raise _refused(path, error, is_shared=is_shared) from error
    if descriptor is not None and not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refused(path, None, is_shared=is_shared)
    return descriptor


def _made_or_found(path: Path, *, is_shared: bool) -> int | None:
    # Never O_CREAT on one that is there: in a sticky folder the kernel refuses that for a file of
    # another account (fs.protected_regular), root included. O_EXCL: then it says so.
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY, 0o666)
        with contextlib.suppress(OSError):  # whatever the umask: it is everybody's
            os.fchmod(descriptor, 0o666)
        return descriptor
    try:
        return os.open(path, os.O_RDWR | _SAFELY)
    except FileNotFoundError:
        return None
    except PermissionError:
        if not is_shared:  # the study of another account is not for us to tune
            raise
    return os.open(path, os.O_RDONLY | _SAFELY)  # that is enough to lock it


def _refused(path: Path, error: OSError | None, *, is_shared: bool) -> StorageError:
    """One line: the file, what is wrong with it, and what to do."""
    reason = "" if error is None else str(error.strerror)
    try:
        found = os.lstat(path)
    except OSError:
        remedy = f"{path.parent} must be a folder that can be written"
        if not os.path.lexists(path.parent):
            remedy = f"{path.parent} was deleted or moved; begin again"
        if is_shared:
            remedy = f"name in {LOCK_FOLDER} a folder in which every user may make files"
        return StorageError(f"{path}: cannot be locked: {reason}; {remedy}")
    reason = _KINDS.get(stat.S_IFMT(found.st_mode), reason)
    remedy = "delete it"
    if found.st_uid != os.geteuid():
        remedy = f"it belongs to {_account(found.st_uid)}: have it deleted"
    if is_shared:
        remedy = f"{remedy}, or name another folder in {LOCK_FOLDER}"
    return StorageError(f"{path}: cannot be locked: {reason}; {remedy}")


# --- who holds it


def _write_note(descriptor: int) -> bool:
    """Say who holds the lock, in the lock file itself: whether that was possible.

    The file may be another account's, or a hard link that somebody planted, so nothing but a note
    of ours is ever overwritten.
    """
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    fields = {"pid": os.getpid(), "started": _started(os.getpid()), "since": now}
    with contextlib.suppress(OSError):  # opened for reading only, or the disk is full
        found = os.pread(descriptor, _NOTE_BYTES + 1, 0)
        if os.fstat(descriptor).st_nlink == 1 and (not found or _fields(found) is not None):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(fields).encode() + b"\n", 0)
            return True
    return False


def _holder(path: Path) -> _Holder | None:
    """Who says in a lock file that he holds it, if that very process still runs."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _SAFELY)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        fields = _fields(os.pread(descriptor, _NOTE_BYTES + 1, 0))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if fields is None:
        return None
    pid, started, since = fields
    # The number of a process that is gone may be another's by now.
    return _Holder(pid, _time_of_day(since)) if _started(pid) == started else None


def _fields(note: bytes) -> tuple[int, str, str] | None:
    """Pid, start of the process, and since when it holds the lock; None where this is no note."""
    if len(note) > _NOTE_BYTES:
        return None
    try:
        found = json.loads(note)
        pid, started, since = found["pid"], found["started"], found["since"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    is_note = isinstance(pid, int) and isinstance(started, str) and isinstance(since, str)
    return (pid, started, since) if is_note and pid > 0 else None


def _started(pid: int) -> str | None:
    """When a process started, as nothing that sets clocks can change it: boot, and ticks since."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name of the program, in parentheses, may have spaces and parentheses in it.
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
        return f"{boot} {after_name.split()[19]}"
    except (OSError, IndexError):
        return None


def _time_of_day(since: str) -> str | None:
    try:
        at = datetime.fromisoformat(since).astimezone()
    except (ValueError, OverflowError):
        return None
    is_today = at.date() == datetime.now().astimezone().date()
    return f"{at:%H:%M}" if is_today else f"{at:%Y-%m-%d %H:%M}"


def _user(pid: int) -> str:
    """Whose process it is."""
    try:
        return _account(Path(f"/proc/{pid}").stat().st_uid)
    except OSError:
        return "somebody"


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
