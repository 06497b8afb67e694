"""Real workers behind the ports: every compile key in a fresh process, one under load at a time."""

import contextlib
import copy
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.domain.accuracy import Accuracy
from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.inspection import Inspection
from autotune.domain.measurement import Cached, Opening
from autotune.errors import ModelError
from autotune.host.core_budget import CoreBudget
from autotune.host.files import known
from autotune.host.memory import available_memory
from autotune.machines.conversation import (
    ask,
    await_ready,
    expected,
    killed_on_error,
    outcome,
)
from autotune.machines.deadlines import Deadlines, deadlines_of
from autotune.machines.fingerprint import Machine, fingerprint, preloaded
from autotune.machines.guards import refuse_inaccurate
from autotune.machines.logs import WorkerLogs
from autotune.machines.model_files import ModelFiles
from autotune.machines.process import WORKER, WorkerProcess
from autotune.machines.protocol import (
    CacheTried,
    Inspected,
    Opened,
)
from autotune.machines.scratch import scratch_folder
from autotune.machines.worker_model import WorkerModel
from autotune.machines.workloads import refusal
from autotune.space.configuration import CompileKey, Effective
from autotune.space.rows.variant import GIVEN
from autotune.spec import DeadlineSpec
from autotune.workload.guard import Guard
from autotune.workload.workload import ModelSource, Variant

_Steps = Generator[None, None, WorkerModel]
"""The steps to an open model, for several to take them together."""


