"""What limits combinations beside the choices themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

_MOST = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Facts of the machine that decide which combinations are one and the same."""

    cores: int = 0
    """Physical cores among the CPUs; 0 where it does not matter."""
    core_types: Mapping[str, int] = field(default_factory=dict)
    """Physical cores by their type, ``P`` and ``E``; empty where it does not matter."""
    gathered: Mapping[str, int] = field(default_factory=dict)
    """By device, how many requests automatic batching makes one of."""
    alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By dimension, its choices with which a request holds one item: no batch goes with them."""

    def most_threads(self, cpus: int, core_type: str | None, *, both_siblings: bool) -> int:
        """Threads that all streams together may have.

        Args:
            cpus: logical CPUs that may be used.
            core_type: which cores of a hybrid CPU may be used.
            both_siblings: whether both logical CPUs of a core may be.
        """
        siblings = max(0, cpus - self.cores) if self.cores and both_siblings else 0
        if core_type == "PCORE_ONLY" and self.core_types:
            most = self.core_types.get("P", 0) + siblings  # efficient cores have one CPU each
        elif core_type == "ECORE_ONLY" and self.core_types:
            most = self.core_types.get("E", 0)
        else:
            most = self.cores + siblings if self.cores else cpus
        return max(1, min(cpus, most))

    def to_dict(self) -> dict[str, Any]:
        """What is known, JSON-ready."""
        found = {
            "cores": self.cores,
            "core_types": dict(self.core_types),
            "gathered": dict(self.gathered),
            "alone": {name: list(choices) for name, choices in self.alone.items()},
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote; other keys are left alone.

        Raises:
            ValueError: a count is none.
        """
        cores = values.get("cores", 0)
        known = {name: values.get(name, {}) for name in ("core_types", "gathered")}
        counts = [cores, *(count for each in known.values() for count in each.values())]
        if not all(isinstance(n, int) and 0 <= n < _MOST for n in counts):
            message = f"{counts} are no counts"
            raise ValueError(message)
        alone = {name: tuple(choices) for name, choices in values.get("alone", {}).items()}
        return cls(cores=cores, alone=alone, **known)


BOUNDS = ("cores", "core_types", "gathered", "alone")
"""Keys of a stored space that are bounds."""
