"""What a model was fed with while it was measured: the number is a number of that data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autotune.domain.workload_facts import WorkloadFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """Random or real data, and why random data may mislead for this model."""

    data: Literal["random", "real"]
    warnings: tuple[str, ...] = ()
    workload: WorkloadFacts | None = None
    """What else was asked of it; None for data of one static shape."""

    @property
    def note(self) -> str | None:
        """The warnings in one line, with the way out; None without any."""
        if not self.warnings:
            return None
        why = "; ".join(self.warnings)
        return f"random inputs may mislead: {why}; give real ones with [model] inputs"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        told = {"data": self.data, "warnings": list(self.warnings)}
        return told if self.workload is None else {**told, "workload": self.workload.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Fed":
        """What `to_dict` gave.

        Raises:
            ValueError: it gave something else.
        """
        data, warnings = values.get("data"), values.get("warnings", [])
        if data not in {"random", "real"}:
            message = f"data is {data!r}, and neither random nor real"
            raise ValueError(message)
        if not isinstance(warnings, list) or not all(isinstance(w, str) for w in warnings):
            message = f"warnings are no list of texts: {warnings!r}"
            raise ValueError(message)
        asked = values.get("workload")
        return cls(
            data=data,
            warnings=tuple(warnings),
            workload=None if asked is None else WorkloadFacts.from_dict(asked),
        )
