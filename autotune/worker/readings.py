"""What the machine did while we measured: CPU time, steal, pressure, throttling, faults, clocks."""

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Readings:
    """Counters at one instant; None where this machine does not have one."""

    monotonic_s: float
    wall_s: float
    thread_cpu_s: float
    process_cpu_s: float
    major_faults: int
    steal_s: float | None
    pressure_s: float | None
    throttled: int | None


def take() -> Readings:
    """All counters now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Readings(
        monotonic_s=time.monotonic(),
        wall_s=time.time(),
        thread_cpu_s=time.thread_time(),
        process_cpu_s=usage.ru_utime + usage.ru_stime,
        major_faults=usage.ru_majflt,
        steal_s=_steal(),
        pressure_s=_pressure(),
        throttled=_throttled(),
    )


def peak_rss_bytes() -> int | None:
    """The process's own high-water mark (VmHWM); `ru_maxrss` may be inherited from the parent."""
    for line in _read(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _steal() -> float | None:
    fields = _read(Path("/proc/stat")).partition("\n")[0].split()
    return int(fields[8]) / _TICKS_PER_S if len(fields) > 8 else None


def _pressure() -> float | None:
    for field in _read(Path("/proc/pressure/cpu")).partition("\n")[0].split():
        if field.startswith("total="):
            return int(field.removeprefix("total=")) / 1e6
    return None


def _throttled() -> int | None:
    for path in ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"):
        for line in _read(Path(path)).splitlines():
            if line.startswith("nr_throttled "):
                return int(line.split()[1])
    return None
