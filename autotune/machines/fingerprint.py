"""The machine a study belongs to: what must be the same for two numbers to be compared."""

import os
import platform
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import DeviceFacts
from autotune.domain.place import LAYOUT, differences
from autotune.errors import UsageError
from autotune.host.core_budget import CoreBudget, budget_in_words, budget_of
from autotune.host.cpus import cpus
from autotune.host.files import known, read
from autotune.host.topology import Topology, usable_topology

_PRELOAD = "LD_PRELOAD"
_SETTINGS = ("MALLOC_", "JEMALLOC_", "_RJEM_MALLOC_", "TCMALLOC_", "MIMALLOC_", "GLIBC_TUNABLES")
"""What allocators read; begins of names."""


_LATER = {"core_budget", "core_budget_cpus"}
"""Fields that a fingerprint has only where they say something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Fingerprint of hardware, limits and runtime."""

    cpu_model: str
    logical_cpus: int
    usable_cpus: int
    """min(core budget or affinity, cgroup quota), at least 1."""
    memory_bytes: int
    system: str
    openvino: str
    devices: dict[str, str]
    """Full name by device, as the runtime reports them."""
    affinity_cpus: int | None = None
    """CPUs that workers may run on, whatever their quota: the core budget's, or else all that this
    process may run on."""
    quota_cpus: float | None = None
    """What the cgroups' quota allows; None without one, or from an older version."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables under which workers run and a deployment has to run: LD_PRELOAD, with what the
    allocator behind it reads. Empty without it, and from an older version, which kept it back."""
    cores: int | None = None
    """Physical cores among the CPUs that this process may run on; this and the next three are None
    where the machine does not tell, and from an older version, which did not ask."""
    sockets: int | None = None
    nodes: int | None = None
    """NUMA nodes that have such a CPU."""
    core_types: dict[str, int] | None = None
    """Physical cores by their type, `P` and `E`; empty where all are alike."""
    core_budget: str | None = None
    """As it was asked for, a count or a list; None without one, and from an older version."""
    core_budget_cpus: str | None = None
    """The CPUs that it came to, as the kernel writes them: ``0-3,8``."""

    def __str__(self) -> str:
        version = "-".join(self.openvino.split("-")[:2])
        cpus = str(self.budget or f"{self.usable_cpus} CPUs")
        return f"{self.cpu_model}, {cpus}, OpenVINO {version}"

    @property
    def budget(self) -> CoreBudget | None:
        """The CPUs that workers are confined to; None where they run wherever this process may."""
        return budget_of(asdict(self))

    @property
    def budget_words(self) -> str | None:
        """What numbers are numbers of, where that is not the whole machine."""
        return budget_in_words(asdict(self))

    @property
    def quota_note(self) -> str | None:
        """What to know where a cgroup's quota allows less than the runtime sees, or None."""
        if self.affinity_cpus is None or self.quota_cpus is None:
            return None
        if self.quota_cpus >= self.affinity_cpus:
            return None
        return (
            f"a CPU quota allows {self.quota_cpus:g} of {self.affinity_cpus} CPUs. Threads are "
            f"capped at {self.usable_cpus}; OpenVINO's own hints do not see the quota and may be "
            "throttled"
        )

    def hardware(self, devices: Mapping[str, DeviceFacts]) -> Hardware:
        """As a space sees it."""
        return Hardware.paid_for(
            self.usable_cpus,
            devices,
            cores=self.cores,
            sockets=self.sockets,
            nodes=self.nodes,
            core_types=self.core_types,
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; without a core budget the one that older versions wrote."""
        return {k: v for k, v in asdict(self).items() if k not in _LATER or v is not None}

    def differences(self, other: dict[str, Any], ignored: Collection[str] = ()) -> list[str]:
        """What differs from a stored fingerprint, in words; the kernel may be updated."""
        return differences(other, self.to_dict(), ignored)


def fingerprint(
    openvino: str, devices: dict[str, str], budget: CoreBudget | None = None
) -> Machine:
    """This machine, as workers have it that are confined to `budget`.

    The runtime's part comes from a worker, as the parent never imports it.
    """
    found = cpus() if budget is None else cpus().within(budget.cpus)
    return Machine(
        cpu_model=_cpu_model(),
        logical_cpus=found.visible,
        usable_cpus=found.usable,
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        openvino=openvino,
        devices=devices,
        affinity_cpus=found.affinity,
        quota_cpus=found.quota_cpus,
        environment=preloaded(os.environ),
        **layout(usable_topology(cpus=None if budget is None else budget.cpus)),
        core_budget=None if budget is None else str(budget.asked),
        core_budget_cpus=None if budget is None else budget.listed,
    )


def layout(found: Topology) -> dict[str, Any]:
    """The fields that are in `LAYOUT`, as far as they are told."""
    told = {
        "cores": any(cpu.core is not None for cpu in found.cpus),
        "sockets": any(cpu.socket is not None for cpu in found.cpus),
        "nodes": any(cpu.node is not None for cpu in found.cpus),
        # Nothing says that all are alike: where cores are told, types would be, too.
        "core_types": any(cpu.core is not None for cpu in found.cpus),
    }
    values = {name: getattr(found, name) for name in LAYOUT if told[name]}
    return {name: dict(v) if isinstance(v, Mapping) else v for name, v in values.items()}


def preloaded(variables: Mapping[str, str]) -> dict[str, str]:
    """LD_PRELOAD, and the settings of allocators with it; empty without.

    As a deployment in another folder needs it: paths are absolute, bare names are the loader's.

    Raises:
        UsageError: one of them is no text, and could be neither stored nor exported.
    """
    files = re.split("[ :]+", variables.get(_PRELOAD, ""))
    known = [str(Path.cwd() / file) if "/" in file else file for file in files if file]
    if not known:
        return {}
    settings = {name: variables[name] for name in sorted(variables) if name.startswith(_SETTINGS)}
    found = {_PRELOAD: ":".join(known), **settings}
    for name, text in found.items():
        _check_text(name, text)
    return found


def _check_text(name: str, text: str) -> None:
    """What the system calls a variable are bytes; what is not UTF-8 is no JSON either."""
    try:
        f"{name}={text}".encode()
    except UnicodeEncodeError:
        shown, value = (
            part.encode(errors="surrogateescape").decode(errors="backslashreplace")
            for part in (name, text)
        )
        message = (
            f"{shown}: workers run under this variable, and its value, {value}, is no UTF-8: "
            "it could not be stored with what is measured; set another one, or unset it"
        )
        raise UsageError(message) from None


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


def _cpu_model() -> str:
    for line in (known(lambda: read(Path("/proc/cpuinfo"))) or "").splitlines():
        if line.lower().startswith(("model name", "hardware")):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
