"""From best.json to a compiled model, in the user's own process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.domain.model_file import located
from autotune.errors import UsageError
from autotune.export.best_file import BestFile, model_of, read_best
from autotune.export.configuration import configuration_of
from autotune.export.core_budget import properties_of
from autotune.export.served import in_graph, mix_and_plan
from autotune.space.rows.variant import VARIANT
from autotune.space.rows.workload import PREPROCESSING, SHAPE_PLAN
from autotune.space.shape_plan import ShapePlan
from autotune.workload.mix import Mix
from autotune.workload.preprocessing import Preprocessing


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
        """Compile exactly what was measured, where that is one model.

        With preprocessing in the graph it takes images as they come. One that serves a mix of
        shapes has open dimensions, or the one shape that all items are padded to.

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
                or it is several models: call `compile_mix`.
            RuntimeError: the runtime refuses the configuration.
        """
        from autotune.worker.deploy import compile_deployment

        recipe = self._recipe(core, model)
        mixed = mix_and_plan(self.best, self.path)
        if mixed is not None:
            mix, plan = mixed
            if len(mix.forms(plan)) > 1:
                raise UsageError(
                    f"{self.path}: shape_plan: {plan} is {plan.count} models, and compile() gives "
                    "one: call compile_mix()"
                )
            return self._only(recipe, mix, plan)
        return compile_deployment(recipe, self.best.model.shapes, self._in_graph())

    def compile_mix(self, core: Any, model: Path | None = None) -> Any:
        """Compile exactly what was measured of a mix of shapes: one model, or one for each bucket.

        Args:
            core: as for `compile`.
            model: likewise.

        Returns:
            An object with ``compiled``, the models; ``num_requests``, to be kept in flight over all
            of them together; ``batch_size``, of items of one model; and ``fit(sample)``, which for
            an item, an array by input name, gives its model and the arrays that this takes, padded
            where that was said to be harmless. It raises ValueError for an item that no model
            takes.

        Raises:
            ModelError, UsageError, RuntimeError: as for `compile`; where there is one shape, the
                way out is `compile`.
        """
        from autotune.worker.deploy import compile_models

        recipe = self._recipe(core, model)
        mixed = mix_and_plan(self.best, self.path)
        if mixed is None:
            raise UsageError(
                f"{self.path}: there is no mix of shapes, and one model: call compile()"
            )
        return compile_models(recipe, *mixed)

    def _recipe(self, core: Any, moved: Path | None) -> Any:
        """What is compiled, after all that can be checked was checked."""
        from autotune.worker.deploy import Recipe

        best = self.best
        wanted = dict(configuration_of(best, self.path).compile_key.model)
        unknown = sorted(set(wanted) - {PREPROCESSING.name, SHAPE_PLAN.name, VARIANT.name})
        if unknown:
            told = ", ".join(f"{name}={wanted[name]}" for name in unknown)
            raise UsageError(f"{self.path}: {told}: compile() knows nothing of that")
        return Recipe(
            core=core,
            path=model_of(best, self.path, moved),
            device=best.device,
            properties=properties_of(best),
            batch_size=best.batch_size,
            num_requests=best.num_requests,
        )

    def _only(self, recipe: Any, mix: Mix, plan: ShapePlan) -> tuple[Any, Any]:
        from autotune.worker.deploy import compile_models, queue_of

        (one,) = compile_models(recipe, mix, plan).compiled
        return one, queue_of(one, recipe)

    def _in_graph(self) -> tuple[Preprocessing, tuple[int, int] | None] | None:
        """The preprocessing that is compiled into the model, and the size of every image."""
        try:
            how = in_graph(self.best)
        except ValueError as error:
            raise UsageError(f"{self.path}: {error}") from None
        asked = self.best.model.workload
        return None if how is None or asked is None else (how, asked.image_size)


def load_best(path: str | Path) -> Deployment:
    """Read and check a best.json.

    Raises:
        AutotuneError: missing, not valid, or of a newer format.
    """
    return Deployment(read_best(Path(path)), Path(path))
