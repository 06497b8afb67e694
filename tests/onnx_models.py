"""Small ONNX files with weights in files of their own, as exporters and hubs have them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 16


def external(name: str, location: str, **more: str) -> Any:
    """A square tensor whose content lies elsewhere."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[SIZE, SIZE])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def write_external(
    file: Path, locations: Mapping[str, str] | None = None, *, seed: int = 1
) -> Path:
    """x: f32 1×16, multiplied by one matrix after the other; their content is in other files.

    Args:
        file: the model.
        locations: where each matrix is, by its name; one beside the model without.
        seed: of the numbers.
    """
    locations = locations or {"w": f"{file.name}.data"}
    file.parent.mkdir(parents=True, exist_ok=True)
    generator, nodes, last = np.random.default_rng(seed), [], "x"
    for name, location in locations.items():
        data = file.parent / location
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_bytes(generator.random((SIZE, SIZE), np.float32).tobytes())
        nodes.append(helper.make_node("MatMul", [last, name], [f"{name}_y"]))
        last = f"{name}_y"
    return write_model(file, nodes, [external(*one) for one in locations.items()], last)


def write_inline(file: Path, *, seed: int = 1) -> Path:
    """The same of one matrix, whose content is in the model."""
    file.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(seed).random((SIZE, SIZE), np.float32)
    weights = numpy_helper.from_array(numbers, "w")
    return write_model(file, [helper.make_node("MatMul", ["x", "w"], ["y"])], [weights], "y")


def write_unknown(file: Path) -> Path:
    """An operation of somebody's own, which the runtime does not know."""
    return write_model(file, [helper.make_node("Foo", ["x"], ["y"], domain="my.ops")], [], "y")


def write_model(file: Path, nodes: list[Any], weights: list[Any], output: str) -> Path:
    """A model of one input, x, and one output."""
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, SIZE]) for n in ("x", output)]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], initializer=weights)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("my.ops", 1)],
        ir_version=9,
    )
    file.write_bytes(model.SerializeToString())
    return file


def locations_in(message: Any) -> set[str]:
    """Every location of external data in a message, found by what protobuf says of its fields."""
    found = set()
    if isinstance(message, onnx.TensorProto):
        said = {entry.key: entry.value for entry in message.external_data}
        if message.data_location == TensorProto.EXTERNAL:
            found.add(said.get("location", ""))
    for field, value in message.ListFields():
        if field.message_type is None or field.name == "training_info":
            continue
        for inner in value if field.is_repeated else [value]:
            found |= locations_in(inner)
    return found
