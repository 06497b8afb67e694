"""The table of dimensions: whatever may be chosen, described once (`dimension` says what a row is).

What is absent has its default, and only other values are stored and hashed, so that a new row
leaves every older study as it is.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from autotune.space.devices import KINDS, kind_of, members_of
from autotune.space.dimension import Bound, Dimension, Kind, Stage
from autotune.space.named import NAMED
from autotune.space.offer import Offer
from autotune.space.rows import cpu, gpu, meta, npu, variant, workload


class PerformanceHint(StrEnum):
    """OpenVINO's own presets."""

    LATENCY = "LATENCY"
    THROUGHPUT = "THROUGHPUT"
    CUMULATIVE_THROUGHPUT = "CUMULATIVE_THROUGHPUT"  # all devices of AUTO at once


class Api(StrEnum):
    """How requests are issued."""

    ASYNC = "async"  # `num_requests` kept in flight
    SYNC = "sync"  # one blocking request


_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_FEW = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)


_SEVERAL = 2
_NO_BATCH = "that a batch gives the answers of single requests was not shown"


def _within(counts: tuple[int, ...], most: int | None) -> tuple[int, ...]:
    """Those that are at most so many; the least in any case."""
    return counts if most is None else tuple(n for n in counts if n <= most) or counts[:1]


def _is_npu(offer: Offer) -> bool:
    return kind_of(offer.device).names == ("NPU",)


def _no_streams(offer: Offer) -> str:
    return "an NPU takes requests, and has no streams to set" if _is_npu(offer) else ""


def _no_precision(offer: Offer) -> str:
    if _is_npu(offer):
        return "the compiler of an NPU decides it"
    return "" if offer.precisions else "the device does not say what it computes natively"


def _hints(offer: Offer) -> tuple[PerformanceHint, ...]:
    if _is_npu(offer):
        return PerformanceHint.THROUGHPUT, PerformanceHint.LATENCY
    own = (PerformanceHint.LATENCY,) if any(map(_is_npu, offer.members)) else ()
    return PerformanceHint.THROUGHPUT, PerformanceHint.CUMULATIVE_THROUGHPUT, *own


def _idle_hint(offer: Offer) -> str:
    is_auto = kind_of(offer.device).names == ("AUTO",)
    if _is_npu(offer) or (is_auto and len(offer.members) >= _SEVERAL):
        return ""
    return "both are seeds; beside settings of its own it decides nothing here"


def _requests(offer: Offer) -> tuple[int, ...]:
    """For each stream; all of them where there are no streams."""
    if not _is_npu(offer):
        return (1, 2, 3, 4)
    return tuple(range(offer.least_requests or 1, (offer.most_requests or 8) + 1))


def _lone_waits(offer: Offer) -> str:
    is_collecting = kind_of(offer.device).names == ("BATCH",)
    return "it would wait for others to make a batch with" if is_collecting else ""


def _batches(offer: Offer) -> tuple[int, ...]:
    limits = [one.max_batch for one in (offer, *offer.members) if one.max_batch is not None]
    return _within(_BATCHES, min(limits, default=None))


def _no_batch(offer: Offer) -> str:
    if kind_of(offer.device).names == ("BATCH",):
        return "it collects single requests into a batch by itself"
    if _is_npu(offer) and offer.max_batch is None:
        return "an NPU may run a batch as single requests side by side, and does not say"
    return "" if offer.may_batch else offer.why_no_batch or _NO_BATCH


def up_to(most: int) -> tuple[int, ...]:
    """Counts that are worth trying, the largest among them."""
    return tuple(sorted({n for n in _FEW if n < most} | {most}))


