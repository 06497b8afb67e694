"""The simulated machine obeys the laws of queues, and lies where OpenVINO lies."""

import math
from itertools import islice, repeat

import numpy as np
import pytest

from autotune.domain.arrival import Closed
from autotune.domain.failure import FailureKind, TrialFault
from autotune.machines.ports import Load
from autotune.space.configuration import Configuration
from autotune.testing import SimulatedCpu, SimulatedRunner
from tests.builders import make_configuration, make_failure

LOAD = Load(arrival=Closed(4), limit_s=60.0)


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


def test_what_is_fastest_is_not_what_costs_least() -> None:
    """All CPUs are busy for the most items, one stream of one thread for the least of them."""
    runner = SimulatedRunner()
    flows = [
        runner.predict(make_configuration(streams=n, threads_per_stream=4 // n, num_requests=n))
        for n in (1, 2, 4)
    ]
    frugal = runner.predict(make_configuration(streams=1, threads_per_stream=1, num_requests=1))
    fastest = max(flows, key=lambda flow: flow.throughput_per_s)
    assert fastest.throughput_per_s > frugal.throughput_per_s
    assert frugal.cpu_s_per_item < 0.9 * min(flow.cpu_s_per_item for flow in flows)
    batched = runner.predict(
        make_configuration(streams=1, threads_per_stream=1, num_requests=1, batch_size=8)
    )
    assert batched.cpu_s_per_item < frugal.cpu_s_per_item


def test_a_block_costs_what_is_predicted() -> None:
    """CPU time, memory by streams and items in flight, and energy where there are counters."""
    cpu = SimulatedCpu(idle_w=10.0, busy_w=5.0)
    runner = SimulatedRunner(cpu=cpu)
    configuration = make_configuration(num_requests=4, batch_size=2)
    model = runner.open(configuration.compile_key)
    (block,) = islice(model.load(LOAD), 1)
    flow, items = runner.predict(configuration), 2 * block.completions
    assert block.work_cpu_s is not None
    assert block.work_cpu_s == pytest.approx(items * flow.cpu_s_per_item)
    assert block.work_cpu_s <= block.cpus * block.duration_s
    assert block.energy_j == pytest.approx(10 * block.duration_s + 5 * block.work_cpu_s)
    assert block.rss_bytes == (100 + 2 * 4 + 4 * 2) * 2**20
    assert model.opening.peak_rss_bytes == (100 + 2 * 4 + 2 + 16) * 2**20


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


# --- launches and planted differences


def rates(runner: SimulatedRunner, blocks: int, configuration: Configuration) -> list[float]:
    """Requests per second of the first blocks of one opened model."""
    found = islice(runner.open(configuration.compile_key).load(LOAD), blocks)
    return [block.completions / block.duration_s for block in found]


def test_launches_differ_but_blocks_of_one_do_not() -> None:
    """`launch_noise` is drawn once for each opened model."""
    runner = SimulatedRunner(launch_noise=0.05, seed=3)
    launches = [rates(runner, 3, make_configuration()) for _ in range(200)]
    assert all(np.ptp(launch) < 1e-9 * launch[0] for launch in launches)
    logs = np.log([launch[0] for launch in launches])
    assert np.std(logs) == pytest.approx(0.05, rel=0.2)
    usual = math.log(runner.predict(make_configuration()).requests_per_s)
    assert np.mean(logs) == pytest.approx(usual, abs=0.015)


def test_tails_of_launches_differ_at_equal_speed() -> None:
    """`tail_noise` moves latencies, not rates."""
    runner = SimulatedRunner(tail_noise=0.2, seed=4)
    key = make_configuration().compile_key
    blocks = [next(runner.open(key).load(LOAD)) for _ in range(100)]
    assert len({block.completions / block.duration_s for block in blocks}) == 1
    latest = [np.frombuffer(block.latency_ticks, "<u4")[-1] for block in blocks]
    assert np.std(np.log(np.array(latest, dtype=float))) == pytest.approx(0.2, rel=0.25)


def test_a_planted_difference_is_exact_and_of_one_key_only() -> None:
    """Requests of that key take so many times longer; the prediction knows nothing of it."""
    one, other = make_configuration(), make_configuration(pinning=False)
    runner = SimulatedRunner(slower={other.compile_key: 1.25})
    usual = runner.predict(one).requests_per_s
    assert rates(runner, 2, one) == pytest.approx([usual] * 2)
    assert rates(runner, 2, other) == pytest.approx([usual / 1.25] * 2)
    assert runner.predict(other) == runner.predict(one)


def test_every_opening_draws_noise_of_its_own() -> None:
    """A key that is opened again does not repeat its noise, but another run of all does."""
    first, again = (SimulatedRunner(noise=0.1, seed=5) for _ in range(2))
    launches = [rates(first, 2, make_configuration()) for _ in range(2)]
    assert launches[0] != launches[1]
    assert launches == [rates(again, 2, make_configuration()) for _ in range(2)]
    assert first.opened == [make_configuration().compile_key] * 2
