"""What the models of a shape plan are asked, request by request, and how it gets into them."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov

from autotune.space.shape_plan import ShapePlan
from autotune.worker.feeding import Feed, Feeding, Requests
from autotune.worker.fitting import fill, padded
from autotune.worker.inputs import DataError, Sample, input_name, joined, shapes_of, tensors_of
from autotune.worker.tensors import dtype_of, encode, is_addressable, overwrite
from autotune.workload.costs import in_words
from autotune.workload.mix import Mix, Pad, Shapes, routed
from autotune.workload.order import batches, order

Arrays = Sequence[np.ndarray]
"""Of one sample, for each input of the model in its order, as `Tensor.data` shows them."""

ArraysOf = Callable[[int], Arrays]
OneTurn = tuple[int, tuple[int, ...]]
"""The model of a request, and its samples."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Requests, one after the other and from the first again."""

    samples: Sequence[Sample]
    turns: Sequence[Sequence[int]]
    """Of each request the samples, by number, as many as its batch; all of one model."""
    model_of: Sequence[int]
    """Of each sample, which of the compiled models it runs on."""
    shapes: Sequence[Shapes]
    """Of one item in each model; empty where models take items as they are."""
    pads: Mapping[str, Sequence[Pad]]

    def fitted(self, number: int) -> Sample:
        """A sample in the shape that its model takes.

        Raises:
            DataError: it does not fit, or what may be put around it was not said.
        """
        sample = self.samples[number]
        if not self.shapes:
            return sample
        shapes = self.shapes[self.model_of[number]]
        return {
            name: padded(values, shapes[name], self.pads.get(name, ()), name)
            for name, values in sample.items()
        }


def asking(  # noqa: PLR0913 - what a load consists of
    mix: Mix,
    plan: ShapePlan,
    samples: Sequence[Sample],
    weights: Sequence[float],
    *,
    batch_size: int,
    length: int,
    seed: int,
) -> Asking:
    """What is asked under a plan: samples in the shares of their weights, in batches of one model.

    Args:
        mix: its shapes are those of the samples.
        plan: with its buckets, where it has some.
        samples: of the model's inputs by name, each in its own shape.
        weights: one for each sample.
        batch_size: items of a request; 1 where the plan's models are not static.
        length: of one cycle of samples.
        seed: of their order.

    Raises:
        DataError: a sample fits no bucket.
        ValueError: a weight is none; several items of other shapes cannot be one request.
    """
    if batch_size > 1 and not plan.is_static:
        message = f"items of different shapes make no batch of {batch_size} in a {plan} plan"
        raise ValueError(message)
    forms = mix.forms(plan) if plan.is_static else ()
    model_of = [0] * len(samples)
    if plan.is_static:
        rooms = [mix.sizes_of(form) for form in forms]
        sizes = [mix.sizes_of(shapes_of(one)) for one in samples]
        model_of = [_routed(one, rooms, number) for number, one in enumerate(sizes)]
    asked = order(weights, length, seed)
    return Asking(
        samples=samples,
        turns=batches(asked, model_of, batch_size),
        model_of=model_of,
        shapes=forms,
        pads=mix.pads,
    )


def _routed(sizes: tuple[int, ...], rooms: Sequence[tuple[int, ...]], number: int) -> int:
    found = routed(sizes, rooms)
    if found is None:
        own, largest = in_words(sizes), in_words(max(rooms))
        message = f"sample {number} has the size {own}, and no bucket holds it (up to {largest})"
        raise DataError(message)
    return found


def bound(asked: Asking, ports: Sequence[Any]) -> Feeding:
    """Each request gets tensors that were made beforehand, padded where its model needs it.

    What was asked in the same turn more than once has one tensor. So memory for each distinct
    request is held: a cycle of n samples has at most n.
    """
    made: dict[tuple[int, ...], tuple[Any, ...]] = {}
    for turn in map(tuple, asked.turns):
        if turn not in made:
            made[turn] = tuple(enumerate(_tensors(asked, ports, turn)))
    turns = [(asked.model_of[turn[0]], made[tuple(turn)]) for turn in asked.turns]

    def begin(requests: Requests) -> Feed:
        setters = [
            [super(ov.InferRequest, request).set_input_tensor for request in mine]
            for mine in requests
        ]
        following = itertools.cycle(turns).__next__

        def feed(slot: int) -> int:
            model, tensors = following()
            set_input = setters[slot][model]
            for index, tensor in tensors:
                set_input(index, tensor)
            return model

        return feed

    return begin


def _tensors(asked: Asking, ports: Sequence[Any], turn: Sequence[int]) -> list[ov.Tensor]:
    return tensors_of(ports, joined([asked.fitted(number) for number in turn]))


