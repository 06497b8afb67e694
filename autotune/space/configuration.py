"""One point of the space as requested, and what the runtime made of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from autotune.space.words import several

# Properties that decide how a compiled model runs. The hint is not among them: two hints that
# resolve to the same streams, threads, pinning and precision are one and the same deployment.
_EFFECTIVE_KEY_PROPERTIES = (
    "EXECUTION_DEVICES",
    "NUM_STREAMS",
    "INFERENCE_NUM_THREADS",
    "ENABLE_CPU_PINNING",
    "ENABLE_HYPER_THREADING",
    "SCHEDULING_CORE_TYPE",
    "INFERENCE_PRECISION_HINT",
    "EXECUTION_MODE_HINT",
    "MODEL_DISTRIBUTION_POLICY",
    "DEVICE_PROPERTIES",
)


class PerformanceHint(StrEnum):
    """OpenVINO's own presets."""

    LATENCY = "LATENCY"
    THROUGHPUT = "THROUGHPUT"


class Api(StrEnum):
    """How requests are issued."""

    ASYNC = "async"  # `num_requests` kept in flight
    SYNC = "sync"  # one blocking request


@dataclass(frozen=True, slots=True)
class CompileKey:
    """The part of a configuration that needs a new `compile_model`."""

    device: str
    properties: tuple[tuple[str, str], ...]
    """Sorted by name; every value as the text that the runtime takes."""
    batch_size: int

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that name this compile key."""
        return _digest([self.device, self.properties, self.batch_size])


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Deployment settings as requested.

    `streams` None leaves streams, threads, pinning and precision to the performance hint;
    `num_requests` None takes the number that the compiled model calls optimal.
    """

    device: str
    hint: PerformanceHint = PerformanceHint.THROUGHPUT
    streams: int | None = None
    threads_per_stream: int | None = None
    pinning: bool | None = None
    precision: str | None = None
    batch_size: int = 1
    num_requests: int | None = None
    api: Api = Api.ASYNC

    @property
    def is_hint(self) -> bool:
        """Whether this is a baseline: a bare performance hint at batch 1."""
        return self.streams is None and self.batch_size == 1 and self.num_requests is None

    @property
    def properties(self) -> dict[str, str]:
        """Every property as the runtime takes it; `PERFORMANCE_HINT` is always present.

        A deployment that leaves the hint out may be given another one by its target.
        """
        properties = {"PERFORMANCE_HINT": self.hint.value}
        if self.streams is not None and _takes_streams(self.device):
            properties["NUM_STREAMS"] = str(self.streams)
            if self.threads_per_stream is not None:
                properties["INFERENCE_NUM_THREADS"] = str(self.streams * self.threads_per_stream)
        if self.pinning is not None:
            properties["ENABLE_CPU_PINNING"] = "YES" if self.pinning else "NO"
        if self.precision is not None:
            properties["INFERENCE_PRECISION_HINT"] = self.precision
        if self.device.split(".")[0] == "GPU":
            # The THROUGHPUT hint turns it on there, and a lone request then waits for 1000 ms.
            properties["ALLOW_AUTO_BATCHING"] = "NO"
        return properties

    @property
    def compile_key(self) -> CompileKey:
        """What must be compiled anew for this configuration."""
        return CompileKey(self.device, tuple(sorted(self.properties.items())), self.batch_size)

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that name this configuration."""
        return _digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration that `to_dict` wrote.

        Raises:
            KeyError: a field is missing or unknown.
            ValueError: it is not of its type.
        """
        for name, value in values.items():
            kind, may_be_null = _FIELDS[name]
            if not (may_be_null if value is None else _is(value, kind)):
                message = f"{name} is {value!r:.80}, and no {kind.__name__}"
                raise ValueError(message)
        return cls(**{**values, "hint": PerformanceHint(values["hint"]), "api": Api(values["api"])})

    def __str__(self) -> str:
        if self.is_hint:
            return f"{self.device} {self.hint} hint"
        parts = [f"{self.device} {self.layout}"]
        if self.api is Api.SYNC:
            parts.append("sync")
        else:
            parts.append(
                "optimal requests"
                if self.num_requests is None
                else several(self.num_requests, "request")
            )
        parts.append(f"batch {self.batch_size}")
        parts += [self.precision] if self.precision else []
        parts += ["unpinned"] if self.pinning is False else []
        return ", ".join(parts)

    @property
    def layout(self) -> str:
        """Streams and threads in words, or the hint that decides them."""
        if self.streams is None:
            return f"{self.hint} hint"
        streams = several(self.streams, "stream")
        threads = self.threads_per_stream
        return streams if threads is None else f"{streams} x {several(threads, 'thread')}"


_FIELDS: dict[str, tuple[type, bool]] = {
    "device": (str, False),
    "hint": (str, False),
    "streams": (int, True),
    "threads_per_stream": (int, True),
    "pinning": (bool, True),
    "precision": (str, True),
    "batch_size": (int, False),
    "num_requests": (int, True),
    "api": (str, False),
}
"""Type of each field where it is stored, and whether it may be null."""


@dataclass(frozen=True, slots=True)
class Effective:
    """What the runtime really uses, read back from the compiled model."""

    properties: Mapping[str, str]
    """Every readable property of the compiled model, as text."""
    optimal_requests: int
    """The compiled model's OPTIMAL_NUMBER_OF_INFER_REQUESTS."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "properties", MappingProxyType(dict(self.properties)))

    def key(self, configuration: Configuration) -> str:
        """Names all that decides the speed of `configuration`: equal keys, one measurement."""
        chosen = [self.properties.get(name) for name in _EFFECTIVE_KEY_PROPERTIES]
        requests = self.requests(configuration)
        return _digest(
            [configuration.device, chosen, configuration.batch_size, requests, configuration.api]
        )

    def requests(self, configuration: Configuration) -> int:
        """The request count of `configuration`, resolved."""
        if configuration.api is Api.SYNC:
            return 1
        return configuration.num_requests or self.optimal_requests


def _is(value: object, kind: type) -> bool:
    """Whether a stored value is of its type; whole numbers are counts."""
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
    return isinstance(value, kind)


def _takes_streams(device: str) -> bool:
    """Meta devices pass on or refuse NUM_STREAMS as they please, so they are left to their hint."""
    return device.split(":", maxsplit=1)[0] not in {"AUTO", "MULTI", "HETERO", "BATCH"}


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
