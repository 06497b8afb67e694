"""One configuration as it is deployed: its compiled models, their data, the proof of answers."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import openvino as ov

from autotune.domain.measurement import Feed
from autotune.space.dimensions import ARITHMETIC_PROPERTY
from autotune.space.directed import flattened
from autotune.space.rows.workload import PREPROCESSING, SHAPE_PLAN
from autotune.space.shape_plan import Serving, ShapePlan, parse_plan
from autotune.worker import model
from autotune.worker.asked import WorkloadData
from autotune.worker.asking import bound, copied_in
from autotune.worker.batches import check
from autotune.worker.feeding import Feeding, bound_once, copied
from autotune.worker.gather import image_input
from autotune.worker.inputs import Sample, batch_of, input_name, samples
from autotune.worker.judgement import Subject, prove, trust_alone
from autotune.worker.mixed import MixedModels, prove_mixed
from autotune.worker.open_shapes import see_every_shape
from autotune.worker.own_answers import load_own_answers
from autotune.worker.parts import Answer
from autotune.worker.preprocessing import with_preprocessing
from autotune.worker.reference import GIVEN, load_reference, probes
from autotune.worker.states import prove_sequence
from autotune.worker.workload_feeds import in_turn, of_states, prepared
from autotune.workload.preparing import image_size, prepare, size_in
from autotune.workload.preprocessing import Where
from autotune.workload.workload import States


@dataclass(frozen=True, slots=True)
class Compiled:
    """Models of one deployment, and what it took to get them."""

    models: list[ov.CompiledModel]
    read_s: float
    compile_s: float
    """Of all of them, one after the other."""
    first_inference_ms: float
    """Of the slowest of them."""
    data: Sequence[Sample] = ()
    """Samples as the only model takes them."""


class DeployedModels(Protocol):
    """A configuration of a workload."""

    @property
    def subject(self) -> Subject:
        """What is compiled."""

    def compile(self) -> Compiled:
        """Read, compile, and answer once, as a deployment does when it starts."""

    def prove(self, compiled: Compiled) -> tuple[float, str | None]:
        """How far its answers are from those of single requests, and why they are not proven.

        Raises:
            WrongOutputError: they are other ones.
        """

    def ready(self, compiled: Compiled) -> Compiled:
        """What is put under load, after all that was looked at."""

    def feeding(self, compiled: Compiled, feed: str) -> Feeding:
        """How requests get their inputs; `feed` is a value of the domain's `Feed`."""


