"""The search space: ordered dimensions, and the one canonical form of every combination.

A point is a tuple of indices, one for each dimension. Combinations that make no sense, such as more
threads than CPUs, are repaired to a point that does before anything is spent on them, so that the
space stays flat and static (a requirement of the samplers) and no configuration has two names.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from autotune.space.bounds import BOUNDS, Bounds
from autotune.space.canonical import Axes, axes_of, repaired
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimension import Kind
from autotune.space.dimensions import BY_NAME, DIMENSIONS, LAYOUT, PerformanceHint
from autotune.space.likeness import nearest, same, used

Point = tuple[int, ...]


_LIKE = ("streams", "requests_per_stream", "api", "hint")
"""Points may differ in these and need the same compiled model, on one device or another."""
_API = DIMENSIONS.index("api")
_DEVICE = DIMENSIONS.index("device")
_MOST_COMBINATIONS = 100_000_000
"""Of a stored space: a stranger's is not to keep anybody counting for ever."""
STORED = ("cpus", *DIMENSIONS, "own", *BOUNDS)
"""Whatever may be a key of a stored space."""
Own = Mapping[str, Mapping[str, tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The choices of every dimension, and the CPUs that bound streams x threads.

    What is left out of the choices, of the dimensions that came later, has its default.
    """

    choices: Mapping[str, tuple[Any, ...]]
    """Ordered choices by the names in `DIMENSIONS`; none is empty. Of all devices together."""
    cpus: int
    """min(affinity, cgroup quota)."""
    own: Own = field(default_factory=dict)
    """By device and dimension, where a device has a part of these choices, or none. A device that
    stands for others hands on what is chosen if it is in here."""
    bounds: Bounds = field(default_factory=Bounds)
    """What else limits combinations."""
    _axes: Mapping[str, Axes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        absent = {name: (BY_NAME[name].default,) for name in DIMENSIONS if _is_later(name)}
        known = {**absent, **self.choices}
        if set(known) != set(DIMENSIONS) or not all(known.values()):
            message = (
                f"a space has the dimensions {DIMENSIONS}, none empty; got {dict(self.choices)}"
            )
            raise ValueError(message)
        choices = {name: known[name] for name in DIMENSIONS}
        object.__setattr__(self, "choices", choices)
        axes = {
            device: axes_of(device, choices, self.cpus, self.own, self.bounds)
            for device in choices["device"]
        }
        object.__setattr__(self, "_axes", axes)
        for one in axes.values():
            if not one.pairs():
                streams, threads = choices["streams"], choices["threads_per_stream"]
                usable = f"{self.cpus} CPU{'' if self.cpus == 1 else 's'}"
                message = (
                    f"no combination of streams {list(streams)} and threads_per_stream "
                    f"{list(threads)} fits the {usable} that may be used"
                )
                raise ValueError(message)

    @property
    def sampled(self) -> tuple[str, ...]:
        """Dimensions with more than one choice."""
        return tuple(name for name in DIMENSIONS if len(self.choices[name]) > 1)

    @property
    def size(self) -> int:
        """Number of distinct configurations."""
        return sum(1 for _ in self.points())

    def points(self) -> Iterator[Point]:
        """Every canonical point, once, in lexical order."""
        for device, name in enumerate(self.choices["device"]):
            axes = self._axes[name]
            known: dict[tuple[bool, ...], list[Point]] = {}
            for threads, streams in axes.pairs():
                alike = axes.fits(threads, streams)
                if alike not in known:
                    known[alike] = list(_others(self, axes, (device, threads, streams)))
                yield from ((device, threads, streams, *others) for others in known[alike])

    def values(self, point: Point) -> dict[str, Any]:
        """The chosen value of every dimension."""
        return {
            name: self.choices[name][index] for name, index in zip(DIMENSIONS, point, strict=True)
        }

    def is_blocking(self, point: Point) -> bool:
        """Whether each request is waited for before the next."""
        return _at(self, point).blocks(point[_API])

    def canonical(self, point: Point) -> Point:
        """The point that stands for all combinations with the same meaning."""
        index = dict(zip(DIMENSIONS, point, strict=True))
        return tuple(repaired(_at(self, point), index).values())

    def configuration(self, point: Point) -> Configuration:
        """The configuration at a canonical point."""
        values, axes = self.values(self.canonical(point)), _at(self, point)
        absent = axes.lacks | axes.idle(values)
        blocking = axes.blocks(point[_API])
        chosen = {
            BY_NAME[name].column: BY_NAME[name].default if name in absent else value
            for name, value in values.items()
            if name != "requests_per_stream"
        }
        requests = (chosen["streams"] or 1) * values["requests_per_stream"] * axes.gathers(values)
        chosen["num_requests"] = 1 if blocking else requests
        if blocking:
            chosen["hint"] = PerformanceHint.LATENCY
        return Configuration(on_members=axes.passes_on, **chosen)

    def locate(
        self, configuration: Configuration, effective: Effective | None = None
    ) -> Point | None:
        """The point at which a configuration lies, or None if it is outside of the space.

        With `effective`, settings that were left to the runtime are taken from what it chose.
        """
        axes = self._axes.get(configuration.device)
        if axes is None:
            return None
        chosen = effective.properties if effective else {}
        values = {
            name: used(BY_NAME[name], configuration, chosen if _decides(self, name) else {})
            for name in DIMENSIONS
        }
        values |= axes.firsts(axes.lacks)
        if configuration.is_hint or configuration.is_blocking:
            values |= axes.firsts({"hint"})
        values |= axes.firsts(axes.idle(values))
        requests = effective.requests(configuration) if effective else configuration.num_requests
        streams = (1 if "streams" in axes.lacks else values["streams"]) or 0
        whole = streams * axes.gathers(values)
        values["requests_per_stream"] = requests / whole if requests and whole > 0 else None
        if configuration.is_blocking:  # a blocking request stands at the first choice
            values |= axes.firsts({"requests_per_stream"})
        if axes.has_threads and configuration.threads_per_stream is None:
            total = values["threads_per_stream"]  # read back: of all streams
            fits = streams and total is not None and total % streams == 0
            values["threads_per_stream"] = total // streams if fits else None
        if any(values[name] not in self.choices[name] for name in DIMENSIONS):
            return None
        point = tuple(self.choices[name].index(values[name]) for name in DIMENSIONS)
        return point if self.canonical(point) == point else None

    def nearest(self, configuration: Configuration) -> Point | None:
        """The point that is most like a configuration of another space.

        Ordered choices are taken by ratio, others must be the same or stand at their first choice.
        None for another device, or one that leaves its streams to the runtime.
        """
        axes, streams = self._axes.get(configuration.device), configuration.streams
        if axes is None or (streams is None and "streams" not in axes.lacks):
            return None
        wanted = {name: BY_NAME[name].of(configuration) for name in DIMENSIONS}
        wanted["streams"] = streams or 1
        wanted["threads_per_stream"] = configuration.threads_per_stream or 1
        whole = wanted["streams"] * axes.gathers(wanted)
        wanted["requests_per_stream"] = (configuration.num_requests or whole) / whole
        point = tuple(
            nearest(self.choices[name], wanted[name])
            if BY_NAME[name].kind is Kind.ORDERED
            else same(self.choices[name], wanted[name])
            for name in DIMENSIONS
        )
        return self.canonical(point)

    def on_device(self, device: str) -> Iterator[Point]:
        """All points of a device."""
        devices = self.choices["device"]
        return (point for point in self.points() if devices[point[_DEVICE]] == device)

    def same_model(self, configuration: Configuration) -> list[Point]:
        """The points that need the same compiled model as `configuration`."""
        here = self.locate(configuration)
        if here is None:
            return []
        key = configuration.compile_key
        return [
            point
            for point in _like(self, here, _LIKE)
            if self.canonical(point) == point and self.configuration(point).compile_key == key
        ]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: what a study must not change while it goes on.

        One of a later version that has nothing but its default is left out.
        """
        stored = {
            name: list(choices)
            for name, choices in self.choices.items()
            if not _is_later(name) or _decides(self, name)
        }
        own = {
            device: {name: list(choices) for name, choices in mine.items()}
            for device, mine in self.own.items()
        }
        return {
            "cpus": self.cpus,
            **stored,
            **({"own": own} if own else {}),
            **self.bounds.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The space that `to_dict` wrote.

        Raises:
            ValueError: it is none.
        """
        try:
            unknown = set(values) - set(STORED)
            if unknown:
                raise ValueError(
                    f"not a search space: it has the dimension {min(unknown):.80}, which this "
                    "version does not know; upgrade autotune"
                )
            absent = {name: [BY_NAME[name].default] for name in DIMENSIONS if _is_later(name)}
            choices = {name: _typed(name, {**absent, **values}[name]) for name in DIMENSIONS}
            own = {
                device: {name: _typed(name, found) for name, found in mine.items()}
                for device, mine in values.get("own", {}).items()
            }
            if _combinations(choices, own) > _MOST_COMBINATIONS:
                raise ValueError(f"not a search space: over {_MOST_COMBINATIONS:,} combinations")
            return cls(choices, values["cpus"], own, Bounds.from_dict(values))
        except (KeyError, TypeError, AttributeError) as error:
            message = f"not a search space: {error}"
            raise ValueError(message) from error


def _others(space: SearchSpace, axes: Axes, layout: Point) -> Iterator[Point]:
    """What goes with a device and a layout, in lexical order."""
    rest = DIMENSIONS[len(LAYOUT) :]
    ranges = [axes.allowed[one] for one in rest]
    api = rest.index("api")
    held = [rest.index("requests_per_stream"), rest.index("hint")]
    is_first = layout[2] == axes.allowed["streams"][0]
    for others in itertools.product(*ranges):
        if axes.blocks(others[api]) and not (
            is_first and all(others[at] == ranges[at][0] for at in held)
        ):
            continue
        point = (*layout, *others)
        if axes.is_plain or space.canonical(point) == point:
            yield others


def gathered_at(space: SearchSpace, point: Point) -> int:
    """How many requests the runtime makes one of at a canonical point."""
    return _at(space, point).gathers(space.values(point))


def lone_request(space: SearchSpace, device: str) -> Point:
    """The point of a single request on one stream of a device, with all of its threads."""
    axes = space._axes[device]  # noqa: SLF001 - of this module
    threads = space.choices["threads_per_stream"]
    index = {name: axes.allowed[name][0] for name in DIMENSIONS}
    index["device"] = space.choices["device"].index(device)
    fitting = [i for i in axes.allowed["threads_per_stream"] if threads[i] <= space.cpus]
    index["threads_per_stream"] = fitting[-1] if fitting else index["threads_per_stream"]
    return space.canonical(tuple(index[name] for name in DIMENSIONS))


def _at(space: SearchSpace, point: Point) -> Axes:
    """The space as the device of a point has it."""
    return space._axes[space.choices["device"][point[_DEVICE]]]  # noqa: SLF001 - of this module


def _like(space: SearchSpace, point: Point, free: Sequence[str]) -> Iterator[Point]:
    """All points that differ from one in these dimensions only."""
    return itertools.product(
        *(
            range(len(space.choices[name])) if name in free else (index,)
            for name, index in zip(DIMENSIONS, point, strict=True)
        )
    )


def _is_later(name: str) -> bool:
    """Whether spaces of the first version did not have this dimension."""
    return not (BY_NAME[name].first and BY_NAME[name].was_choice)


def _typed(name: str, found: Sequence[Any]) -> tuple[Any, ...]:
    """Stored choices as they were.

    Raises:
        ValueError: one is none.
    """
    kind = BY_NAME[name].type
    return tuple(map(kind, found)) if issubclass(kind, StrEnum) else tuple(found)


def _combinations(choices: Mapping[str, tuple[Any, ...]], own: Own) -> int:
    """Of all devices, one after the other."""
    return sum(
        math.prod(
            len(own.get(device, {}).get(name, found)) or 1
            for name, found in choices.items()
            if name != "device"
        )
        for device in choices["device"]
    )


def _decides(space: SearchSpace, name: str) -> bool:
    """Whether a dimension was named, or derived: else it is left to whatever it is."""
    return space.choices[name] != (BY_NAME[name].default,)
