"""What the fits of a search say of some points: how good each may be, and whether it is feasible.

Beside what the goal asks for (`mean`, `sd`) there are the speed, on which the cap hangs by Little's
law and a floor by itself, and each other limit, which has a function of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Reals = NDArray[np.float64]

_NODES = 7
_CERTAIN = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The speed at which all that hangs on it is just kept; logarithms, shape (points,)."""

    speed: Reals
    sd: Reals

    def at_least(self, floor: float | None) -> "Needed":
        """And no less than a floor, which is known."""
        if floor is None:
            return self
        is_below = self.speed < floor
        return Needed(
            speed=np.where(is_below, floor, self.speed), sd=np.where(is_below, _CERTAIN, self.sd)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Of a limit that has a function of its own, the logarithm of how many times over it one is."""

    mean: Reals
    sd: Reals
    margin: float
    """How far within the limit a reading must be to be judged as met."""

    @property
    def log_chance(self) -> Reals:
        """Log of the probability of keeping it; shape (points,)."""
        found: Reals = log_ndtr((-self.margin - self.mean) / self.sd)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """Logarithms, larger is better; every array has shape (points,)."""

    mean: Reals
    sd: Reals
    best: float | None
    """Of the trials, by the fit and not by chance; None while none is feasible."""
    needed: Needed | None = None
    """None where nothing hangs on the speed."""
    speed: tuple[Reals, Reals] | None = None
    """Mean and standard deviation; None where the speed is what the goal asks for."""
    kept: Sequence[Kept] = ()

    def log_feasible(self, value: Reals) -> Reals:
        """Log of the probability of being feasible with this value of what is asked for."""
        return self._log_by_speed(value) + self._log_kept()

    def chance_above(self, value: float) -> Reals:
        """Probability of being above a value and feasible."""
        beside: Reals = np.exp(self._log_kept())
        if self.needed is None or self.speed is not None:
            above: Reals = np.exp(log_ndtr((self.mean - value) / self.sd))
            found: Reals = above * beside * np.exp(self._log_by_speed(self.mean))
            return found
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        least = np.maximum(value, self.needed.speed[:, None] + self.needed.sd[:, None] * nodes)
        both = np.exp(log_ndtr((self.mean[:, None] - least) / self.sd[:, None]))
        alone: Reals = both @ (weights / weights.sum())
        joint: Reals = np.multiply(alone, beside)
        return joint

    def _log_by_speed(self, value: Reals) -> Reals:
        if self.needed is None:
            return np.zeros(len(self.mean))
        if self.speed is not None:  # whose value is another one
            mean, sd = self.speed
            apart: Reals = log_ndtr((mean - self.needed.speed) / np.hypot(sd, self.needed.sd))
            return apart
        # While the inner side is sought, the value is the mean of f and as unsure as f.
        unsure = self.needed.sd if self.best is not None else np.hypot(self.sd, self.needed.sd)
        found: Reals = log_ndtr((value - self.needed.speed) / unsure)
        return found

    def _log_kept(self) -> Reals:
        found: Reals = np.zeros(len(self.mean))
        for one in self.kept:
            found = found + one.log_chance
        return found


def most_over(log_over: Reals, beside: Mapping[str, Reals]) -> Reals:
    """Logarithm of what each trial is most over; shape (trials,)."""
    found: Reals = np.max(np.stack([log_over, *beside.values()]), axis=0)
    return found
