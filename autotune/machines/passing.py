"""Questions to a worker that stays for one of them only, where there is no study yet."""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from autotune.domain.failure import TrialFault
from autotune.domain.inspection import Inspection, Overview
from autotune.domain.model_facts import ModelFacts
from autotune.errors import ModelError, StorageError
from autotune.machines.conversation import ask, await_ready, expected
from autotune.machines.deadlines import Deadlines, deadlines_of
from autotune.machines.process import WorkerProcess
from autotune.machines.protocol import Examined, Looked, SampleWritten
from autotune.machines.scratch import scratch_folder
from autotune.machines.workers import SubprocessRunner
from autotune.spec import DeadlineSpec
from autotune.workload.workload import ModelSource


def look(
    model: Path | None,
    shapes: dict[str, list[int]] | None = None,
    batch_size: int = 1,
    cpus: Collection[int] = (),
) -> Overview:
    """Devices of this machine, and a model's inputs and outputs; nothing is compiled.

    Args:
        model: the file; None for the devices alone.
        shapes: static shapes at batch 1, to see the ports with these and with `batch_size` too.
        batch_size: multiplies the first dimension of every input.
        cpus: the only ones that the worker runs on; empty for all.

    Raises:
        ModelError: the model cannot be read, or the runtime cannot be started.
    """
    deadlines = deadlines_of(DeadlineSpec(), model)
    name = "the runtime" if model is None else model
    path = None if model is None else str(model)
    question = {"path": path, "shapes": shapes, "batch_size": batch_size}
    with _passing_worker(f"{name}: cannot be read", deadlines, cpus) as worker:
        answer = ask(worker, deadlines.inspect, "look", **question)
        return expected(answer, "look", Looked).overview()


def examine(model: Path, shapes: dict[str, list[int]]) -> ModelFacts:
    """What a model file holds; nothing is compiled.

    Args:
        model: the file.
        shapes: static ones at batch 1; empty for the file's own.

    Raises:
        ModelError: the model cannot be read, or does not take the shapes.
    """
    deadlines = deadlines_of(DeadlineSpec(), model)
    with _passing_worker(f"{model}: cannot be read", deadlines, ()) as worker:
        answer = ask(worker, deadlines.inspect, "examine", path=str(model), shapes=shapes)
        return expected(answer, "examine", Examined).facts()


def try_model(model: Path, shapes: dict[str, list[int]]) -> Inspection:
    """What a study on its best-known device would find out about a model: it is compiled and run.

    Args:
        model: the file.
        shapes: static ones at batch 1; empty for the file's own.

    Raises:
        ModelError: it cannot be run.
        StorageError: there is no folder for temporary files.
    """
    with scratch_folder() as folder:
        source = ModelSource(path=model, shapes=shapes)
        return SubprocessRunner(source, folder).inspect([], try_batch=True)


def write_sample_model(path: Path, cpus: Collection[int] = ()) -> Path:
    """Write a small convolutional network; returns its path. `cpus` as for `look`.

    Raises:
        ModelError: the runtime cannot be started.
    """
    deadlines = deadlines_of(DeadlineSpec(), None)
    with _passing_worker(f"{path}: cannot be written", deadlines, cpus) as worker:
        answer = ask(worker, deadlines.inspect, "write_sample", path=str(path))
        expected(answer, "write_sample", SampleWritten)
    return path


@contextlib.contextmanager
def _passing_worker(
    otherwise: str, deadlines: Deadlines, cpus: Collection[int]
) -> Iterator[WorkerProcess]:
    """A worker for a few questions.

    Args:
        otherwise: how the message begins where it cannot answer them.
        deadlines: how long it may take.
        cpus: the only ones that it runs on.

    Raises:
        ModelError: it cannot be started, or says that it cannot.
    """
    try:
        with scratch_folder() as folder:
            worker = WorkerProcess(folder / "worker.log", cpus=cpus)
            try:
                await_ready(worker, deadlines)
                yield worker
            finally:
                worker.close()
    except TrialFault as fault:
        raise ModelError(f"{otherwise}: {fault.failure.message}") from None
    except StorageError as error:  # no folder for temporary files
        raise ModelError(f"{otherwise}: {error}") from error
    except OSError as error:  # no memory, no process
        raise ModelError(f"{otherwise}: a worker cannot be started: {error}") from error
