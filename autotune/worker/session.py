"""What a worker can do: look at a model and a machine, open a configuration, put it under load."""

import dataclasses
import time
from pathlib import Path
from typing import Any, Protocol

import openvino as ov

from autotune.domain.inspection import home_of
from autotune.space.all_devices import expanded
from autotune.space.directed import flattened
from autotune.worker import model, sample
from autotune.worker.absent import absent
from autotune.worker.batches import WrongOutputError
from autotune.worker.cache import try_cache
from autotune.worker.device import device_facts
from autotune.worker.device_names import DeviceMissingError, check_device
from autotune.worker.examination import examine
from autotune.worker.graph import why_random_misleads
from autotune.worker.inputs import DataError, Sample, batch_of, input_name, samples
from autotune.worker.inspection import Bench, inspect
from autotune.worker.items import items_per_request
from autotune.worker.judgement import Subject, forget, prove
from autotune.worker.load import RequestLoop, requests_of
from autotune.worker.memory import HighWater, give_back, rss_bytes, why_no_phases
from autotune.worker.properties import PropertyError, check_properties
from autotune.worker.readings import meter
from autotune.worker.reference import load_reference, probes, save_reference


class Answers(Protocol):
    """Where answers go, and whether the parent has said stop."""

    def say(self, word: str, **fields: Any) -> None:
        """Send one answer."""

    def is_told_to_go_on(self) -> bool:
        """Whether the parent wants another block."""


