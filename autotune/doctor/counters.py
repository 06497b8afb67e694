"""Counters of CPU time, pressure, quota and heat: read twice, they tell what happened between."""

import time
from functools import partial
from pathlib import Path

from autotune.doctor.files import attempt, cpu_files
from autotune.doctor.readings import Counters
from autotune.host.counters import cpu_time, pressure_s, quota_periods
from autotune.host.cpus import affinity
from autotune.host.files import read, read_whole, whole


def counters(root: Path) -> Counters:
    """All counters now; the two clocks are read next to each other.

    The pressure is the whole machine's: while the doctor sleeps, its own group waits for nothing.
    """
    monotonic_s, wall_s = time.monotonic(), time.time()
    return Counters(
        monotonic_s=monotonic_s,
        wall_s=wall_s,
        cpu_time=attempt(partial(cpu_time, affinity(), root)),
        pressure_s=attempt(partial(pressure_s, root)),
        quota=attempt(partial(quota_periods, root)),
        thermal_throttles=attempt(partial(thermal_throttles, root)),
    )


def runnable_tasks(root: Path) -> int:
    """Tasks that run or want to, without the one that asks."""
    path = root / "proc/loadavg"
    words = read(path).split()
    if len(words) < 4:
        raise ValueError(f"{path}: no count of runnable tasks in it")
    return max(0, whole(words[3].partition("/")[0], path) - 1)


def thermal_throttles(root: Path) -> int:
    """Times since boot that cores or packages lowered their clock for heat."""
    paths = cpu_files(root, "thermal_throttle/*_throttle_count")
    if not paths:
        raise ValueError("no thermal throttle counters are visible")
    return sum(read_whole(path) for path in paths)
