"""The search space: ordered dimensions, and the one canonical form of every combination.

A point is a tuple of indices, one for each dimension. Combinations that make no sense, such as more
threads than CPUs, are repaired to a point that does before anything is spent on them, so that the
space stays flat and static (a requirement of the samplers) and no configuration has two names.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from autotune.space.canonical import legal_pairs, repaired
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimension import Dimension, Kind
from autotune.space.dimensions import BY_NAME, DIMENSIONS, LAYOUT, Api, PerformanceHint, is_cpu
from autotune.space.dimensions import lacking as lacking_on

Point = tuple[int, ...]


_API = DIMENSIONS.index("api")
_MOST_COMBINATIONS = 100_000_000
"""Of a stored space: a stranger's is not to keep anybody counting for ever."""


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The choices of every dimension, and the CPUs that bound streams x threads."""

    choices: Mapping[str, tuple[Any, ...]]
    """Ordered choices by the names in `DIMENSIONS`; none is empty."""
    cpus: int
    """min(affinity, cgroup quota)."""

    def __post_init__(self) -> None:
        if tuple(self.choices) != DIMENSIONS or not all(self.choices.values()):
            message = (
                f"a space has the dimensions {DIMENSIONS}, none empty; got {dict(self.choices)}"
            )
            raise ValueError(message)
        if any(map(is_cpu, self.choices["device"])) and not legal_pairs(self.choices, self.cpus):
            streams, threads = self.choices["streams"], self.choices["threads_per_stream"]
            message = (
                f"no combination of streams {list(streams)} and threads_per_stream "
                f"{list(threads)} fits the {self.cpus} CPUs of this machine"
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
        choices = self.choices
        rest = [name for name in DIMENSIONS if name not in LAYOUT]
        load, api = rest.index("requests_per_stream"), rest.index("api")
        blocks = [kind is Api.SYNC for kind in choices["api"]]
        for device, name in enumerate(choices["device"]):
            lacking = lacking_on(name)
            pairs = (
                [(0, j) for j in range(len(choices["streams"]))]
                if "threads_per_stream" in lacking
                else legal_pairs(choices, self.cpus)
            )
            ranges = [range(1 if one in lacking else len(choices[one])) for one in rest]
            for threads, streams in pairs:
                for others in itertools.product(*ranges):
                    if not blocks[others[api]] or streams == others[load] == 0:
                        yield (device, threads, streams, *others)

    def values(self, point: Point) -> dict[str, Any]:
        """The chosen value of every dimension."""
        return {
            name: self.choices[name][index] for name, index in zip(DIMENSIONS, point, strict=True)
        }

    def is_blocking(self, point: Point) -> bool:
        """Whether each request is waited for before the next."""
        return self.choices["api"][point[_API]] is Api.SYNC

    def canonical(self, point: Point) -> Point:
        """The point that stands for all combinations with the same meaning."""
        index = dict(zip(DIMENSIONS, point, strict=True))
        return tuple(repaired(self.choices, self.cpus, index).values())

    def configuration(self, point: Point) -> Configuration:
        """The configuration at a canonical point."""
        values = self.values(self.canonical(point))
        blocking, streams = values["api"] is Api.SYNC, values["streams"]
        lacking = lacking_on(values["device"])
        per_stream = values.pop("requests_per_stream")
        return Configuration(
            hint=PerformanceHint.LATENCY if blocking else PerformanceHint.THROUGHPUT,
            num_requests=1 if blocking else streams * per_stream,
            **{
                BY_NAME[name].column: BY_NAME[name].default if name in lacking else value
                for name, value in values.items()
            },
        )

    def locate(
        self, configuration: Configuration, effective: Effective | None = None
    ) -> Point | None:
        """The point at which a configuration lies, or None if it is outside of the space.

        With `effective`, settings that were left to the runtime are taken from what it chose.
        """
        chosen = effective.properties if effective else {}
        lacking = lacking_on(configuration.device)
        values = {
            name: self.choices[name][0]
            if name in lacking
            else _used(BY_NAME[name], configuration, chosen if _decides(self, name) else {})
            for name in DIMENSIONS
        }
        requests = effective.requests(configuration) if effective else configuration.num_requests
        streams = values["streams"]
        values["requests_per_stream"] = requests / streams if requests and streams else None
        if configuration.is_blocking:  # a blocking request stands at the first choice
            values["requests_per_stream"] = self.choices["requests_per_stream"][0]
        if "threads_per_stream" not in lacking and configuration.threads_per_stream is None:
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
        streams, requests = configuration.streams, configuration.num_requests
        if configuration.device not in self.choices["device"] or streams is None:
            return None
        wanted = {name: BY_NAME[name].of(configuration) for name in DIMENSIONS}
        wanted["threads_per_stream"] = configuration.threads_per_stream or 1
        wanted["requests_per_stream"] = (requests or streams) / streams
        point = tuple(
            _nearest(self.choices[name], wanted[name])
            if BY_NAME[name].kind is Kind.ORDERED
            else _same(self.choices[name], wanted[name])
            for name in DIMENSIONS
        )
        return self.canonical(point)

    def on_device(self, device: str) -> Iterator[Point]:
        """All points of a device."""
        axis = DIMENSIONS.index("device")
        return (point for point in self.points() if self.choices["device"][point[axis]] == device)

    def same_model(self, configuration: Configuration) -> list[Point]:
        """The points that need the same compiled model as `configuration`."""
        here = self.locate(configuration)
        if here is None:
            return []
        key = configuration.compile_key
        return [
            point
            for point in _like(self, here, ("streams", "requests_per_stream"))
            if self.canonical(point) == point and self.configuration(point).compile_key == key
        ]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: what a study must not change while it goes on.

        One of a later version that has nothing but its default is left out.
        """
        stored = {
            name: list(choices)
            for name, choices in self.choices.items()
            if BY_NAME[name].first or _decides(self, name)
        }
        return {"cpus": self.cpus, **stored}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The space that `to_dict` wrote.

        Raises:
            ValueError: it is none.
        """
        try:
            unknown = set(values) - {"cpus", *DIMENSIONS}
            if unknown:
                raise ValueError(
                    f"not a search space: it has the dimension {min(unknown):.80}, which this "
                    "version does not know; upgrade autotune"
                )
            absent = {
                name: [BY_NAME[name].default] for name in DIMENSIONS if not BY_NAME[name].first
            }
            choices = {name: tuple({**absent, **values}[name]) for name in DIMENSIONS}
            if math.prod(map(len, choices.values())) > _MOST_COMBINATIONS:
                raise ValueError(f"not a search space: over {_MOST_COMBINATIONS:,} combinations")
            named = {
                name: tuple(map(BY_NAME[name].type, found))
                for name, found in choices.items()
                if issubclass(BY_NAME[name].type, StrEnum)
            }
            return cls({**choices, **named}, values["cpus"])
        except (KeyError, TypeError) as error:
            message = f"not a search space: {error}"
            raise ValueError(message) from error


def _like(space: SearchSpace, point: Point, free: Sequence[str]) -> Iterator[Point]:
    """All points that differ from one in these dimensions only."""
    return itertools.product(
        *(
            range(len(space.choices[name])) if name in free else (index,)
            for name, index in zip(DIMENSIONS, point, strict=True)
        )
    )


def _decides(space: SearchSpace, name: str) -> bool:
    """Whether a dimension was named, or derived: else it is left to whatever it is."""
    return space.choices[name] != (BY_NAME[name].default,)


def _used(one: Dimension, configuration: Configuration, chosen: Mapping[str, str]) -> Any:
    """A dimension's value in a configuration, else as the compiled model has it; None if unknown.

    Of one that has no default of its own, nothing was asked for then.
    """
    value = one.of(configuration)
    if value is not None or one.property is None or one.property not in chosen:
        return value
    text = chosen[one.property]
    if one.type is int:
        return int(text) if text.lstrip("-").isdigit() else None
    return one.parse(text)


def _nearest(choices: Sequence[float | None], wanted: float | None) -> int:
    """Where the choice stands that is nearest by ratio; the first where one is left open."""
    known = [choice for choice in choices if choice is not None]
    if wanted is None or len(known) < len(choices):
        return _same(choices, wanted)
    return min(range(len(choices)), key=lambda i: abs(math.log(known[i] / wanted)))


def _same(choices: Sequence[Any], wanted: object) -> int:
    """Where the same choice stands; the first one where there is none."""
    return choices.index(wanted) if wanted in choices else 0
