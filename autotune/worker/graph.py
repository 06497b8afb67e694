"""What a model's graph says before anything runs: whether its work depends on the data.

With static shapes most models do the same work whatever they are fed. Some do not: loops whose trip
count is an input, branches, operations that keep as many boxes or elements as the values say. Their
speed on random data is the speed of another workload.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import openvino as ov

from autotune.worker.inputs import input_name

_RUNS = "how often it runs depends on the data"
_BRANCHES = "which branch runs depends on the data"
_WORKS = "how much it has to do depends on the data"

_BY_VALUE: dict[str, Sequence[int] | None] = {
    "NonZero": None,
    "Unique": None,
    "NonMaxSuppression": None,
    "NMSRotated": None,
    "MatrixNms": None,
    "MulticlassNms": None,
    "DetectionOutput": None,
    "Proposal": None,
    "GenerateProposals": None,
    "ExperimentalDetectronDetectionOutput": None,
    "ExperimentalDetectronGenerateProposalsSingleImage": None,
    "ROIPooling": (1,),
    "PSROIPooling": (1,),
    "LSTMSequence": (3,),
    "GRUSequence": (2,),
    "RNNSequence": (2,),
    "CTCGreedyDecoder": (1,),
    "CTCGreedyDecoderSeqLen": (1,),
    "CTCLoss": (1, 3),
    "GatherTree": (2,),
}
"""Operations whose work follows from values, also where their outputs have a fixed size, and the
inputs that decide it; None for any of them."""
_SAMPLED = {
    "ROIAlign": (1,),
    "ROIAlignRotated": (1,),
    "ExperimentalDetectronROIFeatureExtractor": (0,),
}
"""Take more samples of a larger region, unless their sampling_ratio is given; and the regions."""
_BEGIN = {"ReadValue", "RandomUniform", "Multinomial"}
"""What varies by itself: state and chance."""
_MOST_NAMES = 4


def why_random_misleads(model: ov.Model) -> list[str]:
    """What of the model's work depends on the values it is fed; a line for each kind.

    Empty where random data of the right shape makes it work as any other does.

    Args:
        model: with static inputs; what is still dynamic in it depends on the data.
    """
    everything = set(range(len(model.get_parameters())))
    found = dict.fromkeys(_found(model, varying_in(model, everything)))
    return [*(f"{kind}: {why}" for kind, why in found), *_whole_numbers(model)]


def _whole_numbers(model: ov.Model) -> list[str]:
    """Inputs of ids, masks and lengths. Whole numbers of eight bits in an image are pixels."""
    names = [input_name(port) for port in model.inputs if _is_ids(port)]
    if not names:
        return []
    more = len(names) - _MOST_NAMES
    listed = ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return [f"{listed}: whole numbers such as ids, masks and lengths, which at random mean nothing"]


def _is_ids(port: Any) -> bool:
    kind, rank = port.get_element_type(), len(port.get_partial_shape())
    if kind == ov.Type.boolean:
        return True
    is_whole = kind.is_integral() and kind not in {ov.Type.nf4, ov.Type.string}
    return is_whole and (kind.bitwidth > 8 or rank < 3)


# --- what varies with the data


def varying_in(model: ov.Model, parameters: set[int]) -> set[str]:
    """Names of the nodes whose values vary where these parameters do.

    The size of a tensor varies only where its shape is not static.
    """
    inputs = {node.get_name(): number for number, node in enumerate(model.get_parameters())}
    found: set[str] = set()
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "Parameter":
            varies = inputs[node.get_name()] in parameters
        elif kind == "ShapeOf" and node.get_input_partial_shape(0).is_static:
            varies = False
        else:
            varies = kind in _BEGIN or any(_of(value, found) for value in node.input_values())
        if varies:
            found.add(node.get_name())
    return found


def _of(value: Any, varying: set[str]) -> bool:
    return value.get_node().get_name() in varying


def _input_varies(node: Any, number: int, varying: set[str]) -> bool:
    return number < node.get_input_size() and _of(node.input_value(number), varying)


def _found(model: ov.Model, varying: set[str]) -> Iterable[tuple[str, str]]:
    """Kind of every node whose work depends on the data, and how; bodies of others included."""
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind in _INNER:
            yield from _INNER[kind](node, varying)
        elif _decides_work(node, kind, varying) or _is_sized_by_data(node, varying):
            yield kind, _WORKS


def _decides_work(node: Any, kind: str, varying: set[str]) -> bool:
    if kind in _SAMPLED and node.get_attributes().get("sampling_ratio"):
        return False
    by_value = {**_BY_VALUE, **_SAMPLED}
    if kind not in by_value:
        return False
    numbers = by_value[kind]
    wanted = range(node.get_input_size()) if numbers is None else numbers
    return any(_input_varies(node, number, varying) for number in wanted)


def _is_sized_by_data(node: Any, varying: set[str]) -> bool:
    """Whether outputs have no static shape although all inputs have: the values decide it."""
    return (
        node.get_name() in varying
        and all(value.get_partial_shape().is_static for value in node.input_values())
        and any(value.get_partial_shape().is_dynamic for value in node.outputs())
        and node.get_type_name() != "Parameter"
    )


# --- loops and branches


def _loop(node: Any, varying: set[str]) -> Iterable[tuple[str, str]]:
    body, (_, condition) = node.get_function(), node.get_special_body_ports()
    inside = _varying_in_body(node, body, varying)
    ends = condition >= 0 and _of(body.get_results()[condition].input_value(0), inside)
    if ends or _input_varies(node, 0, varying) or _input_varies(node, 1, varying):
        yield "Loop", _RUNS
    yield from _found(body, inside)


def _iterator(node: Any, varying: set[str]) -> Iterable[tuple[str, str]]:
    """Runs once for each part of the inputs that it slices."""
    sliced = [d.input_index for d in node.get_input_descriptions() if hasattr(d, "part_size")]
    body = node.get_function()
    if any(
        _input_varies(node, number, varying) and node.get_input_partial_shape(number).is_dynamic
        for number in sliced
    ):
        yield "TensorIterator", _RUNS
    yield from _found(body, _varying_in_body(node, body, varying))


def _if(node: Any, varying: set[str]) -> Iterable[tuple[str, str]]:
    if _input_varies(node, 0, varying):
        yield "If", _BRANCHES
    for number in range(2):
        body = node.get_function(number)
        inputs = {
            one.body_parameter_index
            for one in node.get_input_descriptions(number)
            if _input_varies(node, one.input_index, varying)
        }
        yield from _found(body, varying_in(body, inputs))


def _varying_in_body(node: Any, body: ov.Model, varying: set[str]) -> set[str]:
    """What varies in a body that runs again and again, with what it hands to its next run.

    A counter that begins with a constant and takes constant steps does not.
    """
    descriptions = node.get_input_descriptions()
    inputs = {
        one.body_parameter_index
        for one in descriptions
        if _input_varies(node, one.input_index, varying)
    }
    handed_on = [
        (one.body_parameter_index, body.get_results()[one.body_value_index].input_value(0))
        for one in descriptions
        if hasattr(one, "body_value_index")
    ]
    while True:
        found = varying_in(body, inputs)
        more = {number for number, value in handed_on if _of(value, found)} - inputs
        if not more:
            return found
        inputs |= more


_INNER: dict[str, Callable[[Any, set[str]], Iterable[tuple[str, str]]]] = {
    "Loop": _loop,
    "TensorIterator": _iterator,
    "If": _if,
}
