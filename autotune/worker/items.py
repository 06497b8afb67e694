"""How many items one request of a model holds, where that can be proven.

A model that was exported for a batch of eight does eight items in a request, and counting requests
would show an eighth of its speed.
"""

from collections.abc import Iterator

import numpy as np
import openvino as ov

from autotune.space.dimensions import ARITHMETIC_PROPERTY
from autotune.worker import model as models
from autotune.worker.answers import silences
from autotune.worker.batches import STRICT, WrongOutputError, check
from autotune.worker.inputs import Sample, input_name
from autotune.worker.parts import part_of

_EXACT = {ARITHMETIC_PROPERTY: "f32"}
_MOST_ITEMS, _MOST_SAMPLES = 16, 4
_MOST = 65536
"""What a study and best.json take."""


def items_per_request(core: ov.Core, network: ov.Model, data: list[Sample], device: str) -> int:
    """Items in a request of this model: what its layouts call the batch, or what is shown to be.

    Shown: every input has the same first dimension, or none that could be a batch; with a first
    dimension of one instead every output is smaller by that factor along one axis; and each part of
    the whole answer is the answer to that item alone, other ones being different.

    Returns:
        1 where nothing is proven.
    """
    said = _by_layout(network)
    if said is not None:
        return said
    items = _first_dimension(network)
    if items == 1:
        return 1
    try:
        found = list(_each_apart(core, network, data[:_MOST_SAMPLES], device, items))
    except Exception:  # noqa: BLE001 - whatever cannot be proven is not: the model runs as it is
        return 1
    return items if True in found and False not in found else 1


def _by_layout(network: ov.Model) -> int | None:
    """The size of N, where every input says what all its dimensions are; 1 where none is N."""
    sizes = set()
    for parameter, port in zip(network.get_parameters(), network.inputs, strict=True):
        layout = parameter.get_layout()
        if ov.layout_helpers.has_batch(layout):
            sizes.add(int(port.get_shape()[ov.layout_helpers.batch_idx(layout)]))
        elif "?" in str(layout) or "..." in str(layout):
            return None
    return _only(sizes)


def _first_dimension(network: ov.Model) -> int:
    """What may be the batch: the first dimension that inputs share; 1 where they share none."""
    sizes = {int(port.get_shape()[0]) for port in network.inputs if len(port.get_shape())} - {1}
    return _only(sizes)


def _only(sizes: set[int]) -> int:
    """The one size there is; 1 where there are several, or it is none of a batch."""
    return next(iter(sizes)) if len(sizes) == 1 and 0 < min(sizes) <= _MOST else 1


def _each_apart(
    core: ov.Core, network: ov.Model, data: list[Sample], device: str, items: int
) -> Iterator[bool | None]:
    """For each sample, whether a request of it is so many requests of one item each."""
    batched = [
        input_name(port)
        for port in network.inputs
        if len(port.get_shape()) and port.get_shape()[0] == items
    ]
    single = network.clone()
    single.reshape(
        {
            port: [1, *list(port.get_shape())[1:]]
            for port in single.inputs
            if input_name(port) in batched
        }
    )
    relevant = models.relevant_outputs(network)
    together = core.compile_model(network, device, _EXACT)
    apart = core.compile_model(single, device, _EXACT)
    numbers = sorted({round(i) for i in np.linspace(0, items - 1, min(items, _MOST_ITEMS))})
    for sample in data:
        whole = models.infer(together, sample)
        alone = [models.infer(apart, _item(sample, batched, number)) for number in numbers]
        parts = [_parts(output, alone[0][j], items) for j, output in enumerate(whole)]
        yield _is_apart([[part[number] for part in parts] for number in numbers], alone, relevant)


def _is_apart(
    parts: list[list[np.ndarray]], alone: list[list[np.ndarray]], relevant: list[bool]
) -> bool | None:
    """Whether parts of an answer are the answers to their items; None where these say nothing.

    An answer that is the same for every item would agree with anything.
    """
    known = [[part_of(output) for output in answer] for answer in alone]
    if not any(relevant) or any(silences(known, "f32", relevant)):
        return None
    try:
        for part, answer in zip(parts, known, strict=True):
            check(part, [answer], known, "f32", STRICT)
    except WrongOutputError:
        return False
    return True


def _item(sample: Sample, batched: list[str], number: int) -> Sample:
    return {
        name: array[number : number + 1] if name in batched else array
        for name, array in sample.items()
    }


def _parts(whole: np.ndarray, single: np.ndarray, items: int) -> list[np.ndarray]:
    """The whole output in as many parts, along the one axis on which it is longer.

    Raises:
        ValueError: there is no such axis.
    """
    axes = [
        axis
        for axis, (many, one) in enumerate(zip(whole.shape, single.shape, strict=True))
        if many != one
    ]
    if len(axes) != 1 or whole.shape[axes[0]] != items * single.shape[axes[0]]:
        message = f"an output of shape {whole.shape} is not {items} of {single.shape}"
        raise ValueError(message)
    return np.split(whole, items, axis=axes[0])
