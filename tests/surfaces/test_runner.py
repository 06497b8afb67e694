"""A recorded machine does what was recorded: rates, latencies, noise, launches, failures, time."""

import math

import numpy as np
import pytest

from autotune.domain.arrival import Closed
from autotune.domain.failure import FailureKind, TrialFault
from autotune.domain.measurement import TICK_MS
from autotune.errors import DeviceError
from autotune.machines.ports import Load
from autotune.space.dimensions import Api
from autotune.stats.latency import ticks_of
from autotune.surfaces.runner import RecordedModel, RecordedRunner
from autotune.surfaces.surface import (
    RecordPlan,
)
from tests.builders import make_failure
from tests.surfaces.recorded import (
    HINT,
    UNKNOWN,
    blocks_of,
    changed,
    failed,
    load_for,
    machine_of,
    noisy,
    quiet,
    rate,
    surface_of,
)

# --- blocks


def test_littles_law_holds_in_every_block_without_noise() -> None:
    """Mean latency times rate is the number of requests in flight."""
    machine = machine_of(quiet())
    runner = RecordedRunner(recorded=machine)
    for cell in range(len(machine.surface.cells)):
        for block in blocks_of(runner, cell, 3):
            busy_s = float(ticks_of([block]).sum()) * TICK_MS / 1000
            in_flight = busy_s / block.duration_s
            assert in_flight == pytest.approx(machine.effective_requests(cell), rel=1e-3)


def test_littles_law_holds_in_every_block_with_noise() -> None:
    """But for the latencies that chance draws; on the long run nearly so, in slow times as well."""
    machine = machine_of(noisy())
    runner = RecordedRunner(recorded=machine)
    for cell in range(0, len(machine.surface.cells), 5):
        found = []
        for block in blocks_of(runner, cell, 200):
            in_flight = float(ticks_of([block]).sum()) * TICK_MS / 1000 / block.duration_s
            found.append(in_flight / machine.effective_requests(cell))
            assert abs(found[-1] - 1) < 0.02 + 0.5 / math.sqrt(block.completions)
        assert np.mean(found) == pytest.approx(1.0, abs=0.01)


def test_blocks_are_as_long_as_the_load_asks_for() -> None:
    """In seconds and in rounds of requests; latencies ascend."""
    machine = machine_of(noisy())
    runner = RecordedRunner(recorded=machine)
    for cell in range(len(machine.surface.cells)):
        requests = machine.effective_requests(cell)
        for block in blocks_of(runner, cell, 2, block_s=0.25, block_rounds=5):
            ticks = np.frombuffer(block.latency_ticks, "<u4")
            assert block.duration_s >= 0.25
            assert block.completions >= 5 * requests
            assert (np.diff(ticks.astype(float)) >= 0).all()
            assert ticks[0] > 0
            assert block.flags == frozenset()


def test_latencies_are_those_that_were_seen() -> None:
    """Relative to their mean never less than the least nor more than the most of its slices."""
    machine = machine_of(noisy(), launch_sd=0.0)
    runner = RecordedRunner(recorded=machine)
    for cell in (0, 7, 14):
        shapes = np.concatenate([machine.shapes[cell, launch] for launch in (0, 1)])
        for block in blocks_of(runner, cell, 50):
            mean_ms = 1000 * machine.effective_requests(cell) / rate(block)
            relative = ticks_of([block]) * TICK_MS / mean_ms
            assert shapes[:, 0].min() * 0.999 <= relative[0]
            assert relative[-1] <= shapes[:, -1].max() * 1.001


# --- the clock


@pytest.mark.parametrize(("count", "share"), [(1, 1.0), (3, 0.6)])
def test_side_by_side_openings_take_six_tenths(count: int, share: float) -> None:
    """Of what each takes alone, where there are several; afterwards each is alone again."""
    runner = RecordedRunner(recorded=machine_of(quiet()))
    key = runner.recorded.surface.cells[0].compile_key

    def opened_s() -> float:
        before, opening = runner.clock(), runner.open(key).opening
        assert opening.start_s + opening.read_s + opening.compile_s == pytest.approx(1.0)
        return runner.clock() - before

    with runner.side_by_side([key] * count):
        assert [opened_s() for _ in range(count)] == pytest.approx([share] * count)
    assert opened_s() == pytest.approx(1.0)


