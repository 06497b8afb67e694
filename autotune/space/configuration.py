"""One point of the space as requested, and what the runtime made of it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, make_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from autotune.space import dimensions, words
from autotune.space.devices import Through, is_meta, kind_of, members_of, set_always
from autotune.space.dimension import Dimension, Stage
from autotune.space.dimensions import Api, PerformanceHint
from autotune.space.directed import NESTED, flattened, nested
from autotune.space.named import NAMED
from autotune.space.rows.gpu import BATCH_TIMEOUT
from autotune.space.rows.meta import ON_MEMBERS

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
        on_members: bool = False
        preprocessing: str = "host"
        shape_plan: str = "dynamic"
        variant: str = "model"

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
        """Whether this is a baseline: a bare performance hint at batch 1.

        Whatever is done with the model before: it is none of the runtime's settings.
        """
        is_bare = self.streams is None and self.batch_size == 1 and self.num_requests is None
        return is_bare and not any(
            one.is_said(one.of(self))
            for one in dimensions.TABLE
            if not one.first and one.stage is not Stage.MODEL
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
        left, lacking = kind_of(self.device).leaves, dimensions.lacking(self.device)
        if self.on_members:
            left, lacking = frozenset(), dimensions.lacking_through(self.device)
        found = {"PERFORMANCE_HINT": str(self.hint)}
        handed: dict[str, str] = {}
        for one, text in self._chosen():
            is_had = one.name not in lacking or (one.first and not self.on_members)
            if is_had and one.name not in left:
                goes_on = self.on_members and one.is_through(self.device)
                (handed if goes_on else found)[one.property or ""] = text
        for name, text in NAMED.of_properties(self).items():
            is_handed = self.on_members and name not in kind_of(self.device).itself
            (handed if is_handed else found)[name] = text
        found |= self._of_members(handed)
        return {**found, **{k: v for k, v in set_always(self.device).items() if k not in found}}

    def _chosen(self) -> Iterator[tuple[Dimension, str]]:
        """Every dimension that sets a property, and the text that it sets; but for the hint."""
        for one in dimensions.PROPERTIES.values():
            value = one.of(self)
            if one.column == "hint" or value is None or not one.is_said(value):
                continue
            if one.name == "threads_per_stream":  # the runtime counts those of all streams
                if self.streams is None:
                    continue
                value *= self.streams
            yield one, one.text(value)

    def _of_members(self, handed: Mapping[str, str]) -> dict[str, str]:
        """What is set on the devices that this one stands for, as it takes it."""
        if kind_of(self.device).through is not Through.NESTED:
            return dict(handed)
        told = {}
        for member in members_of(self.device):
            mine = {
                name: text
                for name, text in handed.items()
                if name not in dimensions.PROPERTIES
                or dimensions.is_told(member, dimensions.PROPERTIES[name])
            }
            told[member] = {**set_always(member), **mine}
        return nested(told)

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
        if found["hint"] is PerformanceHint.CUMULATIVE_THROUGHPUT and not is_meta(device):
            raise ValueError(found["hint"])
        for name, text in flattened(properties).items():
            one = dimensions.PROPERTIES.get(name)
            if one is not None:
                found[one.column] = one.parse(text)
        threads, streams = found.pop("threads_per_stream", None), found.get("streams")
        if threads and streams:
            found["threads_per_stream"] = threads // streams
        return cls(device=device, **found, **others)

    def __str__(self) -> str:
        return words.in_words(self)

    @property
    def layout(self) -> str:
        """Streams and threads in words, or the hint that decides them."""
        return words.layout(self)

    def extras(self, *, but: Dimension | None = None) -> list[str]:
        """Every other setting in words, what bears on answers first; nothing of defaults.

        Args:
            but: a dimension that is shown in a place of its own.
        """
        return words.extras(self, but)


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

    def unread(self, configuration: Configuration) -> list[str]:
        """What was set and cannot be read back: it is believed to be as requested."""
        asked = set(flattened(configuration.properties))
        own = {"PERFORMANCE_HINT", *set_always(configuration.device)}
        for member in members_of(configuration.device):
            own |= set(set_always(member))
        return sorted(asked - own - set(self.properties))

    def key(self, configuration: Configuration) -> str:
        """Names all that decides the speed of `configuration`: equal keys, one measurement."""
        known, device = self.properties, self._deployed_on(configuration)
        chosen = [known.get(name) for name in _EFFECTIVE_KEY_PROPERTIES]
        if self._tells_of_members(configuration):  # by their own names, and nothing else of them
            chosen[_EFFECTIVE_KEY_PROPERTIES.index(NESTED)] = None
        requests = self.requests(configuration)
        named = [device, chosen, configuration.batch_size, requests]
        later = {
            one.column: text
            for one in dimensions.TABLE
            if not one.first and one is not ON_MEMBERS and one.of(configuration) != one.default
            if (text := self._later(one, configuration, device)) != one.usual
        }
        if (
            configuration.device.startswith("NPU")
            and configuration.hint != PerformanceHint.THROUGHPUT
        ):
            later["hint"] = configuration.hint
        return _digest([*named, configuration.api, *([later] if later else [])])

    def _tells_of_members(self, configuration: Configuration) -> bool:
        """Whether those of the devices that one stands for were read under their own names.

        They were not by older versions, whose keys are what they were.
        """
        return is_meta(configuration.device) and "NUM_STREAMS" in self.properties

    def _deployed_on(self, configuration: Configuration) -> str:
        """The device, by what it came to: the same wherever AUTO or BATCH made the same of it."""
        device = configuration.device
        if not self._tells_of_members(configuration):
            return device
        kind = device.partition(":")[0]
        if kind == "AUTO":  # EXECUTION_DEVICES says which
            return kind
        streams = self.properties["NUM_STREAMS"]
        if kind == "BATCH" and streams.isdigit() and int(streams):
            return f"BATCH:{','.join(members_of(device))}({self.optimal_requests // int(streams)})"
        return device

    def _later(self, one: Dimension, configuration: Configuration, device: str) -> str | None:
        """What became of a dimension of a later version: as read back, else as requested.

        As usual where what decides speed has it already, or where it decides nothing: there is no
        waiting for a batch of one.
        """
        if one.spread is not None:
            asked = one.of_properties(configuration)
            return str({name: self.properties.get(name, text) for name, text in asked.items()})
        read = None if one.property is None else self.properties.get(one.property)
        is_in_key = read is not None and one.property in _EFFECTIVE_KEY_PROPERTIES
        if is_in_key or (one is BATCH_TIMEOUT and device.endswith("(1)")):
            return one.usual
        return one.text(one.of(configuration)) if read is None else read

    def requests(self, configuration: Configuration) -> int:
        """The request count of `configuration`, resolved."""
        if configuration.is_blocking:
            return 1
        return configuration.num_requests or self.optimal_requests


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
