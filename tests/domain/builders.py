"""Valid domain values in one line each."""

from collections.abc import Sequence

import numpy as np

from autotune.domain.failure import Failure, FailureKind
from autotune.domain.goal import Verdict
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


def make_block(
    latencies_ms: Sequence[float] = (1.0, 2.0, 3.0),
    *,
    duration_s: float = 0.5,
    occupancy: float = 1.0,
    steal_s: float | None = None,
    throttled: int | None = None,
    major_faults: int = 0,
    clock_drift_s: float = 0.0,
    cpus: int = 1,
) -> Block:
    """A block of these latencies, with nothing against it."""
    ticks = np.sort(np.rint(np.array(latencies_ms, dtype=float) / TICK_MS)).astype("<u4")
    return Block(
        duration_s=duration_s,
        latency_ticks=ticks.tobytes(),
        occupancy=occupancy,
        loop_cpu_s=0.01,
        process_cpu_s=0.4,
        steal_s=steal_s,
        throttled=throttled,
        major_faults=major_faults,
        clock_drift_s=clock_drift_s,
        cpus=cpus,
    )


def make_effective(optimal_requests: int = 4, **properties: str) -> Effective:
    """What a compiled model reads back."""
    return Effective(properties, optimal_requests)


def make_measurement(
    configuration: Configuration | None = None,
    *,
    throughput_per_s: float = 100.0,
    half_width: float | None = 0.0,
    latency_ms: float = 10.0,
    verdict: Verdict | None = Verdict.MET,
    blocks: tuple[Block, ...] = (),
    warmup_blocks: int = 0,
    open_s: float = 0.3,
    measure_s: float = 5.0,
) -> Measurement:
    """A measurement with this throughput and this goal percentile of latency."""
    low = high = None
    if half_width is not None:
        low, high = (throughput_per_s * (1 + side * half_width) for side in (-1, 1))
    return Measurement(
        configuration=configuration or Configuration(device="CPU"),
        opening=Opening(
            effective=make_effective(),
            start_s=0.0,
            read_s=0.0,
            compile_s=open_s,
            first_inference_ms=latency_ms,
        ),
        num_requests=1,
        blocks=blocks,
        warmup_blocks=warmup_blocks,
        verdict=verdict,
        stop_reason=StopReason.DECIDED,
        throughput=Interval(throughput_per_s, low, high),
        latency=Latency(
            requests=1000,
            mean_ms=latency_ms / 2,
            p50_ms=latency_ms / 2,
            p90_ms=latency_ms,
            p95_ms=latency_ms,
            p99_ms=latency_ms,
            max_ms=latency_ms,
            goal_ms=latency_ms,
        ),
        over_cap=0,
        occupancy=1.0,
        loop_cpu_share=0.01,
        measure_s=measure_s,
        peak_rss_bytes=None,
    )


def make_failure(kind: FailureKind = FailureKind.CRASH, phase: str = "load") -> Failure:
    """A failure of this kind."""
    return Failure(kind, "it broke", phase)


def make_trial(
    number: int = 0,
    configuration: Configuration | None = None,
    *,
    origin: Origin = Origin.SAMPLED,
    throughput_per_s: float = 100.0,
    half_width: float | None = 0.0,
    latency_ms: float = 10.0,
    verdict: Verdict | None = Verdict.MET,
    failure: FailureKind | None = None,
) -> Trial:
    """A trial that was measured, or that failed when `failure` is given."""
    configuration = configuration or Configuration(device="CPU", streams=1, num_requests=1)
    if failure is not None:
        return Trial(
            number=number,
            configuration=configuration,
            origin=origin,
            failure=make_failure(failure),
        )
    return Trial(
        number=number,
        configuration=configuration,
        origin=origin,
        measurement=make_measurement(
            configuration,
            throughput_per_s=throughput_per_s,
            half_width=half_width,
            latency_ms=latency_ms,
            verdict=verdict,
        ),
    )
