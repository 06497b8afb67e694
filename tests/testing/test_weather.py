"""Noise of a real machine: the same for neighbours in time, whoever runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.arrival import Closed
from autotune.machines.ports import Load
from autotune.testing import SimulatedRunner, Weather
from tests.builders import make_configuration

LOAD = Load(arrival=Closed(4), limit_s=60.0)


def weather_of(*bins: float, start: int = 0, bin_s: float = 0.25) -> Weather:
    """These stretches over and over, and latencies all alike."""
    return Weather(bins=np.array(bins), spread=np.ones(1), start=start, bin_s=bin_s)


@pytest.mark.parametrize(
    ("begin_s", "end_s", "start", "expected"),
    [
        (0.0, 0.25, 0, 1.0),
        (0.3, 0.4, 0, 2.0),
        (0.25, 0.5, 2, 1.0),
        (0.0, 0.75, 0, 3 / (1 + 1 / 2 + 1 / 4)),
        (0.75, 1.5, 0, 3 / (1 + 1 / 2 + 1 / 4)),
        (0.3, 0.6, 0, 2 / (1 / 2 + 1 / 4)),
        (60.5, 60.5, 0, 4.0),
    ],
)
def test_weather_is_averaged_by_rate(
    begin_s: float, end_s: float, start: int, expected: float
) -> None:
    """Over all stretches that are touched; after the last comes the first."""
    weather = weather_of(1.0, 2.0, 4.0, start=start)
    assert weather.slowness(begin_s, end_s) == pytest.approx(expected)


@given(
    st.lists(st.floats(0.5, 5), min_size=1, max_size=20),
    st.floats(0, 100),
    st.floats(0, 10),
    st.integers(0, 100),
)
def test_weather_is_never_worse_than_its_worst(
    bins: list[float], begin_s: float, span_s: float, start: int
) -> None:
    """Nor better than its best, however long one looks."""
    slowness = weather_of(*bins, start=start).slowness(begin_s, begin_s + span_s)
    assert min(bins) * (1 - 1e-9) <= slowness <= max(bins) * (1 + 1e-9)


def test_neighbours_in_time_have_the_same_weather() -> None:
    """Whoever runs: a burst slows down both by as much, and it passes."""
    burst = [1.0] * 50 + [2.0] * 50
    one, other = make_configuration(), make_configuration(pinning=False)
    runner = SimulatedRunner(weather=weather_of(*burst), start_s=0.0, compile_s=0.0)
    models = [runner.open(c.compile_key) for c in (one, other)]
    seen = []
    for _ in range(16):
        pair = [next(model.load(LOAD)) for model in models]
        seen.append([block.completions / block.duration_s for block in pair])
    usual = runner.predict(one).requests_per_s
    alike = [a == pytest.approx(b) for a, b in seen]
    assert sum(alike) >= 13
    assert max(max(pair) for pair in seen) == pytest.approx(usual)
    assert min(min(pair) for pair in seen) == pytest.approx(usual / 2)


def test_in_weather_latencies_are_those_that_were_seen() -> None:
    """Spread around the mean; in a slow stretch all take longer."""
    weather = Weather(bins=np.array([1.5]), spread=np.array([0.5, 1.0, 1.5]))
    runner = SimulatedRunner(weather=weather)
    block = next(runner.open(make_configuration().compile_key).load(LOAD))
    latencies = set((np.frombuffer(block.latency_ticks, "<u4") * 1e-4).tolist())
    usual = 1.5 * runner.predict(make_configuration()).latency_ms
    assert sorted(latencies) == pytest.approx([0.5 * usual, usual, 1.5 * usual], abs=2e-4)