TABLE: tuple[Dimension, ...] = (
    Dimension(
        name="device",
        label="device",
        meaning='Devices to choose from: any name that OpenVINO takes, or "all" that are here.',
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
        meaning="OpenVINO's preset, which decides whatever else is left to it; tried where it "
        "decides something: on an NPU, and on AUTO with several devices.",
        holds="performance hint",
        stage=Stage.COMPILE,
        kind=Kind.NAMED,
        type=PerformanceHint,
        property="PERFORMANCE_HINT",
        default=PerformanceHint.THROUGHPUT,
        goes_on=False,
        offered=_hints,
        absent=_idle_hint,
        bound=Bound.NEITHER,
        first=True,
        was_choice=False,
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
        absent=_no_streams,
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
        offered=_requests,
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
        offered=_batches,
        absent=_no_batch,
        may_be_named=True,
        bound=Bound.MODEL,
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
        is_fine=True,
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
        absent=_no_precision,
        may_be_named=True,
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
        absent=_lone_waits,
        bound=Bound.NEITHER,
        words=lambda _: "",
        first=True,
    ),
    *cpu.ROWS,
    *gpu.ROWS,
    *npu.ROWS,
    *meta.ROWS,
    *workload.ROWS,
    *variant.ROWS,
    NAMED,
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
API = row("api")
"""Whether requests overlap."""
ARITHMETIC = row("precision")
"""What decides how numbers are computed: answers are compared by it."""
ARITHMETIC_PROPERTY = ARITHMETIC.property or ""
HINT_PROPERTY = row("hint").property or ""
COLLECTS = row("auto_batching")
"""Whether the runtime makes one request of several."""
COLLECTING_PROPERTY = row("batch_timeout").property or ""
"""How long it waits for them, in milliseconds."""
ON_MEMBERS = row("on_members")
CORE_BINDING = row("pinning")
"""What decides whether a thread keeps to its core."""


LAYOUT = ("device", "threads_per_stream", "streams")
"""Threads before streams: streams are then chosen among those that fit, and none is clamped."""
_CHOSEN = [one for one in TABLE if one.tunable and one.name not in LAYOUT]
DIMENSIONS: tuple[str, ...] = (
    *LAYOUT,
    *(one.name for one in _CHOSEN if one.first and one.was_choice),
    *(one.name for one in _CHOSEN if not (one.first and one.was_choice)),
)
"""Names of all dimensions of a space, in the order of a point's indices: those of the first version
before all others."""
BY_NAME: Mapping[str, Dimension] = {one.name: one for one in TABLE}
BY_COLUMN: Mapping[str, Dimension] = {one.column: one for one in TABLE}
PROPERTIES: Mapping[str, Dimension] = {one.property: one for one in TABLE if one.property}
"""The dimensions that set a property, by the property's name."""
_HARMLESS = {
    *(name for kind in KINDS for name in (*kind.always, *kind.of_several)),
    *(name for kind in KINDS for name in kind.itself),
}
"""Properties of no row that change no answer: which device runs a request, and when."""
READ_BACK = (*PROPERTIES, "EXECUTION_DEVICES", "EXECUTION_MODE_HINT")
"""What is asked of a compiled model whether it lists it or not."""
_OF_A_HINT = (cpu.HYPER_THREADING.property or "", cpu.CORE_TYPE.property or "")
"""Properties that a hint decides as well, so that whoever runs it wants to know them."""


@cache
def lacking(device: str) -> frozenset[str]:
    """Dimensions that a device does not have, and which stand at their first choice there."""
    return frozenset(one.name for one in TABLE if not one.is_of(device))


@cache
def lacking_through(device: str) -> frozenset[str]:
    """The same of a device that stands for others: what none of them has, and not it either."""
    told = {one.name for member in members_of(device) for one in TABLE if is_told(member, one)}
    missing = {
        one.name
        for one in TABLE
        if not (one.name in told if one.is_through(device) else one.is_of(device))
    }
    return kind_of(device).spares | missing


def is_told(member: str, one: Dimension) -> bool:
    """Whether a device behind another one is told of a dimension."""
    return one.is_of(member) and one.name not in kind_of(member).spares


def is_cpu(device: str) -> bool:
    """Whether threads of this device are ours to choose."""
    return "threads_per_stream" not in lacking(device)


def may_change_answers(property_name: str) -> bool:
    """Whether answers are to be compared where this property is set; also one that is in no row."""
    one = PROPERTIES.get(property_name)
    return property_name not in _HARMLESS if one is None else one.answers


def bound_to(configuration: object) -> dict[str, Bound]:
    """By dimension, what each setting is bound to; one that is left to the runtime is none."""
    values = {one: one.of(configuration) for one in TABLE}
    return {
        one.name: one.bound
        for one, value in values.items()
        if value is not None and (value != one.default or (one.first and one.property))
    }


def is_blocking(values: Mapping[str, Any]) -> bool:
    """Whether a configuration with these fields waits for each request before the next."""
    return values.get("api", Api.ASYNC) is Api.SYNC


def read_back() -> tuple[str, ...]:
    """Properties that a program reads back from its compiled model to know that it is the one."""
    found = [name for name, one in PROPERTIES.items() if one.first and one.column != "hint"]
    return (*found, *_OF_A_HINT)
