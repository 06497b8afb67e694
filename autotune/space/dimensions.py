"""The table of dimensions: whatever may be chosen, described once.

A row is all that a choice takes: its key in study.toml, how it is set, read back, stored, shown,
exported and documented follow from it. What is absent has its default, and only other values are
stored and hashed, so that a new row leaves every older study as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from autotune.space.devices import kind_of


class Stage(StrEnum):
    """What a change of a dimension needs."""

    MODEL = "model"  # another model: read, reshaped or batched anew, and compiled
    COMPILE = "compile"  # another compiled model
    LOAD = "load"  # another way to load the same one


class Kind(StrEnum):
    """What a search makes of the choices."""

    ORDERED = "ordered"  # numbers above zero, compared by their ratio
    SWITCH = "switch"
    NAMED = "named"


class PerformanceHint(StrEnum):
    """OpenVINO's own presets."""

    LATENCY = "LATENCY"
    THROUGHPUT = "THROUGHPUT"


class Api(StrEnum):
    """How requests are issued."""

    ASYNC = "async"  # `num_requests` kept in flight
    SYNC = "sync"  # one blocking request


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What choices are derived from where a study names none."""

    cpus: int
    """min(affinity, cgroup quota)."""
    most_streams: int
    """Of any device that the study has."""
    precisions: tuple[str, ...] = ()
    """Those that may be used without being asked for."""
    may_batch: bool = False
    """Whether a batch was shown to give the answers of single requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One named choice."""

    name: str
    """Its key in study.toml, and in a stored space."""
    column: str = ""
    """Its name in a configuration, stored or in a frame; the same where it is empty."""
    label: str
    """What tables and charts call it."""
    meaning: str
    """For study.toml: what it is, and what is offered where it is left out."""
    holds: str = ""
    """For frames: what the column holds; the meaning where it is empty."""
    stage: Stage
    kind: Kind
    type: type[Any]
    """Of its values: int, bool, str, or an enumeration of texts."""
    allowed: tuple[str, ...] = ()
    """The texts that study.toml takes; any without them."""
    property: str | None = None
    """OpenVINO's, which it sets and is read back from; None for what is no property."""
    usual: str | None = None
    """What a compiled model reports of that property where nobody has set it, if that is known."""
    default: Any = None
    """What an absent value means; None leaves it to the runtime."""
    offered: Callable[[Offer], tuple[Any, ...]] | None = None
    """The choices where study.toml names none; its default alone without it."""
    fixed: tuple[Any, ...] | None = None
    """The choices where study.toml names none, if they depend on nothing."""
    on: tuple[str, ...] = ()
    """The kinds of devices that have it, by the name before the first dot or colon; all without."""
    tunable: bool = True
    """Whether study.toml takes it; else it is what baselines differ in."""
    answers: bool = False
    """Whether it may change answers; they are compared with those of single requests in f32, and
    a configuration whose answers are unproven is never certified."""
    expert: bool = False
    """Whether it is offered only where study.toml names it."""
    first: bool = False
    """Whether the first version had it: it is in keys, stored spaces and best.json even at its
    default, so that those of older versions stay as they are. What came later is there only where
    it is not at its default."""
    aliases: tuple[str, ...] = ()
    """Other words for it on the command line."""
    words: Callable[[Any], str] | None = None
    """How a value reads in the name of a configuration; empty for not at all. By its label, and on
    or off, without it."""
    unset: str = "the runtime's own choice"
    """What becomes of it where a deployment target cannot set it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", self.column or self.name)
        object.__setattr__(self, "holds", self.holds or self.meaning)
        if self.answers and self.property is None and self.name != "batch":
            message = f"{self.name}: nothing compares what it does to answers"
            raise ValueError(message)
        if self.allowed and self.type is not str:
            message = f"{self.name}: its type says what is allowed"
            raise ValueError(message)

    def of(self, configuration: object) -> Any:
        """Its value in a configuration."""
        return getattr(configuration, self.column)

    def choices(self, offer: Offer) -> tuple[Any, ...]:
        """The choices where study.toml names none."""
        if self.expert:
            return (self.default,)
        if self.fixed is not None:
            return self.fixed
        return (self.default,) if self.offered is None else self.offered(offer)

    def is_said(self, value: Any) -> bool:
        """Whether it is stored, hashed and set with this value.

        What came after the first version is absent where it is at its default: no key, no file and
        no compiled model of before changes by a new row.
        """
        return self.first or value != self.default

    def text(self, value: Any) -> str:
        """A value as the runtime takes it."""
        if isinstance(value, bool):
            return "YES" if value else "NO"
        return str(value)

    def parse(self, text: str) -> Any:
        """The value in what the runtime reports, or takes.

        Raises:
            ValueError: it is none.
        """
        if self.type is bool:
            return text == "YES"
        return self.type(text)

    def stored(self, value: Any) -> Any:
        """The value in what was stored.

        Raises:
            ValueError: it is not of its type.
        """
        if value is None and self.default is None:
            return None
        kind = str if issubclass(self.type, StrEnum) else self.type
        if not _is(value, kind):
            message = f"{self.column} is {value!r:.80}, and no {kind.__name__}"
            raise ValueError(message)
        return self.type(value)

    def word(self, value: Any) -> str:
        """A value in the name of a configuration; empty where it has none."""
        if self.words is not None:
            return self.words(value)
        if isinstance(value, bool):
            return f"{self.label} {'on' if value else 'off'}"
        return f"{self.label} {value}"


def _is(value: object, kind: type) -> bool:
    """Whether a stored value is of its type; whole numbers are counts."""
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
    return isinstance(value, kind)


_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_FEW = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)


def up_to(most: int) -> tuple[int, ...]:
    """Counts that are worth trying, the largest among them."""
    return tuple(sorted({n for n in _FEW if n < most} | {most}))


TABLE: tuple[Dimension, ...] = (
    Dimension(
        name="device",
        label="device",
        meaning="Devices to choose from; any name that OpenVINO takes.",
        holds="as requested",
        stage=Stage.COMPILE,
        kind=Kind.NAMED,
        type=str,
        fixed=("CPU",),
        first=True,
    ),
    Dimension(
        name="hint",
        label="hint",
        meaning="OpenVINO's preset, which decides whatever else is left to it.",
        holds="performance hint",
        stage=Stage.COMPILE,
        kind=Kind.NAMED,
        type=PerformanceHint,
        property="PERFORMANCE_HINT",
        default=PerformanceHint.THROUGHPUT,
        tunable=False,
        first=True,
    ),
    Dimension(
        name="streams",
        label="streams",
        meaning="Streams; derived from the CPUs if left out.",
        holds="as requested; missing where the hint decides",
        stage=Stage.COMPILE,
        kind=Kind.ORDERED,
        type=int,
        property="NUM_STREAMS",
        offered=lambda offer: up_to(offer.most_streams),
        first=True,
    ),
    Dimension(
        name="threads_per_stream",
        label="threads per stream",
        meaning="Threads of each stream (CPU).",
        holds="as requested",
        stage=Stage.COMPILE,
        kind=Kind.ORDERED,
        type=int,
        property="INFERENCE_NUM_THREADS",
        on=("CPU",),
        offered=lambda offer: up_to(offer.cpus),
        first=True,
    ),
    Dimension(
        name="requests_per_stream",
        column="num_requests",
        label="requests",
        meaning="Requests in flight for each stream; 1 to 4 if left out.",
        holds="requests kept in flight",
        stage=Stage.LOAD,
        kind=Kind.ORDERED,
        type=int,
        offered=lambda _: (1, 2, 3, 4),
        aliases=("requests", "nireq"),
        first=True,
    ),
    Dimension(
        name="batch",
        column="batch_size",
        label="batch",
        meaning="Items in a request; powers of two up to 64 if left out "
        "and the model can be batched correctly.",
        holds="items in a request",
        stage=Stage.MODEL,
        kind=Kind.ORDERED,
        type=int,
        default=1,
        offered=lambda offer: _BATCHES if offer.may_batch else (1,),
        answers=True,
        first=True,
    ),
    Dimension(
        name="pinning",
        label="pinning",
        meaning="Whether threads are bound to cores (CPU).",
        holds="threads bound to cores",
        stage=Stage.COMPILE,
        kind=Kind.SWITCH,
        type=bool,
        property="ENABLE_CPU_PINNING",
        usual="YES",
        on=("CPU",),
        offered=lambda _: (True, False),
        words=lambda bound: "" if bound else "unpinned",
        unset="the runtime's own choice: threads bound to cores on Linux",
        first=True,
    ),
    Dimension(
        name="precision",
        label="precision",
        meaning="Inference precision; what the hardware computes natively if left out.",
        holds="as requested; missing where the runtime decides",
        stage=Stage.COMPILE,
        kind=Kind.NAMED,
        type=str,
        allowed=("f32", "bf16", "f16"),
        property="INFERENCE_PRECISION_HINT",
        offered=lambda offer: offer.precisions,
        words=str,
        answers=True,
        unset="the runtime's own choice: the lowest precision that the device computes natively; "
        "check the outputs",
        first=True,
    ),
    Dimension(
        name="api",
        label="API",
        meaning='"async" keeps requests in flight, "sync" blocks on one.',
        holds="async or sync",
        stage=Stage.LOAD,
        kind=Kind.NAMED,
        type=Api,
        default=Api.ASYNC,
        fixed=(Api.ASYNC,),
        words=lambda _: "",
        first=True,
    ),
)
"""Every dimension, in the order of study.toml, of frames and of words."""


def row(name: str) -> Dimension:
    """The dimension of this name.

    Raises:
        KeyError: there is none.
    """
    for one in TABLE:
        if one.name == name:
            return one
    raise KeyError(name)


BATCH = row("batch")
REQUESTS = row("requests_per_stream")
ARITHMETIC = row("precision")
"""What decides how numbers are computed: answers are compared by it."""
ARITHMETIC_PROPERTY = ARITHMETIC.property or ""
CORE_BINDING = row("pinning")
"""What decides whether a thread keeps to its core."""


LAYOUT = ("device", "threads_per_stream", "streams")
"""Threads before streams: streams are then chosen among those that fit, and none is clamped."""
DIMENSIONS: tuple[str, ...] = (
    *LAYOUT,
    *(one.name for one in TABLE if one.tunable and one.name not in LAYOUT),
)
"""Names of all dimensions of a space, in the order of a point's indices."""
BY_NAME: Mapping[str, Dimension] = {one.name: one for one in TABLE}
BY_COLUMN: Mapping[str, Dimension] = {one.column: one for one in TABLE}
PROPERTIES: Mapping[str, Dimension] = {one.property: one for one in TABLE if one.property}
"""The dimensions that set a property, by the property's name."""
_HARMLESS = {"ALLOW_AUTO_BATCHING"}
"""Properties of no row that change no answer: they are only ever turned off."""
_OF_A_HINT = ("ENABLE_HYPER_THREADING", "SCHEDULING_CORE_TYPE")
"""Properties that a hint decides as well, and that are no dimension."""


def lacking(device: str) -> frozenset[str]:
    """Dimensions that a device does not have, and which stand at their first choice there."""
    mine = kind_of(device).names
    return frozenset(one.name for one in TABLE if one.on and not set(one.on) & set(mine))


def is_cpu(device: str) -> bool:
    """Whether threads of this device are ours to choose."""
    return "threads_per_stream" not in lacking(device)


def may_change_answers(property_name: str) -> bool:
    """Whether answers are to be compared where this property is set; also one that is in no row."""
    one = PROPERTIES.get(property_name)
    return property_name not in _HARMLESS if one is None else one.answers


def is_blocking(values: Mapping[str, Any]) -> bool:
    """Whether a configuration with these fields waits for each request before the next."""
    return values.get("api", Api.ASYNC) is Api.SYNC


def read_back() -> tuple[str, ...]:
    """Properties that a program reads back from its compiled model to know that it is the one."""
    found = [name for name, one in PROPERTIES.items() if one.column != "hint"]
    return (*found, *_OF_A_HINT)
