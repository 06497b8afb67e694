"""The load loops: every completion of a block is counted once, and the clock is honest."""

from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker import model
from autotune.worker.feeding import _column, bound_once, copied, copier
from autotune.worker.inputs import Sample, batch_of, samples
from autotune.worker.load import AsyncLoad, RequestLoop, SyncLoad, deployed
from autotune.worker.slots import QueuedSlots
from autotune.worker.tensors import decode
from tests import models
from tests.worker.test_asking import NUMBERS

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def opened(model_folder: Path) -> tuple[ov.CompiledModel, list[Sample]]:
    """A compiled model and its data."""
    core = ov.Core()
    network = model.read(core, model_folder / models.TINY, {})
    data = samples(network)
    return core.compile_model(network, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}), data


@pytest.fixture(params=["bind", "copy"])
def copies(request: pytest.FixtureRequest) -> bool:
    """Each feed."""
    return bool(request.param == "copy")


@pytest.fixture(params=[1, 2, 5, "sync"])
def load(
    request: pytest.FixtureRequest, opened: tuple[ov.CompiledModel, list[Sample]], *, copies: bool
) -> RequestLoop:
    """Each loop, with fewer, as many and more requests than streams."""
    compiled, data = opened
    is_blocking = request.param == "sync"
    num_requests = 1 if is_blocking else request.param
    return requests_of(compiled, num_requests, data, 1, is_blocking=is_blocking, copies=copies)


def requests_of(
    compiled: ov.CompiledModel,
    num_requests: int,
    data: list[Sample],
    batch_size: int,
    *,
    is_blocking: bool,
    copies: bool,
) -> RequestLoop:
    """The requests of one load, ready to be filled; `copies` feeds them before every start."""
    feeding = (copied if copies else bound_once)(compiled, data, batch_size)
    return deployed([compiled], num_requests, feeding, is_blocking=is_blocking)


def blocks_of(load: RequestLoop, count: int, least_s: float, least_completions: int) -> list[Any]:
    """Blocks of one load, from fill to drain."""
    load.fill()
    try:
        return [load.block(least_s, least_completions) for _ in range(count)]
    finally:
        load.drain()


def test_a_block_lasts_until_both_minima_are_met(load: RequestLoop) -> None:
    """Many requests in no time, or a time with any number of requests."""
    for least_s, least_completions in ((0.0, 200), (0.05, 1)):
        for block in blocks_of(load, 2, least_s, least_completions):
            assert block["duration_s"] >= least_s
            assert len(block["latency_ticks"]) // 4 >= least_completions


def test_latencies_ascend_and_are_plausible(load: RequestLoop) -> None:
    """No request was faster than nothing, or slower than the block and one round before it."""
    for block in blocks_of(load, 3, 0.05, 50):
        ticks = array("I", block["latency_ticks"])
        assert all(a <= b for a, b in pairwise(ticks))
        assert ticks[0] > 0


def test_a_slot_is_never_busier_than_its_time(load: RequestLoop) -> None:
    """U = Σ latency / Σ (restart − start) lies in (0, 1.001]."""
    for block in blocks_of(load, 5, 0.1, 50):
        assert 0 < block["occupancy"] <= 1.001


