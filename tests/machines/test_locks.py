"""One tuner for each study, one measurement on each machine, and accounts take turns."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from autotune.errors import BusyError, StorageError
from autotune.machines import locks
from autotune.machines.locks import Patience, holder_of_study, machine_lock, study_lock

IS_ROOT = os.geteuid() == 0
ACCOUNTS = (65533, 65534) if IS_ROOT else (os.geteuid(), os.geteuid())
"""Two accounts; who is not root has only the own one."""

_HOLD = """
import sys, time
from pathlib import Path
from autotune.machines.locks import machine_lock, study_lock
with study_lock(Path(sys.argv[1])) if len(sys.argv) > 1 else machine_lock():
    print("held", flush=True)
    time.sleep(1000)
"""
# Everything is imported before the account changes: it need not be able to read the code.
_ACCOUNT = """
import os, sys
from contextlib import ExitStack
from autotune.errors import AutotuneError
from autotune.machines.locks import Patience, machine_lock
uid, umask = int(sys.argv[1]), int(sys.argv[2], 8)
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
os.umask(umask)
held = ExitStack()
print("ready", flush=True)
for asked in sys.stdin:
    try:
        if asked == "take\\n":
            held.enter_context(machine_lock(Patience()))
        else:
            held.close()
        print("done", flush=True)
    except AutotuneError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
"""


def hold(*arguments: str) -> subprocess.Popen[bytes]:
    """Another process that holds a lock."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, *arguments], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


class Account:
    """A process of some account, which takes the machine and lets go of it as told."""

    def __init__(self, uid: int, umask: int = 0o022) -> None:
        command = [sys.executable, "-c", _ACCOUNT, str(uid), f"{umask:o}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        assert self._hear() == "ready"

    def do(self, what: str) -> str:
        """Tell it to, and hear what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def measuring() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that measures."""
    with hold() as holder:
        yield holder
        holder.kill()


@pytest.fixture
def sticky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder such as /tmp, which every account may reach and write to."""
    with tempfile.TemporaryDirectory(dir="/tmp" if IS_ROOT else None) as name:
        folder = Path(name)
        folder.chmod(0o1777)
        monkeypatch.setenv("AUTOTUNE_LOCK_DIR", name)
        yield folder


@pytest.fixture
def second(sticky: Path) -> Iterator[Account]:
    """The second account, at work."""
    account = Account(ACCOUNTS[1])
    yield account
    account.close()


def given_to_the_first(path: Path) -> None:
    """Have a file belong to the first account, if there is more than one."""
    if IS_ROOT:
        os.chown(path, ACCOUNTS[0], ACCOUNTS[0], follow_symlinks=False)


# --- one at a time


def test_a_second_measurement_is_refused_with_the_pid_of_the_first(
    measuring: subprocess.Popen[bytes],
) -> None:
    """So that the user knows whom to stop; whose it is, and since when, is said as well."""
    with pytest.raises(BusyError, match=f"process {measuring.pid}; of .*since .*--wait"):
        machine_lock().__enter__()


def test_a_killed_holder_holds_nothing(measuring: subprocess.Popen[bytes]) -> None:
    """The kernel lets go of the lock; the note that it left is overwritten."""
    measuring.send_signal(signal.SIGKILL)
    measuring.wait()
    with machine_lock(), pytest.raises(BusyError, match=f"process {os.getpid()};"), machine_lock():
        pass


def test_a_study_is_held_by_one_process(tmp_path: Path) -> None:
    """Another study is free meanwhile."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with hold(str(tmp_path / "one")) as holder:
        assert holder_of_study(tmp_path / "one") == holder.pid
        with pytest.raises(BusyError, match=f"one is being tuned already by process {holder.pid};"):
            study_lock(tmp_path / "one").__enter__()
        with study_lock(tmp_path / "two"):
            pass
        holder.kill()
    assert holder_of_study(tmp_path / "one") is None


def test_a_lock_can_be_taken_again_after_it_was_released(tmp_path: Path) -> None:
    """And leaves no note of its holder."""
    for _ in range(2):
        with study_lock(tmp_path), pytest.raises(BusyError), study_lock(tmp_path):
            pass
    assert holder_of_study(tmp_path) is None
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b""]


def test_a_lock_file_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    """What is locked is what others find under that name."""
    with study_lock(tmp_path):
        pass
    (tmp_path / ".lock").unlink()
    with study_lock(tmp_path), pytest.raises(BusyError), study_lock(tmp_path):
        pass


# --- who holds it


