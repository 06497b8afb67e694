"""What requests were fed with while they were measured."""

from dataclasses import dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """Random or real data, and why random ones may mislead for this model."""

    data: Literal["random", "real"]
    warnings: tuple[str, ...] = ()

    @property
    def note(self) -> str | None:
        """The warnings in one line, with the way out; None without any."""
        if not self.warnings:
            return None
        why = "; ".join(self.warnings)
        return f"random inputs may mislead: {why}; give real ones with [model] inputs"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"data": self.data, "warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The reverse of `to_dict`."""
        return cls(data=values["data"], warnings=tuple(values["warnings"]))
