"""A recorded surface: every configuration of a space, measured in slices over several launches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune.domain.failure import Failure
from autotune.domain.measurement import Feed, Opening
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.space import SearchSpace

LEVELS = (
    *(0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
    *(0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.875, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97),
    *(0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 0.999, 1.0),
)
"""Where a slice's latencies are kept, as shares of its requests: all of them would be too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlan:
    """How a surface is recorded."""

    launches: int = 3
    """Fresh processes for every compile key."""
    rounds: int = 2
    """Slices of every cell in each launch."""
    slice_s: float = 0.3
    """Shortest slice; one with long requests lasts for two rounds of all of them."""
    warmup_s: float = 0.3
    residents: int = 12
    """Compile keys that are open at a time and take turns."""
    feed: Feed = Feed.BIND
    seed: int = 0
    """Order of the compile keys and of the turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSlice:
    """One turn of one cell."""

    cell: int
    """Its position among the surface's cells."""
    launch: int
    round: int
    at_s: float
    """Seconds of recording when it ended."""
    duration_s: float
    completions: int
    occupancy: float
    latency_ticks: tuple[int, ...]
    """Latencies at `LEVELS`, nearest rank, in ticks of 100 ns."""
    cpu_s: float | None = None
    """CPU time of the worker without the load loop's; None in a recording of before."""
    rss_bytes: int | None = None
    """Resident memory at the end, likewise."""
    peak_rss_bytes: int | None = None
    """High-water mark since the requests of this cell were made, likewise."""
    energy_j: float | None = None
    """Of all CPU packages of the machine; None where it could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedLaunch:
    """A fresh process of one compile key, and the turns of its cells."""

    key: CompileKey
    launch: int
    at_s: float
    opening: Opening | None
    """None where it could not be opened."""
    failure: Failure | None
    peak_rss_bytes: int | None
    slices: tuple[RecordedSlice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceIdentity:
    """What a surface is of."""

    name: str
    spec: str
    """The study as TOML."""
    model_sha256: str
    shapes: Mapping[str, Sequence[int]]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    space: SearchSpace
    plan: RecordPlan
    started_at: str
    """UTC, ISO 8601."""
    workload: Mapping[str, Any] | None = None
    """What the model was asked (`said`, as the study has it), and the digest of its inputs
    (`inputs_sha256`); None for data of one static shape."""
    earlier_sha256: tuple[str, ...] = ()
    """What earlier versions called this model; not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Everything that was recorded."""

    identity: SurfaceIdentity
    cells: tuple[Configuration, ...]
    """The runtime's hints first, then every configuration of the space."""
    launches: tuple[RecordedLaunch, ...]
    """In the order in which they were recorded."""
    by_key: Mapping[CompileKey, tuple[int, ...]] = field(init=False)
    """Positions of the cells that share a compiled model."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", cells_by_key(self.cells))

    @property
    def is_whole(self) -> bool:
        """Whether every compile key had all its launches."""
        return len(self.launches) == len(self.by_key) * self.identity.plan.launches


def cells_by_key(cells: Sequence[Configuration]) -> dict[CompileKey, tuple[int, ...]]:
    """Positions of the cells of every compile key."""
    found: dict[CompileKey, list[int]] = {}
    for position, cell in enumerate(cells):
        found.setdefault(cell.compile_key, []).append(position)
    return {key: tuple(positions) for key, positions in found.items()}
