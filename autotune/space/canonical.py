"""The one canonical form of every combination: a short list of repairs, in this order.

What a blocking request, a device or another choice makes meaningless stands at the first choice of
the device, so that no deployment is tried under two names (combinations: the reference's table of
what is clamped, ignored or refused by OpenVINO 2026.4.1).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune.space.bounds import Bounds
from autotune.space.devices import gathered_by, is_meta
from autotune.space.dimension import Kind
from autotune.space.dimensions import (
    BY_NAME,
    DIMENSIONS,
    Api,
    lacking,
    lacking_through,
)
from autotune.space.rows.cpu import CORE_TYPE, DISTRIBUTION, HYPER_THREADING
from autotune.space.rows.gpu import AUTO_BATCHING, BATCH_TIMEOUT

Choices = Mapping[str, tuple[Any, ...]]
_COUPLED = (HYPER_THREADING, CORE_TYPE, DISTRIBUTION, AUTO_BATCHING, BATCH_TIMEOUT)
"""What bears on other dimensions beside the layout and the API, or they on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """A space as one of its devices has it."""

    device: str
    choices: Choices
    """Of the space: of all devices together."""
    cpus: int
    bounds: Bounds
    lacks: frozenset[str]
    """Dimensions that the device does not have."""
    allowed: Mapping[str, tuple[int, ...]]
    """Indices of its own choices in those of the space, ascending; the first alone of what it
    lacks."""
    passes_on: bool
    """Whether it sets what is chosen on the devices that it stands for."""
    is_plain: bool = field(init=False)
    """Whether nothing but the layout and the API is coupled."""

    def __post_init__(self) -> None:
        plain = all(
            one.name in self.lacks or self._own(one.name) == (one.default,) for one in _COUPLED
        )
        object.__setattr__(self, "is_plain", plain and not self.bounds.alone)

    def _own(self, name: str) -> tuple[Any, ...]:
        """The choices that the device has."""
        return tuple(self.choices[name][at] for at in self.allowed[name])

    def firsts(self, names: Iterable[str]) -> dict[str, Any]:
        """The first choice that the device has of each."""
        return {name: self._own(name)[0] for name in names if name in self.allowed}

    def blocks(self, api: int) -> bool:
        """Whether a request is waited for before the next, by the index of the API."""
        return "api" not in self.lacks and self.choices["api"][api] is Api.SYNC

    @property
    def has_threads(self) -> bool:
        """Whether its threads are ours to choose."""
        return "threads_per_stream" not in self.lacks

    def gathers(self, values: Mapping[str, Any]) -> int:
        """How many requests become one with these values."""
        if values[AUTO_BATCHING.name] and AUTO_BATCHING.name not in self.lacks:
            return self.bounds.gathered.get(self.device, 1)
        return gathered_by(self.device) if self.passes_on else 1

    def idle(self, values: Mapping[str, Any]) -> frozenset[str]:
        """Dimensions that decide nothing with these values."""
        if BATCH_TIMEOUT.name in self.lacks or self.device.startswith("BATCH"):
            return frozenset()
        is_on = AUTO_BATCHING.name not in self.lacks and values[AUTO_BATCHING.name]
        return frozenset() if is_on else frozenset({BATCH_TIMEOUT.name})

    def most_threads(self, index: Mapping[str, int]) -> int:
        """Threads that all streams together may have, with the other choices."""
        sees_both = core_type = None
        if HYPER_THREADING.name not in self.lacks:
            sees_both = self.choices[HYPER_THREADING.name][index[HYPER_THREADING.name]]
        if CORE_TYPE.name not in self.lacks:
            core_type = self.choices[CORE_TYPE.name][index[CORE_TYPE.name]]
        return self.bounds.most_threads(self.cpus, core_type, both_siblings=sees_both is not False)

    def fits(self, threads: int, streams: int) -> tuple[bool, ...]:
        """What bears on which other choices go with a layout: alike for layouts that agree in it.

        Args:
            threads: index of the threads per stream.
            streams: index of the streams.
        """
        one = self.choices["streams"][streams]
        total = one * self.choices["threads_per_stream"][threads] if self.has_threads else 0
        names = (HYPER_THREADING.name, CORE_TYPE.name)
        limits = [
            self.most_threads(dict(zip(names, at, strict=True)))
            for at in itertools.product(*(self.allowed[name] for name in names))
        ]
        return (one == 1, streams == self.allowed["streams"][0], *(total <= n for n in limits))

    def pairs(self, most: int | None = None) -> list[tuple[int, int]]:
        """Indices of threads and streams that fit together, in lexical order.

        Args:
            most: threads of all streams; the CPUs without it.
        """
        if not self.has_threads:
            return [(0, j) for j in self.allowed["streams"]]
        limit = self.cpus if most is None else most
        threads, streams = self.choices["threads_per_stream"], self.choices["streams"]
        return [
            (i, j)
            for i in self.allowed["threads_per_stream"]
            for j in self.allowed["streams"]
            if threads[i] * streams[j] <= limit
        ]