class Session:
    """One worker's state: the runtime, and at most one compiled model with its data."""

    def __init__(self, answers: Answers, core: ov.Core | None = None) -> None:
        self._answers = answers
        self._core = core or ov.Core()
        self._compiled: ov.CompiledModel | None = None
        self._data: list[Sample] = []
        self._batch_size = 1
        self._source: RequestLoop | None = None
        self._source_kind: tuple[int, bool, str] | None = None
        self._high_water = HighWater()
        self._opened_rss_bytes: int | None = None
        """Held at the first answer, with what compiling left behind, as a deployment holds it."""

    def obey(self, command: dict[str, Any]) -> None:
        """Carry out one command; every fault becomes an answer."""
        do = command.pop("do")
        duties: dict[str, Any] = {
            "look": self.look,
            "examine": self.examine,
            "inspect": self.inspect,
            "open": self.open,
            "cached": self.cached,
            "load": self.load,
            "write_sample": self.write_sample,
        }
        try:
            duties.get(do, _nothing)(**command)
        except Exception as error:  # noqa: BLE001 - the one place: a worker's faults are the parent's data
            self._answers.say("failed", kind=classify(error, do), message=model.last_line(error))
        command["do"] = do

    def write_sample(self, path: str) -> None:
        """Write a small model, to have something to run where the user gave none."""
        sample.write(Path(path))
        self._answers.say("written")

    def look(
        self, path: str | None, shapes: dict[str, list[int]] | None = None, batch_size: int = 1
    ) -> None:
        """Say what devices there are, and a model's inputs and outputs; compile nothing.

        With `shapes`, also what the ports are with these shapes and this batch.
        """
        described, static = {}, {}
        if path:
            described = model.describe(model.load(self._core, Path(path)))
        if path and shapes is not None:
            network = model.read(self._core, Path(path), shapes)
            model.set_batch(network, batch_size)
            static = {f"static_{kind}": ports for kind, ports in model.describe(network).items()}
        self._answers.say(
            "looked",
            openvino=ov.get_version(),
            devices={name: device_facts(self._core, name) for name in self._core.available_devices},
            absent={} if path else absent(self._core, self._core.available_devices),
            **{"inputs": [], "outputs": [], **described, **static},
        )

    def examine(self, path: str, shapes: dict[str, list[int]]) -> None:
        """Say what a model holds; compile nothing."""
        facts = examine(self._core, Path(path), shapes)
        self._answers.say("examined", openvino=ov.get_version(), **facts)

    def inspect(  # noqa: PLR0913 - a message's fields
        self,
        *,
        path: str,
        shapes: dict[str, list[int]],
        inputs: str | None,
        devices: list[str],
        reference: str,
        try_batch: bool,
        named: dict[str, list[str]] | None = None,
    ) -> None:
        """Say what the model and the devices are, and keep reference answers for later workers."""
        available = self._core.available_devices
        devices = list(expanded(devices, available))
        for device in devices:
            check_device(self._core, device, available)
        described = model.describe(model.load(self._core, Path(path)))
        network = model.read(self._core, Path(path), shapes)
        facts = {name: device_facts(self._core, name, network) for name in available}
        model.check_types(self._core, network, devices)
        check_properties(self._core, devices, named or {})
        static_shapes = {input_name(port): list(port.get_shape()) for port in network.inputs}
        file = Path(inputs) if inputs else None
        self._progress("counting items")
        items = items_per_request(self._core, network, samples(network, file), home_of(facts))
        warnings = [] if inputs else why_random_misleads(network)
        bench = Bench(
            core=self._core,
            network=network,
            file=file,
            capabilities={name: fact["capabilities"] for name, fact in facts.items()},
            progress=self._progress,
        )
        found = inspect(bench, devices, try_batch=try_batch)
        forget(Path(reference))
        save_reference(Path(reference), found.reference)
        self._answers.say(
            "inspected",
            openvino=ov.get_version(),
            devices=facts,
            default_precision=found.default_precision,
            precision_errors=found.precision_errors,
            untrusted=found.untrusted,
            unproven_precisions=found.reference.unproven_precisions(),
            is_deterministic=found.reference.is_deterministic,
            why_no_batch=found.reference.why_no_batch,
            unproven_batch=found.reference.unproven_batch if try_batch else None,
            static_shapes=static_shapes,
            items_per_request=items,
            fed_warnings=warnings,
            why_no_energy=meter().why_not,
            why_no_memory=why_no_phases(),
            **described,
        )

    def _subject(
        self,
        *,
        path: str,
        shapes: dict[str, list[int]],
        device: str,
        properties: dict[str, str],
        batch_size: int,
        reference: str,
    ) -> Subject:
        return Subject(
            self._core,
            lambda: model.read(self._core, Path(path), shapes),
            device,
            properties,
            batch_size,
            Path(reference),
            self._progress,
        )

    def open(self, *, inputs: str | None, batch_size: int, **chosen: Any) -> None:
        """Compile one configuration, check its answers, and say what it became."""
        begun = time.perf_counter()
        file = Path(inputs) if inputs else None
        subject = self._subject(batch_size=batch_size, **chosen)
        network = subject.read()
        self._data = samples(network, file)
        read_s = time.perf_counter() - begun
        self._source = None
        begun = time.perf_counter()
        self._compiled = subject.compiled(network)
        compile_s = time.perf_counter() - begun
        self._batch_size = batch_size
        begun = time.perf_counter()
        model.infer(self._compiled, batch_of(self._data, 0, batch_size))
        first_inference_ms = 1000 * (time.perf_counter() - begun)
        # What follows is ours: a deployment compares no answers, and reads no reference.
        open_peak_rss_bytes, self._opened_rss_bytes = self._high_water.whole_bytes, rss_bytes()
        error, unproven = self._proved(subject, network if batch_size == 1 else None, file)
        del network
        if subject.gathers:
            self._compiled = subject.compiled(subject.read())
        asked = flattened(chosen["properties"])
        effective = model.effective_properties(self._compiled, asked)
        give_back()
        self._answers.say(
            "opened",
            effective=effective,
            optimal_requests=int(effective.get("OPTIMAL_NUMBER_OF_INFER_REQUESTS", "1")),
            read_s=read_s,
            compile_s=compile_s,
            first_inference_ms=first_inference_ms,
            output_error=error,
            unproven=unproven,
            open_peak_rss_bytes=open_peak_rss_bytes,
        )

    def cached(self, *, inputs: str | None, cache: str, **chosen: Any) -> None:
        """Compile one configuration with a model cache, and say what that took."""
        file = Path(inputs) if inputs else None
        found = try_cache(self._subject(**chosen), file, Path(cache))
        self._answers.say("cached", **dataclasses.asdict(found))

    def _proved(
        self, subject: Subject, network: ov.Model | None, file: Path | None
    ) -> tuple[float, str | None]:
        """How far its answers are from those of single requests, and why they are not proven.

        The model is read again where it was left at a batch.
        """
        assert self._compiled is not None  # noqa: S101 - for the type checker
        known = load_reference(subject.reference)
        groups = probes(network or subject.read(), file, known.kinds)
        outputs = model.infer(self._compiled, batch_of(groups[0], 0, subject.batch_size))
        return prove(subject, self._compiled, outputs, groups, known)

    def _progress(self, what: str) -> None:
        """A long command goes on: every step has its own time."""
        self._answers.say("progress", what=what)

    def load(
        self,
        *,
        num_requests: int,
        is_blocking: bool,
        feed: str,
        block_s: float,
        block_requests: int,
        limit_s: float,
    ) -> None:
        """Blocks of load, each next one when told to go on, for `limit_s` at most.

        The parent decides within a millisecond whether it needs another block. Requests that end
        meanwhile are in the unrecorded round with which a block begins.
        """
        source = self._requests(num_requests, feed, is_blocking=is_blocking)
        deadline = time.monotonic() + limit_s
        source.fill()
        try:
            going = True
            while going:
                self._answers.say("block", **source.block(block_s, block_requests))
                going = time.monotonic() < deadline and self._answers.is_told_to_go_on()
        finally:
            source.drain()
        self._answers.say(
            "stopped",
            peak_rss_bytes=self._high_water.whole_bytes,
            load_peak_rss_bytes=self._high_water.phase_bytes,
        )

    def _requests(self, num_requests: int, feed: str, *, is_blocking: bool) -> RequestLoop:
        """The requests of the last load where they fit: a turn in a race must cost no set-up."""
        if self._compiled is None:
            message = "no model is open"
            raise RuntimeError(message)
        kind = (num_requests, is_blocking, feed)
        if self._source is None or self._source_kind != kind:
            self._source = None  # the old ones go first: two sets may not fit in memory
            give_back()
            self._high_water.begin(self._opened_rss_bytes)
            self._source = requests_of(
                self._compiled,
                num_requests,
                self._data,
                self._batch_size,
                is_blocking=is_blocking,
                copies=feed == "copy",
            )
            self._source_kind = kind
        return self._source


def classify(error: Exception, phase: str) -> str:
    """The kind of failure, from the exception's type and OpenVINO's wording."""
    text = str(error)
    known = next((kind for cause, kind in _KINDS.items() if isinstance(error, cause)), None)
    if known is not None:
        return known
    if isinstance(error, MemoryError) or any(
        sign in text
        for sign in ("bad_alloc", "Failed to allocate", "OUT_OF_RESOURCES", "out of GPU resources")
    ):
        return "out_of_memory"
    if any(
        sign in text
        for sign in ("Unsupported property", "Wrong value", "is not registered", "Invalid value")
    ):
        return "invalid_configuration"
    return _OTHERS.get(phase, "runtime_error")


_KINDS = {
    WrongOutputError: "wrong_output",
    model.ShapeError: "shape",
    DataError: "data",
    DeviceMissingError: "device",
    PropertyError: "property",
}
"""Failures that we tell apart ourselves."""
_OTHERS = {
    "look": "model",
    "examine": "model",
    "inspect": "model",
    "open": "compile_error",
    "cached": "compile_error",
}
"""What any other failure is, by the command."""


def _nothing(**_: Any) -> None:
    """`close`, and a late `stop`."""
