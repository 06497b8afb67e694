"""A worker may do what it likes: it gets a typed failure, and nothing of it is left behind."""

import gc
import signal
import site
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.machines import process
from autotune.machines.fingerprint import fingerprint
from autotune.machines.process import (
    WorkerProcess,
    scrubbed_note,
    worker_command,
    worker_environment,
)
from autotune.machines.protocol import Ready
from tests.machines.fakes import fake_worker, is_gone, members


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stubborn workers need not be waited for."""
    monkeypatch.setattr(process, "_TERM_GRACE_S", 0.3)


def failure_of(folder: Path, body: str, timeout_s: float = 60.0) -> Failure:
    """How a worker with this body fails; afterwards neither process nor descriptor is left."""
    gc.collect()  # what earlier tests left is not of this one
    before = open_files()
    worker = WorkerProcess(folder / "worker.log", fake_worker(folder, body))
    with pytest.raises(TrialFault) as caught:
        worker.hear(timeout_s)
    assert is_gone(worker.pid)
    assert open_files() == before
    return caught.value.failure


def open_files() -> int:
    """Descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("body", "kind", "exit_code"),
    [
        pytest.param("os._exit(0)", "lost", 0, id="leaves without a result"),
        pytest.param("sys.exit(1)", "lost", 1, id="exits with 1"),
        pytest.param("raise ValueError('oh')", "lost", 1, id="raises"),
        pytest.param('write(b\'{"say": "rea\'); os._exit(0)', "lost", 0, id="half a message"),
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", "crash", -11, id="segfault"),
        pytest.param("os.abort()", "crash", -6, id="abort"),
        pytest.param("os.kill(os.getpid(), 40)", "crash", -40, id="a signal without a name"),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "lost", -9, id="killed from outside"),
        pytest.param("write(b'good morning\\n')", "protocol", None, id="garbage"),
        pytest.param("write(bytes(range(256)) + b'\\n')", "protocol", None, id="bytes"),
        pytest.param("say('ready', colour='red')", "protocol", None, id="an unknown field"),
        pytest.param("say('hello')", "protocol", None, id="an unknown word"),
        pytest.param("write(b'\\n')", "protocol", None, id="an empty line"),
        pytest.param("os.close(OUT); time.sleep(1000)", "protocol", None, id="closes its pipe"),
    ],
)
def test_every_bad_end_has_its_kind(
    tmp_path: Path, body: str, kind: str, exit_code: int | None
) -> None:
    """From the wait status and from what was said before."""
    failure = failure_of(tmp_path, body)
    assert failure.kind == kind
    assert failure.exit_code == exit_code
    assert failure.phase == "start"
    assert "\n" not in failure.message


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("time.sleep(1000)", id="asleep"),
        pytest.param("while True: pass", id="busy"),
        pytest.param("signal.signal(15, signal.SIG_IGN); time.sleep(1000)", id="ignores SIGTERM"),
        pytest.param("os.kill(os.getpid(), signal.SIGSTOP)", id="stopped"),
        pytest.param("write(b'half'); time.sleep(1000)", id="in the middle of a message"),
        pytest.param("\nwhile True:\n    write(b'.'); time.sleep(0.01)", id="endless message"),
    ],
)
def test_no_answer_in_time_is_a_hang(tmp_path: Path, body: str) -> None:
    """The deadline holds whatever the worker does, and the group is killed."""
    failure = failure_of(tmp_path, body, timeout_s=0.3)
    assert failure.kind is FailureKind.HANG
    assert "'start'" in failure.message


