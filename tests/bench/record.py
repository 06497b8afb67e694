"""Record the noise of this machine: one configuration under load, in stretches of 0.1 s."""

import time
from pathlib import Path

import numpy as np

from autotune.execution.runner import Load
from tests.bench.figure import Figure, figure
from tests.bench.races import workplace

_MINUTES, _LAUNCH_S, _SAMPLES = 10, 60.0, 8000
FILE = Path("build") / "weather.npz"


def run() -> list[Figure]:
    """Ten minutes of the classifier under the THROUGHPUT hint, a fresh process every minute."""
    rates, spread, generator = [], [], np.random.default_rng(0)
    with workplace() as (runner, (entrant, _)):
        configuration = entrant.contender.configuration
        for _ in range(_MINUTES):
            model = runner.open(configuration.compile_key)
            requests = model.opening.effective.requests(configuration)
            begun = time.monotonic()
            load = Load(num_requests=requests, block_s=0.1, limit_s=2 * _LAUNCH_S)
            for block in model.load(load):
                ticks = np.frombuffer(block.latency_ticks, dtype="<u4")
                rates.append(block.completions / block.duration_s)
                spread += list(generator.choice(ticks, 40) / ticks.mean())
                if time.monotonic() - begun > _LAUNCH_S:
                    break
            model.close()
    bins = np.median(rates) / np.array(rates)
    chosen = np.sort(generator.choice(spread, _SAMPLES, replace=False))
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        FILE, bins=bins.astype(np.float32), spread=(chosen / chosen.mean()).astype(np.float32)
    )
    return [figure(f"stretches in {FILE}, usual rate over theirs", list(bins), "", "-")]
