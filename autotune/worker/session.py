"""What a worker can do: look at a model and a machine, open a configuration, put it under load."""

import resource
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino as ov

from autotune.worker import model, readings, sample
from autotune.worker.inputs import Sample, batch_of, input_name, samples
from autotune.worker.load import Load, requests_of

PRECISIONS = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
"""Values of INFERENCE_PRECISION_HINT, and the capability that shows them to be native."""

_PRECISION = "INFERENCE_PRECISION_HINT"
_MOST_REFERENCES = 16
_META_DEVICES = {"AUTO", "MULTI", "HETERO", "BATCH"}


class Answers(Protocol):
    """Where answers go, and whether the parent has said stop."""

    def say(self, word: str, **fields: Any) -> None:
        """Send one answer."""

    def is_told_to_go_on(self) -> bool:
        """Whether the parent wants another block."""


class Session:
    """One worker's state: the runtime, and at most one compiled model with its data."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._core = ov.Core()
        self._compiled: ov.CompiledModel | None = None
        self._data: list[Sample] = []
        self._batch_size = 1
        self._source: Load | None = None
        self._source_kind: tuple[int, str, str] | None = None

    def obey(self, command: dict[str, Any]) -> None:
        """Carry out one command; every fault becomes an answer."""
        do = command.pop("do")
        duties: dict[str, Any] = {
            "look": self.look,
            "inspect": self.inspect,
            "open": self.open,
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
            devices={name: self._device_facts(name) for name in self._core.available_devices},
            **{"inputs": [], "outputs": [], **described, **static},
        )

    def inspect(
        self,
        *,
        path: str,
        shapes: dict[str, list[int]],
        inputs: str | None,
        devices: list[str],
        reference: str,
        try_batch: bool,
    ) -> None:
        """Say what the model and the devices are, and keep reference outputs for later workers."""
        available = self._core.available_devices
        for device in devices:
            _check_device(device, available)
        facts = {name: self._device_facts(name) for name in available}
        described = model.describe(model.load(self._core, Path(path)))
        network = model.read(self._core, Path(path), shapes)
        data = samples(network, Path(inputs) if inputs else None)
        home = "CPU" if "CPU" in available else available[0]
        static_shapes = {input_name(port): list(port.get_shape()) for port in network.inputs}
        references = self._references(network, data, home, facts[home]["capabilities"])
        _save_references(Path(reference), references)
        default = references[""]
        exact = references.get("f32", default)
        self._answers.say(
            "inspected",
            openvino=ov.get_version(),
            devices=facts,
            default_precision=default.precision,
            precision_errors={
                name: model.deviation(outputs.outputs, exact.outputs)
                for name, outputs in references.items()
                if name
            },
            why_no_batch=self._why_no_batch(network, data, default, home) if try_batch else None,
            static_shapes=static_shapes,
            **described,
        )

    def open(  # noqa: PLR0913 - a message's fields
        self,
        *,
        path: str,
        shapes: dict[str, list[int]],
        inputs: str | None,
        device: str,
        properties: dict[str, str],
        batch_size: int,
        reference: str,
    ) -> None:
        """Compile one configuration, check its outputs, and say what it became."""
        begun = time.perf_counter()
        network = model.read(self._core, Path(path), shapes)
        self._data = samples(network, Path(inputs) if inputs else None)[:_MOST_REFERENCES]
        model.set_batch(network, batch_size)
        read_s = time.perf_counter() - begun
        self._source = None
        begun = time.perf_counter()
        self._compiled = self._core.compile_model(network, device, properties)
        compile_s = time.perf_counter() - begun
        self._batch_size = batch_size
        begun = time.perf_counter()
        model.infer(self._compiled, batch_of(self._data, 0, batch_size))
        first_inference_ms = 1000 * (time.perf_counter() - begun)
        expected = _load_reference(
            Path(reference), _precision(self._compiled) or properties.get(_PRECISION, "")
        )
        error = model.output_error(self._compiled, self._data, expected, batch_size)
        effective = model.effective_properties(self._compiled)
        self._answers.say(
            "opened",
            effective=effective,
            optimal_requests=int(effective.get("OPTIMAL_NUMBER_OF_INFER_REQUESTS", "1")),
            read_s=read_s,
            compile_s=compile_s,
            first_inference_ms=first_inference_ms,
            output_error=error,
        )

    def load(
        self,
        num_requests: int,
        api: str,
        feed: str,
        block_s: float,
        block_requests: int,
        limit_s: float,
    ) -> None:
        """Blocks of load, each next one when told to go on, for `limit_s` at most.

        The parent decides within a millisecond whether it needs another block. Requests that end
        meanwhile are in the unrecorded round with which a block begins.
        """
        source = self._requests(num_requests, api, feed)
        deadline = time.monotonic() + limit_s
        source.fill()
        try:
            going = True
            while going:
                self._answers.say("block", **source.block(block_s, block_requests))
                going = time.monotonic() < deadline and self._answers.is_told_to_go_on()
        finally:
            source.drain()
        self._answers.say("stopped", peak_rss_bytes=readings.peak_rss_bytes())

    def _requests(self, num_requests: int, api: str, feed: str) -> Load:
        """The requests of the last load where they fit: a turn in a race must cost no set-up."""
        if self._compiled is None:
            message = "no model is open"
            raise RuntimeError(message)
        kind = (num_requests, api, feed)
        if self._source is None or self._source_kind != kind:
            self._source = None  # the old ones go first: two sets may not fit in memory
            self._source = requests_of(
                self._compiled,
                num_requests,
                api,
                self._data,
                self._batch_size,
                copies=feed == "copy",
            )
            self._source_kind = kind
        return self._source

    def _device_facts(self, device: str) -> dict[str, Any]:
        facts: dict[str, Any] = {"name": device, "capabilities": [], "streams": None}
        for key, fact in (
            ("FULL_DEVICE_NAME", "name"),
            ("OPTIMIZATION_CAPABILITIES", "capabilities"),
            ("RANGE_FOR_STREAMS", "streams"),
        ):
            try:
                value = self._core.get_property(device, key)
            except (RuntimeError, TypeError):
                continue
            facts[fact] = value if isinstance(value, str) else list(value)
        return facts

    def _references(
        self, network: ov.Model, data: list[Sample], device: str, capabilities: list[str]
    ) -> dict[str, model.Reference]:
        """Outputs at batch 1 by precision; the empty name is what the runtime chooses by itself."""
        found = {}
        for name in ("", *(name for name, sign in PRECISIONS.items() if sign in capabilities)):
            properties = {_PRECISION: name} if name else {}
            compiled = self._core.compile_model(network, device, properties)
            outputs = [model.infer(compiled, sample) for sample in data[:_MOST_REFERENCES]]
            found[name] = model.Reference(name or _precision(compiled) or "f32", outputs)
        return found

    def _why_no_batch(
        self, network: ov.Model, data: list[Sample], expected: model.Reference, device: str
    ) -> str | None:
        """None when a batch of two gives the same answers as two requests; else the reason.

        Leaves the network at that batch.
        """
        if any(not len(port.get_shape()) or port.get_shape()[0] != 1 for port in network.inputs):
            return "the first dimension of every input must be 1"
        try:
            model.set_batch(network, 2)
            model.output_error(self._core.compile_model(network, device), data, expected, 2)
        except (RuntimeError, model.WrongOutputError) as error:
            return model.last_line(error)
        return None


def classify(error: Exception, phase: str) -> str:
    """The kind of failure, from the exception's type and OpenVINO's wording."""
    text = str(error)
    if isinstance(error, model.WrongOutputError):
        return "wrong_output"
    if isinstance(error, model.ShapeError):
        return "shape"
    if isinstance(error, _DeviceMissingError):
        return "device"
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
    return {"look": "model", "inspect": "model", "open": "compile_error"}.get(
        phase, "runtime_error"
    )


class _DeviceMissingError(Exception):
    """A device that the runtime does not have here."""


def _check_device(device: str, available: list[str]) -> None:
    kind, _, members = device.partition(":")
    names = [name.partition("(")[0] for name in members.split(",")] if members else []
    wanted = names if kind in _META_DEVICES else [device, *names]
    for name in wanted:
        if name not in available and name not in {found.partition(".")[0] for found in available}:
            listed = ", ".join(available) or "none"
            message = f"{device!r} is not here: the runtime has {listed}"
            raise _DeviceMissingError(message)


def _precision(compiled: ov.CompiledModel) -> str:
    """The precision in use; empty where the device does not tell, as meta devices do not."""
    return model.effective_properties(compiled).get(_PRECISION, "")


def _save_references(path: Path, references: dict[str, model.Reference]) -> None:
    arrays = {
        f"{name}|{i}|{j}": array
        for name, reference in references.items()
        for i, sample in enumerate(reference.outputs)
        for j, array in enumerate(sample)
    }
    # The limit is there for logs.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    np.savez(path, default=np.array(references[""].precision), **arrays)  # type: ignore[arg-type]
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _load_reference(path: Path, precision: str) -> model.Reference:
    """The outputs of this precision, or of the default where it has none of its own."""
    with np.load(path, allow_pickle=False) as arrays:
        names = [name.split("|") for name in arrays.files if name != "default"]
        chosen = precision if any(name == precision for name, _, _ in names) else ""
        keys = sorted((int(i), int(j)) for name, i, j in names if name == chosen)
        outputs: list[list[np.ndarray]] = [[] for _ in range(keys[-1][0] + 1)]
        for i, j in keys:
            outputs[i].append(arrays[f"{chosen}|{i}|{j}"])
        return model.Reference(chosen or str(arrays["default"]), outputs)


def _nothing(**_: Any) -> None:
    """`close`, and a late `stop`."""