def test_the_clock_counts_openings_fillings_and_blocks() -> None:
    """Start, reading, compiling; two rounds before the first block; one to drain at the end."""
    machine = machine_of(quiet())
    runner = RecordedRunner(recorded=machine)
    cell = len(machine.surface.cells) - 1
    assert runner.clock() == 0.0
    model = runner.open(machine.surface.cells[cell].compile_key)
    opening = model.opening
    opened_s = opening.start_s + opening.read_s + opening.compile_s
    assert runner.clock() == pytest.approx(opened_s)

    load = load_for(runner, cell)
    usual = machine.requests_per_s(cell)
    assert usual is not None
    blocks = model.load(load)
    assert runner.clock() == pytest.approx(opened_s)
    first = next(blocks)
    filled_s = opened_s + 2 * load.num_requests / usual
    assert runner.clock() == pytest.approx(filled_s + first.duration_s)
    second = next(blocks)
    assert runner.clock() == pytest.approx(filled_s + first.duration_s + second.duration_s)
    before_s = runner.clock()
    blocks.close()
    assert runner.clock() - before_s == pytest.approx(load.num_requests / usual)


def test_a_load_that_nobody_stops_ends_at_its_limit() -> None:
    """And the model takes another one."""
    runner = RecordedRunner(recorded=machine_of(noisy()))
    model = runner.open(HINT.compile_key)
    cell = runner.recorded.cells[HINT]
    blocks = list(model.load(load_for(runner, cell, limit_s=5.0)))
    assert 5.0 <= sum(block.duration_s for block in blocks) < 6.0
    assert next(model.load(load_for(runner, cell))).completions


def test_peak_memory_is_the_recorded_one_once_a_load_has_ended() -> None:
    """As with real workers."""
    runner = RecordedRunner(recorded=machine_of(quiet()))
    model = runner.open(HINT.compile_key)
    assert model.peak_rss_bytes is None
    blocks = model.load(load_for(runner, runner.recorded.cells[HINT]))
    next(blocks)
    blocks.close()
    assert model.peak_rss_bytes in {r.peak_rss_bytes for r in quiet().launches}


def test_a_seed_begins_somewhere_in_the_recording() -> None:
    """So that studies of different seeds see the machine's bad times at different times."""
    machine = machine_of(noisy())
    begins = [RecordedRunner(recorded=machine, seed=seed).start_s for seed in range(50)]
    length_s = max(noise.length_s for noise in machine.noises.values())
    assert 0 <= min(begins) < 0.2 * length_s
    assert 0.8 * length_s < max(begins) <= length_s