def test_an_exact_number_is_counted(load: RequestLoop) -> None:
    """With no time to fill, a block ends at the fewest completions."""
    assert [len(b["latency_ticks"]) // 4 for b in blocks_of(load, 3, 0.0, 40)] == [40] * 3


def test_readings_are_differences_over_the_block(load: RequestLoop) -> None:
    """CPU time was spent, nothing ran backwards, and the clocks agree."""
    for block in blocks_of(load, 2, 0.05, 20):
        assert block["process_cpu_s"] > 0
        assert 0 <= block["loop_cpu_s"] <= block["duration_s"] * 1.5
        assert block["major_faults"] >= 0
        assert block["steal_s"] is None or block["steal_s"] >= 0
        assert block["pressure_s"] is None or block["pressure_s"] >= 0


def test_cpu_time_is_that_of_the_completions_between(
    opened: tuple[ov.CompiledModel, list[Sample]],
) -> None:
    """Blocks of one request cost as much each as blocks of many: no other request is in them."""
    compiled, data = opened
    load = requests_of(compiled, 1, data, 1, is_blocking=True, copies=False)
    single = sum(b["process_cpu_s"] for b in blocks_of(load, 200, 0.0, 1)) / 200
    many = blocks_of(load, 1, 0.0, 400)[0]["process_cpu_s"] / 400
    assert single < 4 * many + 2e-4


def test_a_blocking_loop_is_not_what_it_has_computed() -> None:
    """With one stream the calling thread computes: only what it does between calls is its own."""
    core = ov.Core()
    x = op.parameter([256, 2048], np.float32)
    weights = op.constant(np.ones((2048, 2048), np.float32))
    network = ov.Model([op.matmul(x, weights, False, False)], [x])
    compiled = core.compile_model(
        network, "CPU", {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "1"}
    )
    data = samples(network)
    load = requests_of(compiled, 1, data, 1, is_blocking=True, copies=False)
    (block,) = blocks_of(load, 1, 0.0, 40)
    assert block["process_cpu_s"] > 0
    assert block["loop_cpu_s"] < 0.2 * block["process_cpu_s"]


def test_every_request_is_bound_to_its_own_data(
    opened: tuple[ov.CompiledModel, list[Sample]],
) -> None:
    """Neighbouring requests differ, so that no cache can serve them all."""
    compiled, data = opened
    slots = QueuedSlots(compiled, 2, bound_once(compiled, data, 1))
    first, second = (handle.get_input_tensor(0).data for handle in slots.handles)
    assert (first == data[0]["x"]).all()
    assert (second == data[1]["x"]).all()


# --- copied inputs


@pytest.fixture(scope="module")
def two_inputs(model_folder: Path) -> tuple[ov.CompiledModel, list[Sample]]:
    """A model of two inputs of different types, and its data."""
    core = ov.Core()
    network = model.read(core, model_folder / models.TWO_INPUTS, {})
    return core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}), samples(network)


def test_samples_are_copied_in_turn_into_whichever_request_asks(
    opened: tuple[ov.CompiledModel, list[Sample]],
) -> None:
    """One sample after the other and from the first again; other requests keep theirs."""
    compiled, data = opened
    requests = [compiled.create_infer_request() for _ in range(2)]
    copy = copier(requests, compiled, data, 1)
    tensors = [request.get_input_tensor(0).data for request in requests]
    for turn, slot in enumerate([0, 1, 1, 0, 1, 0, 0]):
        other = tensors[1 - slot].copy()
        copy(slot)
        assert np.array_equal(tensors[slot], data[turn % len(data)]["x"])
        assert tensors[1 - slot].tobytes() == other.tobytes()  # it may hold NaN: nobody wrote it


def test_copied_values_arrive_in_the_inference(
    two_inputs: tuple[ov.CompiledModel, list[Sample]],
) -> None:
    """The outputs are those of the sample that was copied, for every input of the model."""
    compiled, data = two_inputs
    request = compiled.create_infer_request()
    copy = copier([request], compiled, data, 1)
    for turn in range(2 * len(data)):
        copy(0)
        request.infer({}, share_outputs=True)
        sample = data[turn % len(data)]
        expected = sample["ids"].astype(np.float32) + sample["x"]
        assert np.allclose(request.get_output_tensor(0).data, expected)


def test_the_callers_data_stay_as_they_were(
    opened: tuple[ov.CompiledModel, list[Sample]],
) -> None:
    """A request has memory of its own: what is copied into it never writes a sample."""
    compiled, data = opened
    before = [sample["x"].copy() for sample in data]
    for api in ("async", "sync"):
        load = requests_of(compiled, 3, data, 1, is_blocking=api == "sync", copies=True)
        blocks_of(load, 1, 0.0, 50)
    assert all(np.array_equal(sample["x"], b) for sample, b in zip(data, before, strict=True))


