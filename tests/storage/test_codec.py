"""Rows and values say the same."""

import json
from array import array
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import Failure, FailureKind
from autotune.domain.goal import Verdict
from autotune.domain.measurement import (
    Block,
    Feed,
    Flag,
    Interval,
    Latency,
    Measurement,
    Opening,
    StopReason,
)
from autotune.domain.race import Contender, Dossier, Dropped, Slice
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimensions import Api, PerformanceHint
from autotune.storage.codec import (
    block_of,
    block_row,
    contender_of,
    contender_row,
    dossier_row,
    failure_of,
    failure_row,
    measurement_of,
    measurement_row,
    opening_of,
    opening_text,
    pack_ticks,
    slice_of,
    slice_row,
    unpack_ticks,
)
from tests.builders import make_opening

finite = st.floats(0, 1e9)
count = st.integers(0, 2**31)
ticks = st.lists(st.integers(0, 2**32 - 1), min_size=1).map(
    lambda t: array("I", sorted(t)).tobytes()
)
texts = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)
configurations = st.builds(
    Configuration,
    device=st.sampled_from(["CPU", "GPU.1", "AUTO:CPU,GPU"]),
    hint=st.sampled_from(PerformanceHint),
    streams=st.none() | st.integers(1, 64),
    threads_per_stream=st.none() | st.integers(1, 64),
    pinning=st.none() | st.booleans(),
    precision=st.none() | st.sampled_from(["f32", "bf16"]),
    batch_size=st.integers(1, 64),
    num_requests=st.none() | st.integers(1, 64),
    api=st.sampled_from(Api),
)
openings = st.builds(
    Opening,
    effective=st.builds(Effective, texts, st.integers(1, 64)),
    start_s=finite,
    read_s=finite,
    compile_s=finite,
    first_inference_ms=finite,
    output_error=st.none() | finite,
    unproven=st.none() | st.text(),
)
blocks = st.builds(
    Block,
    duration_s=st.floats(1e-6, 100),
    latency_ticks=ticks,
    occupancy=finite,
    loop_cpu_s=finite,
    process_cpu_s=finite,
    steal_s=st.none() | finite,
    pressure_s=st.none() | finite,
    throttled=st.none() | count,
    major_faults=count,
    clock_drift_s=st.floats(-1, 1),
    cpus=st.integers(1, 512),
)
measurements = st.builds(
    Measurement,
    configuration=configurations,
    opening=openings,
    num_requests=st.integers(1, 64),
    blocks=st.just(()),
    warmup_blocks=count,
    verdict=st.none() | st.sampled_from(Verdict),
    stop_reason=st.sampled_from(StopReason),
    throughput=st.builds(Interval, finite, st.none() | finite, st.none() | finite),
    latency=st.builds(
        Latency,
        requests=count,
        mean_ms=finite,
        p50_ms=finite,
        p90_ms=finite,
        p95_ms=finite,
        p99_ms=finite,
        max_ms=finite,
        goal_ms=finite,
    ),
    over_cap=count,
    occupancy=finite,
    loop_cpu_share=finite,
    measure_s=finite,
    peak_rss_bytes=st.none() | count,
    feed=st.sampled_from(Feed),
    flags=st.frozensets(st.sampled_from(Flag)),
)
failures = st.builds(
    Failure, st.sampled_from(FailureKind), st.text(), st.text(), st.text(), st.none() | count
)
contenders = st.builds(
    Contender,
    name=st.text(),
    configuration=configurations,
    trial=st.none() | count,
    search_per_s=st.none() | finite,
    search_latency_ms=st.none() | finite,
)
dossiers = st.builds(
    Dossier,
    opening=st.none() | openings,
    failure=st.none() | failures,
    dropped=st.none() | st.sampled_from(Dropped),
    peak_rss_bytes=st.none() | count,
)


@given(ticks)
def test_latencies_survive_packing(values: bytes) -> None:
    """Bit for bit, from zero to the largest tick."""
    assert unpack_ticks(pack_ticks(values)) == values


def test_packing_takes_about_a_byte_for_a_request() -> None:
    """That is why every latency is kept."""
    values = array("I", (20_000 + i // 3 for i in range(10_000))).tobytes()
    assert len(pack_ticks(values)) < 10_000


@given(st.binary())
def test_damaged_latencies_are_a_value_error(packed: bytes) -> None:
    """Or some latencies, but no other error."""
    try:
        unpack_ticks(packed)
    except ValueError as error:
        assert "damaged" in str(error)  # noqa: PT017 - either outcome is right, a third is not


def test_truncated_latencies_are_damaged() -> None:
    """A file that lost its end must not pass for a shorter measurement."""
    packed = pack_ticks(array("I", range(0, 70_000, 7)).tobytes())
    for end in range(len(packed)):
        with pytest.raises(ValueError, match="damaged"):
            unpack_ticks(packed[:end])


@given(blocks)
def test_a_block_survives_its_row(block: Block) -> None:
    """Nothing is lost and nothing rounded."""
    row = {**block_row(block), "id": 1, "measurement_id": 2, "position": 3}
    assert block_of(row) == block


@given(measurements, st.lists(blocks, max_size=3))
def test_a_measurement_survives_its_row(measurement: Measurement, parts: list[Block]) -> None:
    """With its blocks, which have rows of their own."""
    complete = replace(measurement, blocks=tuple(parts))
    assert measurement_of(measurement_row(complete), tuple(parts)) == complete


@given(failures)
def test_a_failure_survives_its_row(failure: Failure) -> None:
    """Whatever the worker wrote."""
    assert failure_of(failure_row(failure)) == failure


@given(contenders, dossiers)
def test_a_contender_survives_its_row(contender: Contender, dossier: Dossier) -> None:
    """With all that is known of it; what its workers took in memory is expected of it again."""
    row = {**contender_row(contender, dossier), "id": 1, "race_id": 2, "position": 3}
    expected = replace(contender, peak_rss_bytes=dossier.peak_rss_bytes)
    assert contender_of(row) == (expected, dossier)


@given(contenders, dossiers, dossiers)
def test_what_is_known_of_a_contender_is_replaced_as_a_whole(
    contender: Contender, before: Dossier, after: Dossier
) -> None:
    """But for the memory that was taken: a launch that does not know it forgets nothing."""
    row = {**contender_row(contender, before), **dossier_row(after)}
    taken = before.peak_rss_bytes
    was = contender.peak_rss_bytes if taken is None else taken
    known = was if after.peak_rss_bytes is None else after.peak_rss_bytes
    assert contender_of(row)[1] == replace(after, peak_rss_bytes=known)


def test_an_opening_of_an_older_version_is_read() -> None:
    """It said nothing of what could be proven."""
    text = json.dumps(
        {k: v for k, v in json.loads(opening_text(make_opening())).items() if k != "unproven"}
    )
    assert opening_of(text) == make_opening()


@given(st.builds(Slice, count, count, count, finite, blocks))
def test_a_slice_survives_its_row(piece: Slice) -> None:
    """Its block bit for bit, its launch, round and contender, and its time."""
    assert slice_of({**slice_row(piece), "id": 1, "race_id": 2}) == piece
