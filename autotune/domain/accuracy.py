"""How far answers are from those they are held to, on samples that were held out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from autotune.domain.units import number


class GuardVerdict(StrEnum):
    """What the guard says of answers."""

    IDENTICAL = "identical"  # to the bit, on every held-out sample
    MET = "met"  # the loss is shown to be within the limit
    UNCLEAR = "unclear"  # it was within the limit, on too few samples to show it
    MISSED = "missed"  # it was over the limit, or there is nothing to compare

    @property
    def is_shown(self) -> bool:
        """Whether what has such answers may be certified."""
        return self in {GuardVerdict.IDENTICAL, GuardVerdict.MET}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """What an accuracy loses against the reference; above 0 is worse."""

    seen: float
    """On the held-out samples."""
    low: float
    high: float
    """Ends of the 95 % interval of what it loses on all samples like these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """What the guard found out about one way to answer."""

    metric: str
    """Its name, as the study has it."""
    value: float | None
    """Of these answers; None where there is no number."""
    reference: float | None
    """Of those of the reference: 1 where the two are compared with each other."""
    drop: Drop | None
    max_drop: float
    """Absolute: what it may lose."""
    samples: int
    """Held-out ones that it was computed on."""
    verdict: GuardVerdict
    needed: int | None = None
    """About how many samples would show the same loss to be within the limit; None where it is
    shown, or none would."""
    why: str | None = None
    """Why there is no number, or why it says nothing."""

    @property
    def bounds(self) -> Drop | None:
        """What is known of the loss: it is none of identical answers; None where nothing is."""
        if self.verdict is GuardVerdict.IDENTICAL:
            return Drop(seen=0.0, low=0.0, high=0.0)
        return None if self.why is not None else self.drop

    @property
    def doubt(self) -> str | None:
        """Why what has it may not be certified; None where it may."""
        if self.verdict.is_shown:
            return None
        more = "" if self.needed is None else f"; about {self.needed} samples would decide"
        why = "" if self.why is None or self.drop is None else f"; {self.why}"
        return f"{self.lost}{more}{why}"

    @property
    def lost(self) -> str:
        """What it loses, in words."""
        if self.drop is None:
            return f"{self.metric} says nothing: {self.why}"
        seen, high, most = (
            number(value, 3) for value in (self.drop.seen, self.drop.high, self.max_drop)
        )
        return (
            f"{self.metric} loses {seen} on {self.samples} held-out samples, at most {high} at "
            f"95 %, and {most} may be lost"
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Accuracy":
        """What `to_dict` gave.

        Raises:
            ValueError, KeyError, TypeError: it gave something else.
        """
        drop = values["drop"]
        return cls(
            **{
                **values,
                "drop": None if drop is None else Drop(**drop),
                "verdict": GuardVerdict(values["verdict"]),
            }
        )