def test_the_same_seed_gives_the_same_numbers() -> None:
    """Another seed, others; and every opening has noise of its own."""
    machine = machine_of(noisy(), launch_sd=0.02)
    first, same, other = (
        blocks_of(RecordedRunner(recorded=machine, seed=seed), 5, 4) for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other
    runner = RecordedRunner(recorded=machine, seed=1)
    assert blocks_of(runner, 5, 4) == first
    assert blocks_of(runner, 5, 4) != first


# --- launches


def test_launches_differ_but_blocks_of_one_do_not() -> None:
    """By a normal deviate of the size that was found, drawn once for each opening."""
    runner = RecordedRunner(recorded=machine_of(quiet(), launch_sd=0.05), seed=3)
    openings = [[rate(block) for block in blocks_of(runner, 5, 3)] for _ in range(200)]
    assert all(np.ptp(blocks) < 1e-9 * blocks[0] for blocks in openings)
    logs = np.log([blocks[0] for blocks in openings])
    assert float(np.std(logs)) == pytest.approx(0.05, rel=0.2)
    usual = runner.recorded.requests_per_s(5)
    assert usual is not None
    assert float(np.mean(logs)) == pytest.approx(math.log(usual), abs=0.012)


def test_an_opening_has_the_latencies_of_one_launch() -> None:
    """Tails belong to launches, not to cells: which of them it is follows from chance."""
    plan = RecordPlan(launches=3, rounds=2, residents=6)
    machine = machine_of(surface_of(plan, tail_noise=0.3, seed=2), launch_sd=0.0)
    runner = RecordedRunner(recorded=machine)
    seen = []
    for _ in range(40):
        ticks = [ticks_of([block]) for block in blocks_of(runner, 5, 3)]
        assert len({int(t[-1]) for t in ticks}) == 1
        seen.append(int(ticks[0][-1]))
    assert len(set(seen)) == 3


# --- what cannot be


def test_an_unknown_key_is_a_typed_failure() -> None:
    """A fault of the configuration, found when it is opened."""
    runner = RecordedRunner(recorded=machine_of(quiet()))
    with pytest.raises(TrialFault, match="not recorded") as caught:
        runner.open(UNKNOWN)
    assert caught.value.failure.kind is FailureKind.INVALID_CONFIGURATION
    assert caught.value.failure.phase == "open"


@pytest.mark.parametrize(("requests", "api"), [(99, Api.ASYNC), (4, Api.SYNC)])
def test_an_unknown_load_is_a_typed_failure(requests: int, api: Api) -> None:
    """Another number of requests, or another API, than any cell of the key."""
    runner = RecordedRunner(recorded=machine_of(quiet()))
    model = runner.open(HINT.compile_key)
    with pytest.raises(TrialFault, match="not recorded") as caught:
        next(model.load(Load(arrival=Closed(requests, api is Api.SYNC), limit_s=1.0)))
    assert caught.value.failure.kind is FailureKind.INVALID_CONFIGURATION
    assert caught.value.failure.phase == "load"


def test_a_closed_model_takes_no_load() -> None:
    """However often it is closed."""
    runner = RecordedRunner(recorded=machine_of(quiet()))
    model: RecordedModel = runner.open(HINT.compile_key)
    states = [model.is_open]
    model.close()
    model.close()
    assert [*states, model.is_open] == [True, False]
    with pytest.raises(TrialFault, match="no longer open") as caught:
        next(model.load(load_for(runner, runner.recorded.cells[HINT])))
    assert caught.value.failure.is_machine_fault


def test_a_key_that_failed_fails_again_with_its_reason() -> None:
    """And it takes time."""
    failure = make_failure(FailureKind.COMPILE_ERROR, phase="open", message="too many streams")
    runner = RecordedRunner(
        recorded=machine_of(
            changed(quiet(), lambda r: failed(r, failure) if r.key == HINT.compile_key else r)
        )
    )
    with pytest.raises(TrialFault, match="too many streams") as caught:
        runner.open(HINT.compile_key)
    assert caught.value.failure == failure
    assert runner.clock() > 0


def test_a_launch_that_failed_is_one_of_several() -> None:
    """The others of its key can be opened, about as often as they could."""
    failure = make_failure(FailureKind.LOST, phase="open")
    surface = changed(
        quiet(),
        lambda r: failed(r, failure) if r.key == HINT.compile_key and r.launch == 1 else r,
    )
    runner = RecordedRunner(recorded=machine_of(surface))
    cell, opened = runner.recorded.cells[HINT], 0
    for _ in range(60):
        try:
            model = runner.open(HINT.compile_key)
        except TrialFault as fault:
            assert fault.failure == failure  # noqa: PT017 - either outcome is right
        else:
            opened += 1
            assert next(model.load(load_for(runner, cell))).completions
    assert 25 < opened < 55
    assert math.isfinite(runner.recorded.latencies_ms(99.0)[cell])


# --- what is known of the machine


def test_an_inspection_is_that_of_the_recorded_machine() -> None:
    """Enough to derive the recorded space again; other devices were not recorded."""
    runner = RecordedRunner(recorded=machine_of(quiet()))
    facts = runner.inspect(["CPU"], try_batch=True)
    assert list(facts.devices) == ["CPU"]
    assert set(facts.precision_errors) == {"f32", "bf16"}
    assert facts.why_no_batch is None
    assert facts.static_shapes == {"x": [1, 3, 32, 32]}
    assert runner.machine(facts).to_dict() == quiet().identity.machine
    with pytest.raises(DeviceError, match=r"'GPU'.*CPU"):
        runner.inspect(["GPU"], try_batch=True)
