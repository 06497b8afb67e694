"""The table of limits: whatever a deployment may be held to beside its latency, a row for each.

From a row follow its key in study.toml, its option, its constraint in the search, its verdict and
its bound in the race, its columns and its words. A limit is on a *mean over load*, such as
CPU-seconds for each item, whose bound is one of the mean; or on a *value of a process*, such as its
peak memory, whose bound is one for the next process that is started.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from autotune.domain.units import (
    format_bytes,
    format_duration,
    format_energy,
    format_rate,
    parse_bytes,
    parse_duration,
    parse_energy,
    parse_rate,
)

if TYPE_CHECKING:  # which know of goals, and goals of limits
    from autotune.domain.measurement import Block, Interval, Measurement, Opening
    from autotune.domain.race import LaunchReadings

_T_95 = 1.645
"""One-sided 95 % quantile of the normal distribution."""


class Eased(StrEnum):
    """Which other request count of the same model may bring a missed limit back."""

    FEWER = "fewer"
    MORE = "more"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """One limit that may be asked for."""

    name: str
    """Its key in [goal]; with dashes, its option."""
    label: str
    """What it limits."""
    short: str
    """The same in seven letters at most, for narrow tables."""
    meaning: str
    """For study.toml and options."""
    metavar: str
    """What help calls the value."""
    form: str
    """What the documentation calls it."""
    examples: str
    """As study.toml takes it."""
    parse: Callable[[str], float]
    """The value in a text, in bytes, seconds, joules or items per second; raises ValueError."""
    text: Callable[[float], str]
    """A value as `parse` reads it."""
    unit: str
    """What a value is in, in words."""
    unknown: str
    """Why a measurement may not have it, and what to do."""
    is_floor: bool = False
    """Whether it is the least that is allowed; else the most."""
    of_load: "Callable[[Measurement], Interval | None] | None" = None
    """Of one that is on a mean over load: the mean with its 95 % interval, None where unknown."""
    sums_of_block: "Callable[[Block, int], tuple[float, float] | None] | None" = None
    """Likewise of one block, with so many items in a request: two sums whose ratio it is."""
    of_process: "Callable[[Measurement], float | None] | None" = None
    """Of one that is on a value of a process: the value, None where unknown."""
    of_launch: "Callable[[LaunchReadings], float | None] | None" = None
    """Likewise in a launch of a race."""
    of_opening: "Callable[[Opening | LaunchReadings], float] | None" = None
    """Of one that opening a model decides: the other two follow from it. Models that are opened
    side by side say nothing of it."""
    launch_sd: float
    """What the logarithms of fresh processes' values are expected to differ by."""
    least_sd: float = 0.0
    """Less than that is not believed, however alike a few of them are."""
    room: float
    """Share of the limit that is left free by a contender with room below it."""
    eased: Eased = Eased.NEITHER

    def __post_init__(self) -> None:
        opened = self.of_opening
        if opened is not None:
            object.__setattr__(self, "of_process", lambda measurement: opened(measurement.opening))
            object.__setattr__(self, "of_launch", opened)

    @property
    def has_unit(self) -> bool:
        """Whether a bare number says nothing."""
        return not self.is_floor

    @property
    def option(self) -> str:
        """On the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def sign(self) -> int:
        """Of a violation: 1 where more is worse, -1 where less is."""
        return -1 if self.is_floor else 1

    @property
    def margin(self) -> float:
        """How far the logarithm of one process's value may be from that of the next, at 95 %.

        Both vary, so that their difference has twice the variance; 0 of a mean over load.
        """
        return _T_95 * math.sqrt(2) * self.launch_sd if self.of_process else 0.0

    def excess(self, value: float, limit: float) -> float:
        """Logarithm of how many times over the limit a value is; negative within it."""
        return self.sign * math.log(max(value, 1e-300) / limit)

    def within_margin(self, value: float) -> "LimitReading":
        """One process's value, and between what that of the next may lie."""
        apart = math.exp(self.margin)
        return LimitReading(value, value / apart, value * apart)

    def of_block(self, block: "Block", items: int) -> float | None:
        """The ratio of `sums_of_block`.

        None where it was not measured, where nothing was completed, and of a value of a process.
        """
        sums = None if self.sums_of_block is None else self.sums_of_block(block, items)
        return sums[0] / sums[1] if sums is not None and sums[1] else None

    def reading(self, measurement: "Measurement") -> "LimitReading | None":
        """What a measurement says of it, with the bounds by which the search judges.

        None where it was not measured.
        """
        if self.of_process is not None:
            value = self.of_process(measurement)
            return None if value is None else self.within_margin(value)
        seen = None if self.of_load is None else self.of_load(measurement)
        if seen is None:
            return None
        return LimitReading(seen.mean, seen.low, seen.high)


@dataclass(frozen=True, slots=True)
class LimitReading:
    """What was seen of a limited quantity; the bounds are None where too little was seen."""

    value: float
    low: float | None
    high: float | None


def _cpu(block: "Block", items: int) -> tuple[float, float] | None:
    used = block.work_cpu_s
    return None if used is None else (used, items * block.completions)


def _energy(block: "Block", items: int) -> tuple[float, float] | None:
    joules = block.energy_j
    return None if joules is None else (joules, items * block.completions)


def _rate(block: "Block", items: int) -> tuple[float, float] | None:
    return items * block.completions, block.duration_s


