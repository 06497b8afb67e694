"""How the CPUs hang together: threads of one core, sockets, memory nodes, types of cores.

The kernel tells each of them in other files, and may tell some only: each reader below raises where
its own are hidden or hold something else, and `topology` takes what is left for its simplest form.
https://docs.kernel.org/admin-guide/cputopology.html, .../ABI/stable/sysfs-devices-node
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autotune.domain.hardware import Hardware
from autotune.domain.inspection import DeviceFacts
from autotune.host.cpus import affinity
from autotune.host.files import ROOT, known, read, read_whole

PERFORMANCE, EFFICIENT = "P", "E"
"""Types of cores where a machine has several."""
_CPU = "sys/devices/system/cpu"
_INTEL = {PERFORMANCE: "cpu_core/cpus", EFFICIENT: "cpu_atom/cpus"}
_DEVICES = ("sys/devices", "sys/bus/event_source/devices")
"""Where Linux has a device for each type, and where its documentation now says to look for it."""
_EFFICIENT_BELOW = 0.75
"""Share of the largest capacity below which a core is an efficient one: big ones of one chip differ
by a fifth (a "prime" core beside others), little ones have half of it or less."""
_MOST_CPUS = 2**16
"""In a list: a wrong one is not to fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalCpu:
    """One CPU of the kernel; None where nothing tells what it belongs to."""

    number: int
    core: int | None = None
    """The smallest number among the CPUs of its core that are online."""
    socket: int | None = None
    node: int | None = None
    """Its NUMA node."""
    kind: str = ""
    """`P` or `E`; empty where all are alike, or nobody knows."""


@dataclass(frozen=True, slots=True)
class Topology:
    """CPUs that are online, in order.

    What is not told counts as if there were one of it, or, of cores, one for each CPU.
    """

    cpus: tuple[LogicalCpu, ...]

    @property
    def numbers(self) -> frozenset[int]:
        """Those of its CPUs."""
        return frozenset(cpu.number for cpu in self.cpus)

    @property
    def siblings(self) -> Mapping[int, tuple[int, ...]]:
        """The CPUs of each core, by the smallest of them."""
        found = defaultdict(list)
        for cpu in self.cpus:
            found[_core(cpu)].append(cpu.number)
        return {numbers[0]: tuple(numbers) for numbers in found.values()}

    @property
    def cores(self) -> int:
        """Physical cores."""
        return len({_core(cpu) for cpu in self.cpus})

    @property
    def sockets(self) -> int:
        """Sockets, at least one."""
        return len({cpu.socket or 0 for cpu in self.cpus}) or 1

    @property
    def nodes(self) -> int:
        """NUMA nodes that have a CPU, at least one."""
        return len({cpu.node or 0 for cpu in self.cpus}) or 1

    @property
    def core_types(self) -> Mapping[str, int]:
        """Physical cores by their type, `P` first; empty where all are alike."""
        types = {_core(cpu): cpu.kind for cpu in self.cpus}
        counts = Counter(types.values())
        return dict(sorted(counts.items(), reverse=True)) if len(counts) > 1 else {}

    def within(self, cpus: Collection[int]) -> "Topology":
        """Of these CPUs alone; one that is not described is taken for a core of its own.

        Siblings that are not among them are not there: a core of which one thread may be used
        counts as one core with one thread.
        """
        described = {cpu.number: cpu for cpu in self.cpus}
        plain = [described.get(number) or LogicalCpu(number=number) for number in sorted(cpus)]
        return Topology(tuple(plain))


def _core(cpu: LogicalCpu) -> tuple[bool, int]:
    """What tells cores apart; a CPU of an unknown core has one of its own."""
    return (True, cpu.number) if cpu.core is None else (False, cpu.core)


def topology(root: Path = ROOT) -> Topology:
    """Of all CPUs that are online, as far as the machine tells; empty where it tells nothing."""
    cores = known(partial(cores_of, root)) or {}
    sockets = known(partial(sockets_of, root)) or {}
    nodes = known(partial(nodes_of, root)) or {}
    types = known(partial(core_types_of, root)) or {}
    online = known(partial(_online, root)) or {*cores, *sockets, *nodes, *types}
    return Topology(
        tuple(
            LogicalCpu(
                number=number,
                core=cores.get(number),
                socket=sockets.get(number),
                node=nodes.get(number),
                kind=types.get(number, ""),
            )
            for number in sorted(online)
        )
    )


def usable_topology(root: Path = ROOT, cpus: Collection[int] | None = None) -> Topology:
    """Of the CPUs that this process may run on, or of `cpus`, whatever else the machine has."""
    return topology(root).within(affinity() if cpus is None else cpus)