def axes_of(
    device: str,
    choices: Choices,
    cpus: int,
    own: Mapping[str, Mapping[str, tuple[Any, ...]]],
    bounds: Bounds,
) -> Axes:
    """A space as a device has it.

    Args:
        device: one of the space's.
        choices: of all devices together.
        cpus: that may be used.
        own: by device and dimension, where a device has other choices: a part of them, or none. A
            device that stands for others, and is in there, hands on what is chosen.
        bounds: of the machine.

    Raises:
        ValueError: a choice of a device's own is none of the space.
    """
    mine = own.get(device, {})
    passes_on = is_meta(device) and device in own
    lacks = lacking_through(device) if passes_on else lacking(device)
    lacks |= {name for name, values in mine.items() if not values}
    allowed = {
        name: (0,)
        if name in lacks
        else tuple(sorted(choices[name].index(one) for one in mine.get(name, choices[name])))
        for name in DIMENSIONS
    }
    return Axes(
        device=device,
        choices=choices,
        cpus=cpus,
        bounds=bounds,
        lacks=lacks,
        allowed=allowed,
        passes_on=passes_on,
    )


def repaired(axes: Axes, index: Mapping[str, int]) -> dict[str, int]:
    """Indices that stand for all combinations with the same meaning.

    What the device does not have stands at its first choice, what it has at one of its own. A
    blocking request uses one stream and no batch is waited for. Items of shapes of their own make
    no batch. Automatic batching takes single requests only. One stream alone is spread over
    sockets. Threads beyond the CPUs that the other choices leave are taken from the streams (from
    the threads where even one stream has too many, and from those choices where nothing fits
    them).
    """
    found = {name: _own(name, axes.allowed[name], index[name]) for name in DIMENSIONS}
    is_blocking = axes.blocks(found["api"])
    if is_blocking:
        for name in ("streams", "requests_per_stream", "hint"):
            found[name] = axes.allowed[name][0]
    if axes.is_plain:
        _fit(axes, found, axes.cpus)
        return found
    if any(_value(axes, found, name) in those for name, those in axes.bounds.alone.items()):
        _put(axes, found, "batch", 1)
    if is_blocking or _value(axes, found, "batch") != 1:
        _put(axes, found, AUTO_BATCHING.name, False)
        if _value(axes, found, AUTO_BATCHING.name):
            _put(axes, found, "batch", 1)
    _put_cores(axes, found)
    _fit(axes, found, axes.most_threads(found))
    if _value(axes, found, "streams") != 1:
        _put(axes, found, DISTRIBUTION.name, None)
        if _value(axes, found, DISTRIBUTION.name):  # the study wants nothing else
            _put(axes, found, "streams", 1)
    for name in axes.idle({name: axes.choices[name][at] for name, at in found.items()}):
        found[name] = axes.allowed[name][0]
    return found


def _own(name: str, allowed: Sequence[int], wanted: int) -> int:
    """The nearest choice of the device's own; the first of what has no order."""
    if wanted in allowed:
        return wanted
    if BY_NAME[name].kind is not Kind.ORDERED:
        return allowed[0]
    return min(allowed, key=lambda at: (abs(at - wanted), at))


def _value(axes: Axes, found: Mapping[str, int], name: str) -> Any:
    """A choice; None where the device lacks the dimension."""
    return None if name in axes.lacks else axes.choices[name][found[name]]


def _put(axes: Axes, found: dict[str, int], name: str, value: object) -> None:
    """A value, where the device has that choice."""
    if name in axes.lacks:
        return
    at = [i for i in axes.allowed[name] if axes.choices[name][i] == value]
    found[name] = at[0] if at else found[name]


def _put_cores(axes: Axes, found: dict[str, int]) -> None:
    """Give up hyper-threading off, then a core type, where no layout fits what is left.

    Efficient cores have one logical CPU each: hyper-threading is nothing to them.
    """
    name = CORE_TYPE.name
    if name not in axes.lacks and axes.choices[name][found[name]] == "ECORE_ONLY":
        found[HYPER_THREADING.name] = axes.allowed[HYPER_THREADING.name][0]
    if not axes.has_threads or axes.pairs(axes.most_threads(found)):
        return
    _put(axes, found, HYPER_THREADING.name, True)
    if not axes.pairs(axes.most_threads(found)):
        _put(axes, found, CORE_TYPE.name, "ANY_CORE")


def _fit(axes: Axes, found: dict[str, int], most: int) -> None:
    """Streams, and if need be threads, that fit."""
    if not axes.has_threads:
        return
    threads, streams = found["threads_per_stream"], found["streams"]
    per_stream, counts = axes.choices["threads_per_stream"], axes.choices["streams"]
    fitting = [j for j in axes.allowed["streams"] if per_stream[threads] * counts[j] <= most]
    if fitting:
        found["streams"] = min(fitting, key=lambda j: abs(j - streams))
        return
    pairs = axes.pairs(most) or axes.pairs()
    found["threads_per_stream"], found["streams"] = min(
        pairs, key=lambda pair: (abs(pair[0] - threads), abs(pair[1] - streams))
    )
