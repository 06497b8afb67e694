"""One worker process: spawned in its own group, heard over its own pipe, killed when it is late."""

import contextlib
import json
import os
import select
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.host.confinement import confined_to
from autotune.host.files import known
from autotune.host.memory import available_memory, oom_kills
from autotune.machines.deadlines import Deadline
from autotune.machines.protocol import MAX_LINE_BYTES, STACKS, GoesOn, Message, parse_message

_TERM_GRACE_S = 2.0
_DUMP_S = 0.3
_WATCH_S = 0.25
_LEAST_FREE_BYTES = 256 * 2**20
_TAIL_BYTES = 16384
# Settings of other tools that change how many threads a runtime starts, or what it prints.
_SCRUBBED = ("OMP_", "KMP_", "MKL_", "GOMP_", "OPENVINO_LOG_LEVEL")


def worker_command() -> tuple[str, ...]:
    """How a worker is started, without the number of its pipe.

    Isolated: nothing is imported from the current folder (-P), whatever lies there, nor from the
    user's own packages (-s) unless autotune or its runtime lie there. The worker is the one beside
    this module, installed or not.
    """
    lying = known(lambda: list(Path(site.getusersitepackages()).iterdir())) or []
    needed = {"autotune", "openvino", "numpy"}
    is_used = any(path.name in needed or path.suffix == ".pth" for path in lying)
    flags = ["-P", *([] if is_used else ["-s"])]
    flags += ["-E"] if sys.flags.ignore_environment else []
    return (sys.executable, *flags, str(Path(__file__).parents[1] / "worker" / "__main__.py"))


def worker_environment(given: Mapping[str, str]) -> dict[str, str]:
    """What a worker gets of these variables: not the settings of other tools.

    Of PYTHONPATH the folders that are named, and not the current one.
    """
    kept = {name: value for name, value in given.items() if not name.startswith(_SCRUBBED)}
    folders = [
        folder
        for folder in kept.pop("PYTHONPATH", "").split(os.pathsep)
        if os.path.normpath(folder) != os.curdir
    ]
    return {**kept, **({"PYTHONPATH": os.pathsep.join(folders)} if folders else {})}


def scrubbed_note(given: Mapping[str, str]) -> str | None:
    """What to know where variables are set that workers do not get, or None."""
    scrubbed = sorted(name for name in given if name.startswith(_SCRUBBED))
    if not scrubbed:
        return None
    listed = ", ".join(f"{name}={given[name]}" for name in scrubbed)
    return f"set here and not passed on to what is measured: {listed}"


WORKER = worker_command()


