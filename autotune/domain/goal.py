"""What a study looks for, and the three answers that a test of the SLA can give."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Objective(StrEnum):
    """What is optimised."""

    THROUGHPUT = "throughput"  # the most items per second while the SLA holds
    LATENCY = "latency"  # the lowest latency percentile
    PARETO = "pareto"  # both: the front between them


class Verdict(StrEnum):
    """Outcome of the SLA test: a test result, never a point estimate."""

    MET = "met"
    MISSED = "missed"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Sla:
    """A cap on a percentile of request latency."""

    percentile: float
    """In percent, above 0 and below 100."""
    cap_ms: float
    """A request slower than this, or failed, is over-cap."""

    def __post_init__(self) -> None:
        if not 0 < self.percentile < 100:
            message = f"percentile must lie between 0 and 100, got {self.percentile:g}"
            raise ValueError(message)
        if not self.cap_ms > 0:
            message = f"the latency cap must be more than zero, got {self.cap_ms:g} ms"
            raise ValueError(message)

    @property
    def over_rate(self) -> float:
        """Share of requests that may be over the cap: q0 = 1 − percentile."""
        return 1 - self.percentile / 100


@dataclass(frozen=True, slots=True)
class Goal:
    """An objective, the percentile it speaks of, and the cap if there is one."""

    objective: Objective
    percentile: float
    cap_ms: float | None
    """What requests are held to: the cap that was given, over 1 + `headroom`."""
    headroom: float = 0.0
    """How much slower everything may become before the cap that was given is at risk."""

    @classmethod
    def with_headroom(
        cls, objective: Objective, percentile: float, cap_ms: float | None, headroom: float
    ) -> "Goal":
        """Of the cap that is given: the choice is the one under ``cap / (1 + headroom)``."""
        held = None if cap_ms is None else cap_ms / (1 + headroom)
        return cls(objective, percentile, held, headroom)

    @property
    def given_cap_ms(self) -> float | None:
        """The cap that was given."""
        if self.cap_ms is None or not self.headroom:
            return self.cap_ms
        return float(f"{self.cap_ms * (1 + self.headroom):.12g}")

    def asked(
        self,
        *,
        percentile: float | None = None,
        cap_ms: float | None = None,
        headroom: float | None = None,
    ) -> "Goal":
        """The same with another percentile, given cap or headroom; what is not named stays."""
        asked = self if percentile is None else replace(self, percentile=percentile)
        if cap_ms is None and headroom is None:
            return asked
        return Goal.with_headroom(
            asked.objective,
            asked.percentile,
            self.given_cap_ms if cap_ms is None else cap_ms,
            self.headroom if headroom is None else headroom,
        )

    def __str__(self) -> str:
        cap = "no cap" if self.given_cap_ms is None else f"cap {self.given_cap_ms:g} ms"
        room = f" with {100 * self.headroom:g} % headroom" if self.headroom else ""
        return f"{self.objective}, p{self.percentile:g}, {cap}{room}"

    @property
    def sla(self) -> Sla | None:
        """The constraint, or None when the goal has no cap."""
        return None if self.cap_ms is None else Sla(self.percentile, self.cap_ms)
