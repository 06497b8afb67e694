"""What the probes saw, before anything is judged."""

from dataclasses import dataclass
from typing import TypeVar

from autotune.host.counters import CpuTime, QuotaPeriods
from autotune.host.cpus import Cpus
from autotune.host.memory import Memory
from autotune.racing.calibration import Calibration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Missing:
    """A reading that this machine does not give."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What only ever grows, at one instant."""

    monotonic_s: float
    wall_s: float
    cpu_time: CpuTime | Missing
    pressure_s: float | Missing
    """Time in which some task waited for a CPU."""
    quota: tuple[QuotaPeriods, ...] | Missing
    """One for each cgroup of this process that a quota can be set on."""
    thermal_throttles: int | Missing
    """Times that a CPU lowered its clock because it was too hot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Counters before and after something."""

    before: Counters
    after: Counters

    @property
    def duration_s(self) -> float:
        """Length on the monotonic clock."""
        return self.after.monotonic_s - self.before.monotonic_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A stretch in which only the doctor runs, and it sleeps."""

    interval: Span
    runnable_tasks: tuple[int, ...] | Missing
    """Tasks that ran or wanted to, besides the one that asked; sampled over the stretch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Times of one and the same work, again and again."""

    pinned_s: tuple[float, ...] | Missing
    """Bound to one CPU."""
    unpinned_s: tuple[float, ...]
    """Where the scheduler puts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FullLoad:
    """A stretch in which every usable CPU had a process of its own to run."""

    interval: Span
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequency:
    """How the CPUs' clock is chosen."""

    governors: tuple[str, ...]
    driver: str
    turbo: bool | None
    """None where no switch for it is visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """How unlike each other the CPUs are."""

    threads_per_core: int | Missing
    numa_nodes: int | Missing
    core_kinds: tuple[str, ...]
    """Kinds of cores with their CPUs, empty when all are the same or nothing tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """A sensor, and the temperature at which something is done about it."""

    sensor: str
    celsius: float
    trip_celsius: float | None
    """None where the sensor has no trip point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Where studies begun here are kept."""

    folder: str
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedWrites:
    """Small writes, each forced to the disk."""

    folder: str
    times_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What the runtime found, asked in a process of its own."""

    names: tuple[str, ...]
    calibration: Calibration | None = None
    """A/A race of this machine with this runtime; None where none was held."""
    problem: str | None = None
    """Why the runtime could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The right to measure on this machine."""

    problem: str | None = None
    """Why it could not be had, None when it was free."""
    is_held: bool = False
    """Whether another measurement holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReadings:
    """Everything that is judged."""

    lock: Lock
    cpus: Cpus | Missing
    idle: Idle | Missing
    work: Work | Missing
    overshoots_s: tuple[float, ...] | Missing
    """By how much sleeps were too long."""
    load: FullLoad | Missing
    temperatures: tuple[Temperature, ...] | Missing
    frequency: Frequency | Missing
    batteries: tuple[str, ...] | Missing
    """State of each battery, as the kernel names it."""
    topology: Topology | Missing
    clock_source: str | Missing
    clock_step_s: float | Missing
    """Smallest difference between two readings of `time.perf_counter`."""
    memory: Memory | Missing
    disk: Disk | Missing
    file_system: str | Missing
    synced_writes: SyncedWrites | Missing
    sqlite: str
    openvino: str | Missing
    devices: Devices | Missing
    energy: tuple[str, ...] | Missing
    """Names of the energy counters that can be read."""


def both(before: T | Missing, after: T | Missing) -> tuple[T, T] | Missing:
    """Two readings of one counter, or why there is none."""
    if isinstance(before, Missing):
        return before
    return after if isinstance(after, Missing) else (before, after)
