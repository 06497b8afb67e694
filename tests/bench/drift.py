"""Would a correction by the reference make trials more exact? A replay on the recorded noise."""

import numpy as np
from numpy.typing import NDArray

from tests.bench.figure import Figure, figure
from tests.bench.weather import weather

_TRIAL, _SLICE, _PAUSE = 30, 5, 6  # stretches of 0.1 s


def run() -> list[Figure]:
    """Standard deviation of the log throughput of 3 s trials of one configuration, in percent.

    A slice of 0.5 s of the same configuration every 12, 30 or 60 s; trials are divided by the
    nearest slice, by a line between two, by a Gaussian mean of many, or by half of that.
    """
    found = []
    for strength in (1.0, 3.0):
        for gap_s in (12, 30, 60):
            corrected = _replay(1 / weather(0, strength).bins, 10 * gap_s)
            name = f"noise x {strength:g}, reference every {gap_s} s"
            found += [
                figure(f"{name}: {kind}", [100 * float(np.std(values))], "%", "below 'raw'")
                for kind, values in corrected.items()
            ]
    return found


def _replay(rates: NDArray[np.float64], gap: int) -> dict[str, list[float]]:
    kinds: dict[str, list[float]] = {
        kind: [] for kind in ("raw", "nearest", "interpolated", "smoothed", "half of smoothed")
    }
    for offset in range(0, gap, 7):
        starts = range(offset, rates.size - _SLICE, gap)
        times = np.array([start + _SLICE / 2 for start in starts])
        seen = np.array([np.log(rates[start : start + _SLICE].mean()) for start in starts])
        for start in starts:
            first, last = start + _SLICE, min(start + gap, rates.size) - _TRIAL
            for begin in range(first, last + 1, _TRIAL + _PAUSE):
                middle = begin + _TRIAL / 2
                raw = float(np.log(rates[begin : begin + _TRIAL].mean()))
                weights = np.exp(-0.5 * ((times - middle) / (3 * gap)) ** 2)
                smooth = float((weights * seen).sum() / weights.sum())
                kinds["raw"].append(raw)
                kinds["nearest"].append(raw - float(seen[np.abs(times - middle).argmin()]))
                kinds["interpolated"].append(raw - float(np.interp(middle, times, seen)))
                kinds["smoothed"].append(raw - smooth)
                kinds["half of smoothed"].append(raw - smooth / 2)
    return kinds
