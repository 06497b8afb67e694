"""The files of one model: as it was given, its variants, what all of them are asked, the guard."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.domain.accuracy import Accuracy
from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.measurement import Opening
from autotune.domain.paths import absolute
from autotune.machines.building import VariantMaker
from autotune.machines.deadlines import Deadlines
from autotune.machines.guards import GuardKeeper, accuracy_file, with_guard
from autotune.machines.process import WorkerProcess
from autotune.machines.workloads import WorkloadReader, workload_file
from autotune.space.configuration import CompileKey
from autotune.space.rows.variant import GIVEN, VARIANT
from autotune.workload.guard import Guard
from autotune.workload.workload import ModelSource, Variant

Start = Callable[[], WorkerProcess]
"""A new worker."""


def reference_file(log_folder: Path, variant: str = GIVEN) -> Path:
    """Where the reference outputs are kept, beside the workers' output.

    Those of variants have names that begin like that of the model as it was given.
    """
    own = "" if variant == GIVEN else f".{variant}.npz"
    return absolute(log_folder / f"reference.npz{own}")


class ModelFiles:
    """What commands to workers name of a model."""

    def __init__(
        self,
        source: ModelSource,
        variants: Sequence[Variant],
        guard: Guard | None,
        log_folder: Path,
        deadlines: Deadlines,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            source: the model as it was given, and what it is asked.
            variants: other files of it.
            guard: what is asked of answers; nothing without it.
            log_folder: gets samples and reference outputs.
            deadlines: longest times.
        """
        self._source = source
        self._sources = {GIVEN: source, **{one.name: one.source for one in variants}}
        self._guard = guard
        self._log_folder = log_folder
        self._deadlines = deadlines
        self._workloads = WorkloadReader(workload_file(log_folder), deadlines)
        self._guards: GuardKeeper | None = None
        if guard is not None:
            self._guards = GuardKeeper(guard, source, accuracy_file(log_folder), deadlines)

    def path(self, variant: str) -> Path:
        """The file of a variant."""
        return self._sources[variant].path

    def files(
        self, variant: str, start: Start, served: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """A model and what it is asked, as commands name them: the same for each variant.

        Raises:
            ModelError, InputCodeError: the inputs cannot be read.
        """
        files = self._workloads.files(self._source, start, served)
        reference = reference_file(self._log_folder, variant)
        return {**files, "path": str(self.path(variant)), "reference": str(reference)}

    def files_of(self, key: CompileKey, start: Start) -> dict[str, Any]:
        """The same of a compile key.

        Raises:
            TrialFault: it wants something of the model that is not known here.
            ModelError, InputCodeError: the inputs cannot be read.
        """
        name, served = self._named(key)
        return self.files(name, start, served)

    def accuracy(self, key: CompileKey, start: Start) -> Accuracy | None:
        """What the guard finds of a compile key; None without one.

        Raises:
            TrialFault: it cannot be run.
            ModelError, InputCodeError: samples, labels or metric cannot be used.
        """
        if self._guards is None:
            return None
        name, served = self._named(key)
        return self._guards.of(key, self._sources[name], served, start)

    def guarded(self, key: CompileKey, opening: Opening, accuracy: Accuracy | None) -> Opening:
        """An opening with what the guard found, or that nobody has looked."""
        return with_guard(opening, accuracy, is_variant=self._named(key)[0] != GIVEN)

    def maker(self, cache: Path, start: Start) -> VariantMaker:
        """Makes variants of this model, and keeps them in a folder."""
        return VariantMaker(
            self._source,
            self._guard,
            cache=cache,
            log_folder=self._log_folder,
            deadlines=self._deadlines,
            start=start,
        )

    def _named(self, key: CompileKey) -> tuple[str, dict[str, str]]:
        """The file that a key is about, by name, and what else it wants of the model.

        Raises:
            TrialFault: it wants something of the model that is not known here.
        """
        served = dict(key.model)
        name = served.pop(VARIANT.name, GIVEN)
        if (served and self._source.workload is None) or name not in self._sources:
            message = f"no such model is known here: {', '.join(map('='.join, key.model))}"
            raise TrialFault(Failure(FailureKind.INVALID_CONFIGURATION, message, "open"))
        return name, served