def test_batches_are_copied_whole(model_folder: Path) -> None:
    """Three samples at a time, each batch from one sample further on."""
    core = ov.Core()
    network = model.read(core, model_folder / models.TINY, {})
    data = samples(network)
    model.set_batch(network, 3)
    compiled = core.compile_model(network, "CPU")
    request = compiled.create_infer_request()
    copy = copier([request], compiled, data, 3)
    for turn in range(2 * len(data)):
        copy(0)
        assert np.array_equal(request.get_input_tensor(0).data, batch_of(data, turn, 3)["x"])


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("kind", NUMBERS)
def test_batches_of_every_type_are_copied(kind: str, rows: int) -> None:
    """Of as many samples as there are or more, in one row or several; a number is the first's."""
    element = getattr(ov.Type, kind)
    dtype = decode(ov.Tensor(element, ov.Shape([1]))).dtype
    data: list[Sample] = [
        {"x": (np.arange(4 * rows).reshape(rows, 4) + n) % 2, "n": np.array(n)} for n in range(3)
    ]
    data = [{**one, "x": one["x"].astype(dtype)} for one in data]
    for batch_size in (1, 2, 3, 7):
        x = op.parameter([batch_size * rows, 4], element, name="x")
        n = op.parameter([], np.int64, name="n")
        for one, name in ((x, "x"), (n, "n")):
            one.output(0).get_tensor().set_names({name})
        compiled = ov.Core().compile_model(ov.Model([op.result(x), op.result(n)], [x, n]), "CPU")
        request = compiled.create_infer_request()
        copy = copier([request], compiled, data, batch_size)
        for turn in range(7):
            copy(0)
            wanted = batch_of(data, turn, batch_size)
            assert np.array_equal(decode(request.get_input_tensor(0)), wanted["x"])
            assert int(request.get_input_tensor(1).data) == turn % 3


def test_batches_are_held_once() -> None:
    """Sixteen samples in batches of 16 take the memory of two batches, not of 16."""
    port = op.parameter([16, 3], np.float32, name="x").output(0)
    port.get_tensor().set_names({"x"})
    data = [{"x": np.full((1, 3), n, np.float32)} for n in range(16)]
    column = _column(port, data, 16, has_text=False)
    assert {part.shape for part in column} == {(16, 3)}
    assert all(np.shares_memory(one, other) for one, other in pairwise(column))
    assert column[15].ctypes.data - column[0].ctypes.data == 15 * 3 * 4


@pytest.mark.parametrize("api", ["async", "sync"])
def test_every_start_under_load_is_fed(
    opened: tuple[ov.CompiledModel, list[Sample]], api: str
) -> None:
    """With copies as many as starts: of the fill, of the unrecorded round and of the block."""
    compiled, data = opened
    load = requests_of(compiled, 2, data, 1, is_blocking=api == "sync", copies=True)
    assert isinstance(load, SyncLoad if api == "sync" else AsyncLoad)
    assert load._copy is not None
    plain, fed = load._copy, list[int]()

    def watched(slot: int) -> None:
        plain(slot)
        fed.append(slot)

    load._copy = watched
    blocks_of(load, 1, 0.0, 40)
    # Asynchronous: 2 fill, 1 + 2 begin the unrecorded round, 1 + 40 the block.
    assert len(fed) == (40 if api == "sync" else 46)
    assert set(fed) == set(range(load.num_requests))


@pytest.mark.parametrize("api", ["async", "sync"])
def test_bound_requests_are_not_fed(
    opened: tuple[ov.CompiledModel, list[Sample]], api: str
) -> None:
    """Their inputs were set once."""
    compiled, data = opened
    load = requests_of(compiled, 2, data, 1, is_blocking=api == "sync", copies=False)
    assert isinstance(load, SyncLoad | AsyncLoad)
    assert load._copy is None
    assert len(blocks_of(load, 2, 0.0, 10)) == 2
