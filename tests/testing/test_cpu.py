"""What the simulated CPU makes of what is asked for."""

import pytest

from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.testing import SimulatedCpu
from tests.builders import make_configuration


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
