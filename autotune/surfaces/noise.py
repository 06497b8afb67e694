"""What a machine did over time, as it was recorded: how slow it was, and when."""

from dataclasses import dataclass

import numpy as np

from autotune.surfaces.fit import Reals

_WEATHERS = 32
_WINDOW_S = 30.0
_LEAST_IN_WINDOW = 5
_BLOCK_S = 0.5
"""Within one, latencies have the spread of the slice that they are drawn from, and no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Time of a request over what it takes undisturbed, as it was recorded."""

    at_s: Reals
    """Ends of the slices on the recording's clock, ascending; shape (slices,)."""
    slowness: Reals
    """Of each slice; shape (slices,)."""
    length_s: float
    """Of the whole recording; after its end comes its beginning."""

    def windows(self) -> list[Reals]:
        """The slices of every half minute that has a few."""
        numbers = np.floor(self.at_s / _WINDOW_S)
        parts = [self.slowness[numbers == number] for number in np.unique(numbers)]
        return [part for part in parts if part.size >= _LEAST_IN_WINDOW] or [self.slowness]

    def usual_speed(self) -> float:
        """Mean rate over the undisturbed one, in the median half minute."""
        return float(np.median([(1 / part).mean() for part in self.windows()]))

    def usual_slowness(self) -> Reals:
        """How slow a usual half minute is for its fastest request, …, its slowest; shape (shares,).

        The median over all half minutes of each quantile: a burst that only some of them know
        says nothing about the others. Of stretches as long as a block, as the latencies within one
        have their own spread; a slow stretch has fewer requests.
        """
        shares = (np.arange(_WEATHERS) + 0.5) / _WEATHERS
        count, each = max(1, round(self.length_s / _BLOCK_S)), round(_WINDOW_S / _BLOCK_S)
        stretches = np.array(
            [self.over(_BLOCK_S * n, _BLOCK_S * (n + 1)) for n in range(count)], dtype=np.float64
        )
        whole = [stretches[n : n + each] for n in range(0, count - each + 1, each)] or [stretches]
        found: Reals = np.median(
            [np.quantile(p, shares, method="inverted_cdf", weights=1 / p) for p in whole], axis=0
        )
        return found

    def over(self, begin_s: float, end_s: float) -> float:
        """Mean over a stretch of time, by rate; of the nearest slice where none ended in it."""
        begin, length = begin_s % self.length_s, min(end_s - begin_s, self.length_s)
        rest = begin + length - self.length_s  # beyond the end, from the beginning on
        first, last = np.searchsorted(self.at_s, [begin, begin + length])
        inside = self.slowness[first:last]
        if rest > 0:
            inside = np.concatenate([inside, self.slowness[: np.searchsorted(self.at_s, rest)]])
        if inside.size:
            return float(1 / (1 / inside).mean())
        around = (first - 1, first % self.at_s.size)
        nearest = min(around, key=lambda i: self._apart_s(begin, float(self.at_s[i])))
        return float(self.slowness[nearest])

    def _apart_s(self, one_s: float, other_s: float) -> float:
        apart = abs(one_s - other_s)
        return min(apart, self.length_s - apart)
