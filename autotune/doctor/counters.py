"""Counters of CPU time, pressure, quota and heat: read twice, they tell what happened between."""

import os
import time
from functools import partial
from pathlib import Path

from autotune.doctor.files import (
    attempt,
    cpu_files,
    fields,
    own_cgroups,
    read,
    read_whole,
    rows,
    whole,
)
from autotune.doctor.readings import Counters, CpuTime, QuotaPeriods

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# user nice system idle iowait irq softirq steal: see proc_stat(5).
_BUSY, _STEAL = (0, 1, 2, 5, 6), 7


def counters(root: Path) -> Counters:
    """All counters now; the two clocks are read next to each other."""
    monotonic_s, wall_s = time.monotonic(), time.time()
    return Counters(
        monotonic_s=monotonic_s,
        wall_s=wall_s,
        cpu_time=attempt(partial(cpu_time, root, os.sched_getaffinity(0))),
        pressure_s=attempt(partial(pressure_s, root)),
        quota=attempt(partial(quota_periods, root)),
        thermal_throttles=attempt(partial(thermal_throttles, root)),
    )


def cpu_time(root: Path, cpus: set[int]) -> CpuTime:
    """Busy and stolen time of `cpus`, or of all together where they are not listed one by one."""
    path = root / "proc/stat"
    lines = {name: ticks for name, *ticks in rows(path)}
    wanted = [f"cpu{cpu}" for cpu in sorted(cpus)]
    names = wanted if all(name in lines for name in wanted) else ["cpu"]
    chosen = [lines.get(name, []) for name in names]
    if any(len(ticks) <= _STEAL for ticks in chosen):
        raise ValueError(f"{path}: no stolen CPU time in it")
    busy_ticks = sum(whole(ticks[column], path) for ticks in chosen for column in _BUSY)
    steal_ticks = sum(whole(ticks[_STEAL], path) for ticks in chosen)
    return CpuTime(busy_s=busy_ticks / _TICKS_PER_S, steal_s=steal_ticks / _TICKS_PER_S)


def pressure_s(root: Path) -> float:
    """Time since boot in which some task waited for a CPU."""
    path = root / "proc/pressure/cpu"
    for name, *words in rows(path):
        for word in words:
            if name == "some" and word.startswith("total="):
                return whole(word.removeprefix("total="), path) / 1e6
    raise ValueError(f"{path}: no total in it")


def runnable_tasks(root: Path) -> int:
    """Tasks that run or want to, without the one that asks."""
    path = root / "proc/loadavg"
    words = read(path).split()
    if len(words) < 4:
        raise ValueError(f"{path}: no count of runnable tasks in it")
    return max(0, whole(words[3].partition("/")[0], path) - 1)


def quota_periods(root: Path) -> tuple[QuotaPeriods, ...]:
    """Quota accounting of this process's cgroups and those above."""
    paths = [group / "cpu.stat" for group in own_cgroups(root, "cpu")]
    statistics = {path: fields(path) for path in paths if path.exists()}
    if not statistics:
        raise ValueError("no cpu.stat in this process's cgroups")
    return tuple(
        QuotaPeriods(
            group=str(path.parent), periods=counts["nr_periods"], throttled=counts["nr_throttled"]
        )
        for path, counts in statistics.items()
        if {"nr_periods", "nr_throttled"} <= counts.keys()
    )


def thermal_throttles(root: Path) -> int:
    """Times since boot that cores or packages lowered their clock for heat."""
    paths = cpu_files(root, "thermal_throttle/*_throttle_count")
    if not paths:
        raise ValueError("no thermal throttle counters are visible")
    return sum(read_whole(path) for path in paths)
