"""Evidence: blocks of completed requests, and what they add up to."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from autotune.domain.accuracy import Accuracy
from autotune.domain.arrival import LEAST_OCCUPANCY, MOST_OCCUPANCY
from autotune.domain.goal import Verdict
from autotune.space.configuration import Configuration, Effective

TICK_MS = 1e-4
"""Latencies are whole ticks of 100 ns, so that every count against a cap can be repeated."""


class Feed(StrEnum):
    """How requests get their inputs."""

    BIND = "bind"  # set once for each request, other samples in each
    COPY = "copy"  # copied from arrays of the caller's before every request, as applications do
    END_TO_END = "end-to-end"  # prepared and copied before every request, as a part of its latency


class StopReason(StrEnum):
    """Why a measurement ended."""

    MISSED = "missed"  # the SLA is clearly missed
    DOMINATED = "dominated"  # clearly slower than the best feasible configuration
    DECIDED = "decided"  # verdict reached and throughput known well enough
    LIMIT = "limit"  # the plan's time limit


class Flag(StrEnum):
    """A reason to doubt a block; flagged blocks are kept and shown."""

    LOOP_BOUND = "loop_bound"
    LOOP_CPU = "loop_cpu"
    CLOCK = "clock"
    STEAL = "steal"
    PRESSURE = "pressure"
    THROTTLED = "throttled"
    MAJOR_FAULTS = "major_faults"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """What a flag is set on, and what it says."""

    sign: str
    """What is seen, with its bound."""
    words: str
    """The same for whoever reads a result."""
    meaning: str
    """What was the matter, and what follows."""


FLAGS = {
    Flag.LOOP_BOUND: Suspicion(
        sign="occupancy below 0.97",
        words="request slots idle over 3 % of the time",
        meaning="request slots waited for the load loop. Where a loop and all streams share few "
        "CPUs this is normal for requests of a millisecond or less; an application's own loop "
        "waits just as long",
    ),
    Flag.LOOP_CPU: Suspicion(
        sign="the loop took over 5 % of the CPUs",
        words="the load loop took over 5 % of the CPUs",
        meaning="the load itself is part of what is measured; an application pays the same",
    ),
    Flag.CLOCK: Suspicion(
        sign="occupancy above 1.001, or wall and monotonic clock apart",
        words="clocks disagree",
        meaning="a clock was stepped, or the book-keeping is wrong",
    ),
    Flag.STEAL: Suspicion(
        sign="more than 5 % of the time of the CPUs that may be used",
        words="CPU time taken by the hypervisor",
        meaning="the hypervisor gave the CPUs to others",
    ),
    Flag.PRESSURE: Suspicion(
        sign="tasks of the worker's cgroup waited for a CPU over half of the time (of the machine, "
        "where no cgroup of version 2 accounts it), and others had one as long; under a core "
        "budget, others ran on its CPUs over half of the time",
        words="tasks waited for a CPU, or others had it, over half of the time",
        meaning="another program wants the CPUs",
    ),
    Flag.THROTTLED: Suspicion(
        sign="any period",
        words="CPU quota ran out",
        meaning="the CPU quota of the worker's cgroup, or of one above it, ran out",
    ),
    Flag.MAJOR_FAULTS: Suspicion(
        sign="any",
        words="memory read from disk",
        meaning="memory had to be read from disk",
    ),
    Flag.DRIFT: Suspicion(
        sign="the reference was a tenth off its median",
        words="the machine was a tenth faster or slower than usual",
        meaning="the machine was faster or slower than usual while this trial was measured",
    ),
}
"""Every flag, described: terminal, page and docs/how-it-works.md take their words from here."""
NOISE = frozenset({Flag.STEAL, Flag.PRESSURE, Flag.THROTTLED, Flag.MAJOR_FAULTS})
"""What others did to a measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A slice's share of statistics: a stretch of load with all requests in flight."""

    duration_s: float
    """From one completion to a later one; completions of the fill and drain are left out."""
    latency_ticks: bytes
    """Latencies of all completions, ascending little-endian uint32 ticks of 100 ns."""
    occupancy: float
    """U = Σ latency / Σ (restart − previous start) over the completed requests: the share of
    its time that a request slot was busy (Little's law, per slot)."""
    loop_cpu_s: float
    """CPU time of what drives the load: its thread, or where that thread computes (one blocking
    request) what it does between requests."""
    process_cpu_s: float | None
    """CPU time of the whole worker, over the same time as `duration_s`; before schema 6 with what
    was waited for the first completion, a part of a round. None where a recording has none."""
    steal_s: float | None = None
    """CPU time taken by the hypervisor from the CPUs that the worker may use; None where /proc
    does not tell."""
    pressure_s: float | None = None
    """Time in which some task of the worker's cgroup, or where none accounts it of the machine,
    waited for a CPU (PSI), and at most the CPU time of others meanwhile: it may have waited for
    other tasks of the worker. Under a core budget, for which others ran on its CPUs, mean over
    them. None where unknown."""
    throttled: int | None = None
    """Periods in which a CPU quota of the worker's cgroups ran out, its own and all above; None
    without cgroup accounting."""
    major_faults: int = 0
    clock_drift_s: float = 0.0
    """How much the wall clock moved against the monotonic clock."""
    cpus: int = 1
    """CPUs that the worker may use: its affinity, or fewer under a quota, whole and at least 1."""
    rss_bytes: int | None = None
    """Resident memory of the worker at the end; None where unknown, and before schema 6."""
    energy_j: float | None = None
    """Of all CPU packages of the machine, whoever used it; None where it cannot be read."""
    prepare_s: float | None = None
    """Time in which inputs were prepared, over all requests; None where that is no part of their
    latency."""
    prepare_cpu_s: float | None = None
    """CPU time of that, which is contained in the loop's."""

    @property
    def drive_cpu_s(self) -> float:
        """CPU time of what only drives the load: preparing inputs is work of the application."""
        return max(0.0, self.loop_cpu_s - (self.prepare_cpu_s or 0.0))

    @property
    def work_cpu_s(self) -> float | None:
        """CPU time of the worker without what drives the load; None where that is unknown."""
        known = self.process_cpu_s
        return None if known is None else max(0.0, known - self.drive_cpu_s)

    @property
    def completions(self) -> int:
        """Requests completed in the block."""
        return len(self.latency_ticks) // 4

    @property
    def flags(self) -> frozenset[Flag]:
        """Everything that speaks against this block."""
        found = set()
        if self.occupancy < LEAST_OCCUPANCY and self.prepare_s is None:
            found.add(Flag.LOOP_BOUND)  # where the loop prepares, waiting for it is what is asked
        if self.drive_cpu_s > 0.05 * self.duration_s * self.cpus:
            found.add(Flag.LOOP_CPU)
        drifted = abs(self.clock_drift_s) > max(0.05, 1e-3 * self.duration_s)
        if self.occupancy > MOST_OCCUPANCY or drifted:
            found.add(Flag.CLOCK)
        if self.steal_s is not None and self.steal_s > 0.05 * self.duration_s * self.cpus:
            found.add(Flag.STEAL)
        if self.pressure_s is not None and self.pressure_s > 0.5 * self.duration_s:
            found.add(Flag.PRESSURE)
        if self.throttled:
            found.add(Flag.THROTTLED)
        if self.major_faults:
            found.add(Flag.MAJOR_FAULTS)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with a two-sided confidence interval; the bounds are None below three blocks."""

    mean: float
    low: float | None
    high: float | None

    @property
    def half_width(self) -> float | None:
        """Relative half-width, or None when there is no interval."""
        if self.low is None or self.high is None or self.mean <= 0:
            return None
        return (self.high - self.low) / (2 * self.mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Request latency over all counted blocks, in milliseconds."""

    requests: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    goal_ms: float
    """The percentile that the study's goal speaks of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What it took to get a compiled model, and what it turned out to be."""

    effective: Effective
    start_s: float
    """From spawning the worker to its first word (process and runtime import)."""
    read_s: float
    compile_s: float
    first_inference_ms: float
    output_error: float | None = None
    """Largest deviation from the reference outputs, relative to their largest value."""
    unproven: str | None = None
    """Why the answers could not be shown to be those of single requests; None where they were, or
    where an older version measured."""
    cached_compile_s: float | None = None
    """Compiling again from a model cache (CACHE_DIR); None where it was not measured."""
    cached_first_inference_ms: float | None = None
    """The first request of a model that came from the cache, likewise."""
    why_not_cached: str | None = None
    """Why there is nothing to say of a cache; None where there is, and where nobody asked."""
    peak_rss_bytes: int | None = None
    """High-water mark of the worker's resident memory until the first answer: reading and
    compiling; None where unknown."""
    accuracy: Accuracy | None = None
    """What the guard found of its answers; None without one."""

    def guarded(self, accuracy: Accuracy | None) -> "Opening":
        """The same with what the guard found: what it does not show is not proven."""
        if accuracy is None:
            return self
        return replace(self, accuracy=accuracy, unproven=self.unproven or accuracy.doubt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """Opening a configuration anew from a model cache; the times are None where that is no use."""

    compile_s: float | None = None
    first_inference_ms: float | None = None
    why_not: str | None = None
    """Why there are no times."""

    def of(self, opening: Opening) -> Opening:
        """The opening without a cache, with what is known of one."""
        return replace(
            opening,
            cached_compile_s=self.compile_s,
            cached_first_inference_ms=self.first_inference_ms,
            why_not_cached=self.why_not,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Over the counted blocks of one measurement; None where it was not measured."""

    cpu_s_per_item: Interval | None = None
    """CPU-seconds of the process for each item, without those of the thread that drives the load;
    95 % from block ratios."""
    energy_j_per_item: Interval | None = None
    """Joules of all CPU packages for each item, whoever used them; likewise."""
    steady_rss_bytes: int | None = None
    """Resident memory under load, the median over the blocks."""
    open_peak_rss_bytes: int | None = None
    """High-water mark until the first answer: reading and compiling."""
    load_peak_rss_bytes: int | None = None
    """High-water mark under load."""
    prepare_ms: float | None = None
    """To prepare the inputs of a request, the mean; a part of its latency. None where it is not."""

    @property
    def peak_rss_bytes(self) -> int | None:
        """What a process that only runs this would need: the larger mark of both phases."""
        peaks = (self.open_peak_rss_bytes, self.load_peak_rss_bytes)
        known = [peak for peak in peaks if peak is not None]
        return max(known) if len(known) == len(peaks) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured configuration."""

    configuration: Configuration
    opening: Opening
    num_requests: int
    blocks: tuple[Block, ...]
    """Warm-up first. Left out (empty) where only the statistics are wanted."""
    warmup_blocks: int
    """How many of the first blocks were warm-up; they are kept but not counted."""
    verdict: Verdict | None
    """None when the goal has no cap."""
    stop_reason: StopReason
    throughput: Interval
    """Items (not requests) per second."""
    latency: Latency
    over_cap: int
    """Requests above the study's cap, 0 without a cap."""
    occupancy: float
    """Slot occupancy over the counted blocks, weighted by time."""
    loop_cpu_share: float
    """CPU share of the load loop among the CPUs that the worker may use."""
    measure_s: float
    """Time under load, warm-up included."""
    peak_rss_bytes: int | None
    """High-water mark of the worker, with what only we need: the proof of its answers."""
    feed: Feed = Feed.BIND
    flags: frozenset[Flag] = field(default_factory=frozenset)
    """Flags on more than a fifth of the counted blocks."""
    readings: Readings = field(default_factory=Readings)
    """What it costs beside time."""

    @property
    def counted(self) -> tuple[Block, ...]:
        """The blocks that the statistics are made of."""
        return self.blocks[self.warmup_blocks :]

    @property
    def throughput_per_s(self) -> float:
        """Mean items per second."""
        return self.throughput.mean

    @property
    def claim_per_s(self) -> float:
        """Lower end of the throughput interval: what configurations are ranked by.

        Too few blocks for an interval claim nothing.
        """
        return 0.0 if self.throughput.low is None else self.throughput.low
