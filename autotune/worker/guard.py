"""The guard: answers on held-out samples, held to those of the model as it was given.

Each sample is asked alone: that a batch gives the answers of single requests is proven elsewhere.
Where the metric is a function of the study's it runs here, in a process that is never measured.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from autotune.domain.inspection import home_of, native_of
from autotune.space.dimensions import ARITHMETIC_PROPERTY
from autotune.space.directed import kept
from autotune.space.rows.workload import SHAPE_PLAN
from autotune.space.shape_plan import parse_plan
from autotune.worker import model
from autotune.worker.asked import WorkloadData, load_asked
from autotune.worker.deployment import Compiled, DeployedModels, SeveralShapes, deployment_of
from autotune.worker.fitting import cropped
from autotune.worker.gather import image_input
from autotune.worker.gathered import unhurried
from autotune.worker.given_answers import given_answers
from autotune.worker.inputs import DataError, Sample, input_name, shapes_of
from autotune.worker.judgement import Subject
from autotune.worker.user_metric import UserMetric, labels_of
from autotune.workload.metrics import (
    Metric,
    MetricError,
    Outputs,
    is_same,
    score,
    top1_of_label,
    why_silent,
)
from autotune.workload.mix import routed
from autotune.workload.preparing import prepare, size_in
from autotune.workload.workload import States

_RESAMPLED, _LONGEST_S = 400, 30.0
"""How often samples are drawn anew for a metric of all of them together, and how long that may
take; at least 50 times."""
_LEAST_RESAMPLED = 50
_SEED = 19


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """What is held to the model as it was given."""

    core: ov.Core
    given: Path
    """The model as it was given."""
    path: Path
    """The variant; the same file where only its settings are looked at."""
    shapes: dict[str, list[int]]
    """Static, at batch 1; empty for the files' own."""
    home: str
    """The device whose answers all are held to."""
    arithmetic: str
    """Of these: f32 where the device has it."""
    device: str
    properties: dict[str, str]
    served: dict[str, str]
    """Of the dimensions that decide what the model is, what is not at its default."""
    asked: WorkloadData
    """All samples, those that calibration saw among them."""
    samples: Path
    """Their file."""
    held: Sequence[int]
    """Numbers of those that were held out."""
    labels: Sequence[dict[str, np.ndarray[Any, Any]]] | None = None
    """Of all samples; None without any."""
    progress: Callable[[str], None]

    def answers(self) -> tuple[list[Outputs], list[Outputs], list[int]]:
        """Of the reference, of what is looked at, and the samples' numbers, in their order.

        Raises:
            RuntimeError: one of them cannot be run.
            DataError: no sample is left.
        """
        numbers = [number for number in self.held if self._fits(number)]
        if not numbers:
            message = "[accuracy]: no held-out sample is left that the shape plan takes"
            raise DataError(message)
        self.progress("asking the model as it was given")
        wanted = given_answers(self.samples, numbers, lambda: self._of_given(numbers))
        self.progress("asking the variant")
        found = self._of_variant(numbers)
        pairs = zip(wanted, found, strict=True)
        return wanted, [_as_wanted(one, other) for one, other in pairs], numbers

    def _fits(self, number: int) -> bool:
        mix = self.asked.mix
        if mix is None:
            return True
        buckets = mix.buckets_of(parse_plan(self.served.get(SHAPE_PLAN.name, SHAPE_PLAN.default)))
        sizes = mix.sizes_of(shapes_of(self.asked.samples[number]))
        return not buckets or routed(sizes, buckets) is not None

    def _of_given(self, numbers: Sequence[int]) -> list[Outputs]:
        chosen = {ARITHMETIC_PROPERTY: self.arithmetic} if self.arithmetic else {}
        properties = {**unhurried(self.home), **chosen}

        def compiled(network: ov.Model) -> ov.CompiledModel:
            return self.core.compile_model(network, self.home, properties)

        if self.asked.mix is None:
            one = compiled(model.read(self.core, self.given, self._static))
            return self._asked_in_turn(one, numbers, self._prepared(one))
        found = {}
        by_shape: dict[tuple[Any, ...], list[int]] = {}
        for number in numbers:
            key = tuple(sorted(shapes_of(self.asked.samples[number]).items()))
            by_shape.setdefault(key, []).append(number)
        for key, mine in by_shape.items():
            network = model.load(self.core, self.given)
            network.reshape({name: list(shape) for name, shape in key})
            one = compiled(network)
            self.progress("asking the next shape")
            for number in mine:
                found[number] = _outputs(one, model.infer(one, self.asked.samples[number]))
        return [found[number] for number in numbers]

    @cached_property
    def _static(self) -> dict[str, list[int]]:
        """The one shape of all samples, as the model takes them."""
        if self.asked.preprocessing is not None or self.shapes:
            return self.shapes
        return {name: list(shape) for name, shape in shapes_of(self.asked.samples[0]).items()}

    def _prepared(self, compiled: ov.CompiledModel) -> Callable[[Sample], Sample]:
        """From a sample as it comes to one as the model takes it."""
        how = self.asked.preprocessing
        if how is None:
            return lambda sample: sample
        name = image_input(compiled, how)
        port = next(one for one in compiled.inputs if input_name(one) == name)
        size = size_in(list(port.shape), how)
        return lambda sample: {**sample, name: prepare(sample[name][0], how, *size)}

    def _asked_in_turn(
        self,
        compiled: ov.CompiledModel,
        numbers: Sequence[int],
        ready: Callable[[Sample], Sample],
    ) -> list[Outputs]:
        """One request that goes through the samples; states as the workload says."""
        request, states = compiled.create_infer_request(), self.asked.states
        wanted, found = set(numbers), []
        for number, sample in enumerate(self.asked.samples):
            if number not in wanted and states is not States.CARRIED:
                continue
            if states is States.RESET:
                request.reset_state()
            outputs = model.infer_by(request, compiled, ready(sample))
            if number in wanted:
                found.append(_outputs(compiled, outputs))
        return found

    def _of_variant(self, numbers: Sequence[int]) -> list[Outputs]:
        deployment, compiled = self._deployed()
        if isinstance(deployment, SeveralShapes):
            served = deployment.served
            return [
                _outputs(one, model.infer(one, served.fitted(number)))
                for number in numbers
                for one in [compiled.models[served.routes[number]]]
            ]
        (one,) = compiled.models
        in_graph = deployment.subject.plain is not None
        ready = (lambda sample: sample) if in_graph else self._prepared(one)
        return self._asked_in_turn(one, numbers, ready)

    def _deployed(self) -> tuple[DeployedModels, Compiled]:
        chosen = Subject(
            core=self.core,
            read=lambda: model.read(self.core, self.path, self._static),
            device=self.device,
            properties=self.properties,
            batch_size=1,
            reference=Path(),
            progress=self.progress,
        )
        names = {ARITHMETIC_PROPERTY, *chosen.doubtful}
        properties = {**unhurried(self.device), **kept(self.properties, names)}
        fitting = [number for number in range(len(self.asked.samples)) if self._fits(number)]
        asked = self.asked
        if asked.mix is not None and len(fitting) < len(asked.samples):
            first = asked.samples[fitting[0]]  # in the place of those that no bucket takes
            samples = [one if n in set(fitting) else first for n, one in enumerate(asked.samples)]
            asked = replace(asked, samples=samples)
        subject = replace(chosen, properties=properties)
        deployment = deployment_of(subject, self.path, None, asked, self.served)
        return deployment, _compiled(deployment)


