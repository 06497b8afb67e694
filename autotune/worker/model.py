"""Read a model, give it static shapes and a batch, and run it once."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

from autotune.space.dimensions import ARITHMETIC_PROPERTY, HINT_PROPERTY, READ_BACK
from autotune.space.directed import NESTED, flattened, nested
from autotune.worker.inputs import Sample, input_name, tensors_of
from autotune.worker.parts import Answer, part_of
from autotune.worker.tensors import decode


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
    "unsupported opset": "an operation that is none of OpenVINO's needs an extension, and none is "
    "loaded; replace it, or export the model without it",
    "No conversion rule found": "the runtime knows no such operation, and no extension is loaded; "
    "replace it, or export the model without it",
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
    model = shaped(core, path, shapes)
    dynamic = [port for port in model.inputs if port.get_partial_shape().is_dynamic]
    if dynamic:
        listed = "; ".join(
            f"{p['name']}: {p['shape']} {p['type']}" for p in describe(model)["inputs"]
        )
        message = (
            "the model has dynamic dimensions; give static ones with --shape, or inputs of one "
            "shape or several with --inputs. "
            f"Its inputs are {listed}"
        )
        raise ShapeError(message)
    return model


def shaped(core: ov.Core, path: Path, shapes: dict[str, list[int]]) -> ov.Model:
    """The model with these shapes of its inputs, as for `read`; others stay as the file has them.

    Raises:
        ShapeError: a shape does not fit.
        RuntimeError: the file cannot be read.
    """
    model = load(core, path)
    if shapes:
        _reshape(model, shapes)
    return model


def check_types(core: ov.Core, model: ov.Model, devices: Sequence[str]) -> None:
    """Refuse an input whose element type a device does not take, by name.

    Each type is tried on a model of its own, as there is no property that lists them.

    Raises:
        ShapeError: with the input, its type and the device.
    """
    for port in model.inputs:
        kind = port.get_element_type()
        if kind in _COMMON_TYPES:
            continue
        name = f"input {input_name(port)!r} has the element type {kind.get_type_name()}"
        if kind.is_dynamic():
            message = f"{name}: it must have one that is known"
            raise ShapeError(message)
        lone = op.parameter([1, 8], kind)
        for device in devices:
            try:
                core.compile_model(ov.Model([op.shape_of(lone)], [lone]), device)
            except RuntimeError as error:
                message = f"{name}, which {device} does not take as an input: {last_line(error)}"
                raise ShapeError(message) from error


_COMMON_TYPES = {ov.Type.f32, ov.Type.f16, ov.Type.i32, ov.Type.i64, ov.Type.u8, ov.Type.boolean}


def set_batch(model: ov.Model, batch_size: int) -> None:
    """Multiply the first dimension of every input."""
    if batch_size == 1:
        return
    shapes = {
        port: [batch_size * port.get_shape()[0], *list(port.get_shape())[1:]]
        for port in model.inputs
    }
    model.reshape(shapes)


def effective_properties(compiled: ov.CompiledModel, asked: Collection[str] = ()) -> dict[str, str]:
    """Every property of the compiled model that can be read, in the text form that it takes.

    A device that stands for others does not list all that can be read of it, and nests what is
    theirs: those that decide how it runs, or were asked for, stand under their own names as well.

    Args:
        compiled: the model.
        asked: names of the properties that it was compiled with.
    """
    listed = list(compiled.get_property("SUPPORTED_PROPERTIES"))
    found: dict[str, str] = {}
    for name in dict.fromkeys([*listed, *READ_BACK, *asked]):
        try:
            value = compiled.get_property(name)
        except (RuntimeError, TypeError):  # some are listed and cannot be read
            continue
        if name == NESTED:
            each = _told(value, {*READ_BACK, *asked})
            found |= {k: v for k, v in flattened(nested(each)).items() if k not in _OF_THE_WHOLE}
            found |= nested(each)
        elif name in listed or name not in found:
            found.setdefault(name, _text(value))
    found.pop("SUPPORTED_PROPERTIES", None)
    return found


_OF_THE_WHOLE = {HINT_PROPERTY, "EXECUTION_DEVICES", "OPTIMAL_NUMBER_OF_INFER_REQUESTS"}
"""What a device that stands for others says of itself."""


def _told(devices: Mapping[str, Any], names: Collection[str]) -> dict[str, dict[str, str]]:
    """What the devices say that one stands for, of these properties."""
    return {
        str(device): {name: _text(value) for name, value in properties.items() if name in names}
        for device, properties in devices.items()
    }


def infer(compiled: ov.CompiledModel, sample: Sample) -> list[np.ndarray]:
    """Outputs of one request."""
    return infer_by(compiled.create_infer_request(), compiled, sample)


def infer_by(
    request: ov.InferRequest, compiled: ov.CompiledModel, sample: Sample
) -> list[np.ndarray]:
    """Outputs of this request, valid until it runs again."""
    for index, tensor in enumerate(tensors_of(compiled.inputs, sample)):
        request.set_input_tensor(index, tensor)
    request.start_async()
    request.wait()
    return [decode(request.get_output_tensor(i)) for i in range(len(compiled.outputs))]


def output_names(compiled: ov.CompiledModel) -> list[str]:
    """Of each output its first name, or its place where it has none."""
    return [str(min(port.get_names(), default=n)) for n, port in enumerate(compiled.outputs)]


def answer(compiled: ov.CompiledModel, sample: Sample) -> Answer:
    """What one sample gives, by a new request."""
    return answer_of(compiled.create_infer_request(), compiled, sample)


def answer_of(request: ov.InferRequest, compiled: ov.CompiledModel, sample: Sample) -> Answer:
    """What one sample gives by this request."""
    return [part_of(output) for output in infer_by(request, compiled, sample)]


def arithmetic(compiled: ov.CompiledModel) -> str:
    """The precision in use; empty where the device does not tell, as meta devices do not."""
    return effective_properties(compiled).get(ARITHMETIC_PROPERTY, "")


def variables(compiled: ov.CompiledModel) -> list[str]:
    """Names of what the model keeps from one request to the next."""
    return [state.name for state in compiled.create_infer_request().query_state()]


def output_name(model: ov.Model, index: int) -> str:
    """The output's tensor name; its number where it has none."""
    names = model.outputs[index].get_names()
    return str(min(names)) if names else str(index)


def relevant_outputs(model: ov.Model) -> list[bool]:
    """For each output, whether it depends on the inputs' values; shapes do not count."""
    return [_depends_on_inputs(output.get_node()) for output in model.outputs]


def _depends_on_inputs(node: Any) -> bool:
    seen, left = set(), [node]
    while left:
        node = left.pop()
        if node.get_type_name() == "Parameter":
            return True
        if node.get_type_name() == "ShapeOf":
            continue
        for value in node.input_values():
            source = value.get_node()
            if source.get_name() not in seen:
                seen.add(source.get_name())
                left.append(source)
    return False


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
