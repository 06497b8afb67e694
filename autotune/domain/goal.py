"""What a study looks for, and the three answers that a test of it can give."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from autotune.domain.limits import Limit, limits_of


class Objective(StrEnum):
    """What is optimised."""

    THROUGHPUT = "throughput"  # the most items per second while the SLA holds
    LATENCY = "latency"  # the lowest latency percentile
    PARETO = "pareto"  # both: the front between them
    EFFICIENCY = "efficiency"  # the most items for each CPU-second or joule

    @property
    def is_rate(self) -> bool:
        """Whether contenders of a race are compared by items per second."""
        return self in {Objective.THROUGHPUT, Objective.PARETO}


class Resource(StrEnum):
    """What efficiency is counted by."""

    CPU = "cpu"  # CPU-seconds, of all threads but the load's own
    ENERGY = "energy"  # joules of the CPU packages


class Verdict(StrEnum):
    """Outcome of a test of the SLA or of a limit: a test result, never a point estimate."""

    MET = "met"
    MISSED = "missed"
    UNCLEAR = "unclear"


def together(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """Of several constraints that all must hold; those that are None ask nothing.

    Missed if any is, met if all are; None where nothing is asked.
    """
    asked = {verdict for verdict in verdicts if verdict is not None}
    if not asked:
        return None
    if Verdict.MISSED in asked:
        return Verdict.MISSED
    return Verdict.UNCLEAR if Verdict.UNCLEAR in asked else Verdict.MET


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
    limits: tuple[Limit, ...] = ()
    """What else must hold, in the order of the table of limits."""
    resource: Resource = Resource.CPU
    """What `Objective.EFFICIENCY` counts by."""
    portable: bool = False
    """Whether what holds elsewhere is preferred among equals; changes no number."""

    @classmethod
    def with_headroom(
        cls, objective: Objective, percentile: float, cap_ms: float | None, headroom: float
    ) -> "Goal":
        """Of the cap that is given: the choice is the one under ``cap / (1 + headroom)``."""
        held = None if cap_ms is None else cap_ms / (1 + headroom)
        return cls(objective, percentile, held, headroom)

    def limit(self, name: str) -> float | None:
        """The value of a limit by its name; None where it is not asked for."""
        return next((limit.value for limit in self.limits if limit.name == name), None)

    @property
    def is_constrained(self) -> bool:
        """Whether anything must hold, be it a cap or a limit."""
        return self.cap_ms is not None or bool(self.limits)

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
        room = self.headroom if headroom is None else headroom
        given = self.given_cap_ms if cap_ms is None else cap_ms
        held = None if given is None else given / (1 + room)
        return replace(asked, cap_ms=held, headroom=room)

    def within(self, limits: Mapping[str, float]) -> "Goal":
        """The same with these limits in place of its own of the same names.

        Raises:
            ValueError: an unknown limit, or a value that is none.
        """
        own = {limit.name: limit.value for limit in self.limits}
        return replace(self, limits=limits_of({**own, **limits}))

    def __str__(self) -> str:
        cap = "no cap" if self.given_cap_ms is None else f"cap {self.given_cap_ms:g} ms"
        room = f" with {100 * self.headroom:g} % headroom" if self.headroom else ""
        what = self.objective.value
        if self.objective is Objective.EFFICIENCY and self.resource is not Resource.CPU:
            what += f" by {self.resource}"
        beside = "".join(f", {limit}" for limit in self.limits)
        preferred = ", portable" if self.portable else ""
        return f"{what}, p{self.percentile:g}, {cap}{room}{beside}{preferred}"

    @property
    def sla(self) -> Sla | None:
        """The constraint, or None when the goal has no cap."""
        return None if self.cap_ms is None else Sla(self.percentile, self.cap_ms)