def test_a_compilation_that_is_late_has_a_kind_of_its_own(tmp_path: Path) -> None:
    """Compiling is the phase in which being slow is the configuration's fault."""
    body = "say('ready'); hear(); time.sleep(1000)"
    worker = WorkerProcess(tmp_path / "worker.log", fake_worker(tmp_path, body))
    assert isinstance(worker.hear(60), Ready)
    worker.tell("open")
    with pytest.raises(TrialFault) as caught:
        worker.hear(0.2)
    assert caught.value.failure.kind is FailureKind.COMPILE_TIMEOUT
    assert caught.value.failure.phase == "open"
    assert is_gone(worker.pid)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [(3, 3, "lost"), (3, 4, "out_of_memory"), (None, None, "out_of_memory")],
)
def test_the_kernels_count_tells_who_killed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: int | None,
    after: int | None,
    kind: str,
) -> None:
    """A kill that the kernel did not count was somebody's, and no word against the worker."""
    counts = iter([before, after])
    monkeypatch.setattr(process, "oom_kills", lambda: next(counts))
    failure = failure_of(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert (failure.kind, failure.exit_code) == (kind, -9)


def test_a_worker_that_is_late_leaves_its_stacks(tmp_path: Path) -> None:
    """Where it hung is in the failure, down to the line, for all threads."""
    body = """
import faulthandler
faulthandler.register(signal.SIGUSR1, all_threads=True)
def waiting_for_nothing():
    time.sleep(1000)
say("ready")
waiting_for_nothing()
"""
    worker = WorkerProcess(tmp_path / "worker.log", fake_worker(tmp_path, body))
    assert isinstance(worker.hear(60), Ready)
    with pytest.raises(TrialFault) as caught:
        worker.hear(0.2)
    assert caught.value.failure.kind is FailureKind.HANG
    assert "waiting_for_nothing" in caught.value.failure.stderr_tail


def test_a_worker_that_takes_all_memory_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the kernel ends anybody; the message has both figures."""
    monkeypatch.setattr(process, "available_memory", lambda: 2**20)
    failure = failure_of(tmp_path, "time.sleep(1000)")
    assert failure.kind is FailureKind.OUT_OF_MEMORY
    assert "1 MiB were left" in failure.message


def test_a_worker_is_not_to_blame_for_memory_that_others_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is small beside what is left, and ending it would not help."""
    monkeypatch.setattr(process, "available_memory", lambda: 2**27)
    worker = WorkerProcess(
        tmp_path / "worker.log", fake_worker(tmp_path, "time.sleep(1); say('ready'); hear()")
    )
    assert isinstance(worker.hear(60), Ready)
    worker.close()


def test_an_answer_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker must not fill the parent's memory."""
    monkeypatch.setattr(process, "MAX_LINE_BYTES", 100_000)
    failure = failure_of(tmp_path, "write(b'x' * 1_000_000)")
    assert failure.kind is FailureKind.PROTOCOL
    assert "100000 bytes" in failure.message


def test_noise_on_stdout_and_stderr_goes_to_the_log(tmp_path: Path) -> None:
    """Plug-ins print what they like; answers have a pipe of their own."""
    body = """
print('{"say": "opened"}' * 1000, flush=True)
print("plug-in says hello", file=sys.stderr, flush=True)
say("ready")
hear()
"""
    worker = WorkerProcess(tmp_path / "worker.log", fake_worker(tmp_path, body))
    assert isinstance(worker.hear(60), Ready)
    worker.close()
    assert "plug-in says hello" in (tmp_path / "worker.log").read_text()


def test_the_last_words_are_kept(tmp_path: Path) -> None:
    """The end of the log goes with the failure."""
    failure = failure_of(tmp_path, "sys.stderr.write('x' * 30_000 + 'the reason'); sys.exit(1)")
    assert failure.stderr_tail.endswith("the reason")
    assert len(failure.stderr_tail) <= 16384


@pytest.mark.parametrize("habit", ["", "trap '' TERM; "], ids=["obedient", "ignores SIGTERM"])
@pytest.mark.parametrize("end", ["sys.exit(1)", "time.sleep(1000)"], ids=["exits", "hangs"])
def test_a_grandchild_does_not_survive(tmp_path: Path, habit: str, end: str) -> None:
    """The whole group is killed: nothing may burn CPU into the next measurement."""
    command = ["sh", "-c", f"{habit}echo up; while :; do sleep 1; done"]
    body = f"""
child = subprocess.Popen({command!r}, stdout=subprocess.PIPE)
child.stdout.readline()
{end}
"""
    failure = failure_of(tmp_path, body, timeout_s=1.0)
    assert failure.kind in {FailureKind.LOST, FailureKind.HANG}


def test_a_worker_that_is_asked_to_close_leaves(tmp_path: Path) -> None:
    """Closing twice, killing after closing, and speaking to the dead are all allowed."""
    worker = WorkerProcess(tmp_path / "w.log", fake_worker(tmp_path, "say('ready'); hear()"))
    worker.hear(60)
    worker.close()
    worker.close()
    worker.kill()
    worker.tell("load")
    assert is_gone(worker.pid)
    with pytest.raises(TrialFault) as caught:
        worker.hear(1)
    assert caught.value.failure.kind is FailureKind.LOST


SET = ["OMP_NUM_THREADS", "KMP_AFFINITY", "MKL_NUM_THREADS", "GOMP_SPINCOUNT", "OPENVINO_LOG_LEVEL"]


@pytest.mark.parametrize("name", SET)
def test_settings_of_other_tools_do_not_reach_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """OMP_NUM_THREADS and its like would change what is measured; that they were set is said."""
    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HARMLESS", "1")
    body = f"print({name!r} in os.environ, 'HARMLESS' in os.environ, flush=True)"
    failure = failure_of(tmp_path, body)
    assert failure.stderr_tail.split() == ["False", "True"]
    assert scrubbed_note({name: "1", "HARMLESS": "1", "LD_PRELOAD": "/x.so"}) == (
        f"set here and not passed on to what is measured: {name}=1"
    )


def test_nothing_is_said_where_nothing_is_kept_back() -> None:
    """Several are said in one line."""
    assert scrubbed_note({"HOME": "/root", "LD_PRELOAD": "/x.so", "PYTHONPATH": "/y"}) is None
    note = scrubbed_note({"OMP_NUM_THREADS": "1", "KMP_BLOCKTIME": "0"})
    assert str(note).endswith(": KMP_BLOCKTIME=0, OMP_NUM_THREADS=1")


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that says in whom it was loaded."""
    folder = tmp_path_factory.mktemp("preload")
    source, library = folder / "greet.c", folder / "greet.so"
    source.write_text(
        "#include <stdio.h>\n"
        "__attribute__((constructor)) static void greet(void) {\n"
        '    fprintf(stderr, "greet.so is loaded\\n"); }\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.mark.openvino
def test_a_preloaded_library_is_loaded_into_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preloaded: Path
) -> None:
    """An allocator that a deployment runs with is measured with it, and the runtime starts.

    The fingerprint has it.
    """
    monkeypatch.setenv("LD_PRELOAD", str(preloaded))
    worker = WorkerProcess(tmp_path / "worker.log")
    assert isinstance(worker.hear(60), Ready)
    loaded = Path(f"/proc/{worker.pid}/maps").read_text()
    worker.close()
    assert str(preloaded) in loaded
    assert "greet.so is loaded" in (tmp_path / "worker.log").read_text()
    assert fingerprint("2026.4", {}).environment == {"LD_PRELOAD": str(preloaded)}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/a/b", "/a/b"),
        ("/a:/b", "/a:/b"),
        ("", None),
        (":/a", "/a"),
        ("/a:", "/a"),
        ("/a::/b", "/a:/b"),
        (".", None),
        ("./:/a:x/..", "/a"),
        ("src:/a", "src:/a"),
    ],
)
def test_folders_of_pythonpath_are_kept_but_not_the_current_one(
    given: str, kept: str | None
) -> None:
    """An empty name is the current folder, too: PYTHONPATH=$PYTHONPATH:/a begins with one."""
    assert worker_environment({"PYTHONPATH": given, "HOME": "/h"}) == {
        "HOME": "/h",
        **({} if kept is None else {"PYTHONPATH": kept}),
    }


@pytest.mark.parametrize(
    ("name", "is_used"),
    [(None, False), ("other", False)]
    + [(name, True) for name in ("autotune", "openvino", "numpy", "__editable__.autotune.pth")],
)
def test_the_users_own_packages_are_for_who_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None, is_used: bool
) -> None:
    """Where autotune or its runtime lie there; the current folder never."""
    if name is not None:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(tmp_path))
    command = worker_command()
    assert "-P" in command
    assert ("-s" not in command) is is_used


def test_a_home_that_is_not_there_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that belongs to another account: what cannot be read is not needed."""
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "none", tmp_path / "file"):
        monkeypatch.setattr(site, "getusersitepackages", lambda home=home: str(home))
        assert "-s" in worker_command()


@pytest.mark.openvino
@pytest.mark.parametrize("habit", ["idle", "stopped"])
def test_a_worker_dies_with_its_parent(tmp_path: Path, habit: str) -> None:
    """Even one that can no longer notice: the kernel does it."""
    script = f"""
import os, signal, time
from pathlib import Path
from autotune.machines.process import WorkerProcess
worker = WorkerProcess(Path({str(tmp_path)!r}) / "worker.log")
worker.hear(60)
if {habit!r} == "stopped":
    os.kill(worker.pid, signal.SIGSTOP)
print(worker.pid, flush=True)
time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert members(worker)
        parent.send_signal(signal.SIGKILL)
    assert is_gone(worker)
