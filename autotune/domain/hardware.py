"""A machine's hardware as a search space sees it: its CPUs by kind, and what its devices can do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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

    @property
    def has_smt(self) -> bool:
        """Whether two of the logical CPUs share a core."""
        return self.cpus > self.cores
