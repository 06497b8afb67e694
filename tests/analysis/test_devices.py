"""What each device of a study came to."""

from autotune.analysis.devices import by_device
from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.limits import limits_of
from autotune.report.devices import why_no_best
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from tests.domain.builders import make_trial

CAPPED = Goal(Objective.THROUGHPUT, 99, 20)


def test_each_device_has_its_own_best_and_its_own_hint() -> None:
    """In the order in which they were tried."""
    trials = [
        make_trial(0, Configuration(device="CPU"), throughput_per_s=50),
        make_trial(1, Configuration(device="GPU"), throughput_per_s=80),
        make_trial(2, Configuration(device="CPU", streams=2), throughput_per_s=70),
        make_trial(3, Configuration(device="GPU", streams=2), throughput_per_s=60),
    ]
    cpu, gpu = by_device(trials, CAPPED)
    assert (cpu.device, cpu.best, cpu.hint, cpu.trials) == ("CPU", trials[2], trials[0], 2)
    assert (gpu.device, gpu.best, gpu.hint) == ("GPU", trials[1], trials[1])


def test_a_device_that_meets_nothing_has_its_nearest_miss() -> None:
    """And one that ran nothing its last failure."""
    slow = make_trial(0, Configuration(device="GPU"), latency_ms=30, verdict=Verdict.MISSED)
    slower = make_trial(
        1,
        Configuration(device="GPU", hint=PerformanceHint.LATENCY),
        latency_ms=40,
        verdict=Verdict.MISSED,
    )
    broken = make_trial(2, Configuration(device="NPU"), failure=FailureKind.COMPILE_ERROR)
    gpu, npu = by_device([slow, slower, broken], CAPPED)
    assert (gpu.best, gpu.nearest, gpu.is_measured) == (None, slow, True)
    assert (npu.best, npu.nearest, npu.failure, npu.is_measured) == (None, None, broken, False)
    assert by_device([], CAPPED) == ()


def test_the_nearest_miss_of_a_device_is_the_nearest_to_all_limits() -> None:
    """A low latency does not make up for a limit that is missed by far."""
    goal = Goal(Objective.THROUGHPUT, 99, 20, limits=limits_of({"min_throughput": 100.0}))
    quick = make_trial(0, Configuration(device="CPU"), throughput_per_s=10, latency_ms=1)
    close = make_trial(1, Configuration(device="CPU", streams=2), throughput_per_s=95)
    (cpu,) = by_device([quick, close], goal)
    assert (cpu.best, cpu.nearest) == (None, close)
    said = why_no_best(cpu, goal)
    assert said is not None
    assert said.endswith("; throughput >= 100/s: missed, 95/s")
