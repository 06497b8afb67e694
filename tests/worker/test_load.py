"""The load loops: every completion of a block is counted once, and the clock is honest."""

from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import openvino as ov
import pytest

from autotune.worker import model
from autotune.worker.inputs import Sample, samples
from autotune.worker.load import AsyncLoad, Load, SyncLoad
from tests import models

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def opened(model_folder: Path) -> tuple[ov.CompiledModel, list[Sample]]:
    """A compiled model and its data."""
    core = ov.Core()
    network = model.read(core, model_folder / models.TINY, {})
    data = samples(network)
    return core.compile_model(network, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}), data


@pytest.fixture(params=[1, 2, 5, "sync"])
def load(request: pytest.FixtureRequest, opened: tuple[ov.CompiledModel, list[Sample]]) -> Load:
    """Each loop, with fewer, as many and more requests than streams."""
    compiled, data = opened
    if request.param == "sync":
        return SyncLoad(compiled, data, 1, copies=False)
    return AsyncLoad(compiled, request.param, data, 1, copies=False)


def blocks_of(load: Load, count: int, least_s: float, least_completions: int) -> list[Any]:
    """Blocks of one load, from fill to drain."""
    load.fill()
    try:
        return [load.block(least_s, least_completions) for _ in range(count)]
    finally:
        load.drain()


def test_a_block_lasts_until_both_minima_are_met(load: Load) -> None:
    """Many requests in no time, or a time with any number of requests."""
    for least_s, least_completions in ((0.0, 200), (0.05, 1)):
        for block in blocks_of(load, 2, least_s, least_completions):
            assert block["duration_s"] >= least_s
            assert len(block["latency_ticks"]) // 4 >= least_completions


def test_latencies_ascend_and_are_plausible(load: Load) -> None:
    """No request was faster than nothing, or slower than the block and one round before it."""
    for block in blocks_of(load, 3, 0.05, 50):
        ticks = array("I", block["latency_ticks"])
        assert all(a <= b for a, b in pairwise(ticks))
        assert ticks[0] > 0


def test_a_slot_is_never_busier_than_its_time(load: Load) -> None:
    """U = Σ latency / Σ (restart − start) lies in (0, 1.001]."""
    for block in blocks_of(load, 5, 0.1, 50):
        assert 0 < block["occupancy"] <= 1.001


def test_an_exact_number_is_counted(load: Load) -> None:
    """With no time to fill, a block ends at the fewest completions."""
    assert [len(b["latency_ticks"]) // 4 for b in blocks_of(load, 3, 0.0, 40)] == [40] * 3


def test_readings_are_differences_over_the_block(load: Load) -> None:
    """CPU time was spent, nothing ran backwards, and the clocks agree."""
    for block in blocks_of(load, 2, 0.05, 20):
        assert block["process_cpu_s"] > 0
        assert 0 <= block["loop_cpu_s"] <= block["duration_s"] * 1.5
        assert block["major_faults"] >= 0
        assert block["steal_s"] is None or block["steal_s"] >= 0
        assert block["pressure_s"] is None or block["pressure_s"] >= 0


def test_every_request_is_bound_to_its_own_data(
    opened: tuple[ov.CompiledModel, list[Sample]],
) -> None:
    """Neighbouring requests differ, so that no cache can serve them all."""
    compiled, data = opened
    queue = AsyncLoad(compiled, 2, data, 1, copies=False)
    first, second = (handle.get_input_tensor(0).data for handle in queue._handles)
    assert (first == data[0]["x"]).all()
    assert (second == data[1]["x"]).all()
