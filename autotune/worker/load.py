"""The closed loop: a fixed number of requests kept in flight, measured in blocks.

A Python callback would take the GIL at every completion and lower the throughput while the latency
looks the same; so the queue keeps its native callbacks, and this loop asks for an idle request,
reads its latency, and starts it again. The request handles are taken once, and the queue's base
class starts the request: indexing the queue and its Python-level start cost several microseconds.

CPU time and energy are read where the time of a block is: at the first and the last completion.
"""

import gc
import itertools
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import openvino as ov

from autotune.domain.arrival import occupancy
from autotune.worker import readings
from autotune.worker.inputs import Sample, batch_of, tensors_of
from autotune.worker.memory import rss_bytes
from autotune.worker.tensors import overwrite

if TYPE_CHECKING:
    from collections.abc import Callable

_TICKS_PER_MS = 10_000
_LAST_TICK = 2**32 - 1
_LONGEST_S = 10.0
"""Where requests take seconds, a block ends after this time with as many as there are."""


_SAMPLED = 16
"""Of so many blocking requests, the loop's own CPU time is looked at beside one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A stretch of load, from one restart to a later one."""

    first_s: float
    last_s: float
    cycles_s: float
    """From restart to restart, over all requests that were completed."""
    before: readings.Spent
    """At the first restart,"""
    after: readings.Spent
    """and at the last."""
    loop_cpu_s: float
    """CPU time of this loop, beside what it has the runtime do."""


class RequestLoop(Protocol):
    """Requests in flight on one compiled model."""

    num_requests: int

    def fill(self) -> None:
        """Start every request."""

    def block(self, least_s: float, least_completions: int) -> dict[str, Any]:
        """Measure one block; see `Block` in the domain for its fields."""

    def drain(self) -> None:
        """Wait for every request; nothing is counted."""


class AsyncLoad:
    """`num_requests` in flight through an `AsyncInferQueue`."""

    def __init__(
        self,
        compiled: ov.CompiledModel,
        num_requests: int,
        data: list[Sample],
        batch_size: int,
        *,
        copies: bool,
    ) -> None:
        self._queue = ov.AsyncInferQueue(compiled, num_requests)
        self.num_requests = len(self._queue)
        self._handles = [self._queue[i] for i in range(self.num_requests)]
        self._start = super(ov.AsyncInferQueue, self._queue).start_async  # type: ignore[misc]  # absent from the stubs
        self._started = [0.0] * self.num_requests
        bind(self._handles, compiled, data, batch_size)
        self._copy = copier(self._handles, compiled, data, batch_size) if copies else None

    def fill(self) -> None:
        """Start every request; no garbage collection from here to `drain`."""
        gc.disable()
        for _ in range(self.num_requests):
            slot = self._queue.get_idle_request_id()
            if self._copy is not None:
                self._copy(slot)
            self._started[slot] = time.perf_counter()
            self._start({}, None)

    def block(self, least_s: float, least_completions: int) -> dict[str, Any]:
        """Completions until both minima are met, all requests in flight throughout."""
        # One round unrecorded: requests that finished while nobody looked do not count.
        self._turn(array("d"), 0.0, self.num_requests)
        latencies = array("d")
        before = readings.take()
        turn = self._turn(latencies, least_s, least_completions)
        return block_of(latencies, turn, before, readings.take())

    def drain(self) -> None:
        """Wait for every request."""
        self._queue.wait_all()
        gc.enable()
        gc.collect()

    def _turn(self, latencies: "array[float]", least_s: float, least_completions: int) -> Turn:
        """Run until both minima are met."""
        idle, start, handles = self._queue.get_idle_request_id, self._start, self._handles
        started, clock, append = self._started, time.perf_counter, latencies.append
        copy = self._copy
        slot = idle()
        if copy is not None:
            copy(slot)
        first = now = clock()
        started[slot] = now
        start({}, None)
        before = readings.spent()
        deadline, cycles, count = first + least_s, 0.0, 0
        longest = first + max(least_s, _LONGEST_S)
        while now < deadline or not count or (count < least_completions and now < longest):
            slot = idle()
            append(handles[slot].latency)
            if copy is not None:
                copy(slot)
            now = clock()
            start({}, None)
            cycles += now - started[slot]
            started[slot] = now
            count += 1
        after = readings.spent()
        return Turn(
            first_s=first,
            last_s=now,
            cycles_s=cycles,
            before=before,
            after=after,
            loop_cpu_s=after.thread_cpu_s - before.thread_cpu_s,
        )


