"""From best.json to a compiled model, in the user's own process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.domain.model_file import located
from autotune.errors import UsageError
from autotune.export.best_file import BestFile, model_of, read_best
from autotune.export.configuration import configuration_of
from autotune.export.core_budget import properties_of


@dataclass(frozen=True, slots=True)
class Deployment:
    """A best.json that was read from a file."""

    best: BestFile
    """Everything the file says; latencies in milliseconds, throughput in items per second."""
    path: Path
    """Where it was read from; the model's path is relative to its folder."""

    @property
    def model_path(self) -> Path:
        """The model file."""
        return located(self.path.parent / self.best.model.path)

    @property
    def cpus(self) -> tuple[int, ...] | None:
        """The core budget that it was measured under; None for all CPUs of its machine."""
        found = self.best.core_budget
        return None if found is None else tuple(found.cpus)

    def compile(self, core: Any, model: Path | None = None) -> tuple[Any, Any]:
        """Compile exactly what was measured.

        The process is not confined to the file's core budget: whoever wants that calls
        ``os.sched_setaffinity(0, deployment.cpus)`` before, as what is started then inherits it.

        Args:
            core: an `openvino.Core`.
            model: the model file, if it was moved.

        Returns:
            The `openvino.CompiledModel`, whose inputs have the tuned batch in their first
            dimension, and an `openvino.AsyncInferQueue` of the tuned number of requests.

        Raises:
            ModelError: the model is missing or not the one that was tuned.
            UsageError: the file was edited, so that its properties are none that autotune writes;
                or something else was done to the model.
            RuntimeError: the runtime refuses the configuration.
        """
        from autotune.worker.deploy import compile_deployment

        best = self.best
        wanted = configuration_of(best, self.path).compile_key.model
        if wanted:
            told = ", ".join(map("=".join, wanted))
            raise UsageError(f"{self.path}: {told}: compile() knows nothing of that")
        path = model_of(best, self.path, model)
        return compile_deployment(
            core,
            path,
            best.model.shapes,
            best.device,
            properties_of(best),
            best.batch_size,
            best.num_requests,
        )


def load_best(path: str | Path) -> Deployment:
    """Read and check a best.json.

    Raises:
        AutotuneError: missing, not valid, or of a newer format.
    """
    return Deployment(read_best(Path(path)), Path(path))
