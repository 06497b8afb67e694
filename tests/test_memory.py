"""A night has thousands of trials: what each of them leaves in the tuner's memory."""

import gc
import tracemalloc
from pathlib import Path

from autotune.domain.events import Event, TrialFinished
from autotune.domain.measurement import Block
from autotune.spec import parse_spec
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.tune import tune

STUDY = """
[model]
path = "model.onnx"
[goal]
max_latency = "50ms"
percentile = 90.0
[budget]
trials = 111
[search]
sampler = "random"
[space]
requests_per_stream = [1, 2, 3, 4, 5, 6, 7, 8]
batch = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32]
[measure]
limit = "500ms"
warmup = "50ms"
[race]
share = 0.0
"""
FIRST, LAST = 55, 110
"""Memory is traced in between. Optuna's cache is made lean every fifty trials: just before both."""


def test_a_trial_leaves_little_behind(tmp_path: Path) -> None:
    """Less than six kilobytes, with what the first trials warm up; and none of its blocks.

    With requests as fast as those of a tiny model: thousands in each block.
    """
    (tmp_path / "model.onnx").write_bytes(b"simulated")
    traced: list[int] = []
    blocks: list[int] = []

    def hear(event: Event) -> None:
        if not isinstance(event, TrialFinished) or event.trial.number not in {FIRST, LAST}:
            return
        gc.collect()
        if event.trial.number == FIRST:
            tracemalloc.start()  # zero bytes
        own = event.trial.measurement.blocks if event.trial.measurement else ()
        latencies = sum(len(block.latency_ticks) for block in own)
        traced.append(tracemalloc.get_traced_memory()[0] - latencies)
        blocks.append(sum(isinstance(found, Block) for found in gc.get_objects()) - len(own))

    runner = SimulatedRunner(cpu=SimulatedCpu(item_ms=0.01, overhead_ms=0.1), noise=0.1)
    try:
        tune(parse_spec(STUDY), tmp_path, runner=runner, on_event=hear)
    finally:
        tracemalloc.stop()

    assert traced[1] / (LAST - FIRST) < 6 * 1024
    assert blocks[1] == blocks[0]
