"""CPUs: those that are there, those that this process may run on, and what its quota allows."""

import math
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from autotune.host.cgroups import own_groups
from autotune.host.files import ROOT, known, read, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpus:
    """CPUs that are there, and those that this process may use."""

    visible: int
    affinity: int
    quota_cpus: float | None
    """What the cgroups' quota allows, None without a quota."""

    @property
    def usable(self) -> int:
        """CPUs that work may really use, whole and at least one.

        OpenVINO sees the affinity, but not the quota.
        """
        quota = self.affinity if self.quota_cpus is None else math.floor(self.quota_cpus)
        return max(1, min(self.affinity, quota))

    def within(self, numbers: Collection[int]) -> "Cpus":
        """Of a process that is confined to these, under the same quota."""
        return replace(self, affinity=len(numbers))


def cpus(root: Path = ROOT) -> Cpus:
    """Of this process, now."""
    return Cpus(visible=os.cpu_count() or 1, affinity=len(affinity()), quota_cpus=cpu_quota(root))


def affinity() -> frozenset[int]:
    """Numbers of the CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def usable_cpus(root: Path = ROOT) -> int:
    """CPUs that work may really use, at least one."""
    return cpus(root).usable


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPUs that the strictest quota of this process's cgroups allows, None without a quota."""
    groups = known(lambda: own_groups("cpu", root)) or []
    quotas = [known(lambda group=group: _quota(group)) for group in groups]  # type: ignore[misc]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(group: Path) -> float | None:
    version_2, version_1 = group / "cpu.max", group / "cpu.cfs_quota_us"
    if version_2.exists():
        limit, period = read(version_2).split()
        return None if limit == "max" else whole(limit, version_2) / whole(period, version_2)
    quota = whole(read(version_1), version_1)
    period_file = group / "cpu.cfs_period_us"
    return quota / whole(read(period_file), period_file) if quota > 0 else None
