"""Noise of a real machine, as it was recorded, for simulated ones.

`tests/data/weather.npz` is ten minutes of the classifier under OpenVINO's THROUGHPUT hint on two
CPUs of a shared machine, in stretches of 0.1 s (as `make bench ARGS=record` makes it). The
logarithm of the rate has a standard deviation of 4.9 % over stretches of 0.1 s, 4.2 % over 0.5 s
and 3.2 % over 4 s; neighbouring windows of 0.5 s differ by 3.1 %, as their correlation is 0.73.
"""

from pathlib import Path

import numpy as np

from autotune.execution.simulated import Weather

FILE = Path(__file__).resolve().parent.parent / "data" / "weather.npz"
LAUNCH_NOISE = 0.009
"""Standard deviation between launches of one configuration, from paired races on that machine."""


def weather(seed: int, strength: float = 1.0) -> Weather:
    """The recorded noise from a random instant on; `strength` is the power it is raised to."""
    with np.load(FILE) as arrays:
        bins, spread = arrays["bins"].astype(float), arrays["spread"].astype(float)
    start = int(np.random.default_rng(seed).integers(bins.size))
    return Weather(bins=bins**strength, spread=spread, start=start)


def mean_rate(strength: float = 1.0) -> float:
    """Rate over the whole recording, relative to its usual rate."""
    return float((1 / weather(0, strength).bins).mean())
