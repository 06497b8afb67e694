"""Inputs that are numbers of rows of a table, such as token ids: what they may be, by the model."""

from typing import Any

import openvino as ov

from autotune.worker.inputs import input_name

_SAME_VALUES = {
    "Convert",
    "Reshape",
    "Unsqueeze",
    "Squeeze",
    "Transpose",
    "Broadcast",
    "Concat",
    "Slice",
    "StridedSlice",
    "Split",
    "VariadicSplit",
    "Tile",
    "ConvertLike",
}
"""Operations after which whole numbers are the same ones."""
_CHANGED = {"Select", "Add", "Less", "FloorMod", "Maximum", "Minimum", "Clamp"}
"""What is done to ids on their way all the same: negative ones count from the end."""


def table_rows(network: ov.Model) -> dict[str, int]:
    """By input, how many rows the smallest table has that it looks up; left out without one.

    An id beyond the last row is an error, or silently another row; ids at random between 0 and 1
    are two words.
    """
    inputs = {port.get_node().get_name(): input_name(port) for port in network.inputs}
    found: dict[str, int] = {}
    for node in network.get_ordered_ops():
        if node.get_type_name() != "Gather":
            continue
        rows = _rows(node)
        if rows is None:
            continue
        for name in _sources(node.input_value(1), inputs):
            found[name] = min(rows, found.get(name, rows))
    return found


def _rows(gather: Any) -> int | None:
    """Of a constant table; None where it is none, or its axis is not known."""
    axis, table = gather.input_value(2).get_node(), gather.input_value(0)
    if axis.get_type_name() != "Constant" or not _is_constant(table):
        return None
    shape, at = table.get_partial_shape(), int(axis.get_data().item())
    if shape.is_dynamic or len(shape) < 2:
        return None
    return int(shape[at if at >= 0 else at + len(shape)].get_length())


def _is_constant(value: Any) -> bool:
    """Whether it follows from constants only: a table may be stored compressed."""
    seen, left = set(), [value.get_node()]
    while left:
        node = left.pop()
        if node.get_type_name() in {"Parameter", "ReadValue"}:
            return False
        for one in node.input_values():
            source = one.get_node()
            if source.get_name() not in seen:
                seen.add(source.get_name())
                left.append(source)
    return True


def _sources(value: Any, inputs: dict[str, str]) -> set[str]:
    """Inputs whose values arrive here unchanged, but for negative ones."""
    found, seen, left = set(), set(), [value.get_node()]
    while left:
        node = left.pop()
        name, kind = node.get_name(), node.get_type_name()
        if name in inputs:
            found.add(inputs[name])
        if name in seen or kind not in _SAME_VALUES | _CHANGED:
            continue
        seen.add(name)
        # Of a reshape or slice the first one is data; a sum or choice may take it from any.
        values = node.input_values() if kind in _CHANGED | {"Concat"} else node.input_values()[:1]
        left += [one.get_node() for one in values]
    return found
