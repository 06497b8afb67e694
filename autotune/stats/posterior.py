"""What is believed of several speeds: normal before anything was seen, a mixture of those after."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed of the contenders before the first slice, in logarithms of speed."""

    mean: Reals
    """Shape (contenders,)."""
    covariance: Reals
    """Shape (contenders, contenders)."""

    @classmethod
    def vague(cls, contenders: int, spread: float = 0.1) -> "Prior":
        """Contenders that differ by about `spread`."""
        return cls(mean=np.zeros(contenders), covariance=spread**2 * np.eye(contenders))


@dataclass(frozen=True)
class Posterior:
    """What is believed of the contenders' speeds: a mixture of normal distributions.

    Only differences mean anything: rounds take up what all have in common.
    """

    weights: Reals
    """Shape (nodes,)."""
    means: Reals
    """Shape (nodes, contenders)."""
    covariances: Reals
    """Shape (nodes, contenders, contenders)."""
    rest: float
    """Standard deviation of the rest, posterior mean."""
    launch: float
    """Standard deviation between launches, likewise."""

    @cached_property
    def mean(self) -> Reals:
        """Expected value of each contender; shape (contenders,)."""
        found: Reals = self.weights @ self.means
        return found

    def difference(self, one: int, other: int) -> float:
        """Expected log ratio of one contender's speed to another's."""
        return float(self.mean[one] - self.mean[other])

    def chance_above(self, one: int, other: int, by: float = 0.0) -> float:
        """Probability that the log ratio of one to the other is above a value."""
        mean, sd = self._difference(one, other)
        return float(self.weights @ ndtr((mean - by) / sd))

    def chance_equal(self, one: int, other: int, margin: float) -> float:
        """Probability that the log ratio is within a margin, in both directions."""
        if one == other:
            return 1.0
        above, below = self.chance_above(one, other, -margin), self.chance_above(one, other, margin)
        return above - below

    def interval(self, one: int, other: int, confidence: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval of the log ratio."""
        tail = (1 - confidence) / 2
        return self._quantile(one, other, tail), self._quantile(one, other, 1 - tail)

    def _difference(self, one: int, other: int) -> tuple[Reals, Reals]:
        c = self.covariances
        variance = c[:, one, one] + c[:, other, other] - 2 * c[:, one, other]
        return self.means[:, one] - self.means[:, other], np.sqrt(np.maximum(variance, 1e-18))

    def _quantile(self, one: int, other: int, share: float) -> float:
        """Of the mixture, by bisection between the extremes of its parts."""
        mean, sd = self._difference(one, other)
        ends = mean + sd * float(ndtri(share))
        low, high = float(ends.min()), float(ends.max())
        for _ in range(40):
            middle = (low + high) / 2
            is_below = float(self.weights @ ndtr((middle - mean) / sd)) < share
            low, high = (middle, high) if is_below else (low, middle)
        return (low + high) / 2
