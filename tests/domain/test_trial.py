"""Trials, blocks and failures: what may stand beside what."""

import pytest

from autotune.domain.failure import FailureKind, TrialFault
from autotune.domain.measurement import Block, Flag, Interval
from autotune.domain.trial import Origin, Trial
from autotune.space.configuration import Configuration
from tests.domain.builders import make_block, make_failure, make_measurement, make_trial


def test_a_trial_has_a_measurement_or_a_failure() -> None:
    """Exactly one of both."""
    configuration = Configuration(device="CPU")
    for both in ({}, {"measurement": make_measurement(), "failure": make_failure()}):
        with pytest.raises(ValueError, match="either a measurement or a failure"):
            Trial(number=0, configuration=configuration, origin=Origin.SEED, **both)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", FailureKind)
def test_faults_of_the_machine_are_told_apart(kind: FailureKind) -> None:
    """A lost worker, a broken message and an interruption say nothing of the configuration."""
    of_the_moment = {FailureKind.LOST, FailureKind.PROTOCOL, FailureKind.INTERRUPTED}
    assert kind.is_machine_fault == (kind in of_the_moment)


def test_a_fault_carries_its_failure() -> None:
    """The exception that a runner raises is the failure that is stored, and reads like it."""
    failure = make_failure(FailureKind.HANG)
    fault = TrialFault(failure)
    assert fault.failure is failure
    assert str(fault) == failure.message


def test_origins_and_failures_are_stored_as_words() -> None:
    """Enumerations read as words in the database."""
    assert f"{Origin.SWEEP} {FailureKind.OUT_OF_MEMORY}" == "sweep out_of_memory"
    assert make_trial().origin == "sampled"


# --- blocks


def test_a_block_counts_its_latencies() -> None:
    """Completions are the latencies that were stored."""
    assert make_block([1.0] * 17).completions == 17
    assert make_block([]).completions == 0


@pytest.mark.parametrize(
    ("block", "flags"),
    [
        (make_block(), set()),
        (make_block(occupancy=0.97), set()),
        (make_block(occupancy=0.96), {Flag.LOOP_BOUND}),
        (make_block(occupancy=1.001), set()),
        (make_block(occupancy=1.002), {Flag.CLOCK}),
        (make_block(clock_drift_s=-0.06), {Flag.CLOCK}),
        (make_block(clock_drift_s=0.04), set()),
        (make_block(steal_s=0.02, duration_s=0.5), set()),
        (make_block(steal_s=0.03, duration_s=0.5), {Flag.STEAL}),
        (make_block(steal_s=0.03, duration_s=0.5, cpus=2), set()),
        (make_block(throttled=1), {Flag.THROTTLED}),
        (make_block(throttled=0, major_faults=2), {Flag.MAJOR_FAULTS}),
    ],
)
def test_doubts_about_a_block_are_flagged(block: Block, flags: set[Flag]) -> None:
    """Occupancy within [0.97, 1.001] and a quiet machine raise no flag; everything else does."""
    assert block.flags == flags


def test_counted_blocks_follow_the_warm_up() -> None:
    """Warm-up blocks are kept, but statistics are made of the others."""
    blocks = tuple(make_block([float(n)]) for n in range(1, 6))
    measurement = make_measurement(blocks=blocks, warmup_blocks=2)
    assert measurement.counted == blocks[2:]


def test_claims_are_lower_bounds() -> None:
    """A configuration claims the lower end of its interval, or nothing without one."""
    assert make_measurement(throughput_per_s=100, half_width=0.05).claim_per_s == pytest.approx(95)
    assert make_measurement(throughput_per_s=100, half_width=None).claim_per_s == 0


@pytest.mark.parametrize(
    ("interval", "half_width"),
    [
        (Interval(100, 98, 102), 0.02),
        (Interval(100, None, None), None),
        (Interval(0, 0, 0), None),
    ],
)
def test_half_width_is_relative(interval: Interval, half_width: float | None) -> None:
    """Half of the interval over its mean; no interval, no width."""
    assert interval.half_width == half_width