def hardware_of(found: Topology, usable_cpus: int, devices: Mapping[str, DeviceFacts]) -> Hardware:
    """What a space follows from.

    Args:
        found: of the CPUs that may be used.
        usable_cpus: how many of them work may really use: fewer than there are under a quota.
        devices: by the runtime's name.
    """
    return Hardware.paid_for(
        min(usable_cpus, len(found.cpus) or usable_cpus),
        devices,
        cores=found.cores,
        sockets=found.sockets,
        nodes=found.nodes,
        core_types=found.core_types,
    )


# --- readers: CPU by CPU, whatever the kernel tells


def cores_of(root: Path) -> dict[int, int]:
    """The core of each CPU that is online: the smallest number among its threads.

    Raises:
        OSError, ValueError: the machine does not tell.
    """
    # The first name is that of kernels since 5.11, the second one of all.
    for name in ("core_cpus_list", "thread_siblings_list"):
        files = _files(root, f"topology/{name}")
        if files:
            threads = [_listed(path) or [cpu] for cpu, path in files.items()]
            return {cpu: min(listed) for listed in threads for cpu in listed}
    raise ValueError("no CPU topology is visible")


def sockets_of(root: Path) -> dict[int, int]:
    """The socket of each CPU that is online; -1 is all that some firmware says.

    Raises:
        OSError, ValueError: the machine does not tell.
    """
    return {
        cpu: read_whole(path) for cpu, path in _files(root, "topology/physical_package_id").items()
    }


def nodes_of(root: Path) -> dict[int, int]:
    """The NUMA node of each CPU; a node of memory alone is none of theirs.

    Raises:
        OSError, ValueError: the machine does not tell.
    """
    lists = _numbered(root, "sys/devices/system/node", "node", "cpulist")
    if not lists:
        raise ValueError("no memory nodes are visible")
    return {cpu: node for node, path in lists.items() for cpu in _listed(path)}


def core_types_of(root: Path) -> dict[int, str]:
    """`P` or `E` of each CPU; empty where all are alike or nothing tells.

    Raises:
        OSError, ValueError: what tells is malformed.
    """
    told = told_types_of(root)
    if told:
        return told if len(set(told.values())) > 1 else {}
    capacities = capacities_of(root)
    most = max(capacities.values(), default=0)
    types = {
        cpu: EFFICIENT if capacity < _EFFICIENT_BELOW * most else PERFORMANCE
        for cpu, capacity in capacities.items()
    }
    return types if len(set(types.values())) > 1 else {}


def told_types_of(root: Path) -> dict[int, str]:
    """`P` or `E` where the kernel has a device for each, as of Intel's; empty elsewhere.

    Raises:
        OSError, ValueError: what tells is malformed.
    """
    for folder in _DEVICES:
        files = {kind: root / folder / name for kind, name in _INTEL.items()}
        if all(path.exists() for path in files.values()):
            return {cpu: kind for kind, path in files.items() for cpu in _listed(path)}
    return {}


def capacities_of(root: Path) -> dict[int, int]:
    """What each CPU does beside the fastest one, which has 1024; empty where nothing tells.

    Raises:
        OSError, ValueError: what tells is malformed.
    """
    return {cpu: read_whole(path) for cpu, path in _files(root, "cpu_capacity").items()}


def parse_cpus(text: str) -> list[int]:
    """CPUs in the kernel's notation, such as ``0-3,8``; each once, in the order of the text.

    Raises:
        ValueError: it is none.
    """
    found = list(dict.fromkeys(_parsed(text))) if text.strip() else []
    if len(found) > _MOST_CPUS:
        raise ValueError(f"{text!r:.80} is no list of CPUs: too many")
    return found


def _parsed(text: str) -> Iterator[int]:
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part, re.ASCII)
        if match is None:
            raise ValueError(f"{text!r:.80} is no list of CPUs")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first > _MOST_CPUS:
            raise ValueError(f"{text!r:.80} is no list of CPUs")
        yield from range(first, last + 1)


def format_cpus(cpus: Collection[int]) -> str:
    """The shortest text that `parse_cpus` reads as these: ``0-3,8``."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and runs[-1][-1] == cpu - 1:
            runs[-1] = [runs[-1][0], cpu]
        else:
            runs.append([cpu])
    return ",".join("-".join(map(str, run)) for run in runs)


def _online(root: Path) -> Sequence[int]:
    return _listed(root / _CPU / "online")


def _files(root: Path, name: str) -> dict[int, Path]:
    """A file that each CPU has; one that is offline has no topology."""
    return _numbered(root, _CPU, "cpu", name)


def _numbered(root: Path, folder: str, word: str, name: str) -> dict[int, Path]:
    """A file in each folder of a word and a number, by the number."""
    found = {}
    for path in root.glob(f"{folder}/{word}[0-9]*/{name}"):
        number = path.relative_to(root / folder).parts[0].removeprefix(word)
        if number.isdecimal():
            found[int(number)] = path
    return dict(sorted(found.items()))


def _listed(path: Path) -> list[int]:
    try:
        return parse_cpus(read(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
