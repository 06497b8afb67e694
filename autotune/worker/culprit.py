"""Which operation keeps a batch from going through a model.

By shapes: those of every operation with one item, and with a batch. The batch is an axis that every
operation hands on; where one does not, what comes after it is no batch of answers any more.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import openvino as ov

from autotune.worker.graph import varying_in

Shapes = Mapping[str, Sequence[tuple[int, ...] | None]]
"""Of the outputs of every operation, by its unique name; None where one is not static."""
_ALONG_ATTRIBUTE = {"Softmax": "axis", "LogSoftmax": "axis"}
_ALONG_INPUT = {"CumSum": 1, "MVN": 1, "NormalizeL2": 1, "Reverse": 1, "Roll": 2}
"""Operations that keep the shape and mix what lies along an axis, and where they have it."""
_VALIDATED = re.compile(r"While validating node '\w+::(\w+) (\S+) .*? with friendly_name '([^']*)'")
_LONGEST_NAME = 80


def shapes_of(network: ov.Model) -> Shapes:
    """As they are now."""
    return {
        node.get_name(): [_static(value.get_partial_shape()) for value in node.outputs()]
        for node in network.get_ordered_ops()
    }


def refused_by(error: BaseException) -> str | None:
    """The operation that could not take new shapes, in words; None where the error names none."""
    found = _VALIDATED.search(str(error))
    return None if found is None else f"{found[1]} {_quoted(found[3] or found[2])} does not take it"


def culprit(network: ov.Model, single: Shapes, batch_size: int) -> str | None:
    """The operation that loses the batch, in words; None where shapes show none.

    Args:
        network: with static shapes, at the batch.
        single: what they were with one item.
        batch_size: items, more than one.
    """
    walk = _Walk(network, single, batch_size)
    for result in network.get_results():
        if walk.varies(result.input_value(0)) and not walk.is_kept(result.input_value(0)):
            behind = _behind(result)
            return next((w for name, w in reversed(walk.losses) if name in behind), None)
    # Every output has the batch: items are mixed up on the way, if they are.
    return next((f"likely {words}" for _, words in walk.losses + walk.mixed), None)


class _Walk:
    """From the inputs to the outputs: where the batch gets lost, and where items may be mixed."""

    def __init__(self, network: ov.Model, single: Shapes, batch_size: int) -> None:
        self._single, self._batch_size = single, batch_size
        self._own = {
            shape[0] for p in network.get_parameters() if (shape := single[p.get_name()][0])
        }
        """Sizes that the batch has with one item: 1, as a rule."""
        everything = set(range(len(network.get_parameters())))
        self._varying = varying_in(network, everything)
        self.losses: list[tuple[str, str]] = []
        """Unique names of the operations, and words for what each does, in their order."""
        self.mixed: list[tuple[str, str]] = []
        for node in network.get_ordered_ops():
            if node.get_type_name() in {"Parameter", "Result"}:
                continue
            sources = filter(self.varies, node.input_values())
            if node.get_name() not in self._varying or not any(map(self.is_kept, sources)):
                continue
            lost = [value for value in node.outputs() if not self.is_kept(value)]
            if lost:
                self.losses.append((node.get_name(), self._loss(node, lost[0])))
            elif self._works_along(node):
                self.mixed.append((node.get_name(), f"{_called(node)} works along the batch"))
            elif node.get_type_name() == "Reshape" and self._cuts_across(node):
                self.mixed.append((node.get_name(), f"{_called(node)} cuts across items"))

    def varies(self, value: Any) -> bool:
        """Whether it follows from the values of the inputs, and not from their shapes alone."""
        return value.get_node().get_name() in self._varying

    def axis(self, value: Any) -> int | None:
        """Where the batch is in a tensor: the one dimension that grew as it should."""
        node, now = value.get_node(), _static(value.get_partial_shape())
        known = self._single.get(node.get_name())
        then = None if known is None else known[value.get_index()]
        if then is None or now is None or len(then) != len(now):
            return None
        grown = [place for place, (a, b) in enumerate(zip(then, now, strict=True)) if a != b]
        if len(grown) != 1 or now[grown[0]] != self._batch_size * then[grown[0]]:
            return None
        # In front, other dimensions may be merged with it, as [N*C,H,W]; elsewhere it is merged
        # into what was there: [1,C] to [1,N*C].
        return grown[0] if grown[0] == 0 or then[grown[0]] in self._own else None

    def is_kept(self, value: Any) -> bool:
        """Whether a tensor has the batch; one that nothing is known of, or is empty, may have."""
        node, now = value.get_node(), _static(value.get_partial_shape())
        known = self._single.get(node.get_name())
        if known is None or now is None or known[value.get_index()] is None or 0 in now:
            return True
        return self.axis(value) is not None

    def _works_along(self, node: Any) -> bool:
        kind, rank = node.get_type_name(), len(node.get_output_partial_shape(0))
        axes: list[int] = []
        if kind in _ALONG_ATTRIBUTE:
            axes = [int(node.get_attributes().get(_ALONG_ATTRIBUTE[kind], -1))]
        elif kind in _ALONG_INPUT:
            axes = _constant(node, _ALONG_INPUT[kind]) or []
        return bool(rank) and self.axis(node.output(0)) in {axis % rank for axis in axes}

    def _cuts_across(self, node: Any) -> bool:
        """Whether a reshape puts the batch behind dimensions that it stood before."""
        before, after = node.input_value(0), node.output(0)
        return self._outside(before) == 1 and self._outside(after) > 1

    def _outside(self, value: Any) -> int:
        """How often the batch is gone through: what stands before it, with one item; 0 unknown."""
        place = self.axis(value)
        known = self._single.get(value.get_node().get_name())
        then = None if known is None else known[value.get_index()]
        return 0 if place is None or then is None else math.prod(then[:place])

    def _loss(self, node: Any, value: Any) -> str:
        shape = _constant(node, 1) if node.get_type_name() == "Reshape" else None
        if shape and shape[0] > 0:
            return f"{_called(node)} has a constant first dimension {shape[0]}"
        now = _static(value.get_partial_shape()) or ()
        then = self._single[node.get_name()][value.get_index()]
        if now == then:
            return f"{_called(node)} gives {_bracketed(now)} whatever the batch"
        return f"{_called(node)} makes {_bracketed(now)} of a batch of {self._batch_size}"


def _behind(node: Any) -> set[str]:
    """Unique names of everything that a node follows from."""
    found, left = set(), [node]
    while left:
        for value in left.pop().input_values():
            source = value.get_node()
            if source.get_name() not in found:
                found.add(source.get_name())
                left.append(source)
    return found


def _constant(node: Any, number: int) -> list[int] | None:
    """The values of a constant input, flat; None where it is none."""
    if number >= node.get_input_size():
        return None
    source = node.input_value(number).get_node()
    if source.get_type_name() != "Constant":
        return None
    return [int(one) for one in source.get_data().reshape(-1)]


def _static(shape: Any) -> tuple[int, ...] | None:
    return tuple(shape.to_shape()) if shape.is_static else None


def _called(node: Any) -> str:
    return f"{node.get_type_name()} {_quoted(node.get_friendly_name())}"


def _quoted(name: str) -> str:
    cut = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
    return repr(cut)


def _bracketed(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
