"""What the machine did while we measured: CPU time, steal, pressure, throttling, faults, clocks."""

import resource
import time
from dataclasses import dataclass
from pathlib import Path

from autotune.host.counters import cpu_time, own_pressure_s, throttled_periods
from autotune.host.cpus import affinity, usable_cpus
from autotune.host.files import known, rows


@dataclass(frozen=True, slots=True)
class Instant:
    """Counters at one instant; None where this machine does not have one."""

    monotonic_s: float
    wall_s: float
    thread_cpu_s: float
    process_cpu_s: float
    major_faults: int
    cpus: frozenset[int]
    """Those that this process may run on."""
    steal_s: float | None
    """Of these CPUs."""
    busy_s: float | None
    """Of these CPUs, whoever ran there."""
    pressure_s: float | None
    """Of this process's own cgroup, or of the machine where none accounts it."""
    throttled: int | None
    """Periods in which a quota ran out, of this process's cgroups and all above."""


def take() -> Instant:
    """All counters now."""
    usage, numbers = resource.getrusage(resource.RUSAGE_SELF), affinity()
    spent = known(lambda: cpu_time(numbers))
    return Instant(
        monotonic_s=time.monotonic(),
        wall_s=time.time(),
        thread_cpu_s=time.thread_time(),
        process_cpu_s=usage.ru_utime + usage.ru_stime,
        major_faults=usage.ru_majflt,
        cpus=numbers,
        steal_s=None if spent is None else spent.steal_s,
        busy_s=None if spent is None else spent.busy_s,
        pressure_s=known(own_pressure_s),
        throttled=known(throttled_periods),
    )


def peak_rss_bytes() -> int | None:
    """The process's own high-water mark (VmHWM); `ru_maxrss` may be inherited from the parent."""
    for name, *words in known(lambda: list(rows(Path("/proc/self/status")))) or []:
        if name == "VmHWM:":
            return int(words[0]) * 1024
    return None


def busy_s(before: Instant, after: Instant) -> float | None:
    """CPU time that anybody spent between the two on the CPUs that this process may run on.

    None where the affinity changed.
    """
    if before.busy_s is None or after.busy_s is None or before.cpus != after.cpus:
        return None
    return max(0.0, after.busy_s - before.busy_s)


def stolen_s(before: Instant, after: Instant) -> float | None:
    """CPU time that the hypervisor took between the two from the CPUs that work may really use.

    Where a quota allows fewer than the affinity, their share; None where the affinity changed.
    """
    if before.steal_s is None or after.steal_s is None or before.cpus != after.cpus:
        return None
    return (after.steal_s - before.steal_s) * usable_cpus() / len(after.cpus)
