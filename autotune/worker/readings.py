"""What the machine did while we measured: CPU time, energy, steal, pressure, throttling, faults."""

import resource
import time
from dataclasses import dataclass
from functools import cache

from autotune.host.counters import cpu_time, own_pressure_s, throttled_periods
from autotune.host.cpus import affinity, usable_cpus
from autotune.host.energy import EnergyMeter, energy_between, energy_meter
from autotune.host.files import known


@dataclass(frozen=True, slots=True)
class Spent:
    """What grows with work, read within microseconds: at a block's first and last completion.

    Requests may take seconds, and the counters of `Instant` a millisecond to read: CPU time from
    one of these to the next is not that of the completions between.
    """

    at_s: float
    """Monotonic."""
    thread_cpu_s: float
    process_cpu_s: float
    energy_uj: tuple[int, ...] | None
    """Of every package's counter; None where they cannot be read."""


@cache
def meter() -> EnergyMeter:
    """The energy counters of this machine, looked for once."""
    return energy_meter()


def spent() -> Spent:
    """By the calling thread and by this process, so far."""
    return Spent(time.monotonic(), time.thread_time(), time.process_time(), meter().read_uj())


def energy_j(before: Spent, after: Spent) -> float | None:
    """Of all packages, whoever used it; None where it cannot be read."""
    lasted_s = after.at_s - before.at_s
    return energy_between(meter(), before.energy_uj, after.energy_uj, lasted_s).joules


@dataclass(frozen=True, slots=True)
class Instant:
    """Counters at one instant; None where this machine does not have one."""

    monotonic_s: float
    wall_s: float
    major_faults: int
    cpus: frozenset[int]
    """Those that this process may run on."""
    steal_s: float | None
    """Of these CPUs."""
    pressure_s: float | None
    """Of this process's own cgroup, or of the machine where none accounts it."""
    throttled: int | None
    """Periods in which a quota ran out, of this process's cgroups and all above."""


def take() -> Instant:
    """All counters now."""
    usage, numbers = resource.getrusage(resource.RUSAGE_SELF), affinity()
    return Instant(
        monotonic_s=time.monotonic(),
        wall_s=time.time(),
        major_faults=usage.ru_majflt,
        cpus=numbers,
        steal_s=known(lambda: cpu_time(numbers).steal_s),
        pressure_s=known(own_pressure_s),
        throttled=known(throttled_periods),
    )


def stolen_s(before: Instant, after: Instant) -> float | None:
    """CPU time that the hypervisor took between the two from the CPUs that work may really use.

    Where a quota allows fewer than the affinity, their share; None where the affinity changed.
    """
    if before.steal_s is None or after.steal_s is None or before.cpus != after.cpus:
        return None
    return (after.steal_s - before.steal_s) * usable_cpus() / len(after.cpus)
