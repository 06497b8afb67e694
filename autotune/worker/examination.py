"""What a model file holds, without running it: weights, operations, state, layouts."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openvino as ov

from autotune.worker import model
from autotune.worker.culprit import culprit, refused_by, shapes_of
from autotune.worker.embeddings import table_rows
from autotune.worker.graph import why_random_misleads
from autotune.worker.inputs import input_name

_BATCH = 3
_NARROW_BITS = 8
"""Whole numbers of so many bits or less, which are widened before they are used, are compressed."""
_NO_WORK = {"Parameter", "Result", "Constant"}


def examine(core: ov.Core, path: Path, shapes: dict[str, list[int]]) -> dict[str, Any]:
    """As the fields of an `Examined` message.

    Args:
        core: the runtime.
        path: of the model.
        shapes: static ones; empty for the file's own, which may be dynamic.

    Raises:
        ShapeError: the shapes do not fit.
        RuntimeError: the file cannot be read.
    """
    network = model.load(core, path)
    facts: dict[str, Any] = {
        **model.describe(network),
        "layouts": _layouts(network),
        "weights": _weights(network),
        "compressed": _compressed(network),
        "operations": dict(_operations(network)),
        "foreign": sorted(set(_foreign(network))),
        "variables": sorted(one.get_info().variable_id for one in network.get_variables()),
        "tables": table_rows(network),
        "data_dependent": [],
        "batch_lost": None,
    }
    if shapes:
        network = model.read(core, path, shapes)
        facts |= {f"static_{kind}": ports for kind, ports in model.describe(network).items()}
    if all(port.get_partial_shape().is_static for port in network.inputs):
        facts["data_dependent"] = why_random_misleads(network)
        facts["batch_lost"] = _batch_lost(network)
    return facts


def _layouts(network: ov.Model) -> dict[str, str]:
    """What the model itself says, by input or output: `[N,C,H,W]`."""
    ports = [(input_name(port), port) for port in network.inputs]
    ports += [(input_name(port), port) for port in network.outputs]
    told = {name: ov.layout_helpers.get_layout(port) for name, port in ports}
    return {name: layout.to_string() for name, layout in told.items() if not layout.empty}


def _every(network: ov.Model) -> Iterator[Any]:
    """All nodes, those in bodies of loops and branches among them."""
    for node in network.get_ordered_ops():
        yield node
        kind = node.get_type_name()
        if kind in {"Loop", "TensorIterator"}:
            yield from _every(node.get_function())
        elif kind == "If":
            yield from _every(node.get_function(0))
            yield from _every(node.get_function(1))


def _constants(network: ov.Model) -> Iterator[Any]:
    return (node for node in _every(network) if node.get_type_name() == "Constant")


def _size(constant: Any) -> int:
    return math.prod(constant.get_output_shape(0))


def _weights(network: ov.Model) -> list[dict[str, Any]]:
    """Values and bytes of the constants by element type, the most bytes first.

    Shapes and axes are constants, too, and are far too few to matter.
    """
    values: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for constant in _constants(network):
        kind = constant.get_element_type().get_type_name()
        values[kind] += _size(constant)
        sizes[kind] += constant.get_byte_size()
    return [
        {"type": kind, "values": values[kind], "size_bytes": size}
        for kind, size in sizes.most_common()
    ]


def _compressed(network: ov.Model) -> dict[str, int]:
    """Values that are stored narrower than they are used, by the type that they are stored in."""
    found: Counter[str] = Counter()
    for constant in _constants(network):
        kind = constant.get_element_type()
        is_narrow = kind == ov.Type.f16 or (
            kind.is_integral_number() and kind.bitwidth <= _NARROW_BITS
        )
        users = [
            target.get_node().get_type_name() for target in constant.output(0).get_target_inputs()
        ]
        if is_narrow and "Convert" in users:
            found[kind.get_type_name()] += _size(constant)
    return dict(found)


def _operations(network: ov.Model) -> list[tuple[str, int]]:
    """How many of each type there are, most first; in a loop each counts once."""
    kinds = (node.get_type_name() for node in _every(network))
    return Counter(kind for kind in kinds if kind not in _NO_WORK).most_common()


def _foreign(network: ov.Model) -> Iterator[str]:
    """Types of operations that are in no set of OpenVINO's own."""
    for node in _every(network):
        kind = node.get_type_info()
        if not str(kind.version_id).startswith("opset"):
            yield f"{kind.name} ({kind.version_id})"


def _batch_lost(network: ov.Model) -> str | None:
    """The operation that loses a batch, as far as shapes show; None where they show none.

    Leaves the network at another batch.
    """
    shapes = [port.get_shape() for port in network.inputs]
    if any(not len(shape) or shape[0] != 1 for shape in shapes):
        return None
    single = shapes_of(network)
    try:
        model.set_batch(network, _BATCH)
    except RuntimeError as error:
        return refused_by(error) or model.last_line(error)
    return culprit(network, single, _BATCH)