@pytest.mark.parametrize("started", ["", "another boot 12345"])
def test_a_recycled_pid_holds_nothing(tmp_path: Path, started: str) -> None:
    """A process of that number runs, but it is not the one that took the lock."""
    note = {"pid": os.getpid(), "started": started, "since": "2026-01-01T00:00:00+00:00"}
    (tmp_path / ".lock").write_text(json.dumps(note))
    assert holder_of_study(tmp_path) is None
    with (tmp_path / ".lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="a process that did not say its pid"):
            study_lock(tmp_path).__enter__()


NOTES = {
    "nothing": b"",
    "no JSON": b"\xff\x00",
    "deep": b"[" * 4000,
    "huge": b" " * 10_000,
    "a list": b"[1]",
    "a word": b'"pid"',
    "no pid": b'{"pid": "1", "started": "x", "since": "x"}',
    "a negative pid": b'{"pid": -1, "started": "x", "since": "x"}',
    "an endless pid": b'{"pid": 1e999, "started": "x", "since": "x"}',
    "no start": b'{"pid": 1, "since": "x"}',
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_whatever_stands_in_a_lock_file_names_nobody(tmp_path: Path, note: bytes) -> None:
    """And the lock can be taken; what is no note of ours is left as it is."""
    (tmp_path / ".lock").write_bytes(note)
    assert holder_of_study(tmp_path) is None
    with study_lock(tmp_path), pytest.raises(BusyError, match="tuned already"):
        study_lock(tmp_path).__enter__()
    assert (tmp_path / ".lock").read_bytes() == note


@pytest.mark.parametrize("since", ["yesterday", "0001-01-01T00:00:00+14:00", ""])
def test_a_time_that_is_none_is_not_told(tmp_path: Path, since: str) -> None:
    """The pid is what counts."""
    with study_lock(tmp_path):
        note = json.loads((tmp_path / ".lock").read_text())
        (tmp_path / ".lock").write_text(json.dumps({**note, "since": since}))
        assert holder_of_study(tmp_path) == os.getpid()
        with pytest.raises(BusyError, match=f"process {os.getpid()}; of "):
            study_lock(tmp_path).__enter__()


# --- waiting


def test_who_waits_is_told_for_whom_and_gets_the_lock(
    measuring: subprocess.Popen[bytes],
) -> None:
    """The line names the process and the longest time; it is told once."""
    told: list[str] = []

    def end(text: str) -> None:
        told.append(text)
        assert patience.is_waiting
        measuring.kill()

    patience = Patience(left_s=7200.0, tell=end)
    with machine_lock(patience):
        assert len(told) == 1
    assert f"by process {measuring.pid}; of " in told[0]
    assert "waiting for it, 2h at most" in told[0]
    assert not patience.is_waiting
    assert 0 < patience.left_s < 7200.0


def test_a_time_to_wait_is_for_all_locks_together(
    tmp_path: Path, measuring: subprocess.Popen[bytes]
) -> None:
    """When it is up, the message is that of whoever does not wait."""
    told: list[str] = []
    patience = Patience(left_s=0.3, tell=told.append)
    with study_lock(tmp_path, patience):
        with pytest.raises(BusyError, match=f"process {measuring.pid}; .*was waited for"):
            machine_lock(patience).__enter__()
        assert patience.left_s <= 0
        with pytest.raises(BusyError):
            machine_lock(patience).__enter__()
    assert len(told) == 1


def test_who_was_stopped_before_does_not_wait(measuring: subprocess.Popen[bytes]) -> None:
    """It is as if Ctrl-C had come while it waited."""
    with pytest.raises(KeyboardInterrupt):
        machine_lock(Patience(left_s=7200.0, is_stopped=lambda: True)).__enter__()


# --- accounts


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_two_accounts_take_turns(sticky: Path, second: Account, umask: int) -> None:
    """Ten turns in a sticky folder, as fs.protected_* are: each measures, none beside another."""
    first = Account(ACCOUNTS[0], umask)
    turns = [first, second]
    for turn in range(10):
        one, other = turns[turn % 2], turns[1 - turn % 2]
        assert one.do("take") == "done"
        assert f"by process {one.pid}; of" in other.do("take")
        with pytest.raises(BusyError, match=f"by process {one.pid}; of"):
            machine_lock().__enter__()
        assert one.do("release") == "done"
        with machine_lock():  # root, where these tests are
            assert f"by process {os.getpid()}; of" in other.do("take")
    first.close()
    assert [file.name for file in sticky.iterdir()] == ["autotune-machine.lock"]


def test_a_killed_account_is_in_nobody_s_way(sticky: Path, second: Account) -> None:
    """Its note stays, and names nobody."""
    first = Account(ACCOUNTS[0])
    assert first.do("take") == "done"
    first.close()
    assert second.do("take") == "done"
    with pytest.raises(BusyError, match=f"by process {second.pid}; of"):
        machine_lock().__enter__()


def test_a_lock_file_that_may_only_be_read_can_be_held(sticky: Path, second: Account) -> None:
    """By two who both may not write to it; nobody knows who, but one at a time."""
    lock = sticky / "autotune-machine.lock"
    lock.touch(0o444)
    given_to_the_first(lock)
    assert second.do("take") == "done"
    with pytest.raises(BusyError, match="another measurement runs"):
        machine_lock().__enter__()


Plant = Callable[[Path], object]
PLANTS: dict[str, tuple[Plant, str]] = {
    "link": (lambda path: path.symlink_to(path.with_name("victim")), "symbolic link"),
    "dangling link": (lambda path: path.symlink_to(path.with_name("gone")), "symbolic link"),
    "link to itself": (lambda path: path.symlink_to(path), "symbolic link"),
    "folder": (lambda path: path.mkdir(), "it is a folder"),
    "pipe": (os.mkfifo, "named pipe"),
    "no rights": (lambda path: path.touch(0o000), "Permission denied"),
}


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


PLANTS["socket"] = (_socket, "it is a socket")


@pytest.mark.parametrize("kind", PLANTS)
def test_what_was_planted_is_named_with_the_way_out(
    sticky: Path, second: Account, kind: str
) -> None:
    """One line, no hang, and nothing is written through a link."""
    (sticky / "victim").write_text("precious")
    (sticky / "victim").chmod(0o666)
    lock, (plant, says) = sticky / "autotune-machine.lock", PLANTS[kind]
    plant(lock)
    given_to_the_first(lock)
    said = second.do("take")

    assert said.startswith(f"StorageError: {lock}: cannot be locked: ")
    assert says in said
    assert "delete" in said
    assert "AUTOTUNE_LOCK_DIR" in said
    assert (sticky / "victim").read_text() == "precious"
    assert not (sticky / "gone").exists()


def test_a_hard_link_to_a_file_of_others_is_not_written_to(sticky: Path, second: Account) -> None:
    """The lock can be held, but nobody says who he is in another's file."""
    (sticky / "victim").write_text("")
    (sticky / "victim").chmod(0o666)
    (sticky / "autotune-machine.lock").hardlink_to(sticky / "victim")
    assert second.do("take") == "done"
    assert (sticky / "victim").read_text() == ""
    with pytest.raises(BusyError, match="a process that did not say its pid"):
        machine_lock().__enter__()


# --- where it lies


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("file", "Not a directory"),
        ("gone", "No such file"),
        ("~/locks", "No such file"),
        ("x" * 300, "name too long"),
        ("/proc", ""),
        ("\udcff", "No such file"),
    ],
)
def test_a_folder_that_cannot_hold_the_machine_s_lock_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    """With the variable that names it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTOTUNE_LOCK_DIR", value)
    with pytest.raises(StorageError) as refused:
        machine_lock().__enter__()
    said = str(refused.value)
    assert said.startswith(f"{Path(value) / 'autotune-machine.lock'}: cannot be locked: ")
    assert says in said
    assert "AUTOTUNE_LOCK_DIR" in said
    assert "\n" not in said


def test_the_machine_has_one_lock_whatever_an_account_calls_its_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TMPDIR counts only where the shared folder cannot be written."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("AUTOTUNE_LOCK_DIR")
    assert locks._machine_folder() == Path("/tmp")
    monkeypatch.setattr(locks, "_SHARED_FOLDER", str(tmp_path / "gone"))
    assert locks._machine_folder() == tmp_path


def test_no_folder_for_temporary_files_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, with the way out."""

    def none() -> str:
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.delenv("AUTOTUNE_LOCK_DIR")
    monkeypatch.setattr(locks, "_SHARED_FOLDER", str(tmp_path / "gone"))
    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(StorageError, match="name a folder for the machine's lock in AUTOTUNE"):
        machine_lock().__enter__()


def test_a_study_that_cannot_hold_a_lock_is_named(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "study").write_text("")
    with pytest.raises(StorageError, match=r"study/\.lock: cannot be locked: Not a directory"):
        study_lock(tmp_path / "study").__enter__()


def test_who_waits_for_a_study_that_goes_is_told(tmp_path: Path) -> None:
    """In one line: a lock that nobody can find locks nothing, and none is made anew."""
    folder = tmp_path / "study"
    folder.mkdir()

    def goes() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return False

    with (
        study_lock(folder),
        pytest.raises(StorageError, match="study was deleted or moved; begin again"),
        study_lock(folder, Patience(left_s=100, is_stopped=goes)),
    ):
        pass
    assert not folder.exists()


def test_a_descriptor_does_not_leak(tmp_path: Path) -> None:
    """Not with a refusal, nor while one waits."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with ExitStack() as stack:
        stack.enter_context(study_lock(tmp_path))
        for _ in range(20):
            with pytest.raises(BusyError):
                study_lock(tmp_path, Patience(left_s=0.001)).__enter__()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
