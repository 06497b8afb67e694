"""The machine a study belongs to: what must be the same for two numbers to be compared."""

import math
import os
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Fingerprint of hardware, limits and runtime."""

    cpu_model: str
    logical_cpus: int
    usable_cpus: int
    """min(affinity, cgroup quota), at least 1."""
    memory_bytes: int
    system: str
    openvino: str
    devices: dict[str, str]
    """Full name by device, as the runtime reports them."""
    affinity_cpus: int | None = None
    """CPUs that this process may run on, whatever its quota."""

    def __str__(self) -> str:
        version = "-".join(self.openvino.split("-")[:2])
        return f"{self.cpu_model}, {self.usable_cpus} CPUs, OpenVINO {version}"

    @property
    def quota_note(self) -> str | None:
        """What to know where a cgroup's quota allows less than the runtime sees, or None."""
        if self.affinity_cpus is None or self.usable_cpus >= self.affinity_cpus:
            return None
        return (
            f"a CPU quota allows {self.usable_cpus} of {self.affinity_cpus} CPUs. Threads are "
            f"capped at {self.usable_cpus}; OpenVINO's own hints do not see the quota and may be "
            "throttled"
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """What differs from a stored fingerprint, in words; the kernel may be updated."""
        mine = self.to_dict()
        return [
            f"{name}: {other.get(name)!r} then, {mine[name]!r} now"
            for name in ("cpu_model", "logical_cpus", "usable_cpus", "openvino", "devices")
            if other.get(name) != mine[name]
        ]


def fingerprint(openvino: str, devices: dict[str, str]) -> Machine:
    """This machine; the runtime's part comes from a worker, as the parent never imports it."""
    return Machine(
        cpu_model=_cpu_model(),
        logical_cpus=os.cpu_count() or 1,
        usable_cpus=usable_cpus(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        openvino=openvino,
        devices=devices,
        affinity_cpus=_affinity(),
    )


def asleep_s() -> float:
    """How long the machine has been suspended since it was started; 0 where nobody counts it."""
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    except (AttributeError, OSError):
        return 0.0


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on, from package metadata."""
    found = {"python": platform.python_version()}
    for name, distribution in _DISTRIBUTIONS.items():
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


_DISTRIBUTIONS = {
    "autotune": "openvino-autotune",  # stored under the name that it was first stored under
    "openvino": "openvino",
    "optuna": "optuna",
    "numpy": "numpy",
}


def usable_cpus() -> int:
    """CPUs that work may really use: OpenVINO sees the affinity, but not the cgroup quota."""
    affinity, quota = _affinity(), cpu_quota()
    return max(1, min(affinity, math.floor(quota) if quota is not None else affinity))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int:
    """Bytes that may be taken without swapping: the machine's, or less where a cgroup has a limit.

    Args:
        root: where the cgroup tree is mounted.
        membership: the file that names this process's groups.
    """
    free = [int(psutil.virtual_memory().available)]
    for group in _cgroups(root, membership, "memory"):
        for limit_name, used_name in _MEMORY_FILES:
            limit, used = _read(group / limit_name).strip(), _read(group / used_name).strip()
            if limit.isdigit() and used.isdigit():
                # Pages of files that nobody used lately count as used, and are given up first.
                taken = int(used) - min(int(used), _inactive_file_bytes(group))
                free.append(max(0, int(limit) - taken))
    return min(free)


_MEMORY_FILES = (
    ("memory.max", "memory.current"),  # cgroup version 2
    ("memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def _inactive_file_bytes(group: Path) -> int:
    for line in _read(group / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in {"inactive_file", "total_inactive_file"} and value.strip().isdigit():
            return int(value)
    return 0


def oom_kills(
    root: Path = Path("/sys/fs/cgroup"),
    membership: Path = Path("/proc/self/cgroup"),
    vmstat: Path = Path("/proc/vmstat"),
) -> int | None:
    """How many processes the kernel has killed for their memory; None where it does not count.

    Args:
        root: where the cgroup tree is mounted.
        membership: the file that names this process's groups.
        vmstat: the kernel's counters.
    """
    files = [vmstat, *(g / "memory.events" for g in _cgroups(root, membership, "memory"))]
    lines = [line.split() for file in files for line in _read(file).splitlines()]
    counts = [int(line[1]) for line in lines if len(line) == 2 and line[0] == "oom_kill"]
    return sum(counts) if counts else None


def cpu_quota(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> float | None:
    """CPUs that the cgroup's quota allows, None without a quota.

    Args:
        root: where the cgroup tree is mounted.
        membership: the file that names this process's groups.
    """
    groups = _cgroups(root, membership, "cpu")
    return min((quota for group in groups if (quota := _quota(group)) is not None), default=None)


def _cgroups(root: Path, membership: Path, controller: str) -> list[Path]:
    """This process's cgroup and all above it, version 2 and version 1."""
    found = [root, root / controller]
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            own = (root / controller if controllers else root) / path.lstrip("/")
            found += [own, *own.parents]
    return [group for group in found if group.is_relative_to(root)]


def _quota(group: Path) -> float | None:
    limit = _read(group / "cpu.max").split()
    if len(limit) == 2 and limit[0] != "max":
        return int(limit[0]) / int(limit[1])
    quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    if quota.strip() and period.strip() and int(quota) > 0:
        return int(quota) / int(period)
    return None


def _cpu_model() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.lower().startswith(("model name", "hardware")):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
