"""How the inputs of the next request get into it: one way for every load loop.

A loop makes its requests and calls a `Feeding` with them, once. What comes back is called before
every start of a request, in the loop's own thread, as an application would; None where inputs were
bound once and nothing is to be done.
"""

import itertools
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov

from autotune.worker.inputs import Sample, batch_of, input_name, tensors_of
from autotune.worker.tensors import encode, is_addressable, overwrite

Requests = Sequence[Sequence[Any]]
"""Of each slot, one for each compiled model."""
Feed = Callable[[int], "int | None"]
"""Sets the next item's inputs in a slot that is idle; says which of the slot's requests has them,
by the number of its model. None where there is one model."""
Feeding = Callable[[Requests], Feed | None]
"""Prepares requests to be fed."""


def bound_once(compiled: ov.CompiledModel, data: list[Sample], batch_size: int) -> Feeding:
    """Every request keeps its own samples."""

    def begin(requests: Requests) -> None:
        bind([mine[0] for mine in requests], compiled, data, batch_size)

    return begin


def copied(compiled: ov.CompiledModel, data: list[Sample], batch_size: int) -> Feeding:
    """The next samples are copied into a request before every start."""

    def begin(requests: Requests) -> Feed:
        alone = [mine[0] for mine in requests]
        bind(alone, compiled, data, batch_size)
        return copier(alone, compiled, data, batch_size)

    return begin


def copier(
    requests: list[Any], compiled: ov.CompiledModel, data: list[Sample], batch_size: int
) -> Feed:
    """A function that copies the next samples into a request, as an application does.

    Its time is the caller's: it lengthens the cycle of a request, not the latency that the runtime
    reports.
    """
    ports = compiled.inputs
    # What is written into, looked up once; text has no view of its memory.
    has_text = any(port.get_element_type() == ov.Type.string for port in ports)
    write: Callable[[Any, Any], None] = overwrite if has_text else np.copyto
    columns = [_column(port, data, batch_size, has_text=has_text) for port in ports]
    batches = itertools.cycle(list(zip(*columns, strict=True)))
    targets = [[request.get_input_tensor(i) for i in range(len(ports))] for request in requests]
    places = [[t if has_text else t.data for t in mine] for mine in targets]

    def copy(slot: int) -> None:
        for place, values in zip(places[slot], next(batches), strict=True):
            write(place, values)

    return copy


def _column(port: Any, data: list[Sample], batch_size: int, *, has_text: bool) -> list[Any]:
    """What is copied into an input for requests that begin with each of the samples.

    Where it can be, parts of one tensor: a batch for each would be held `batch_size` times.
    """
    name, kind, count = input_name(port), port.get_element_type(), len(data)
    if has_text or batch_size == 1 or not data[0][name].ndim or not is_addressable(kind):
        alone = [encode(batch_of(data, at, batch_size)[name], kind) for at in range(count)]
        return alone if has_text else [tensor.data for tensor in alone]
    in_turn = [data[at % count][name] for at in range(count + batch_size - 1)]
    whole = encode(np.concatenate(in_turn), kind).data
    rows = data[0][name].shape[0]
    return [whole[at * rows : (at + batch_size) * rows] for at in range(count)]


def bind(
    requests: list[Any], compiled: ov.CompiledModel, data: list[Sample], batch_size: int
) -> None:
    """Set every request's inputs once, each from other samples."""
    for number, request in enumerate(requests):
        sample = batch_of(data, number, batch_size)
        for index, tensor in enumerate(tensors_of(compiled.inputs, sample)):
            request.set_input_tensor(index, tensor)


class FeedTimer:
    """A feed whose time is taken: what it prepares is work of the application."""

    def __init__(self, feed: Feed, slots: int) -> None:
        self._feed = feed
        self._wall_s, self._cpu_s = array("d"), array("d")
        self.last_ms = [0.0] * slots
        """What the request that was last fed in each slot took to feed."""

    def feed(self, slot: int) -> int | None:
        """Feed, and take the time."""
        begun_s, cpu_s = time.perf_counter(), time.thread_time()
        number = self._feed(slot)
        self._cpu_s.append(time.thread_time() - cpu_s)
        took_s = time.perf_counter() - begun_s
        self._wall_s.append(took_s)
        self.last_ms[slot] = 1000 * took_s
        return number

    def take(self, count: int) -> tuple[float, float]:
        """Seconds by the clock and of this thread's CPU time, of the last so many; then none."""
        found = sum(self._wall_s[-count:]), sum(self._cpu_s[-count:])
        del self._wall_s[:], self._cpu_s[:]
        return found


class FedRequest:
    """A slot's request as one looks at it who also waits for it to be fed."""

    def __init__(self, handles: list[Any], timer: FeedTimer, slot: int) -> None:
        self._handles, self._timer, self._slot = handles, timer, slot

    @property
    def latency(self) -> float:
        """From the begin of its feeding to its end, in milliseconds."""
        return float(self._handles[self._slot].latency) + self._timer.last_ms[self._slot]