class SubprocessRunner:
    """Every compile key in a fresh worker process."""

    def __init__(  # noqa: PLR0913 - what a study says of its workers
        self,
        source: ModelSource,
        log_folder: Path,
        deadlines: Deadlines | None = None,
        command: Sequence[str] = WORKER,
        *,
        variants: Sequence[Variant] = (),
        named: Mapping[str, Sequence[str]] | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            source: the model and its data.
            log_folder: where workers' output goes, and the reference outputs.
            deadlines: longest times; those that follow from the model's size without them.
            command: how a worker is started, but for the number of its pipe.
            variants: other files of the model, which a compile key may name.
            named: values of properties that a study names by hand: inspection tries each.
            guard: what is asked of answers; nothing without it.

        Raises:
            UsageError: a variable that sets a deadline is no duration, or one that workers run
                under is no text.
        """
        preloaded(os.environ)  # before anybody waits, or looks at a model for minutes
        self._logs = WorkerLogs(log_folder)
        self._deadlines = deadlines or deadlines_of(DeadlineSpec(), source.path)
        self.models = ModelFiles(source, variants, guard, log_folder, self._deadlines)
        """What workers compile, and are asked."""
        self._command = command
        self._budget: CoreBudget | None = None
        self._named = {name: list(values) for name, values in (named or {}).items()}
        self._begun: list[tuple[CompileKey, _Steps]] = []

    def confined(self, budget: CoreBudget | None) -> "SubprocessRunner":
        """The same, but every worker runs on the CPUs of `budget` only; on all without one.

        Which CPUs these are is known only once nobody else measures here, and what is wrong with
        the rest is to show before.
        """
        other = copy.copy(self)
        other._budget, other._begun = budget, []  # noqa: SLF001 - of its own class
        return other

    def _chosen(self, key: CompileKey) -> dict[str, Any]:
        """What a worker compiles: a key, its model, and what that is asked.

        Raises:
            TrialFault: it wants what is not known here, or the inputs cannot be read.
        """
        return {
            "device": key.device,
            "properties": dict(key.properties),
            "batch_size": key.batch_size,
            **self.models.files_of(key, self.start),
        }

    def accuracy(self, key: CompileKey) -> Accuracy | None:
        """Ask a worker of its own, once for all keys that decide the same answers."""
        return self.models.accuracy(key, self.start)

    def clock(self) -> float:
        """The machine's monotonic clock."""
        return time.monotonic()

    def free_memory(self) -> int | None:
        """What can be had without swapping, and within the cgroup's limit."""
        return known(available_memory)

    def machine(self, facts: Inspection) -> Machine:
        """This machine, with the worker's word for the runtime."""
        names = {name: device.name for name, device in facts.devices.items()}
        return fingerprint(facts.openvino, names, self._budget)

    def inspect(
        self, devices: Sequence[str], *, try_batch: bool, variant: str = GIVEN
    ) -> Inspection:
        """Ask a worker of its own, which leaves afterwards."""
        path = self.models.path(variant)
        question = {"devices": list(devices), "try_batch": try_batch, "named": self._named}
        try:
            question |= self.models.files(variant, self.start)
            with killed_on_error(self.start()) as worker:
                await_ready(worker, self._deadlines)
            try:
                answer = ask(worker, self._deadlines.inspect, "inspect", **question)
            finally:
                worker.close()
        except TrialFault as fault:
            message = f"{path}: the model cannot be looked at: {fault.failure.message}"
            raise ModelError(message) from None
        if isinstance(answer, Inspected):
            return answer.inspection()
        raise refusal(answer, path)

    def open(self, key: CompileKey) -> WorkerModel:
        """Spawn a worker and have it compile, unless that was begun."""
        found = next((begun for begun in self._begun if begun[0] == key), None)
        if found is not None:
            self._begun.remove(found)
        return _finish(self._steps(key) if found is None else found[1])

    def cached(self, key: CompileKey) -> Cached:
        """One process fills a new cache folder, and another compiles from it, as a deployment does.

        Raises:
            StorageError: there is no place for a cache.
        """
        chosen = self._chosen(key)
        with scratch_folder() as folder:
            for _ in range(2):
                with killed_on_error(self.start()) as worker:
                    await_ready(worker, self._deadlines)
                    answer = ask(
                        worker,
                        self._deadlines.compile,
                        "cached",
                        cache=str(folder),
                        **chosen,
                    )
                    found = expected(answer, "open", CacheTried)
                worker.close()
        if found.why_not is not None:
            return Cached(why_not=found.why_not)
        return Cached(compile_s=found.compile_s, first_inference_ms=found.first_inference_ms)

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

    def _steps(self, key: CompileKey) -> _Steps:
        """Start a worker; have it compile; wait for it. Closed before that, it ends the worker."""
        chosen = self._chosen(key)
        accuracy = self.accuracy(key)
        refuse_inaccurate(accuracy)
        begun_s = time.monotonic()
        with killed_on_error(self.start()) as worker:
            yield
            await_ready(worker, self._deadlines)
            start_s = time.monotonic() - begun_s
            worker.tell("open", **chosen)
            yield
            answer = expected(outcome(worker, self._deadlines.compile), "open", Opened)
        opening = Opening(
            effective=Effective(answer.effective, answer.optimal_requests),
            start_s=start_s,
            read_s=answer.read_s,
            compile_s=answer.compile_s,
            first_inference_ms=answer.first_inference_ms,
            output_error=answer.output_error,
            unproven=answer.unproven,
            peak_rss_bytes=answer.open_peak_rss_bytes,
        )
        guarded = self.models.guarded(key, opening, accuracy)
        return WorkerModel(worker, guarded, self._deadlines, self._budget)

    def start(self) -> WorkerProcess:
        """A new worker, for whatever it is told.

        Raises:
            TrialFault: it cannot be started.
        """
        try:
            return self._logged(self._logs.begin())
        except OSError as error:  # no memory, no process, no space: the machine's fault
            message = f"a worker cannot be started: {error}"
            raise TrialFault(Failure(FailureKind.LOST, message, "start")) from error

    def _logged(self, log: Path) -> WorkerProcess:
        def end(well: bool) -> None:  # noqa: FBT001 - as a callback
            self._logs.end(log, failed=not well)

        try:
            cpus = () if self._budget is None else self._budget.cpus
            return WorkerProcess(log, self._command, end, cpus)
        except BaseException:
            end(well=False)
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


def _finish(steps: _Steps) -> WorkerModel:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            model: WorkerModel = end.value
            return model
