"""Read a model, give it static shapes and a batch, compile it, and check what comes out."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from autotune.worker.inputs import Sample, batch_of, input_name

# Largest deviation from the reference relative to its largest value. Made to catch wrong answers
# (a batch that mixes items up), not to judge accuracy.
_TOLERANCE = {"f32": 0.01, "f16": 0.05, "bf16": 0.15}


class WrongOutputError(Exception):
    """The compiled model's outputs have other shapes or values than the reference."""


class ShapeError(Exception):
    """The model needs static shapes, or was given ones that it cannot take."""


def load(core: ov.Core, path: Path) -> ov.Model:
    """The model as its file has it.

    Raises:
        RuntimeError: it cannot be read; with the way out where the runtime does not say it.
    """
    try:
        return core.read_model(path)
    except RuntimeError as error:
        said = last_line(error)
        way_out = next((way for sign, way in _WAYS_OUT.items() if sign in said), None)
        if way_out is None:
            raise
        raise RuntimeError(f"{said.rstrip('!')}: {way_out.format(path=path)}") from error


_WAYS_OUT = {
    "outside the base directory": "the runtime reads no weights from another folder than the "
    "model's, not even through a link; copy them to where they are one: cp -rL {path.parent} COPY",
    "Empty weights data": "they are expected in {path.stem}.bin beside it",
}
"""What to do about a file that cannot be read, by what the runtime says of it."""


def describe(model: ov.Model) -> dict[str, list[dict[str, str]]]:
    """Names, shapes and element types of inputs and outputs, as text."""
    return {
        "inputs": [_port(port) for port in model.inputs],
        "outputs": [_port(port) for port in model.outputs],
    }


def read(core: ov.Core, path: Path, shapes: dict[str, list[int]]) -> ov.Model:
    """The model with static shapes.

    Args:
        core: the runtime.
        path: any format that it reads.
        shapes: static shape by input name; the empty name stands for the only input. Empty to
            keep the model's own.

    Raises:
        ShapeError: a dimension stays dynamic, or a shape does not fit.
        RuntimeError: the file cannot be read.
    """
    model = load(core, path)
    if shapes:
        _reshape(model, shapes)
    dynamic = [port for port in model.inputs if port.get_partial_shape().is_dynamic]
    if dynamic:
        listed = "; ".join(
            f"{p['name']}: {p['shape']} {p['type']}" for p in describe(model)["inputs"]
        )
        message = (
            "the model has dynamic dimensions; give static ones with --shape. "
            f"Its inputs are {listed}"
        )
        raise ShapeError(message)
    return model


def set_batch(model: ov.Model, batch_size: int) -> None:
    """Multiply the first dimension of every input."""
    if batch_size == 1:
        return
    shapes = {
        port: [batch_size * port.get_shape()[0], *list(port.get_shape())[1:]]
        for port in model.inputs
    }
    model.reshape(shapes)


def effective_properties(compiled: ov.CompiledModel) -> dict[str, str]:
    """Every property of the compiled model that can be read, in the text form that it takes."""
    found = {}
    for name in compiled.get_property("SUPPORTED_PROPERTIES"):
        try:
            found[name] = _text(compiled.get_property(name))
        except (RuntimeError, TypeError):  # some are listed and cannot be read
            continue
    found.pop("SUPPORTED_PROPERTIES", None)
    return found


def infer(compiled: ov.CompiledModel, sample: Sample) -> list[np.ndarray]:
    """Outputs of one request."""
    request = compiled.create_infer_request()
    request.infer(sample)
    return [np.array(request.get_output_tensor(i).data) for i in range(len(compiled.outputs))]


@dataclass(frozen=True, slots=True)
class Reference:
    """Outputs at batch 1 and one precision: `outputs[sample][output]`."""

    precision: str
    outputs: list[list[np.ndarray]]


def output_error(
    compiled: ov.CompiledModel, data: list[Sample], expected: Reference, batch_size: int
) -> float:
    """Largest deviation from the reference, relative to its largest value, over all batch items.

    `set_batch` can silently produce wrong answers, faster; so each item of a batch must equal the
    outputs of the same sample at batch 1 and the same precision.

    Raises:
        WrongOutputError: another shape, a value that is finite in only one of the two, or a
            deviation beyond the tolerance of the precision.
    """
    worst = 0.0
    outputs = infer(compiled, batch_of(data, 0, batch_size))
    for index, output in enumerate(outputs):
        wanted = _batched([expected.outputs[i % len(data)][index] for i in range(batch_size)])
        if output.shape != wanted.shape:
            message = f"output {index} has the shape {output.shape}, expected {wanted.shape}"
            raise WrongOutputError(message)
        worst = max(worst, _deviation(output, wanted))
    tolerance = _TOLERANCE.get(expected.precision, 0.15)
    if not worst <= tolerance:
        message = (
            f"outputs deviate from batch 1 by {worst:.2g} of their largest value, "
            f"more than {tolerance:g}"
        )
        raise WrongOutputError(message)
    return worst


def _batched(items: list[np.ndarray]) -> np.ndarray:
    """Outputs of single requests as the batch must give them."""
    if len(items) == 1:
        return items[0]
    if items[0].ndim == 0 or len({item.shape[1:] for item in items}) > 1:
        raise WrongOutputError("an output has no batch dimension")
    return np.concatenate(items)


def deviation(outputs: list[list[np.ndarray]], exact: list[list[np.ndarray]]) -> float | None:
    """Largest deviation of any output of any sample; None where one of the two is not finite."""
    pairs = [pair for a, b in zip(outputs, exact, strict=True) for pair in zip(a, b, strict=True)]
    worst = max(_deviation(output, wanted) for output, wanted in pairs)
    return worst if math.isfinite(worst) else None


def _deviation(output: np.ndarray, expected: np.ndarray) -> float:
    if not np.issubdtype(expected.dtype, np.number):
        return float(not np.array_equal(output, expected))
    wanted, got = expected.astype(np.float64), output.astype(np.float64)
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(got)):
        return float("inf")
    if not finite.any():
        return 0.0
    scale = float(np.abs(wanted[finite]).max())
    return float(np.abs(got[finite] - wanted[finite]).max()) / (scale or 1.0)


def _reshape(model: ov.Model, shapes: dict[str, list[int]]) -> None:
    names = [input_name(port) for port in model.inputs]
    if set(shapes) == {""} and len(names) == 1:
        shapes = {names[0]: shapes[""]}
    unknown = sorted(
        set(shapes)
        - {name for port in model.inputs for name in (*port.get_names(), input_name(port))}
    )
    if unknown:
        listed = ", ".join(names)
        message = (
            f"no input is named {unknown[0]!r}; the inputs are {listed}"
            if unknown[0]
            else (f"the model has {len(names)} inputs; name each shape: {listed}")
        )
        raise ShapeError(message)
    try:
        model.reshape({name: list(shape) for name, shape in shapes.items()})
    except RuntimeError as error:
        message = f"the model cannot take the shape {shapes}: {last_line(error)}"
        raise ShapeError(message) from error


def last_line(error: BaseException) -> str:
    """The last line that says something: where OpenVINO puts the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _port(port: Any) -> dict[str, str]:
    shape = port.get_partial_shape()
    return {
        "name": input_name(port),
        "shape": str(shape),
        "type": port.get_element_type().get_type_name(),
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if isinstance(value, ov.Type):
        return str(value.get_type_name())
    if isinstance(value, list | set | tuple):
        return ",".join(sorted(_text(item) for item in value))
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, int | float | str):
        return str(value)
    return str(value).rsplit(".", 1)[-1]  # pybind enums print as Class.MEMBER
