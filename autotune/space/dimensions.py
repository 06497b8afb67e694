"""The table of dimensions: whatever may be chosen, described once (`dimension` says what a row is).

What is absent has its default, and only other values are stored and hashed, so that a new row
leaves every older study as it is.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from autotune.space.devices import kind_of
from autotune.space.dimension import Bound, Dimension, Kind, Stage


class PerformanceHint(StrEnum):
    """OpenVINO's own presets."""

    LATENCY = "LATENCY"
    THROUGHPUT = "THROUGHPUT"


class Api(StrEnum):
    """How requests are issued."""

    ASYNC = "async"  # `num_requests` kept in flight
    SYNC = "sync"  # one blocking request


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
        bound=Bound.NEITHER,
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
        bound=Bound.NEITHER,
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


@cache
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


def bound_to(configuration: object) -> dict[str, Bound]:
    """By dimension, what each setting is bound to; one that is left to the runtime is none."""
    values = {one: one.of(configuration) for one in TABLE}
    return {
        one.name: one.bound
        for one, value in values.items()
        if value is not None and (value != one.default or not one.tunable)
    }


def is_blocking(values: Mapping[str, Any]) -> bool:
    """Whether a configuration with these fields waits for each request before the next."""
    return values.get("api", Api.ASYNC) is Api.SYNC


def read_back() -> tuple[str, ...]:
    """Properties that a program reads back from its compiled model to know that it is the one."""
    found = [name for name, one in PROPERTIES.items() if one.column != "hint"]
    return (*found, *_OF_A_HINT)
