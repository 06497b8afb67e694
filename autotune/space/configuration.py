"""One point of the space as requested, and what the runtime made of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from autotune.space import dimensions
from autotune.space.devices import kind_of
from autotune.space.dimension import Dimension, Stage
from autotune.space.dimensions import Api, PerformanceHint
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


class UnknownDimensionError(KeyError):
    """What is stored has a dimension of a later version."""

    def __str__(self) -> str:
        return f"{self.args[0]:.80}: no dimension that this version knows; upgrade autotune"


@dataclass(frozen=True, slots=True)
class CompileKey:
    """The part of a configuration that needs a new `compile_model`: stages model and compile."""

    device: str
    properties: tuple[tuple[str, str], ...]
    """Sorted by name; every value as the text that the runtime takes."""
    batch_size: int
    model: tuple[tuple[str, str], ...] = ()
    """What else is done to the model before it is compiled, such as its variant: by the name of the
    dimension, sorted; nothing that stands at its default."""

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that name this compile key."""
        named: list[Any] = [self.device, self.properties, self.batch_size]
        return _digest([*named, self.model] if self.model else named)


if TYPE_CHECKING:

    @dataclass(frozen=True, kw_only=True)
    class _Values:
        """One field for each row of the table of dimensions, as a type checker is to see them."""

        device: str
        hint: PerformanceHint = PerformanceHint.THROUGHPUT
        streams: int | None = None
        threads_per_stream: int | None = None
        num_requests: int | None = None
        batch_size: int = 1
        pinning: bool | None = None
        precision: str | None = None
        api: Api = Api.ASYNC

