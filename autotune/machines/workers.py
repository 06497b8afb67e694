"""Real workers behind the ports: every compile key in a fresh process, one under load at a time."""

import contextlib
import os
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.measurement import Block, Opening
from autotune.domain.model_file import ModelSource
from autotune.domain.paths import absolute
from autotune.errors import DeviceError, ModelError, StorageError
from autotune.host.cpus import usable_cpus
from autotune.host.files import known
from autotune.host.memory import available_memory
from autotune.machines.deadlines import Deadline, Deadlines, deadlines_of
from autotune.machines.fingerprint import Machine, fingerprint, preloaded
from autotune.machines.logs import WorkerLogs
from autotune.machines.ports import Load
from autotune.machines.process import WORKER, WorkerProcess
from autotune.machines.protocol import (
    BlockDone,
    Failed,
    GoesOn,
    Inspected,
    Looked,
    Message,
    Opened,
    Ready,
    SampleWritten,
    Stopped,
)
from autotune.machines.scratch import scratch_folder
from autotune.space.configuration import CompileKey, Effective
from autotune.spec import DeadlineSpec

_TURN = threading.Lock()


def reference_file(log_folder: Path) -> Path:
    """Where the reference outputs are kept, beside the workers' output."""
    return absolute(log_folder / "reference.npz")


_Steps = Generator[None, None, "WorkerModel"]
"""The steps to an open model, for several to take them together."""


