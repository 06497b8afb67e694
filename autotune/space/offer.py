"""What the choices on one device are derived from, and what becomes of a dimension there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """In which a workload may be served, whatever the device."""

    preparers: tuple[str, ...] = ()
    """Who may prepare the inputs; empty where nothing is to be prepared."""
    plans: tuple[str, ...] = ()
    """How a mix of shapes may be served; empty where there is one shape."""
    variants: tuple[str, ...] = ()
    """Files of the model to choose from; empty where there is one."""
    alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By dimension, choices with which a request holds one item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What choices are derived from where a study names none, for one device."""

    device: str = "CPU"
    """The runtime's name."""
    cpus: int
    """Logical CPUs that work may use: min(core budget, affinity, cgroup quota)."""
    cores: int = 0
    """Physical cores among them; as many as `cpus` where nobody said."""
    sockets: int = 1
    core_types: Mapping[str, int] = field(default_factory=dict)
    """Physical cores by their type, ``P`` and ``E``; empty where all are alike."""
    most_streams: int
    """That the device can have."""
    least_requests: int = 1
    most_requests: int | None = None
    """That the device takes at a time; None where nobody knows."""
    precisions: tuple[str, ...] = ()
    """Those that may be used without being asked for."""
    may_batch: bool = False
    """Whether a batch was shown to give the answers of single requests."""
    why_no_batch: str = ""
    """Where it was not, the reason in words."""
    max_batch: int | None = None
    """The largest batch that fits; None where nobody knows."""
    best_batch: int | None = None
    """What automatic batching would collect; None where nobody knows."""
    tiles: int | None = None
    """Of an NPU; None where nobody knows."""
    cap_ms: float | None = None
    """On the latency of a request; None without one."""
    ways: Ways = field(default_factory=Ways)
    """In which the workload may be served."""
    kind: str = ""
    """`integrated` or `discrete`; empty where it does not tell."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Those that the device says that it has, and whether they may be set: ``RW``, ``RO``, ``WO``;
    empty where nobody knows."""
    members: "tuple[Offer, ...]" = ()
    """Of the devices that a device like AUTO stands for, in its order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cores", self.cores or self.cpus)

    @property
    def has_smt(self) -> bool:
        """Whether two of the logical CPUs share a core."""
        return self.cpus > self.cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What becomes of a dimension on one device."""

    choices: tuple[Any, ...] = ()
    """What is tried where the study names nothing; of one for experts, what may be named, as far
    as that can be listed."""
    why_not: str = ""
    """Why there is no choice here, in words; empty where there is."""
    may_be_named: bool = False
    """Whether study.toml may name it although there is no choice here."""
    is_expert: bool = False
    """Whether it is tried only where study.toml names it."""
