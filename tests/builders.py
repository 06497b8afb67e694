"""Valid values of the domain in one line each."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autotune.domain.failure import Failure, FailureKind
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import (
    TICK_MS,
    Block,
    Interval,
    Latency,
    Measurement,
    Opening,
    StopReason,
)
from autotune.domain.trial import Origin, Trial
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimensions import PerformanceHint

GOAL = Goal(Objective.THROUGHPUT, 99.0, 10.0)


def make_block(
    latencies_ms: Sequence[float] = (1.0,) * 100, duration_s: float = 0.5, **fields: Any
) -> Block:
    """A block of these latencies, in any order."""
    ticks = array("I", sorted(round(value / TICK_MS) for value in latencies_ms))
    values: dict[str, Any] = {"occupancy": 1.0, "loop_cpu_s": 0.01, "process_cpu_s": 0.4, **fields}
    return Block(duration_s=duration_s, latency_ticks=ticks.tobytes(), **values)


def make_configuration(**fields: Any) -> Configuration:
    """Two streams of one thread on the CPU, four requests."""
    values: dict[str, Any] = {
        "device": "CPU",
        "hint": PerformanceHint.THROUGHPUT,
        "streams": 2,
        "threads_per_stream": 1,
        "pinning": True,
        "precision": "f32",
        "num_requests": 4,
        **fields,
    }
    return Configuration(**values)


def make_opening(**fields: Any) -> Opening:
    """A model that runs two streams of one thread."""
    properties = {
        "NUM_STREAMS": "2",
        "INFERENCE_NUM_THREADS": "2",
        "ENABLE_CPU_PINNING": "YES",
        "INFERENCE_PRECISION_HINT": "f32",
        "EXECUTION_DEVICES": "CPU",
    }
    values: dict[str, Any] = {
        "effective": Effective(properties, 2),
        "start_s": 0.5,
        "read_s": 0.1,
        "compile_s": 0.4,
        "first_inference_ms": 3.0,
        "output_error": 0.0,
        **fields,
    }
    return Opening(**values)


def make_measurement(**fields: Any) -> Measurement:
    """Two counted blocks at 200 items per second, 1 ms, after one of warm-up; the cap is met."""
    values: dict[str, Any] = {
        "configuration": make_configuration(),
        "opening": make_opening(),
        "num_requests": 4,
        "blocks": (make_block(),) * 3,
        "warmup_blocks": 1,
        "verdict": Verdict.MET,
        "stop_reason": StopReason.DECIDED,
        "throughput": Interval(200.0, 195.0, 205.0),
        "latency": Latency(
            requests=200,
            mean_ms=1.0,
            p50_ms=1.0,
            p90_ms=1.0,
            p95_ms=1.0,
            p99_ms=1.0,
            max_ms=1.0,
            goal_ms=1.0,
        ),
        "over_cap": 0,
        "occupancy": 1.0,
        "loop_cpu_share": 0.2,
        "measure_s": 1.5,
        "peak_rss_bytes": 2**27,
        **fields,
    }
    return Measurement(**values)


def make_trial(number: int = 0, **fields: Any) -> Trial:
    """A measured trial, or a failed one where a failure is given."""
    configuration = fields.pop("configuration", None) or make_configuration()
    measurement = fields.pop("measurement", None)
    if measurement is None and fields.get("failure") is None:
        measurement = make_measurement()
    if measurement is not None:
        measurement = replace(measurement, configuration=configuration)
    values: dict[str, Any] = {"origin": Origin.SAMPLED, **fields}
    return Trial(number=number, configuration=configuration, measurement=measurement, **values)


def make_failure(kind: FailureKind = FailureKind.CRASH, **fields: Any) -> Failure:
    """A failure while under load."""
    values: dict[str, Any] = {"message": "it broke", "phase": "load", **fields}
    return Failure(kind=kind, **values)
