"""One configuration as it is deployed: its compiled models, their data, and the proof of answers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import openvino as ov

from autotune.worker import model
from autotune.worker.asked import Asked
from autotune.worker.inputs import Sample, batch_of, samples
from autotune.worker.judgement import Subject, prove
from autotune.worker.look_at_mix import load_answers, mix_file
from autotune.worker.mixed import MixedModels, prove_mixed
from autotune.worker.reference import GIVEN, load_reference, probes, run_key
from autotune.worker.states import prove_sequence
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


class Deployment(Protocol):
    """A configuration of a workload."""

    subject: Subject

    def compile(self) -> Compiled:
        """Read, compile, and answer once, as a deployment does when it starts."""

    def prove(self, compiled: Compiled) -> tuple[float, str | None]:
        """How far its answers are from those of single requests, and why they are not proven.

        Raises:
            WrongOutputError: they are other ones.
        """


@dataclass(frozen=True, kw_only=True)
class OneModel:
    """A model of one shape."""

    subject: Subject
    file: Path | None
    """The user's data as the model takes them; None for random data."""
    asked: Asked | None = None
    """None where there is nothing beside that file."""

    def data(self, network: ov.Model) -> list[Sample]:
        """What it is fed with, as it takes it."""
        if self.asked is not None and self.subject.plain is not None:
            return self.asked.samples  # images, which the model prepares itself
        return samples(network, self.file)

    def compile(self) -> Compiled:
        """As for every deployment."""
        begun = time.perf_counter()
        network = self.subject.read()
        read_s = time.perf_counter() - begun
        first = batch_of(self.data(network), 0, self.subject.batch_size)
        begun = time.perf_counter()
        compiled = self.subject.compiled(network)
        compile_s = time.perf_counter() - begun
        begun = time.perf_counter()
        model.infer(compiled, first)
        return Compiled([compiled], read_s, compile_s, 1000 * (time.perf_counter() - begun))

    def prove(self, compiled: Compiled) -> tuple[float, str | None]:
        """As for every deployment."""
        subject, (one,) = self.subject, compiled.models
        known = load_reference(subject.reference)
        plain = None
        if subject.plain is not None and self.asked is not None:
            known = known.of_kind(GIVEN)
            plain = probes(subject.plain(), self.file, known.kinds)
            groups = [self.asked.samples[: len(plain[0])]]
        else:
            groups = probes(subject.read(), self.file, known.kinds)
        outputs = model.infer(one, batch_of(groups[0], 0, subject.batch_size))
        off, why = prove(subject, one, outputs, groups, known, plain)
        if self.asked is not None and self.asked.states is States.CARRIED:
            exact = load_answers(mix_file(subject.reference))
            arithmetic = model.arithmetic(one) or "f32"
            off = max(off, prove_sequence(one, self.asked.samples, exact, arithmetic))
        return off, why


@dataclass(frozen=True, kw_only=True)
class SeveralShapes:
    """A mix of shapes, by one model with open dimensions or by static ones."""

    subject: Subject
    served: MixedModels

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

        Whether a precision, or a property that was named by hand, is to be trusted was shown by
        inspection in one of the shapes, or it is not.
        """
        subject = self.subject
        known = load_reference(subject.reference)
        arithmetic = model.arithmetic(compiled.models[0]) or "f32"
        run = None if subject.doubtful else known.run(subject.device, arithmetic)
        if run is None:
            why: str | None = f"nothing was shown of {', '.join(sorted(subject.doubtful))}"
        else:
            why = known.untrusted.get(run_key(run.device, run.requested))
        if subject.batch_size > 1:
            why = known.unproven_batch or why
        exact = load_answers(mix_file(subject.reference))
        return prove_mixed(self.served, compiled.models, exact, arithmetic), why
