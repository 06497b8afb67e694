"""The search space: ordered dimensions, and the one canonical form of every combination.

A point is a tuple of indices, one for each dimension. Combinations that make no sense, such as more
threads than CPUs, are repaired to a point that does before anything is spent on them, so that the
space stays flat and static (a requirement of the samplers) and no configuration has two names.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from autotune.space.configuration import Api, Configuration, Effective, PerformanceHint

Point = tuple[int, ...]

DIMENSIONS = (
    "device",
    "threads_per_stream",
    "streams",
    "requests_per_stream",
    "batch",
    "pinning",
    "precision",
    "api",
)
"""Names of all dimensions, in the order of a point's indices."""


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
        if any(map(is_cpu, self.choices["device"])) and not self._legal_pairs():
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
        requests, batches, precisions = (
            range(len(choices[name])) for name in ("requests_per_stream", "batch", "precision")
        )
        for device, name in enumerate(choices["device"]):
            cpu = is_cpu(name)
            pairs = self._legal_pairs() if cpu else [(0, j) for j in range(len(choices["streams"]))]
            pinnings = range(len(choices["pinning"]) if cpu else 1)
            for (threads, streams), load, batch, pinning, precision in itertools.product(
                pairs, requests, batches, pinnings, precisions
            ):
                for api, kind in enumerate(choices["api"]):
                    if kind is not Api.SYNC or streams == load == 0:
                        yield (device, threads, streams, load, batch, pinning, precision, api)

    def values(self, point: Point) -> dict[str, Any]:
        """The chosen value of every dimension."""
        return {
            name: self.choices[name][index] for name, index in zip(DIMENSIONS, point, strict=True)
        }

    def canonical(self, point: Point) -> Point:
        """The point that stands for all combinations with the same meaning.

        A blocking request uses one stream; threads beyond the CPUs are taken from the streams
        (from the threads where even one stream has too many); dimensions that the device does not
        have stand at their first choice.
        """
        index = dict(zip(DIMENSIONS, point, strict=True))
        values = self.values(point)
        if values["api"] is Api.SYNC:
            index["streams"] = index["requests_per_stream"] = 0
        if not is_cpu(values["device"]):
            index["threads_per_stream"] = index["pinning"] = 0
        else:
            index["threads_per_stream"], index["streams"] = self._nearest_legal(
                index["threads_per_stream"], index["streams"]
            )
        return tuple(index.values())

    def configuration(self, point: Point) -> Configuration:
        """The configuration at a canonical point."""
        values = self.values(self.canonical(point))
        cpu, synchronous = is_cpu(values["device"]), values["api"] is Api.SYNC
        streams = values["streams"]
        return Configuration(
            device=values["device"],
            hint=PerformanceHint.LATENCY if synchronous else PerformanceHint.THROUGHPUT,
            streams=streams,
            threads_per_stream=values["threads_per_stream"] if cpu else None,
            pinning=values["pinning"] if cpu else None,
            precision=values["precision"],
            batch_size=values["batch"],
            num_requests=1 if synchronous else streams * values["requests_per_stream"],
            api=values["api"],
        )

    def locate(
        self, configuration: Configuration, effective: Effective | None = None
    ) -> Point | None:
        """The point at which a configuration lies, or None if it is outside of the space.

        With `effective`, settings that were left to the runtime are taken from what it chose.
        """
        chosen = effective.properties if effective else {}
        requests = effective.requests(configuration) if effective else configuration.num_requests
        streams = configuration.streams or _integer(chosen.get("NUM_STREAMS"))
        threads = configuration.threads_per_stream
        if threads is None and streams:
            total = _integer(chosen.get("INFERENCE_NUM_THREADS")) or 0
            threads = total // streams if total % streams == 0 else None
        pinning = configuration.pinning
        if pinning is None and "ENABLE_CPU_PINNING" in chosen:
            pinning = chosen["ENABLE_CPU_PINNING"] == "YES"
        per_stream = requests / streams if requests and streams else None
        if configuration.api is Api.SYNC:  # a blocking request stands at the first choice
            per_stream = self.choices["requests_per_stream"][0]
        cpu = is_cpu(configuration.device)
        values = {
            "device": configuration.device,
            "threads_per_stream": threads if cpu else self.choices["threads_per_stream"][0],
            "streams": streams,
            "requests_per_stream": per_stream,
            "batch": configuration.batch_size,
            "pinning": pinning if cpu else self.choices["pinning"][0],
            "precision": configuration.precision or chosen.get("INFERENCE_PRECISION_HINT"),
            "api": configuration.api,
        }
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
        wanted = {
            "threads_per_stream": configuration.threads_per_stream or 1,
            "streams": streams,
            "requests_per_stream": (requests or streams) / streams,
            "batch": configuration.batch_size,
        }
        named = {
            "device": configuration.device,
            "pinning": configuration.pinning,
            "precision": configuration.precision,
            "api": configuration.api,
        }
        index = {name: _nearest(self.choices[name], value) for name, value in wanted.items()}
        for name, value in named.items():
            choices = self.choices[name]
            index[name] = choices.index(value) if value in choices else 0
        return self.canonical(tuple(index[name] for name in DIMENSIONS))

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
            for point in self._like(here, ("streams", "requests_per_stream"))
            if self.canonical(point) == point and self.configuration(point).compile_key == key
        ]

    def _like(self, point: Point, free: Sequence[str]) -> Iterator[Point]:
        """All points that differ from one in these dimensions only."""
        return itertools.product(
            *(
                range(len(self.choices[name])) if name in free else (index,)
                for name, index in zip(DIMENSIONS, point, strict=True)
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: what a study must not change while it goes on."""
        return {"cpus": self.cpus, **{name: list(self.choices[name]) for name in DIMENSIONS}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The space that `to_dict` wrote.

        Raises:
            ValueError: it is none.
        """
        try:
            choices = {name: tuple(values[name]) for name in DIMENSIONS}
            if math.prod(map(len, choices.values())) > _MOST_COMBINATIONS:
                raise ValueError(f"not a search space: over {_MOST_COMBINATIONS:,} combinations")
            return cls({**choices, "api": tuple(map(Api, values["api"]))}, values["cpus"])
        except (KeyError, TypeError) as error:
            message = f"not a search space: {error}"
            raise ValueError(message) from error

    def _nearest_legal(self, threads: int, streams: int) -> tuple[int, int]:
        most = self.cpus // self.choices["threads_per_stream"][threads]
        fitting = [j for j, count in enumerate(self.choices["streams"]) if count <= most]
        if fitting:
            return threads, min(fitting, key=lambda j: abs(j - streams))
        return min(
            self._legal_pairs(),
            key=lambda pair: (abs(pair[0] - threads), abs(pair[1] - streams)),
        )

    def _legal_pairs(self) -> list[tuple[int, int]]:
        return [
            (i, j)
            for i, threads in enumerate(self.choices["threads_per_stream"])
            for j, streams in enumerate(self.choices["streams"])
            if threads * streams <= self.cpus
        ]


def is_cpu(device: str) -> bool:
    """Whether threads and pinning of this device are ours to choose."""
    return device == "CPU"


def _nearest(choices: Sequence[float], wanted: float) -> int:
    """Where the choice stands that is nearest by ratio."""
    return min(range(len(choices)), key=lambda i: abs(math.log(choices[i] / wanted)))


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and text.lstrip("-").isdigit() else None
