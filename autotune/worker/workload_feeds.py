"""What an application does before each request of a workload: prepare, pad, copy, reset.

Each is a `Feeding`: it is called once with the requests, and what it gives is called before every
start, in the thread of the loop.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov

from autotune.worker.asked import Asked
from autotune.worker.feeding import Feed, Feeding, Requests
from autotune.worker.fitting import filler
from autotune.worker.inputs import Sample, batch_of, input_name, tensors_of
from autotune.worker.mixed import MixedModels
from autotune.workload.order import batches, order
from autotune.workload.preparing import into

_SEED = 18
_CYCLE, _MOST_BYTES = 256, 64 * 2**20
"""Items until the order begins again, and the most that requests of a whole cycle may take, which
are made before the load begins."""
Numbers = Sequence[int]
"""Samples of one request, by their places."""


def in_turn(
    compiled: ov.CompiledModel, data: Sequence[Sample], batch_size: int, *, copies: bool
) -> Feeding:
    """Samples one after the other, each in tensors of its own shape: images of several sizes."""
    filled = [
        tensors_of(compiled.inputs, batch_of(data, first, batch_size)) for first in range(len(data))
    ]
    return _set([(0, tensors) for tensors in filled], copies=copies)


def mixed(served: MixedModels, compiled: Sequence[ov.CompiledModel], *, copies: bool) -> Feeding:
    """The mix in its order: each request goes to the model of its bucket.

    Bound, its tensors are made before, padding and all; copied, the feeding thread pads.
    """
    requests = cycle_of(served)
    if served.buckets and copies:
        return _padded(served, compiled, requests)
    known: dict[tuple[int, ...], list[ov.Tensor]] = {}
    for numbers in requests:
        if tuple(numbers) not in known:
            ports = compiled[served.routes[numbers[0]]].inputs
            known[tuple(numbers)] = tensors_of(ports, served.request(numbers))
    turns = [(served.routes[numbers[0]], known[tuple(numbers)]) for numbers in requests]
    return _set(turns, copies=copies)


def cycle_of(served: MixedModels) -> list[list[int]]:
    """Samples of each request of a cycle, in their order."""
    weights = served.asked.weights
    if served.batch_size == 1:
        return [[number] for number in order(weights, max(_CYCLE, len(weights)), _SEED)]
    largest = max(
        sum(array.nbytes for array in served.fitted(number).values())
        for number in range(len(weights))
    )
    items = max(len(weights), min(_CYCLE, _MOST_BYTES // max(1, largest)))
    return batches(order(weights, items, _SEED), served.routes, served.batch_size)


def _set(turns: Sequence[tuple[int, list[ov.Tensor]]], *, copies: bool) -> Feeding:
    """Other tensors for each start, or copies of them where the caller's own may not be kept."""

    def begin(requests: Requests) -> Feed:
        following = itertools.cycle(turns)
        setters = [
            [super(ov.InferRequest, one).set_input_tensor for one in mine] for mine in requests
        ]  # type: ignore[misc]  # absent from the stubs

        def feed(slot: int) -> int:
            number, tensors = next(following)
            put = setters[slot][number]
            for index, tensor in enumerate(tensors):
                put(index, _copy(tensor) if copies else tensor)
            return number

        return feed

    return begin


def _copy(tensor: ov.Tensor) -> ov.Tensor:
    found = ov.Tensor(tensor.element_type, tensor.shape)
    tensor.copy_to(found)
    return found


def _padded(
    served: MixedModels, compiled: Sequence[ov.CompiledModel], requests: Sequence[Numbers]
) -> Feeding:
    """Items are written into the request's own tensors, and what they lack behind them."""
    names = [input_name(port) for port in compiled[0].inputs]
    items = {
        number: [served.asked.samples[number][name] for name in names]
        for number in range(len(served.asked.samples))
    }
    fills = [filler(served.mix.pads.get(name, ()), name) for name in names]

    def begin(slots: Requests) -> Feed:
        following = itertools.cycle(requests)
        places = [
            [[_rows(one, i, served.batch_size) for i in range(len(names))] for one in mine]
            for mine in slots
        ]

        def feed(slot: int) -> int:
            numbers = next(following)
            model = served.routes[numbers[0]]
            for index, fill in enumerate(fills):
                rows = places[slot][model][index]
                for row, number in zip(rows, numbers, strict=True):
                    fill(row, items[number][index])
            return model

        return feed

    return begin


def _rows(request: Any, index: int, batch_size: int) -> list[np.ndarray]:
    """The part of an input that each item of a batch has."""
    data = request.get_input_tensor(index).data
    return np.split(data, batch_size) if batch_size > 1 else [data]


def prepared(compiled: ov.CompiledModel, asked: Asked, name: str, batch_size: int) -> Feeding:
    """Images are prepared by Pillow and NumPy, and written into the request's own tensors."""
    how = asked.preprocessing
    assert how is not None  # noqa: S101 - for the type checker
    names = [input_name(port) for port in compiled.inputs]

    def begin(slots: Requests) -> Feed:
        numbers = itertools.cycle(range(len(asked.samples)))
        places = [
            [_rows(mine[0], index, batch_size) for index in range(len(names))] for mine in slots
        ]

        def feed(slot: int) -> None:
            for row in range(batch_size):
                sample = asked.samples[next(numbers)]
                for index, input_ in enumerate(names):
                    place = places[slot][index][row]
                    if input_ == name:
                        into(sample[input_][0], how, place)
                    else:
                        place[...] = sample[input_]

        return feed

    return begin


def of_states(feeding: Feeding, *, resets: bool) -> Feeding:
    """As another one, after what the request keeps was reset, where each item begins anew."""

    def begin(requests: Requests) -> Feed | None:
        feed = feeding(requests)
        for mine in requests:
            for request in mine:
                request.reset_state()
        if not resets:
            return feed
        resets_ = [mine[0].reset_state for mine in requests]

        def reset(slot: int) -> int | None:
            resets_[slot]()
            return None if feed is None else feed(slot)

        return reset

    return begin