def _memory(measurement: "Measurement") -> float | None:
    """What a process that only runs this needs; of an older version, the whole process's mark."""
    seen = measurement.readings
    if seen.open_peak_rss_bytes is None and seen.load_peak_rss_bytes is None:
        return measurement.peak_rss_bytes
    return seen.peak_rss_bytes


def _launch_memory(launch: "LaunchReadings") -> float | None:
    opened, loaded = launch.open_peak_rss_bytes, launch.load_peak_rss_bytes
    return None if opened is None or loaded is None else max(opened, loaded)


def _first_answer_s(opening: "Opening | LaunchReadings") -> float:
    return opening.read_s + opening.compile_s + opening.first_inference_ms / 1000


TABLE: tuple[LimitRow, ...] = (
    LimitRow(
        name="max_memory",
        label="memory",
        short="memory",
        meaning="Most resident memory of the process, runtime included, while it opens the model "
        "or runs it",
        metavar="SIZE",
        form="memory",
        examples='"500MB", "1.5GiB"',
        parse=parse_bytes,
        text=format_bytes,
        unit="bytes",
        unknown="the resident memory of a process could not be read",
        of_process=_memory,
        of_launch=_launch_memory,
        # Processes of one model differ by 0.06 to 0.24 % on the five recorded surfaces.
        launch_sd=0.0025,
        least_sd=0.0025,
        room=0.1,
        eased=Eased.FEWER,
    ),
    LimitRow(
        name="max_cpu_per_item",
        label="CPU per item",
        short="CPU",
        meaning="Most CPU time for each item, of all threads but the load's own",
        metavar="TIME",
        form="duration",
        examples='"3ms"',
        parse=parse_duration,
        text=format_duration,
        unit="seconds of CPU time",
        unknown="it was measured by a version that kept no CPU time",
        of_load=lambda measurement: measurement.readings.cpu_s_per_item,
        sums_of_block=_cpu,
        launch_sd=0.02,
        least_sd=0.0,
        room=0.1,
    ),
    LimitRow(
        name="max_compile_time",
        label="compile time",
        short="compile",
        meaning="Longest time to compile the model, without a cache and with the machine to itself",
        metavar="TIME",
        form="duration",
        examples='"500ms"',
        parse=parse_duration,
        text=format_duration,
        unit="seconds",
        unknown="it was not measured",
        of_opening=lambda opening: opening.compile_s,
        # 5 to 9 % in the median of the models of four recorded surfaces, with a long tail.
        launch_sd=0.15,
        least_sd=0.05,
        room=0.3,
    ),
    LimitRow(
        name="max_first_inference",
        label="first inference",
        short="start",
        meaning="Longest time from the beginning of reading the model to its first answer, without "
        "a cache: reading, compiling, one request",
        metavar="TIME",
        form="duration",
        examples='"2s"',
        parse=parse_duration,
        text=format_duration,
        unit="seconds",
        unknown="it was not measured",
        of_opening=_first_answer_s,
        launch_sd=0.15,
        least_sd=0.05,
        room=0.3,
    ),
    LimitRow(
        name="max_energy_per_item",
        label="energy per item",
        short="energy",
        meaning="Most energy of the CPU packages for each item, whoever used it meanwhile",
        metavar="ENERGY",
        form="energy",
        examples='"0.5J", "20mJ"',
        parse=parse_energy,
        text=format_energy,
        unit="joules",
        unknown="energy could not be read here",
        of_load=lambda measurement: measurement.readings.energy_j_per_item,
        sums_of_block=_energy,
        launch_sd=0.03,
        room=0.1,
    ),
    LimitRow(
        name="min_throughput",
        label="throughput",
        short="rate",
        meaning="Least items per second",
        metavar="RATE",
        form="rate",
        examples='500, "500/s"',
        parse=parse_rate,
        text=format_rate,
        unit="items per second",
        unknown="it was not measured",
        is_floor=True,
        of_load=lambda measurement: measurement.throughput,
        sums_of_block=_rate,
        # Launches of the five recorded surfaces differ by 1.1 to 4.0 %.
        launch_sd=0.03,
        room=0.1,
        eased=Eased.MORE,
    ),
)
"""Every limit, in the order in which they are asked for and shown."""


BY_NAME: Mapping[str, LimitRow] = {row.name: row for row in TABLE}


@dataclass(frozen=True, slots=True, order=True)
class Limit:
    """A limit that is asked for."""

    name: str
    """Of a row of the table."""
    value: float
    """In the row's unit."""

    def __post_init__(self) -> None:
        if self.name not in BY_NAME:
            message = f"{self.name!r:.80} is no limit; there are {', '.join(BY_NAME)}"
            raise ValueError(message)
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            message = f"{self.name} is {value!r:.80}, and no number"
            raise ValueError(message)  # noqa: TRY004 - as whatever else a stored goal may hold
        if not 0 < value < math.inf:
            message = f"{self.name} must be more than zero and finite, got {value:g}"
            raise ValueError(message)

    @property
    def row(self) -> LimitRow:
        """What is known of such limits."""
        return BY_NAME[self.name]

    def __str__(self) -> str:
        return f"{self.name} {self.row.text(self.value)}"


def limits_of(values: Mapping[str, float | None]) -> tuple[Limit, ...]:
    """Limits by their names, in the order of the table; those that are None are none.

    Raises:
        ValueError: an unknown name, or a value that is none.
    """
    given = [Limit(name, value) for name, value in values.items() if value is not None]
    order = list(BY_NAME)
    return tuple(sorted(given, key=lambda limit: order.index(limit.name)))