@dataclass(frozen=True, kw_only=True)
class OneModel:
    """A model of one shape."""

    subject: Subject
    file: Path | None
    """The user's data as the model takes them; None for random data."""
    asked: WorkloadData | None = None
    """None where there is nothing beside that file."""

    def _data(self, network: ov.Model) -> list[Sample]:
        """What it is fed with, as it takes it."""
        if self.asked is not None and self.subject.plain is not None:
            return list(self.asked.samples)  # images, which the model prepares itself
        return samples(network, self.file)

    def compile(self) -> Compiled:
        """As for every deployment."""
        begun = time.perf_counter()
        network = self.subject.read()
        read_s = time.perf_counter() - begun
        data = self._data(network)
        first = batch_of(data, 0, self.subject.batch_size)
        begun = time.perf_counter()
        compiled = self.subject.compiled(network)
        compile_s = time.perf_counter() - begun
        begun = time.perf_counter()
        model.infer(compiled, first)
        first_ms = 1000 * (time.perf_counter() - begun)
        return Compiled([compiled], read_s, compile_s, first_ms, data)

    def prove(self, compiled: Compiled) -> tuple[float, str | None]:
        """As for every deployment."""
        subject, (one,) = self.subject, compiled.models
        known = load_reference(subject.reference)
        plain = None
        if subject.plain is not None and self.asked is not None:
            known = known.of_kind(GIVEN)
            plain = probes(subject.plain(), self.file, known.kinds)
            groups = [list(self.asked.samples[: len(plain[0])])]
        else:
            groups = probes(subject.read(), self.file, known.kinds)
        outputs = model.infer(one, batch_of(groups[0], 0, subject.batch_size))
        off, why = prove(subject, one, outputs, groups, known, plain)
        if plain is not None and self.asked is not None and known.is_deterministic:
            off = max(off, self._prove_others(one, self.asked, len(plain[0])))
        if self.asked is not None and self.asked.states is States.CARRIED:
            exact = load_own_answers(subject.reference)
            arithmetic = model.arithmetic(one) or "f32"
            off = max(off, prove_sequence(one, self.asked.samples, exact, arithmetic))
        return off, why

    def _prove_others(self, compiled: ov.CompiledModel, asked: WorkloadData, first: int) -> float:
        """Images that the reference does not have, by single requests of the plain model.

        It is compiled for them, which only a graph with more images than that pays.
        """
        how, images = asked.preprocessing, asked.samples[first:]
        if how is None or not images:
            return 0.0
        alone = self.subject.single()
        name = image_input(alone, how)
        port = next(one for one in alone.inputs if input_name(one) == name)
        size = size_in(list(port.shape), how)
        plain = [{**one, name: prepare(one[name][0], how, *size)} for one in images]
        wanted = [model.answer(alone, one) for one in plain]
        arithmetic, count = model.arithmetic(compiled) or "f32", self.subject.batch_size
        worst = 0.0
        for at in range(0, len(images), count):
            outputs = model.infer(compiled, batch_of(images, at, count))
            mine = [wanted[(at + item) % len(images)] for item in range(count)]
            worst = max(worst, check(outputs, mine, wanted, arithmetic))
        return worst

    def ready(self, compiled: Compiled) -> Compiled:
        """As for every deployment; anew where the runtime makes one request of several."""
        if self.subject.gathers:
            return replace(compiled, models=[self.subject.compiled(self.subject.read())])
        if self.subject.plain is not None and self.asked is not None and self.asked.images_vary:
            see_every_shape(compiled.models[0], self.asked.samples)
        return compiled

    def feeding(self, compiled: Compiled, feed: str) -> Feeding:
        """As for every deployment."""
        (one,), batch_size = compiled.models, self.subject.batch_size
        copies, asked = feed != Feed.BIND, self.asked
        if asked is None:
            return (copied if copies else bound_once)(one, list(compiled.data), batch_size)
        if asked.states is not None:
            sequence = in_turn(one, asked.samples, copies=copies)
            return of_states(sequence, resets=asked.states is States.RESET)
        is_in_graph = self.subject.plain is not None
        if is_in_graph and asked.images_vary:
            return in_turn(one, asked.samples, copies=copies)
        if feed == Feed.END_TO_END and asked.preprocessing is not None and not is_in_graph:
            name = image_input(one, asked.preprocessing)
            return prepared(one, asked, name, batch_size)
        return (copied if copies else bound_once)(one, list(compiled.data), batch_size)


