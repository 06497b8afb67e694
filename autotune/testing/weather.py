"""Noise of a real machine, on a simulated one."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Noise as it was recorded on a real machine, replayed on the virtual clock.

    Bursts last for seconds, so neighbours in time see the same; that is what races live on.
    """

    bins: NDArray[np.float64]
    """Time of a request over its usual time, for each stretch of `bin_s`; shape (stretches,)."""
    spread: NDArray[np.float64]
    """Latencies over the mean latency of their stretch; shape (requests,)."""
    bin_s: float = 0.1
    start: int = 0
    """Stretch at which the virtual clock begins; after the last one comes the first."""

    def slowness(self, begin_s: float, end_s: float) -> float:
        """Mean over a stretch of the virtual clock, by rate."""
        first = self.start + int(begin_s / self.bin_s)
        last = max(first + 1, self.start + math.ceil(end_s / self.bin_s))
        rates = 1 / self.bins[np.arange(first, last) % self.bins.size]
        return 1 / float(rates.mean())
