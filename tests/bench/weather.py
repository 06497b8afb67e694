"""Noise of a real machine, as it was recorded, for simulated ones.

Three recordings of the classifier under OpenVINO's THROUGHPUT hint on two CPUs of a shared machine,
in stretches of 0.1 s (`make bench ARGS=record`; the first one by an earlier form of it).

`first`, `tests/data/weather.npz`: ten minutes, one process. The logarithm of the rate has a
standard deviation of 4.9 % over stretches of 0.1 s, 4.2 % over 0.5 s and 3.2 % over 4 s;
neighbouring windows of 0.5 s differ by 3.1 %, as their correlation is 0.73.

`second`, `tests/data/weather-2.npz`: ten minutes of another day, two processes in turns of half a
second, fresh ones every minute, without what a process is faster or slower by. 7.5 % over 0.1 s,
5.7 % over 0.5 s, 4.1 % over 4 s and 2.6 % over 30 s, where the first has 1.5 %: it drifts, too.
Processes differed by 0.3 %, apart from a difference of 0.6 % between the one that was opened first,
and had the first turn, and the other.

`third`, `tests/data/weather-3.npz`: the same, a night later. 10.8 % over 0.1 s, 9.8 % over 0.5 s,
7.6 % over 4 s and 4.3 % over 30 s; the slowest minute was 9 % slower than the fastest. Processes
differed by 0.5 %.
"""

from pathlib import Path

import numpy as np

from autotune.surfaces.noise import Noise
from autotune.testing import Weather

_FOLDER = Path(__file__).resolve().parent.parent / "data"
_FILES = {"first": "weather.npz", "second": "weather-2.npz", "third": "weather-3.npz"}
NOISES = tuple(_FILES)
LAUNCH_NOISE = {"first": 0.009, "second": 0.003, "third": 0.005}
"""Standard deviation between launches of one configuration, from paired turns on that machine."""
_BIN_S = 0.1


def weather(seed: int, strength: float = 1.0, noise: str = "first") -> Weather:
    """The recorded noise from a random instant on; `strength` is the power it is raised to."""
    with np.load(_FOLDER / _FILES[noise]) as arrays:
        bins, spread = arrays["bins"].astype(float), arrays["spread"].astype(float)
    start = int(np.random.default_rng(seed).integers(bins.size))
    return Weather(bins=bins**strength, spread=spread, start=start, bin_s=_BIN_S)


def surface_noise(noise: str) -> Noise:
    """The same, for a machine made of a recorded surface."""
    bins = weather(0, noise=noise).bins
    ends = _BIN_S * np.arange(1, bins.size + 1, dtype=np.float64)
    return Noise(at_s=ends, slowness=bins, length_s=float(ends[-1]))


def mean_rate(strength: float = 1.0) -> float:
    """Rate over the whole first recording, relative to its usual rate."""
    return float((1 / weather(0, strength).bins).mean())