@dataclass(frozen=True, kw_only=True)
class SeveralShapes:
    """A mix of shapes, by one model with open dimensions or by static ones."""

    subject: Subject
    """At the static shapes that stand for all of them."""
    served: MixedModels
    file: Path | None
    """Samples of those shapes."""

    def compile(self) -> Compiled:
        """As for every deployment."""
        read_s = compile_s = slowest_s = 0.0
        found: list[ov.CompiledModel] = []
        begun = time.perf_counter()
        networks = self.served.networks()
        read_s = time.perf_counter() - begun
        for place, network in enumerate(networks):
            if place:
                self.subject.progress("compiling the next bucket")
            begun = time.perf_counter()
            one = self.subject.core.compile_model(
                network, self.subject.device, self.subject.properties
            )
            compile_s += time.perf_counter() - begun
            found.append(one)
        for place, one in enumerate(found):
            first = self._first(place)
            begun = time.perf_counter()
            model.infer(one, first)
            slowest_s = max(slowest_s, time.perf_counter() - begun)
        return Compiled(found, read_s, compile_s, 1000 * slowest_s)

    def _first(self, place: int) -> Sample:
        mine = [number for number, route in enumerate(self.served.routes) if route == place]
        return self.served.request([mine[i % len(mine)] for i in range(self.served.batch_size)])

    def prove(self, compiled: Compiled) -> tuple[float, str | None]:
        """As for every deployment.

        Whether a precision, or a property that was named by hand, is to be trusted is shown in one
        shape; then each item is held to what it is answered alone with the same.
        """
        subject, asked = self.subject, flattened(self.subject.properties)
        known = load_reference(subject.reference)
        arithmetic = model.arithmetic(compiled.models[0]) or asked.get(ARITHMETIC_PROPERTY, "")
        groups = probes(subject.read(), self.file, known.kinds)
        why = trust_alone(subject, groups, known, arithmetic)
        if subject.batch_size > 1:
            why = known.unproven_batch or why
        wanted = load_own_answers(subject.reference)
        if subject.doubtful or arithmetic != known.exact.arithmetic:
            wanted = self._alone()
        return prove_mixed(self.served, compiled.models, wanted, arithmetic), why

    def _alone(self) -> list[Answer]:
        """Each sample's answer in its own shape, in this precision and by nothing but a request."""
        subject = self.subject
        alone = replace(self.served, plan=ShapePlan(Serving.DYNAMIC), batch_size=1)
        (network,) = alone.networks()
        single = replace(subject, read=lambda: network, batch_size=1).single()
        return [model.answer(single, sample) for sample in self.served.asked.samples]

    def ready(self, compiled: Compiled) -> Compiled:
        """As for every deployment; anew where the runtime makes one request of several."""
        subject = self.subject
        if subject.gathers:
            again = [
                subject.core.compile_model(network, subject.device, subject.properties)
                for network in self.served.networks()
            ]
            return replace(compiled, models=again)
        if not self.served.plan.is_static:
            subject.progress("running every shape")
            see_every_shape(compiled.models[0], self.served.asked.samples)
        return compiled

    def feeding(self, compiled: Compiled, feed: str) -> Feeding:
        """As for every deployment."""
        fed = bound if feed == Feed.BIND else copied_in
        return fed(self.served.asking, compiled.models[0].inputs)


def deployment_of(
    subject: Subject,
    path: Path,
    file: Path | None,
    asked: WorkloadData | None,
    chosen: Mapping[str, str],
) -> DeployedModels:
    """What a compile key and a workload come to.

    Args:
        subject: the model at static shapes, and what it is compiled with.
        path: the model file.
        file: samples as the model takes them.
        asked: the workload; None for these samples alone.
        chosen: of the dimensions that decide what the model is, what is not at its default.

    Raises:
        RuntimeError: the workload knows no such choice.
    """
    if asked is not None and asked.mix is not None:
        plan = parse_plan(chosen.get(SHAPE_PLAN.name, SHAPE_PLAN.default))
        served = MixedModels(
            read=lambda: model.load(subject.core, path),
            asked=asked,
            plan=plan,
            batch_size=subject.batch_size,
        )
        return SeveralShapes(subject=subject, served=served, file=file)
    where = chosen.get(PREPROCESSING.name, Where.HOST)
    if where == Where.GRAPH and (asked is None or asked.preprocessing is None):
        message = "nothing is said of any preprocessing: [workload.preprocessing]"
        raise RuntimeError(message)
    if where == Where.GRAPH and asked is not None and asked.preprocessing is not None:
        how, plain, first = asked.preprocessing, subject.read, asked.samples[0]
        varies = asked.images_vary

        def read() -> ov.Model:
            network = plain()
            image = first[image_input(network, how)][0]
            return with_preprocessing(network, how, size=None if varies else image_size(image, how))

        subject = replace(subject, plain=plain, read=read)
    return OneModel(subject=subject, file=file, asked=asked)
