"""Request slots: a fixed number of requests that run at the same time, and which one has ended.

Of one compiled model an `AsyncInferQueue` tells it natively. Of several there is no such queue:
each request puts its slot's number into a `SimpleQueue` as its callback. That takes the
interpreter's lock for the time of one call into C, and nothing of Python runs; an application that
serves several models from one thread does no less.
"""

import contextlib
import queue
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import openvino as ov

from autotune.worker.feeding import FedRequest, Feed, Feeding, FeedTimer

Waited = tuple[Callable[[], Any], Callable[[], float]]
"""Runs a request and returns when it has ended; says its latency in milliseconds."""

_LOOK_S = 1.0
"""A request that fails calls nobody: where none has ended for so long, they are looked at."""


class Slots(Protocol):
    """What a loop sees of its requests."""

    @property
    def handles(self) -> list[Any]:
        """Of each slot, the request that ran last or runs; its `latency` is that of this run."""

    @property
    def feed(self) -> Feed | None:
        """Called before a start, with the slot that is idle; None where there is nothing to do."""

    @property
    def timer(self) -> FeedTimer | None:
        """Of a feed that `start` calls; None where it is not timed."""

    def idle(self) -> int:
        """Wait for a slot that is idle; raises what its request failed with."""

    def start(self, inputs: Any, userdata: Any, /) -> None:
        """Start the slot that was idle and was fed; both arguments are the runtime's."""

    def check(self) -> None:
        """Raise what a request failed with, if one did; nothing waits."""

    def wait(self) -> None:
        """Wait for all, and raise what one failed with; then every slot is idle."""


class QueuedSlots:
    """Of one compiled model."""

    timer: FeedTimer | None = None

    def __init__(self, compiled: ov.CompiledModel, count: int, feeding: Feeding) -> None:
        self._queue = ov.AsyncInferQueue(compiled, count)
        self.handles = [self._queue[i] for i in range(len(self._queue))]
        self.idle = self._queue.get_idle_request_id
        self.start = super(ov.AsyncInferQueue, self._queue).start_async  # type: ignore[misc]  # absent from the stubs
        self.wait = self._queue.wait_all
        self.feed = feeding([[handle] for handle in self.handles])

    def check(self) -> None:
        """A slot whose request failed is idle again, and says so when it is asked for."""


class RoutedSlots:
    """Of several compiled models: a slot runs whichever of them the next item is for.

    Each slot has a request of every model from the beginning. That costs its outputs' memory (and
    that of inputs which are not bound), and is what a program holds that has served for a while;
    made when they are first needed, they would be made within a block.
    """

    timer: FeedTimer | None = None

    def __init__(self, compiled: Sequence[ov.CompiledModel], count: int, feeding: Feeding) -> None:
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._requests = [
            [model.create_infer_request() for model in compiled] for _ in range(count)
        ]
        for slot, mine in enumerate(self._requests):
            for request in mine:
                request.set_callback(self._ended.put, slot)
        self._starts = [
            [super(ov.InferRequest, request).start_async for request in mine]  # type: ignore[misc]  # absent from the stubs
            for mine in self._requests
        ]
        self.handles = [mine[0] for mine in self._requests]
        self._next = self._starts[0][0]
        self._choose = _to_route(feeding(self._requests))
        self._all_idle()

    def idle(self) -> int:
        """Wait for a slot that is idle."""
        get = self._ended.get
        while True:
            try:
                return get(True, _LOOK_S)
            except queue.Empty:
                self.check()

    def feed(self, slot: int) -> None:
        """Set the inputs of the next item in the request of its model."""
        number = self._choose(slot) or 0
        self.handles[slot] = self._requests[slot][number]
        self._next = self._starts[slot][number]

    def start(self, inputs: Any, userdata: Any, /) -> None:
        """Start the request that was fed last."""
        self._next(inputs, userdata)

    def check(self) -> None:
        """Raise what a request failed with, if one did: it will never call."""
        for request in self.handles:
            request.wait_for(0)

    def wait(self) -> None:
        """Wait for all: one that was never started does not wait."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._all_idle)
            for request in self.handles:
                stack.callback(request.wait)

    def _all_idle(self) -> None:
        """Every slot once, whatever was told or was not."""
        while not self._ended.empty():
            self._ended.get()
        for slot in range(len(self._requests)):
            self._ended.put(slot)


class TimedSlots:
    """Slots whose feeding counts: it is a part of each request's latency."""

    feed = None

    def __init__(self, slots: Slots) -> None:
        self.timer = timer = FeedTimer(_to_time(slots.feed), len(slots.handles))
        self.handles = [FedRequest(slots.handles, timer, at) for at in range(len(slots.handles))]
        self.wait, self.check = slots.wait, slots.check
        self._idle, self._start, self._slot = slots.idle, slots.start, 0

    def idle(self) -> int:
        """Wait for a slot that is idle."""
        self._slot = self._idle()
        return self._slot

    def start(self, inputs: Any, userdata: Any, /) -> None:
        """Feed the slot that is idle, and start it: the clock of its cycle runs already."""
        self.timer.feed(self._slot)
        self._start(inputs, userdata)


class BlockingSlot:
    """One request of each compiled model, of which one at a time is waited for."""

    timer: FeedTimer | None = None

    def __init__(
        self, compiled: Sequence[ov.CompiledModel], feeding: Feeding, *, times_feeding: bool
    ) -> None:
        requests = [model.create_infer_request() for model in compiled]
        self.feed = feed = feeding([requests])
        self.infer, self.latency = _blocking(requests[0])
        if len(requests) > 1:
            self.feed, self.infer, self.latency = _routed([*map(_blocking, requests)], feed)
        if times_feeding:
            self._time()

    def _time(self) -> None:
        """Feed as a part of the request."""
        self.timer = timer = FeedTimer(_to_time(self.feed), 1)
        infer, latency, feed = self.infer, self.latency, timer.feed

        def fed_infer() -> None:
            feed(0)
            infer()

        self.feed, self.infer = None, fed_infer
        self.latency = lambda: latency() + timer.last_ms[0]


def _blocking(request: Any) -> Waited:
    infer = super(ov.InferRequest, request).infer
    return (
        lambda: infer({}, share_outputs=True, decode_strings=False),
        lambda: request.latency,
    )


def _routed(requests: Sequence[Waited], feed: Feed | None) -> tuple[Feed, *Waited]:
    """The request of whichever model was fed last."""
    chosen = requests[0]
    choose = _to_route(feed)

    def fed(slot: int) -> None:
        nonlocal chosen
        chosen = requests[choose(slot) or 0]

    def infer() -> Any:
        return chosen[0]()

    def latency() -> float:
        return chosen[1]()

    return fed, infer, latency


def _to_route(feed: Feed | None) -> Feed:
    if feed is None:
        raise ValueError("requests of several models are fed each: else none says whose is next")
    return feed


def _to_time(feed: Feed | None) -> Feed:
    if feed is None:
        raise ValueError("requests that were bound once are not fed: there is nothing to time")
    return feed