class WorkerProcess:
    """A child that answers commands. Every method may raise `TrialFault`; after that it is dead."""

    def __init__(
        self,
        log: Path,
        command: Sequence[str] = WORKER,
        on_end: Callable[[bool], None] = lambda _: None,
        cpus: Collection[int] = (),
    ) -> None:
        """Start it.

        Args:
            log: where its output goes.
            command: what is run, but for the number of the pipe.
            on_end: hears once, when it is gone and its log was read for the last time, whether it
                was ended by `close` and left as it was told.
            cpus: the only ones that its threads ever run on, from its first instruction; empty for
                all that this process may run on.
        """
        self._log = log
        self._on_end = on_end
        self._phase = self._step = "start"
        self._buffer = bytearray()
        receive, send = os.pipe()
        self._receive = receive
        try:
            with log.open("ab") as output, confined_to(cpus):
                self._log_start = output.tell()
                self._process = subprocess.Popen(
                    [*command, str(send)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=[send],
                    start_new_session=True,
                    env=worker_environment(os.environ),
                    bufsize=0,
                )
            self._oom_kills = oom_kills()
        except BaseException:
            os.close(receive)
            raise
        finally:
            os.close(send)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._process.pid

    def tell(self, do: str, **fields: Any) -> None:
        """Send a command."""
        self._phase = self._step = self._phase if do in {"go", "stop"} else do
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        # A worker that is gone says so when it is listened to.
        if not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")

    def hear(self, timeout_s: float, deadline: Deadline | None = None) -> Message:
        """The next answer, at the latest `timeout_s` from now.

        Args:
            timeout_s: longest time.
            deadline: the key that it follows from, for the message where it passes.

        Raises:
            TrialFault: the deadline passed (the process group is then dead), the worker is gone,
                it took nearly all memory, or it sent something that is no answer.
        """
        if self._receive < 0:
            message = "the worker has been let go"
            raise TrialFault(Failure(FailureKind.LOST, message, self._phase, self._tail()))
        ends = time.monotonic() + timeout_s
        end = self._buffer.find(b"\n")
        while end < 0:
            left = ends - time.monotonic()
            if left <= 0:
                kind = FailureKind.COMPILE_TIMEOUT if self._phase == "open" else FailureKind.HANG
                self._dump_stacks()
                said = f"no answer within {timeout_s:.0f} s of '{self._step}'"
                raise self._fault(kind, said if deadline is None else f"{said}: {deadline}")
            if not select.select([self._receive], [], [], min(left, _WATCH_S))[0]:
                self._watch_memory()
                continue
            chunk = os.read(self._receive, 1 << 20)
            if not chunk:
                raise self._gone()
            searched = len(self._buffer)
            self._buffer += chunk
            end = self._buffer.find(b"\n", searched)
            if len(self._buffer) > MAX_LINE_BYTES:
                raise self._fault(
                    FailureKind.PROTOCOL, f"an answer of more than {MAX_LINE_BYTES} bytes"
                )
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            answer = parse_message(line)
        except ValueError as error:
            message = f"the worker said what is no answer: {error}"
            raise self._fault(FailureKind.PROTOCOL, message) from None
        self._step = answer.what if isinstance(answer, GoesOn) else self._phase
        return answer

    def close(self) -> None:
        """End the process group; a worker that is asked nicely leaves at once."""
        if self._process.poll() is None:
            self.tell("close")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_TERM_GRACE_S)
        self._kill()
        self._end(well=self._process.returncode == 0)

    def kill(self) -> None:
        """SIGTERM, then SIGKILL, to the whole group; never raises."""
        self._kill()
        self._end(well=False)

    def _end(self, *, well: bool) -> None:
        on_end, self._on_end = self._on_end, lambda _: None
        on_end(well)

    def _kill(self) -> None:
        if self._receive < 0:  # done before: the number may be another group's by now
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_TERM_GRACE_S)
                if number is signal.SIGTERM and not _group_exists(self.pid):
                    break
        with contextlib.suppress(OSError):
            os.close(self._receive)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._receive = -1

    def _gone(self) -> TrialFault:
        """Why the pipe is closed, from how the worker ended."""
        try:
            code = self._process.wait(_TERM_GRACE_S)
        except subprocess.TimeoutExpired:
            return self._fault(FailureKind.PROTOCOL, "the worker closed its pipe and went on")
        if code >= 0:
            return self._fault(
                FailureKind.LOST, f"the worker left with exit code {code}, without a result", code
            )
        if code == -signal.SIGKILL:
            before, now = self._oom_kills, oom_kills()
            if before is not None and now is not None and now == before:
                return self._fault(FailureKind.LOST, "somebody killed the worker", code)
            why = "by the kernel, for its memory" if now else "from outside, likely for its memory"
            return self._fault(FailureKind.OUT_OF_MEMORY, f"the worker was killed {why}", code)
        names = {number.value: number.name for number in signal.Signals}
        name = names.get(-code, f"signal {-code}")
        return self._fault(FailureKind.CRASH, f"the worker crashed with {name}", code)

    def _dump_stacks(self) -> None:
        """Have a worker that is late write its threads' stacks to its log, if it still can."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, STACKS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DUMP_S)

    def _watch_memory(self) -> None:
        """End a worker that has taken nearly all memory, before the kernel chooses whom to end."""
        free = known(available_memory)
        if free is None or free >= _LEAST_FREE_BYTES:
            return
        try:
            taken = psutil.Process(self.pid).memory_info().rss
        except psutil.Error:
            return
        if taken > free:  # else it is not the worker's doing, and to end it would not help
            message = f"the worker took {taken >> 20} MiB of memory, and {free >> 20} MiB were left"
            raise self._fault(FailureKind.OUT_OF_MEMORY, message)

    def _fault(self, kind: FailureKind, message: str, code: int | None = None) -> TrialFault:
        phase = self._phase
        self._kill()
        fault = TrialFault(Failure(kind, message, phase, self._tail(), code))
        self._end(well=False)
        return fault

    def _tail(self) -> str:
        try:
            with self._log.open("rb") as file:
                file.seek(max(self._log_start, self._log.stat().st_size - _TAIL_BYTES))
                return file.read().decode(errors="replace")
        except OSError:
            return ""


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
