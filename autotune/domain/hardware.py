"""A machine's hardware as a search space sees it: its CPUs by kind, and what its devices can do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from autotune.domain.inspection import DeviceFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What choices follow from, of the CPUs that may be used and of the devices."""

    cpus: int
    """Logical CPUs that work may really use: of the core budget, the affinity and the quota."""
    cores: int
    """Physical cores among them; as many as `cpus` without hyper-threading."""
    sockets: int = 1
    """Sockets that have at least one of them."""
    nodes: int = 1
    """NUMA nodes that have at least one of them."""
    core_types: Mapping[str, int] = field(default_factory=dict)
    """Physical cores by their type, ``P`` and ``E``; empty where all are alike."""
    devices: Mapping[str, DeviceFacts]
    """By the runtime's name."""

    @classmethod
    def paid_for(
        cls,
        usable_cpus: int,
        devices: Mapping[str, DeviceFacts],
        *,
        cores: int | None = None,
        sockets: int | None = None,
        nodes: int | None = None,
        core_types: Mapping[str, int] | None = None,
    ) -> Self:
        """That of a process that has so many CPUs, or a quota of so many.

        A quota says how many, and not which: there are then no more cores, sockets and nodes than
        CPUs that can be paid for, and the types are those of all that may be used. What is not
        told counts as one, or, of cores, as one for each CPU.
        """
        cpus = max(1, usable_cpus)
        return cls(
            cpus=cpus,
            cores=max(1, min(cpus, cores or cpus)),
            sockets=min(cpus, sockets or 1),
            nodes=min(cpus, nodes or 1),
            core_types=core_types or {},
            devices=devices,
        )

    @property
    def has_smt(self) -> bool:
        """Whether two of the logical CPUs share a core."""
        return self.cpus > self.cores
