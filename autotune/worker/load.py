"""The closed loop: a fixed number of requests kept in flight, measured in blocks.

A Python callback would take the GIL at every completion and lower the throughput while the latency
looks the same; so the queue keeps its native callbacks, and this loop asks for an idle request,
reads its latency, and starts it again. The request handles are taken once, and the queue's base
class starts the request: indexing the queue and its Python-level start cost several microseconds.

CPU time and energy are read where the time of a block is: at the first and the last completion.
"""

import contextlib
import gc
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import openvino as ov

from autotune.domain.arrival import occupancy
from autotune.worker import readings
from autotune.worker.feeding import Feeding, FeedTimer
from autotune.worker.memory import rss_bytes
from autotune.worker.slots import BlockingSlot, QueuedSlots, RoutedSlots, Slots, TimedSlots

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
    """Requests in flight on one deployment."""

    num_requests: int

    def fill(self) -> None:
        """Start every request."""

    def block(self, least_s: float, least_completions: int) -> dict[str, Any]:
        """Measure one block; see `Block` in the domain for its fields."""

    def drain(self) -> None:
        """Wait for every request; nothing is counted."""


class AsyncLoad:
    """A fixed number of requests in flight."""

    def __init__(self, slots: Slots) -> None:
        self.num_requests = len(slots.handles)
        self._slots = slots
        self._handles, self._copy, self._start = slots.handles, slots.feed, slots.start
        self._started = [0.0] * self.num_requests

    def fill(self) -> None:
        """Start every request; no garbage collection from here to `drain`.

        Where one cannot be started those that were are waited for, and it is as if drained.
        """
        gc.disable()
        try:
            for _ in range(self.num_requests):
                slot = self._slots.idle()
                if self._copy is not None:
                    self._copy(slot)
                self._started[slot] = time.perf_counter()
                self._start({}, None)
        except BaseException:
            with contextlib.suppress(Exception):
                self.drain()
            raise

    def block(self, least_s: float, least_completions: int) -> dict[str, Any]:
        """Completions until both minima are met, all requests in flight throughout."""
        # One round unrecorded: requests that finished while nobody looked do not count.
        self._turn(array("d"), 0.0, self.num_requests)
        latencies = array("d")
        before = readings.take()
        turn = self._turn(latencies, least_s, least_completions)
        block = block_of(latencies, turn, before, readings.take())
        self._slots.check()
        return block | prepared(self._slots.timer, len(latencies))

    def drain(self) -> None:
        """Wait for every request."""
        try:
            self._slots.wait()
        finally:
            gc.enable()
            gc.collect()

    def _turn(self, latencies: "array[float]", least_s: float, least_completions: int) -> Turn:
        """Run until both minima are met."""
        idle, start, handles = self._slots.idle, self._start, self._handles
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

    def __init__(self, slot: BlockingSlot) -> None:
        self._slot = slot
        self._copy, self._infer, self._latency = slot.feed, slot.infer, slot.latency

    def fill(self) -> None:
        """Nothing is in flight between calls."""
        gc.disable()

    def block(self, least_s: float, least_completions: int) -> dict[str, Any]:
        """Calls until both minima are met."""
        latencies = array("d")
        before = readings.take()
        turn = self._turn(latencies, least_s, least_completions)
        after, fed = readings.take(), prepared(self._slot.timer, len(latencies))
        # What a timed feed takes is this loop's own, and is known without looking.
        loop_cpu_s = turn.loop_cpu_s + fed.get("prepare_cpu_s", 0.0)
        return block_of(latencies, replace(turn, loop_cpu_s=loop_cpu_s), before, after) | fed

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


def deployed(
    compiled: Sequence[ov.CompiledModel],
    num_requests: int,
    feeding: Feeding,
    *,
    is_blocking: bool,
    times_feeding: bool = False,
) -> RequestLoop:
    """Requests of one or several compiled models as one deployment, ready to be filled.

    Args:
        compiled: a request runs on the one that its feed names.
        num_requests: in flight over all of them together; one where it is waited for.
        feeding: called once, with the requests.
        is_blocking: whether each is waited for before the next one is fed.
        times_feeding: whether what the feed takes is a part of each request's latency. A block
            then also has `prepare_s` and `prepare_cpu_s`: by the clock, and of the CPU time of the
            loop's thread, in which it is contained.

    Raises:
        ValueError: nothing feeds requests that are to be timed or routed.
    """
    if is_blocking:
        return SyncLoad(BlockingSlot(compiled, feeding, times_feeding=times_feeding))
    slots: Slots
    if len(compiled) == 1:
        slots = QueuedSlots(compiled[0], num_requests, feeding)
    else:
        slots = RoutedSlots(compiled, num_requests, feeding)
    return AsyncLoad(TimedSlots(slots) if times_feeding else slots)


def prepared(timer: FeedTimer | None, count: int) -> dict[str, float]:
    """What the feeding of so many requests took, as fields of their block; none untimed."""
    if timer is None:
        return {}
    wall_s, cpu_s = timer.take(count)
    return {"prepare_s": wall_s, "prepare_cpu_s": cpu_s}


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
        "others_s": readings.others_s(before, after),
        "affinity_cpus": len(after.cpus),
        "rss_bytes": rss_bytes(),
        "energy_j": readings.energy_j(turn.before, turn.after),
    }


def _difference(before: float | None, after: float | None) -> float | None:
    """None also where it ran backwards: the process was moved to another cgroup meanwhile."""
    return None if before is None or after is None or after < before else after - before
