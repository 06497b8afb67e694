"""The simulated machine obeys the laws of queues, and lies where OpenVINO lies."""

from itertools import islice, repeat

import numpy as np
import pytest

from autotune.domain.configuration import Configuration, PerformanceHint
from autotune.domain.failure import FailureKind, TrialFault
from autotune.execution.runner import Load
from autotune.execution.simulated import SimulatedCpu, SimulatedRunner
from tests.builders import make_configuration, make_failure

LOAD = Load(num_requests=4, limit_s=60.0)


def hinted(hint: PerformanceHint) -> Configuration:
    """A bare hint on the CPU."""
    return Configuration(device="CPU", hint=hint)


def test_the_latency_hint_is_one_stream_with_all_threads() -> None:
    """As OpenVINO does."""
    effective = SimulatedCpu(cpus=8).effective(hinted(PerformanceHint.LATENCY).compile_key)
    assert effective.properties["NUM_STREAMS"] == "1"
    assert effective.properties["INFERENCE_NUM_THREADS"] == "8"
    assert effective.optimal_requests == 1


def test_the_throughput_hint_is_a_stream_for_each_thread() -> None:
    """As OpenVINO does for small models."""
    effective = SimulatedCpu(cpus=8).effective(hinted(PerformanceHint.THROUGHPUT).compile_key)
    assert effective.properties["NUM_STREAMS"] == "8"
    assert effective.optimal_requests == 8


@pytest.mark.parametrize(
    ("streams", "threads", "expected"),
    [(32, 1, ("4", "4")), (8, None, ("4", "4")), (2, 2, ("2", "4")), (3, None, ("3", "3"))],
)
def test_streams_and_threads_are_clamped_to_the_cpus(
    streams: int, threads: int | None, expected: tuple[str, str]
) -> None:
    """And threads are shared out evenly."""
    configuration = make_configuration(streams=streams, threads_per_stream=threads)
    properties = SimulatedCpu(cpus=4).effective(configuration.compile_key).properties
    assert (properties["NUM_STREAMS"], properties["INFERENCE_NUM_THREADS"]) == expected


def test_a_precision_that_the_hardware_lacks_becomes_the_default() -> None:
    """Silently, as in OpenVINO; so the effective key is the same."""
    cpu = SimulatedCpu()
    keys = {
        cpu.effective(c.compile_key).key(c)
        for c in (make_configuration(precision=name) for name in ("f32", "bf16", "f16"))
    }
    assert len(keys) == 1


def test_requests_beyond_the_streams_wait() -> None:
    """Throughput stays, latency grows in proportion (Little's law)."""
    runner = SimulatedRunner()
    two, four = (runner.predict(make_configuration(num_requests=n)) for n in (2, 4))
    assert four.throughput_per_s == two.throughput_per_s
    assert four.latency_ms == 2 * two.latency_ms


def test_a_stream_without_a_request_is_idle() -> None:
    """One request on two streams is as fast as on one."""
    runner = SimulatedRunner()
    one, two = (runner.predict(make_configuration(streams=n, num_requests=1)) for n in (1, 2))
    assert one == two


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_littles_law_holds_in_every_block(noise: float) -> None:
    """The mean latency times the rate is the number of requests in flight."""
    runner = SimulatedRunner(noise=noise, seed=3)
    model = runner.open(make_configuration().compile_key)
    blocks = list(islice(model.load(LOAD), 40))
    latencies = np.concatenate([np.frombuffer(block.latency_ticks, "<u4") for block in blocks])
    busy_s = float(latencies.sum()) * 1e-7
    assert busy_s / sum(b.duration_s for b in blocks) == pytest.approx(4, rel=noise / 10 + 1e-3)


def test_a_batch_shares_the_overhead() -> None:
    """More items per second, later."""
    runner = SimulatedRunner()
    one, eight = (runner.predict(make_configuration(batch_size=n)) for n in (1, 8))
    assert eight.throughput_per_s > one.throughput_per_s
    assert eight.latency_ms > one.latency_ms


def test_time_passes_only_where_work_is_done() -> None:
    """Opening costs start and compilation, blocks cost their duration."""
    runner = SimulatedRunner(start_s=1.0, compile_s=30.0)
    model = runner.open(make_configuration().compile_key)
    assert runner.clock() == 31.0
    block = next(model.load(LOAD))
    assert runner.clock() == 31.0 + block.duration_s


def test_noise_follows_from_the_seed() -> None:
    """Same seed, same blocks; another seed, others."""
    first, same, other = (
        next(SimulatedRunner(noise=0.1, seed=n).open(make_configuration().compile_key).load(LOAD))
        for n in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_a_fault_at_opening_strikes_as_often_as_it_is_listed() -> None:
    """And costs its time."""
    key = make_configuration().compile_key
    failure = make_failure(FailureKind.COMPILE_TIMEOUT, phase="open")
    runner = SimulatedRunner(faults={key: [failure]}, fault_s=300.0)
    with pytest.raises(TrialFault) as caught:
        runner.open(key)
    assert caught.value.failure is failure
    assert runner.clock() == 300.0
    assert next(runner.open(key).load(LOAD)).completions


def test_a_fault_under_load_strikes_after_the_first_block() -> None:
    """The model is then no longer open."""
    key = make_configuration().compile_key
    failure = make_failure(FailureKind.CRASH, phase="load")
    runner = SimulatedRunner(faults={key: repeat(failure)})
    for _ in range(2):
        model = runner.open(key)
        blocks = model.load(LOAD)
        assert next(blocks).completions
        with pytest.raises(TrialFault):
            next(blocks)
        with pytest.raises(TrialFault, match="no longer open"):
            next(model.load(LOAD))