class SubprocessRunner:
    """Every compile key in a fresh worker process."""

    def __init__(
        self,
        source: ModelSource,
        log_folder: Path,
        deadlines: Deadlines | None = None,
        command: Sequence[str] = WORKER,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            source: the model and its data.
            log_folder: where workers' output goes, and the reference outputs.
            deadlines: longest times; those that follow from the model's size without them.
            command: how a worker is started, but for the number of its pipe.

        Raises:
            UsageError: a variable that sets a deadline is no duration, or one that workers run
                under is no text.
        """
        preloaded(os.environ)  # before anybody waits, or looks at a model for minutes
        self._source = source
        self._reference = reference_file(log_folder)
        self._logs = WorkerLogs(log_folder)
        self._deadlines = deadlines or deadlines_of(DeadlineSpec(), source.path)
        self._command = command
        self._begun: list[tuple[CompileKey, _Steps]] = []

    def _files(self) -> dict[str, Any]:
        """The model, its data and its reference, as the worker's commands name them."""
        inputs = self._source.inputs
        return {
            "path": str(self._source.path),
            "shapes": self._source.shapes,
            "inputs": None if inputs is None else str(inputs),
            "reference": str(self._reference),
        }

    def clock(self) -> float:
        """The machine's monotonic clock."""
        return time.monotonic()

    def free_memory(self) -> int | None:
        """What can be had without swapping, and within the cgroup's limit."""
        return known(available_memory)

    def machine(self, facts: Inspected) -> Machine:
        """This machine, with the worker's word for the runtime."""
        names = {name: device.name for name, device in facts.devices.items()}
        return fingerprint(facts.openvino, names)

    def inspect(self, devices: Sequence[str], *, try_batch: bool) -> Inspected:
        """Ask a worker of its own, which leaves afterwards."""
        try:
            worker = self._spawn()
            try:
                worker.tell("inspect", devices=list(devices), try_batch=try_batch, **self._files())
                answer = _last_answer(worker, self._deadlines.inspect)
            finally:
                worker.close()
        except TrialFault as fault:
            message = f"{self._source.path}: the model cannot be looked at: {fault.failure.message}"
            raise ModelError(message) from None
        if isinstance(answer, Inspected):
            return answer
        said = answer.message if isinstance(answer, Failed) else f"unexpected answer {answer.say!r}"
        if isinstance(answer, Failed) and answer.kind == "device":
            raise DeviceError(said)
        if isinstance(answer, Failed) and answer.kind == "data":
            raise ModelError(said)  # which names the file that is to blame
        what = "" if isinstance(answer, Failed) and answer.kind == "shape" else "cannot be read: "
        message = f"{self._source.path}: {what}{said}"
        raise ModelError(message)

    def open(self, key: CompileKey) -> "WorkerModel":
        """Spawn a worker and have it compile, unless that was begun."""
        found = next((begun for begun in self._begun if begun[0] == key), None)
        if found is not None:
            self._begun.remove(found)
        return _finish(self._steps(key) if found is None else found[1])

    @contextlib.contextmanager
    def side_by_side(self, keys: Sequence[CompileKey]) -> Iterator[None]:
        """All start, then all compile, as each takes little more than one CPU.

        Memory is taken for all of them at once: that there is enough is for the caller to know.
        """
        self._begun = [(key, self._steps(key)) for key in keys]
        try:
            for _ in range(2):
                self._begun = [(key, _step(steps)) for key, steps in self._begun]
            yield
        finally:
            for _, steps in self._begun:
                steps.close()
            self._begun = []

    def _steps(self, key: CompileKey) -> "_Steps":
        """Start a worker; have it compile; wait for it. Closed before that, it ends the worker."""
        begun_s = time.monotonic()
        with _killed_on_error(self._start()) as worker:
            yield
            _expect(_last_answer(worker, self._deadlines.start), Ready, "start")
            start_s = time.monotonic() - begun_s
            worker.tell(
                "open",
                device=key.device,
                properties=dict(key.properties),
                batch_size=key.batch_size,
                **self._files(),
            )
            yield
            answer = _expect(_last_answer(worker, self._deadlines.compile), Opened, "open")
        opening = Opening(
            effective=Effective(answer.effective, answer.optimal_requests),
            start_s=start_s,
            read_s=answer.read_s,
            compile_s=answer.compile_s,
            first_inference_ms=answer.first_inference_ms,
            output_error=answer.output_error,
            unproven=answer.unproven,
        )
        return WorkerModel(worker, opening, self._deadlines)

    def _spawn(self) -> WorkerProcess:
        with _killed_on_error(self._start()) as worker:
            _expect(_last_answer(worker, self._deadlines.start), Ready, "start")
        return worker

    def _start(self) -> WorkerProcess:
        try:
            return self._logged(self._logs.begin())
        except OSError as error:  # no memory, no process, no space: the machine's fault
            message = f"a worker cannot be started: {error}"
            raise TrialFault(Failure(FailureKind.LOST, message, "start")) from error

    def _logged(self, log: Path) -> WorkerProcess:
        def end(well: bool) -> None:  # noqa: FBT001 - as a callback
            self._logs.end(log, failed=not well)

        try:
            return WorkerProcess(log, self._command, end)
        except BaseException:
            end(well=False)
            raise


class WorkerModel:
    """An `OpenModel` in a worker process."""

    def __init__(self, worker: WorkerProcess, opening: Opening, deadlines: Deadlines) -> None:
        self._worker = worker
        self._deadlines = deadlines
        self._peak_rss_bytes: int | None = None
        self._is_open = True
        self.opening = opening

    @property
    def is_open(self) -> bool:
        """Until a load fails, or it is closed."""
        return self._is_open

    @property
    def peak_rss_bytes(self) -> int | None:
        """What the worker said at the end of its last load."""
        return self._peak_rss_bytes

    def load(self, load: Load) -> Generator[Block]:
        """Blocks as the worker sends them; closing early stops the load, faults end the worker.

        Raises:
            RuntimeError: another worker is under load: two at once are two wrong numbers.
        """
        with _turn():
            yield from self._load(load)

    def _load(self, load: Load) -> Generator[Block]:
        # The worker ends a block after ten seconds, but never in the middle of a round.
        round_s = 3 * load.num_requests * self.opening.first_inference_ms / 1000
        patience = load.block_s + self._deadlines.block_s + round_s
        cpus = usable_cpus()
        self._worker.tell(
            "load",
            num_requests=load.num_requests,
            api=load.api.value,
            feed=load.feed.value,
            block_s=load.block_s,
            block_requests=load.block_requests,
            limit_s=load.limit_s,
        )
        stopped = False
        try:
            while isinstance(answer := self._hear(patience), BlockDone):
                patience = max(patience, 10 * answer.duration_s)
                yield answer.block(cpus)
                self._worker.tell("go")
            stopped = True
        except GeneratorExit:
            self._worker.tell("stop")
            while isinstance(answer := self._hear(patience), BlockDone):
                continue
            stopped = True
            raise
        finally:
            if not stopped:
                self._is_open = False
                self._worker.kill()

    def close(self) -> None:
        """End the worker."""
        self._is_open = False
        self._worker.close()

    def _hear(self, patience: float) -> BlockDone | Stopped:
        answer: BlockDone | Stopped = _expect(
            self._worker.hear(patience, self._deadlines.block), BlockDone | Stopped, "load"
        )
        if isinstance(answer, Stopped):
            self._peak_rss_bytes = answer.peak_rss_bytes
        return answer


@contextlib.contextmanager
def _killed_on_error(worker: WorkerProcess) -> Iterator[WorkerProcess]:
    try:
        yield worker
    except BaseException:
        worker.kill()
        raise


def _step(steps: _Steps) -> _Steps:
    """The same after its next step; one that failed fails when it is waited for."""
    try:
        next(steps)
    except TrialFault as fault:
        return _failed(fault)
    return steps


def _failed(fault: TrialFault) -> _Steps:
    yield from ()
    raise fault


def _finish(steps: _Steps) -> "WorkerModel":
    while True:
        try:
            next(steps)
        except StopIteration as end:
            model: WorkerModel = end.value
            return model


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """The one turn of this process: residents may be many, under load is one."""
    if not _TURN.acquire(blocking=False):
        message = "another worker is under load; close its load first"
        raise RuntimeError(message)
    try:
        yield
    finally:
        _TURN.release()


@contextlib.contextmanager
def _passing_worker(otherwise: str, deadlines: Deadlines) -> Iterator[WorkerProcess]:
    """A worker for a few questions.

    Args:
        otherwise: how the message begins where it cannot answer them.
        deadlines: how long it may take.

    Raises:
        ModelError: it cannot be started, or says that it cannot.
    """
    try:
        with scratch_folder() as folder:
            worker = WorkerProcess(folder / "worker.log")
            try:
                _expect(_last_answer(worker, deadlines.start), Ready, "start")
                yield worker
            finally:
                worker.close()
    except TrialFault as fault:
        raise ModelError(f"{otherwise}: {fault.failure.message}") from None
    except StorageError as error:  # no folder for temporary files
        raise ModelError(f"{otherwise}: {error}") from error
    except OSError as error:  # no memory, no process
        raise ModelError(f"{otherwise}: a worker cannot be started: {error}") from error


def write_sample_model(path: Path) -> Path:
    """Write a small convolutional network; returns its path.

    Raises:
        ModelError: the runtime cannot be started.
    """
    deadlines = deadlines_of(DeadlineSpec(), None)
    with _passing_worker(f"{path}: cannot be written", deadlines) as worker:
        worker.tell("write_sample", path=str(path))
        _expect(_last_answer(worker, deadlines.inspect), SampleWritten, "write_sample")
    return path


def look(
    model: Path | None, shapes: dict[str, list[int]] | None = None, batch_size: int = 1
) -> Looked:
    """Devices of this machine, and a model's inputs and outputs; nothing is compiled.

    Args:
        model: the file; None for the devices alone.
        shapes: static shapes at batch 1, to see the ports with these and with `batch_size` too.
        batch_size: multiplies the first dimension of every input.

    Raises:
        ModelError: the model cannot be read, or the runtime cannot be started.
    """
    deadlines = deadlines_of(DeadlineSpec(), model)
    name = "the runtime" if model is None else model
    with _passing_worker(f"{name}: cannot be read", deadlines) as worker:
        worker.tell(
            "look",
            path=None if model is None else str(model),
            shapes=shapes,
            batch_size=batch_size,
        )
        answer: Looked = _expect(_last_answer(worker, deadlines.inspect), Looked, "look")
    return answer


def _last_answer(worker: WorkerProcess, deadline: Deadline) -> Message:
    """What a command comes to; each step on the way has the whole time."""
    while isinstance(answer := worker.hear(deadline.value_s, deadline), GoesOn):
        continue
    return answer


def _expect(answer: Message, wanted: Any, phase: str) -> Any:
    """The answer if it is of the wanted kind; a fault otherwise."""
    if isinstance(answer, wanted):
        return answer
    if isinstance(answer, Failed):
        known = answer.kind in FailureKind.__members__.values()
        kind = FailureKind(answer.kind) if known else FailureKind.COMPILE_ERROR
        raise TrialFault(Failure(kind, answer.message, phase))
    raise TrialFault(Failure(FailureKind.PROTOCOL, f"unexpected answer {answer.say!r}", phase))
