"""Compile a configuration for use, by the same steps as for measuring it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from autotune.space.shape_plan import ShapePlan
from autotune.worker import model
from autotune.worker.asked import WorkloadData
from autotune.worker.fitting import padded
from autotune.worker.inputs import DataError
from autotune.worker.mixed import MixedModels
from autotune.worker.preprocessing import with_preprocessing
from autotune.workload.costs import in_words
from autotune.workload.mix import Mix, routed
from autotune.workload.preparing import Size
from autotune.workload.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is compiled, and how often it runs at a time."""

    core: ov.Core
    path: Path
    device: str
    properties: dict[str, str]
    batch_size: int
    num_requests: int
    """In flight over all models of the deployment together."""

    def compiled(self, network: ov.Model) -> ov.CompiledModel:
        """A model that has its batch."""
        return self.core.compile_model(network, self.device, self.properties)


@dataclass(frozen=True, kw_only=True)
class MixRouter:
    """The compiled models of a mix of shapes, and which of them an item is for."""

    compiled: tuple[ov.CompiledModel, ...]
    """In the order in which an item looks for one that it fits."""
    num_requests: int
    """In flight over all of them together, as it was measured."""
    batch_size: int
    """Items of a request, all of one model: their arrays joined along the first axis."""
    mix: Mix
    plan: ShapePlan

    def fit(
        self, sample: Mapping[str, np.ndarray]
    ) -> tuple[ov.CompiledModel, dict[str, np.ndarray]]:
        """The model that an item goes to, and the item as that takes it.

        What is put behind an item is behind its answer as well: cut that to the item's own size.

        Args:
            sample: one item, an array by input name.

        Raises:
            ValueError: it is larger than all models, or an axis may not be padded.
        """
        known = {name: np.asarray(values) for name, values in sample.items()}
        wanted = self.mix.shapes[0]
        if set(known) != set(wanted):
            message = f"the model takes {', '.join(wanted)}, and was given {', '.join(known)}"
            raise DataError(message)
        for name, values in known.items():
            if values.ndim != len(wanted[name]):
                message = f"{name!r} has {values.ndim} axes and its model takes {len(wanted[name])}"
                raise DataError(message)
        if not self.plan.is_static:
            return self.compiled[0], known
        forms = self.mix.forms(self.plan)
        sizes = self._sizes(known)
        at = routed(sizes, [self.mix.sizes_of(form) for form in forms])
        if at is None:
            listed = ", ".join(in_words(self.mix.sizes_of(form)) for form in forms)
            message = f"an item of {in_words(sizes)} fits none of the models: {listed}"
            raise DataError(message)
        return self.compiled[at], {
            name: padded(values, forms[at][name], self.mix.pads.get(name, ()), name)
            for name, values in known.items()
        }

    def _sizes(self, known: Mapping[str, np.ndarray]) -> tuple[int, ...]:
        """Along what varies: of axes that are one size, the largest."""
        return tuple(
            max(known[name].shape[axis] for name, axis in group) for group in self.mix.varying
        )


def compile_deployment(
    recipe: Recipe,
    shapes: dict[str, list[int]],
    prepared: tuple[Preprocessing, Size | None] | None = None,
) -> tuple[ov.CompiledModel, ov.AsyncInferQueue]:
    """The compiled model and a queue of the right size.

    Args:
        recipe: how.
        shapes: static ones at batch 1; empty for the file's own.
        prepared: preprocessing that is compiled into it, and the size of all images, if they have
            one; None for none.

    Raises:
        RuntimeError: the runtime refuses it.
    """
    network = model.read(recipe.core, recipe.path, shapes)
    if prepared is not None:
        how, size = prepared
        network = with_preprocessing(network, how, size=size)
    model.set_batch(network, recipe.batch_size)
    compiled = recipe.compiled(network)
    return compiled, queue_of(compiled, recipe)


def queue_of(compiled: ov.CompiledModel, recipe: Recipe) -> ov.AsyncInferQueue:
    """As many requests as were tuned."""
    return ov.AsyncInferQueue(compiled, recipe.num_requests)


def compile_models(recipe: Recipe, mix: Mix, plan: ShapePlan) -> MixRouter:
    """Every model of a mix of shapes.

    Raises:
        RuntimeError: the runtime refuses one.
    """
    served = MixedModels(
        read=lambda: model.load(recipe.core, recipe.path),
        asked=WorkloadData(samples=[], weights=[], mix=mix),
        plan=plan,
        batch_size=recipe.batch_size,
    )
    return MixRouter(
        compiled=tuple(recipe.compiled(network) for network in served.networks()),
        num_requests=recipe.num_requests,
        batch_size=recipe.batch_size,
        mix=mix,
        plan=plan,
    )