class SyncLoad:
    """One blocking request."""

    num_requests = 1

    def __init__(
        self, compiled: ov.CompiledModel, data: list[Sample], batch_size: int, *, copies: bool
    ) -> None:
        request = compiled.create_infer_request()
        bind([request], compiled, data, batch_size)
        self._copy = copier([request], compiled, data, batch_size) if copies else None
        infer = super(ov.InferRequest, request).infer  # type: ignore[misc]  # absent from the stubs
        self._latency: Callable[[], float] = lambda: request.latency
        self._infer: Callable[[], Any] = lambda: infer({}, share_outputs=True, decode_strings=False)

    def fill(self) -> None:
        """Nothing is in flight between calls."""
        gc.disable()

    def block(self, least_s: float, least_completions: int) -> dict[str, Any]:
        """Calls until both minima are met."""
        latencies = array("d")
        before = readings.take()
        turn = self._turn(latencies, least_s, least_completions)
        return block_of(latencies, turn, before, readings.take())

    def _turn(self, latencies: "array[float]", least_s: float, least_completions: int) -> Turn:
        """The calling thread is the one that computes, where there is one stream.

        So its CPU time beside the calls is looked at: of every few, as each look costs a little.
        """
        infer, latency, clock, copy = self._infer, self._latency, time.perf_counter, self._copy
        cpu_clock, own_s, looks, returned_s = time.thread_time, 0.0, 0, None
        before = readings.spent()
        first = now = clock()
        longest = first + max(least_s, _LONGEST_S)
        while now < first + least_s or (len(latencies) < least_completions and now < longest):
            if copy is not None:
                copy(0)
            if returned_s is not None:
                own_s, looks, returned_s = own_s + cpu_clock() - returned_s, looks + 1, None
            infer()
            if len(latencies) % _SAMPLED == 0:
                returned_s = cpu_clock()
            latencies.append(latency())
            now = clock()
        return Turn(
            first_s=first,
            last_s=now,
            cycles_s=now - first,
            before=before,
            after=readings.spent(),
            loop_cpu_s=own_s / looks * len(latencies) if looks else 0.0,
        )

    def drain(self) -> None:
        """Nothing to wait for."""
        gc.enable()
        gc.collect()


def requests_of(
    compiled: ov.CompiledModel,
    num_requests: int,
    data: list[Sample],
    batch_size: int,
    *,
    is_blocking: bool,
    copies: bool,
) -> RequestLoop:
    """The requests of one load, ready to be filled; `copies` feeds them before every start."""
    if is_blocking:
        return SyncLoad(compiled, data, batch_size, copies=copies)
    return AsyncLoad(compiled, num_requests, data, batch_size, copies=copies)


def copier(
    requests: list[Any], compiled: ov.CompiledModel, data: list[Sample], batch_size: int
) -> "Callable[[int], None]":
    """A function that copies the next samples into a request, as an application does.

    Its time is the caller's: it lengthens the cycle of a request, not the latency that the runtime
    reports.
    """
    ports = compiled.inputs
    # What is written into, looked up once; text has no view of its memory.
    has_text = any(port.get_element_type() == ov.Type.string for port in ports)
    write: Callable[[Any, Any], None] = overwrite if has_text else np.copyto
    tensors = [tensors_of(ports, batch_of(data, first, batch_size)) for first in range(len(data))]
    sources = [[t if has_text else t.data for t in filled] for filled in tensors]
    batches = itertools.cycle(sources)
    targets = [[request.get_input_tensor(i) for i in range(len(ports))] for request in requests]
    places = [[t if has_text else t.data for t in mine] for mine in targets]

    def copy(slot: int) -> None:
        for place, values in zip(places[slot], next(batches), strict=True):
            write(place, values)

    return copy


def bind(
    requests: list[Any], compiled: ov.CompiledModel, data: list[Sample], batch_size: int
) -> None:
    """Set every request's inputs once, each from other samples."""
    for number, request in enumerate(requests):
        sample = batch_of(data, number, batch_size)
        for index, tensor in enumerate(tensors_of(compiled.inputs, sample)):
            request.set_input_tensor(index, tensor)


def block_of(
    latencies_ms: "array[float]", turn: Turn, before: readings.Instant, after: readings.Instant
) -> dict[str, Any]:
    """The block's fields; latencies are rounded up to whole ticks, so over-cap is never missed."""
    times = np.frombuffer(latencies_ms, dtype=np.float64)
    ticks = np.sort(np.clip(np.ceil(times * _TICKS_PER_MS), 0, _LAST_TICK).astype("<u4"))
    monotonic = after.monotonic_s - before.monotonic_s
    return {
        "duration_s": turn.last_s - turn.first_s,
        "latency_ticks": ticks.tobytes(),
        "occupancy": occupancy(float(times.sum()) / 1000, turn.cycles_s),
        "loop_cpu_s": turn.loop_cpu_s,
        "process_cpu_s": turn.after.process_cpu_s - turn.before.process_cpu_s,
        "steal_s": readings.stolen_s(before, after),
        "pressure_s": _difference(before.pressure_s, after.pressure_s),
        "throttled": _difference(before.throttled, after.throttled),
        "major_faults": after.major_faults - before.major_faults,
        "clock_drift_s": (after.wall_s - before.wall_s) - monotonic,
        "rss_bytes": rss_bytes(),
        "energy_j": readings.energy_j(turn.before, turn.after),
    }


def _difference(before: float | None, after: float | None) -> float | None:
    """None also where it ran backwards: the process was moved to another cgroup meanwhile."""
    return None if before is None or after is None or after < before else after - before