def copied_in(asked: Asking, ports: Sequence[Any], arrays_of: ArraysOf | None = None) -> Feeding:
    """Each request's own tensors are written, and padded where its model needs it, by the feeder.

    Text and values of less than a byte cannot be written in part: of those, whole requests are
    made beforehand and copied.

    Args:
        asked: the requests.
        ports: inputs of any of the models.
        arrays_of: a sample's values, by its number; it is called for every item of every request,
            so it may also prepare them. None for those of the samples.
    """
    for number in sorted({number for turn in asked.turns for number in turn}):
        asked.fitted(number)  # refused before anything runs
    if arrays_of is None and not all(is_addressable(port.get_element_type()) for port in ports):
        return _copied_whole(asked, ports)
    if arrays_of is None:
        known = [[tensor.data for tensor in tensors_of(ports, one)] for one in asked.samples]
        arrays_of = known.__getitem__
    turns = [(asked.model_of[turn[0]], tuple(turn)) for turn in asked.turns]
    if not asked.shapes:
        return _as_they_are(ports, turns, arrays_of)
    behind = [_behind(port, asked.pads.get(input_name(port), ())) for port in ports]
    return _into_places(turns, arrays_of, behind)


def _as_they_are(ports: Sequence[Any], turns: Sequence[OneTurn], arrays_of: ArraysOf) -> Feeding:
    """Each request gets a copy of its sample in a tensor of its own.

    The runtime's (2026.4.1) own tensors would take another shape, too, but a request was seen to
    read where they had been before: a crash in a worker thread, once memory was given back.
    """
    kinds = [port.get_element_type() for port in ports]

    def begin(requests: Requests) -> Feed:
        setters = [
            [super(ov.InferRequest, request).set_input_tensor for request in mine]
            for mine in requests
        ]
        following = itertools.cycle(turns).__next__

        def feed(slot: int) -> int:
            model, (number,) = following()
            set_input = setters[slot][model]
            for index, (kind, values) in enumerate(zip(kinds, arrays_of(number), strict=True)):
                tensor = ov.Tensor(kind, values.shape)
                np.copyto(tensor.data, values)
                set_input(index, tensor)
            return model

        return feed

    return begin


def _into_places(
    turns: Sequence[OneTurn], arrays_of: ArraysOf, behind: Sequence[Sequence[tuple[int, Any]]]
) -> Feeding:
    """The request's own tensors keep their shape."""

    def begin(requests: Requests) -> Feed:
        items = len(turns[0][1])
        places = [[parts_of(inputs, items) for inputs in mine] for mine in own_tensors(requests)]
        following = itertools.cycle(turns).__next__

        def feed(slot: int) -> int:
            model, numbers = following()
            for number, item in zip(numbers, places[slot][model], strict=True):
                for place, values, around in zip(item, arrays_of(number), behind, strict=True):
                    fill(place, values, around)
            return model

        return feed

    return begin


def own_tensors(requests: Requests) -> list[list[list[ov.Tensor]]]:
    """Those that requests were made with, of each slot, model and input."""
    return [
        [
            [request.get_input_tensor(at) for at in range(len(request.input_tensors))]
            for request in mine
        ]
        for mine in requests
    ]


def _copied_whole(asked: Asking, ports: Sequence[Any]) -> Feeding:
    turns = [(asked.model_of[turn[0]], _tensors(asked, ports, turn)) for turn in asked.turns]

    def begin(requests: Requests) -> Feed:
        following = itertools.cycle(turns).__next__

        def feed(slot: int) -> int:
            model, tensors = following()
            for index, tensor in enumerate(tensors):
                place = ov.Tensor(tensor.element_type, tensor.shape)
                overwrite(place, tensor)
                requests[slot][model].set_input_tensor(index, place)
            return model

        return feed

    return begin


def _behind(port: Any, pads: Sequence[Pad]) -> list[tuple[int, Any]]:
    """What is written behind an item along each axis, as the tensor's memory shows it."""
    kind = port.get_element_type()
    return [
        (pad.axis, encode(np.full(1, pad.value).astype(dtype_of(kind)), kind).data[0])
        for pad in pads
    ]


def parts_of(tensors: Sequence[ov.Tensor], items: int) -> list[list[np.ndarray]]:
    """For each item of a batch, its part of each input.

    An input without axes has room for that of the first; what the others have is let go.
    """
    views = [tensor.data for tensor in tensors]
    return [[_part(view, at, items) for view in views] for at in range(items)]


def _part(view: np.ndarray, at: int, items: int) -> np.ndarray:
    if not view.ndim:
        return view if at == 0 else np.empty_like(view)
    rows = view.shape[0] // items
    return view[at * rows : (at + 1) * rows]
