"""Record the noise of this machine: two copies of one configuration under load, taking turns."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autotune.domain.arrival import Closed
from autotune.machines.ports import Load, OpenModel
from autotune.measuring.measure import warm_up
from tests.bench.figure import Figure, figure
from tests.bench.races import workplace

_LAUNCHES, _LAUNCH_S, _TURN_S, _BIN_S, _SAMPLES = 10, 60.0, 0.5, 0.1, 8000
FILE = Path("build") / "weather.npz"


def run() -> list[Figure]:
    """Ten minutes of the classifier under the THROUGHPUT hint, added to what the file has.

    Two fresh processes every minute, in turns of half a second: what they differ by is what
    launches differ by. Rates in stretches of 0.1 s, over the usual rate of all ten minutes and
    without what is a process's own.
    """
    rates, spread, pairs, generator = [], [], [], np.random.default_rng(0)
    with workplace() as (runner, (one, _)):
        configuration = one.contender.configuration
        for _ in range(_LAUNCHES):
            models = [runner.open(configuration.compile_key) for _ in range(2)]
            requests = models[0].opening.effective.requests(configuration)
            load = Load(arrival=Closed(requests), block_s=_BIN_S, limit_s=60.0)
            with contextlib.ExitStack() as stack:
                for model in models:
                    stack.callback(model.close)
                    warm_up(model, load, 0.5)
                turns, ticks = _turns(models, load)
            # A process is faster or slower than its twin by twice what it is than their mean.
            own = np.mean(np.log(turns[:, 0]).mean(axis=1) - np.log(turns[:, 1]).mean(axis=1)) / 2
            pairs.append(2 * own)
            rates.append((turns * np.exp([[[-own], [own]]])).ravel())
            spread += [generator.choice(one, 40) / one.mean() for one in ticks]
    rate, seen = np.concatenate(rates), np.concatenate(spread)
    bins, chosen = np.median(rate) / rate, generator.choice(seen, _SAMPLES, replace=False)
    _add(bins=bins, spread=chosen / chosen.mean(), pairs=np.array(pairs))
    return [
        figure(f"stretches of 0.1 s in {FILE}, usual rate over theirs", list(bins), "", "-"),
        figure("log ratio of two processes, each minute", pairs, "", "-"),
    ]


def _turns(models: Sequence[OpenModel], load: Load) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rates of a minute's turns, in order; shape (rounds, models, stretches). And latencies."""
    rates, ticks, begun = [], [], time.monotonic()
    stretches = round(_TURN_S / _BIN_S)
    while time.monotonic() - begun < _LAUNCH_S:
        for model in models:
            with contextlib.closing(model.load(load)) as blocks:
                for _, block in zip(range(stretches), blocks, strict=False):
                    rates.append(block.completions / block.duration_s)
                    ticks.append(np.frombuffer(block.latency_ticks, dtype="<u4"))
    return np.array(rates).reshape(-1, len(models), stretches), ticks


def _add(**arrays: np.ndarray) -> None:
    """Put the arrays behind those of the same names in the file."""
    FILE.parent.mkdir(exist_ok=True)
    earlier = dict(np.load(FILE)) if FILE.exists() else {}
    both = {
        name: np.concatenate([earlier.get(name, np.empty(0)), array]).astype(np.float32)
        for name, array in arrays.items()
    }
    np.savez_compressed(FILE, allow_pickle=False, **both)