def _compiled(deployment: DeployedModels) -> Compiled:
    """Without a first inference, which needs samples as `[model] inputs` has them."""
    subject = deployment.subject
    if isinstance(deployment, SeveralShapes):
        networks = deployment.served.networks()
    else:
        networks = [subject.read()]
    models = [
        subject.core.compile_model(one, subject.device, subject.properties) for one in networks
    ]
    return Compiled(models, 0.0, 0.0, 0.0)


def _outputs(compiled: ov.CompiledModel, arrays: Sequence[np.ndarray[Any, Any]]) -> Outputs:
    """Copies, by name: a request gives them out of its own memory."""
    named = zip(model.output_names(compiled), arrays, strict=True)
    return {name: np.array(array) for name, array in named}


def _as_wanted(wanted: Outputs, found: Outputs) -> Outputs:
    """By the reference's names, cut to what an item has alone where it was padded."""
    pairs = zip(wanted.items(), found.values(), strict=True)
    return {name: _cut(other, one.shape) for (name, one), other in pairs}


def _cut(found: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    is_larger = found.ndim == len(shape) and all(
        have >= need for have, need in zip(found.shape, shape, strict=True)
    )
    return cropped(found, shape) if is_larger else found


def hold(
    core: ov.Core, progress: Callable[[str], None], *, metric: dict[str, Any], **asked: Any
) -> dict[str, Any]:
    """The same from the fields of a message; see `Guarded`.

    Raises:
        RuntimeError, DataError, InputCodeError: as for `guard`.
    """
    samples = Path(asked.pop("samples"))
    data, labels = load_asked(samples), asked.pop("labels")
    is_part = asked.pop("is_part")
    capabilities = {
        name: core.get_property(name, "OPTIMIZATION_CAPABILITIES")
        for name in core.available_devices
    }
    home = home_of(capabilities)
    guarded = Guarded(
        core=core,
        given=Path(asked.pop("given")),
        path=Path(asked.pop("path")),
        home=home,
        arithmetic="f32" if "f32" in native_of(home, capabilities[home]) else "",
        asked=data,
        samples=samples,
        labels=None
        if labels is None
        else labels_of(Path(labels), len(data.samples), is_part=is_part),
        progress=progress,
        **asked,
    )
    return guard(guarded, Metric.from_dict(metric))


def guard(guarded: Guarded, metric: Metric) -> dict[str, Any]:
    """What the metric says, as the fields of an answer.

    Raises:
        RuntimeError: the model or the variant cannot be run.
        DataError: labels or samples do not fit.
        InputCodeError: the study's function failed.
    """
    wanted, found, numbers = guarded.answers()
    if metric.output and metric.output not in wanted[0]:
        message = f"output: there is no {metric.output!r}; there are {', '.join(wanted[0])}"
        raise DataError(message)
    is_identical = all(is_same(*pair) for pair in zip(wanted, found, strict=True))
    why = why_silent(wanted, metric.output)
    told: dict[str, Any] = {
        "samples": len(numbers),
        "is_identical": is_identical,
        "is_random": guarded.asked.is_random,
        "reference": [],
        "found": [],
        "is_compared": False,
        "totals": None,
        "resampled": [],
        "why": None if why is None else f"{why}: nothing can be compared",
    }
    if why is not None:
        return told
    labels = None if guarded.labels is None else [guarded.labels[n] for n in numbers]
    if metric.code is not None:
        samples = [dict(guarded.asked.samples[n]) for n in numbers]
        if labels is not None:
            samples = [{**one, **label} for one, label in zip(samples, labels, strict=True)]
        with UserMetric(metric.code, metric.name) as function:
            return told | _by_function(function, samples, wanted, found)
    try:
        return told | _by_name(metric, wanted, found, labels)
    except MetricError as error:
        return told | {"why": str(error)}


def _by_name(
    metric: Metric,
    wanted: Sequence[Outputs],
    found: Sequence[Outputs],
    labels: Sequence[dict[str, np.ndarray[Any, Any]]] | None,
) -> dict[str, Any]:
    if labels is None:
        scores = [score(metric, one, other) for one, other in zip(wanted, found, strict=True)]
        if any(math.isnan(one) for one in scores):
            return {"why": "an answer has values that are not finite"}
        return {"reference": [1.0] * len(scores), "found": scores, "is_compared": True}
    name = metric.output or next(iter(wanted[0]))
    rights = [next(iter(label.values())) for label in labels]
    each = [
        [top1_of_label(right, one[name]) for right, one in zip(rights, answers, strict=True)]
        for answers in (wanted, found)
    ]
    return {"reference": each[0], "found": each[1]}


def _by_function(
    function: UserMetric,
    samples: Sequence[Sample],
    wanted: Sequence[Outputs],
    found: Sequence[Outputs],
) -> dict[str, Any]:
    """Of a function of all samples; where it gives one number for all, of resampled ones too."""
    began = time.perf_counter()
    base, own = function(wanted, samples), function(found, samples)
    took_s = time.perf_counter() - began
    if isinstance(base, list) and isinstance(own, list):
        return {"reference": base, "found": own}
    if isinstance(base, list) or isinstance(own, list):
        message = f"{function.label} gave a number once, and several the other time"
        raise DataError(message)
    often = min(_RESAMPLED, max(_LEAST_RESAMPLED, int(_LONGEST_S / max(took_s, 1e-6))))
    random = np.random.default_rng(_SEED)
    lost = []
    for _ in range(often if len(samples) > 1 else 0):
        chosen = [int(n) for n in random.integers(len(samples), size=len(samples))]
        drawn = [samples[n] for n in chosen]
        pair = [function([one[n] for n in chosen], drawn) for one in (wanted, found)]
        if any(isinstance(one, list) for one in pair):
            message = f"{function.label} gave a number once, and several the other time"
            raise DataError(message)
        lost.append(float(pair[0]) - float(pair[1]))  # type: ignore[arg-type]
    return {"totals": [base, own], "resampled": lost}
