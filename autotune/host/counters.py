"""What only ever grows: stolen CPU time, waiting for CPUs, and periods in which a quota ran out."""

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from autotune.host.cgroups import own_group, own_groups
from autotune.host.files import ROOT, fields, known, rows, whole

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# user nice system idle iowait irq softirq steal: see proc_stat(5).
_BUSY, _STEAL = (0, 1, 2, 5, 6), 7


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTime:
    """CPU time since boot of some CPUs."""

    busy_s: float
    steal_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaPeriods:
    """Periods in which a cgroup's quota was enforced, and those in which it ran out."""

    group: str
    periods: int
    throttled: int


def cpu_time(cpus: AbstractSet[int], root: Path = ROOT) -> CpuTime:
    """Busy and stolen time of `cpus`, or of all together where they are not listed one by one.

    Raises:
        OSError, ValueError: the machine does not tell.
    """
    path = root / "proc/stat"
    lines = {name: ticks for name, *ticks in rows(path) if name.startswith("cpu")}
    wanted = [f"cpu{cpu}" for cpu in sorted(cpus)]
    names = wanted if all(name in lines for name in wanted) else ["cpu"]
    chosen = [lines.get(name, []) for name in names]
    if any(len(ticks) <= _STEAL for ticks in chosen):
        raise ValueError(f"{path}: no stolen CPU time in it")
    busy_ticks = sum(whole(ticks[column], path) for ticks in chosen for column in _BUSY)
    steal_ticks = sum(whole(ticks[_STEAL], path) for ticks in chosen)
    return CpuTime(busy_s=busy_ticks / _TICKS_PER_S, steal_s=steal_ticks / _TICKS_PER_S)


def pressure_s(root: Path = ROOT) -> float:
    """Time since boot in which some task of the whole machine waited for a CPU.

    Raises:
        OSError, ValueError: the kernel does not account it.
    """
    return _waited_s(root / "proc/pressure/cpu")


def own_pressure_s(root: Path = ROOT) -> float:
    """Time in which some task of this process's own cgroup waited for a CPU.

    Of the whole machine where no group of version 2 accounts it.

    Raises:
        OSError, ValueError: the kernel does not account it.
    """
    group = known(lambda: own_group(root))
    waited_s = None if group is None else known(lambda: _waited_s(group / "cpu.pressure"))
    return pressure_s(root) if waited_s is None else waited_s


def _waited_s(path: Path) -> float:
    for name, *words in rows(path):
        for word in words:
            if name == "some" and word.startswith("total="):
                return whole(word.removeprefix("total="), path) / 1e6
    raise ValueError(f"{path}: no total in it")


def quota_periods(root: Path = ROOT) -> tuple[QuotaPeriods, ...]:
    """Quota accounting of this process's cgroups and those above.

    Raises:
        OSError, ValueError: there are no cgroups that tell.
    """
    paths = [group / "cpu.stat" for group in own_groups("cpu", root)]
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


def throttled_periods(root: Path = ROOT) -> int | None:
    """Periods in which a quota ran out, of this process's cgroups and those above, summed.

    None where none of them can have a quota.

    Raises:
        OSError, ValueError: as `quota_periods`.
    """
    groups = quota_periods(root)
    return sum(group.throttled for group in groups) if groups else None