else:
    _Values = make_dataclass(
        "_Values",
        [
            (one.column, one.type)
            if one.name == "device"
            else (one.column, one.type if one.default is not None else one.type | None, one.default)
            for one in dimensions.TABLE
        ],
        frozen=True,
        slots=True,
        kw_only=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration(_Values):
    """Deployment settings as requested: a value for each dimension.

    `streams` None leaves streams, threads, pinning and precision to the performance hint;
    `num_requests` None takes the number that the compiled model calls optimal.
    """

    @property
    def is_hint(self) -> bool:
        """Whether this is a baseline: a bare performance hint at batch 1."""
        is_bare = self.streams is None and self.batch_size == 1 and self.num_requests is None
        return is_bare and not any(
            one.is_said(one.of(self)) for one in dimensions.TABLE if not one.first
        )

    @property
    def is_blocking(self) -> bool:
        """Whether each request is waited for before the next: one is in flight, then."""
        return self.api is Api.SYNC

    @property
    def properties(self) -> dict[str, str]:
        """Every property as the runtime takes it; `PERFORMANCE_HINT` is always present.

        A deployment that leaves the hint out may be given another one by its target.
        """
        kind, lacking = kind_of(self.device), dimensions.lacking(self.device)
        found = {}
        for name, one in dimensions.PROPERTIES.items():
            value = one.of(self)
            if value is None or not one.is_said(value) or one.name in kind.leaves:
                continue
            if one.name in lacking and not one.first:
                continue
            if one.name == "threads_per_stream":  # the runtime counts those of all streams
                if self.streams is None:
                    continue
                value *= self.streams
            found[name] = one.text(value)
        return {**found, **kind.always}

    @property
    def compile_key(self) -> CompileKey:
        """What must be compiled anew for this configuration."""
        model = {
            one.name: one.text(one.of(self))
            for one in dimensions.TABLE
            if one.stage is Stage.MODEL and one is not dimensions.BATCH
            if one.of(self) != one.default
        }
        return CompileKey(
            self.device,
            tuple(sorted(self.properties.items())),
            self.batch_size,
            tuple(sorted(model.items())),
        )

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that name this configuration."""
        return _digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` reads it back."""
        return {one.column: one.of(self) for one in dimensions.TABLE if one.is_said(one.of(self))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration that `to_dict` wrote; what is absent has its default.

        Raises:
            KeyError: there is no device, or what is no dimension that this version knows.
            ValueError: one is not of its type.
        """
        found = {}
        for name, value in values.items():
            one = dimensions.BY_COLUMN.get(name)
            if one is None:
                raise UnknownDimensionError(name)
            found[name] = one.stored(value)
        if found.get("device") is None:
            raise KeyError("device")
        return cls(**found)

    @classmethod
    def from_properties(cls, device: str, properties: Mapping[str, str], **others: Any) -> Self:
        """The configuration that sets these properties, as far as it can: others are left out.

        Args:
            device: where.
            properties: as `properties` gives them.
            others: fields that are no properties.

        Raises:
            KeyError: there is no hint.
            ValueError: a value that is none.
        """
        found: dict[str, Any] = {"hint": PerformanceHint(properties["PERFORMANCE_HINT"])}
        for name, text in properties.items():
            one = dimensions.PROPERTIES.get(name)
            if one is not None:
                found[one.column] = one.parse(text)
        threads, streams = found.pop("threads_per_stream", None), found.get("streams")
        if threads and streams:
            found["threads_per_stream"] = threads // streams
        return cls(device=device, **found, **others)

    def __str__(self) -> str:
        if self.is_hint:
            return f"{self.device} {self.hint} hint"
        parts = [f"{self.device} {self.layout}"]
        if self.is_blocking:
            parts.append("sync")
        else:
            parts.append(
                "optimal requests"
                if self.num_requests is None
                else several(self.num_requests, "request")
            )
        parts.append(f"batch {self.batch_size}")
        return ", ".join([*parts, *self.extras()])

    @property
    def layout(self) -> str:
        """Streams and threads in words, or the hint that decides them."""
        if self.streams is None:
            return f"{self.hint} hint"
        streams = several(self.streams, "stream")
        threads = self.threads_per_stream
        return streams if threads is None else f"{streams} x {several(threads, 'thread')}"

    def extras(self, *, but: Dimension | None = None) -> list[str]:
        """Every other setting in words, what bears on answers first; nothing of defaults.

        Args:
            but: a dimension that is shown in a place of its own.
        """
        mine = [
            one for one in dimensions.TABLE if one.name not in _IN_EVERY_NAME and one is not but
        ]
        said = [
            one.word(one.of(self))
            for one in sorted(mine, key=lambda one: not one.answers)
            if one.of(self) != one.default
        ]
        return [text for text in said if text]


_IN_EVERY_NAME = {
    "device",
    "hint",
    "streams",
    "threads_per_stream",
    "requests_per_stream",
    "batch",
}
"""What the name of a configuration says in any case."""


@dataclass(frozen=True, slots=True)
class Effective:
    """What the runtime really uses, read back from the compiled model."""

    properties: Mapping[str, str]
    """Every readable property of the compiled model, as text."""
    optimal_requests: int
    """The compiled model's OPTIMAL_NUMBER_OF_INFER_REQUESTS."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "properties", MappingProxyType(dict(self.properties)))

    @property
    def arithmetic(self) -> str:
        """What it computes in; empty where the device does not tell."""
        return self.properties.get(dimensions.ARITHMETIC_PROPERTY, "")

    def key(self, configuration: Configuration) -> str:
        """Names all that decides the speed of `configuration`: equal keys, one measurement."""
        chosen = [self.properties.get(name) for name in _EFFECTIVE_KEY_PROPERTIES]
        requests = self.requests(configuration)
        named = [configuration.device, chosen, configuration.batch_size, requests]
        later = {
            one.column: self.properties.get(one.property or "", one.text(one.of(configuration)))
            for one in dimensions.TABLE
            if not one.first and one.of(configuration) != one.default
        }
        return _digest([*named, configuration.api, *([later] if later else [])])

    def requests(self, configuration: Configuration) -> int:
        """The request count of `configuration`, resolved."""
        if configuration.is_blocking:
            return 1
        return configuration.num_requests or self.optimal_requests


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
