"""What is to be fed, read once by a worker of its own, for all others."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autotune.domain.failure import TrialFault
from autotune.domain.paths import absolute
from autotune.errors import AutotuneError, DeviceError, InputCodeError, ModelError, SpecError
from autotune.machines.conversation import (
    ask,
    await_ready,
    expected,
    failure_of,
    killed_on_error,
)
from autotune.machines.deadlines import Deadlines
from autotune.machines.process import WorkerProcess
from autotune.machines.protocol import Failed, Message, WorkloadRead
from autotune.workload.words import IN_LOG
from autotune.workload.workload import ModelSource


def workload_file(log_folder: Path) -> Path:
    """Where the samples of a workload are kept, for workers to read.

    What goes with them is in files whose names begin like this one's.
    """
    return absolute(log_folder / "workload.npz")


class WorkloadReader:
    """Workloads of models, each read when it is first asked for.

    No code of a study's runs in any process that is measured: it has a worker of its own, with
    limits of its own.
    """

    def __init__(self, samples: Path, deadlines: Deadlines) -> None:
        """`samples` is the file to write, see `workload_file`."""
        self._samples = samples
        self._deadlines = deadlines
        self._found: dict[Path, WorkloadRead] = {}

    def files(
        self,
        source: ModelSource,
        start: Callable[[], WorkerProcess],
        served: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """A model, its samples and its workload, as commands name them.

        Args:
            source: the model, and what it is asked.
            start: a new worker.
            served: how, by the dimensions that are not at their default.

        Raises:
            ModelError: the inputs cannot be read, or do not fit the model.
            InputCodeError: the study's own code failed.
        """
        found: dict[str, Any]
        if source.workload is None:
            inputs = None if source.inputs is None else str(source.inputs)
            found = {"shapes": source.shapes, "inputs": inputs, "workload": None}
        else:
            if source.path not in self._found:
                self._found[source.path] = self._asked(source, start)
            read = self._found[source.path]
            workload = {"samples": str(self._samples), "served": dict(served or {})}
            found = {"shapes": read.shapes, "inputs": read.inputs, "workload": workload}
        return {"path": str(source.path), **found}

    def samples_of(self, source: ModelSource) -> int:
        """How many samples were read for a model."""
        return self._found[source.path].samples

    def _asked(self, source: ModelSource, start: Callable[[], WorkerProcess]) -> WorkloadRead:
        assert source.workload is not None  # noqa: S101 - for the type checker
        try:
            with killed_on_error(start()) as worker:
                await_ready(worker, self._deadlines)
                answer = ask(
                    worker,
                    self._deadlines.inputs,
                    "read_workload",
                    path=str(source.path),
                    shapes=source.shapes,
                    inputs=None if source.inputs is None else str(source.inputs),
                    workload=source.workload.to_dict(),
                    samples=str(self._samples),
                )
                if isinstance(answer, Failed):  # its log is kept then
                    raise refusal(answer, source.path)
                found = expected(answer, "read", WorkloadRead)
        except TrialFault as fault:
            message = f"the inputs of the workload cannot be read: {fault.failure.message}"
            raise ModelError(message) from None
        except InputCodeError as error:
            logs = sorted(self._samples.parent.glob("failed-*.log"))
            raise InputCodeError(with_log(str(error), logs[-1] if logs else None)) from None
        worker.close()
        return found


def with_log(said: str, log: Path | None) -> str:
    """What is said of a study's code, and in which log there is more of it."""
    if log is None:
        return said
    if said.endswith(IN_LOG):
        return f"{said.removesuffix(IN_LOG)}its traceback is in {log}"
    return f"{said} (its log: {log})"


def refusal(answer: Message, path: Path) -> AutotuneError:
    """Why a model was not inspected, for the user."""
    said = failure_of(answer, "inspect").message
    kind = answer.kind if isinstance(answer, Failed) else None
    if kind == "device":
        return DeviceError(said)
    if kind == "property":
        return SpecError(f"[space] properties: {said}")
    if kind == "code":
        return InputCodeError(said)
    if kind in {"data", "build"}:
        return ModelError(said)  # which names the file that is to blame
    return ModelError(f"{path}: {'' if kind == 'shape' else 'cannot be read: '}{said}")
