"""A recorded machine does what was recorded: rates, latencies, noise, launches, failures, time."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.measurement import TICK_MS, Block
from autotune.errors import DeviceError
from autotune.machines.ports import Load
from autotune.search.derive import seeds
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import Api, PerformanceHint
from autotune.stats.latency import ticks_of
from autotune.surfaces.machine import Noise, RecordedMachine, RecordedModel, RecordedRunner
from autotune.surfaces.recording import Recording
from autotune.surfaces.surface import (
    RecordedLaunch,
    RecordedSlice,
    RecordPlan,
    Surface,
    SurfaceIdentity,
)
from autotune.testing.simulated import SimulatedCpu, SimulatedRunner
from tests.builders import make_failure
from tests.search.surface import make_space

SPACE = make_space(precision=("f32", "bf16"), api=(Api.ASYNC, Api.SYNC))
CPU = SimulatedCpu(speed={"f32": 1.0, "bf16": 1.5})
HINT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
UNKNOWN = CompileKey("CPU", (("NUM_STREAMS", "3"),), 1)


def surface_of(plan: RecordPlan, **fields: Any) -> Surface:
    """What a simulated machine makes of the space; fields are the runner's."""
    runner = SimulatedRunner(cpu=CPU, **fields)
    cells = list(dict.fromkeys([*seeds(SPACE), *map(SPACE.configuration, SPACE.points())]))
    kept: list[RecordedLaunch] = []
    Recording(cells, plan, runner, keep=kept.extend).run()
    facts = runner.inspect(["CPU"], try_batch=True)
    identity = SurfaceIdentity(
        name="demo",
        spec="",
        model_sha256="ab" * 32,
        shapes={"x": [1, 3, 32, 32]},
        machine=runner.machine(facts).to_dict(),
        versions={},
        space=SPACE,
        plan=plan,
        started_at="2026-11-25T03:42:00+00:00",
    )
    return Surface(identity=identity, cells=tuple(cells), launches=tuple(kept))


@cache
def quiet() -> Surface:
    """Three launches without any noise."""
    return surface_of(RecordPlan(launches=3, rounds=2, residents=5))


@cache
def noisy() -> Surface:
    """Two launches whose blocks and latencies differ; all models are resident together."""
    return surface_of(RecordPlan(launches=2, rounds=6, residents=99), noise=0.1, seed=5)


def machine_of(surface: Surface, launch_sd: float | None = None) -> RecordedMachine:
    """What the surface tells; with another deviation between launches if that is given."""
    machine = RecordedMachine(surface)
    if launch_sd is not None:
        machine.__dict__["fit"] = replace(machine.fit, launch_sd=launch_sd)
    return machine


def load_for(runner: RecordedRunner, cell: int, **fields: Any) -> Load:
    """The load of a cell."""
    values: dict[str, Any] = {"block_s": 0.3, "block_rounds": 2, "limit_s": 1e6, **fields}
    return Load(
        num_requests=runner.recorded.effective_requests(cell),
        api=runner.recorded.surface.cells[cell].api,
        **values,
    )


def blocks_of(runner: RecordedRunner, cell: int, count: int, **fields: Any) -> list[Block]:
    """The first blocks of a cell in a fresh process."""
    model = runner.open(runner.recorded.surface.cells[cell].compile_key)
    blocks = model.load(load_for(runner, cell, **fields))
    found = list(islice(blocks, count))
    blocks.close()
    return found


def rate(block: Block) -> float:
    """Requests per second."""
    return block.completions / block.duration_s


def changed(surface: Surface, change: Callable[[RecordedLaunch], RecordedLaunch]) -> Surface:
    """The surface with other launches."""
    return replace(surface, launches=tuple(change(launch) for launch in surface.launches))


def failed(launch: RecordedLaunch, failure: Failure | None) -> RecordedLaunch:
    """The launch as it is kept where it could not be measured."""
    return replace(launch, opening=None, failure=failure, peak_rss_bytes=None, slices=())


# --- what the surface says


def test_rates_without_noise_are_the_recorded_ones() -> None:
    """Of every cell, in fits and in blocks; throughput counts items."""
    simulated, machine = SimulatedRunner(cpu=CPU), machine_of(quiet())
    runner = RecordedRunner(recorded=machine)
    for cell, configuration in enumerate(machine.surface.cells):
        flow = simulated.predict(configuration)
        assert machine.requests_per_s(cell) == pytest.approx(flow.requests_per_s)
        assert machine.throughputs[cell] == pytest.approx(flow.throughput_per_s)
        for block in blocks_of(runner, cell, 3):
            assert rate(block) == pytest.approx(flow.requests_per_s)


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0, 99.9])
def test_latencies_without_noise_are_the_recorded_ones(percentile: float) -> None:
    """Every percentile is the one latency that a cell has, but for ticks."""
    simulated, machine = SimulatedRunner(cpu=CPU), machine_of(quiet())
    expected = [simulated.predict(cell).latency_ms for cell in machine.surface.cells]
    assert machine.latencies_ms(percentile) == pytest.approx(expected, abs=2e-4)


def test_noise_does_not_move_the_rates() -> None:
    """Twelve slices with a deviation of a tenth: a few hundredths."""
    simulated, machine = SimulatedRunner(cpu=CPU), machine_of(noisy())
    expected = [simulated.predict(cell).throughput_per_s for cell in machine.surface.cells]
    off = np.log(machine.throughputs / np.array(expected))
    assert float(np.std(off)) < 0.06
    assert float(np.mean(off)) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0])
def test_the_true_percentile_is_what_a_long_load_measures(percentile: float) -> None:
    """Within three hundredths, in the median of its half minutes, whatever the layout."""
    machine = machine_of(noisy(), launch_sd=0.0)
    runner = RecordedRunner(recorded=machine, seed=1)
    for cell in range(0, len(machine.surface.cells), 9):
        blocks = blocks_of(runner, cell, 1500)
        each = round(30 / blocks[0].duration_s)
        halves = [ticks_of(blocks[n : n + each]) for n in range(0, len(blocks) - each + 1, each)]
        measured = float(np.median([np.percentile(half, percentile) for half in halves])) * TICK_MS
        assert machine.latencies_ms(percentile)[cell] == pytest.approx(measured, rel=0.03)


def test_the_true_throughput_is_what_a_long_load_measures() -> None:
    """Within two hundredths."""
    machine = machine_of(noisy(), launch_sd=0.0)
    runner = RecordedRunner(recorded=machine, seed=1)
    for cell in range(0, len(machine.surface.cells), 9):
        blocks = blocks_of(runner, cell, 1500)
        measured = sum(b.completions for b in blocks) / sum(b.duration_s for b in blocks)
        batch = machine.surface.cells[cell].batch_size
        assert machine.throughputs[cell] == pytest.approx(batch * measured, rel=0.02)


def test_the_true_percentile_is_that_of_the_median_launch() -> None:
    """One bad launch of three does not decide about a cell."""
    clean = machine_of(quiet()).latencies_ms(99.0)

    def spoil(launch: RecordedLaunch) -> RecordedLaunch:
        if launch.launch != 1:
            return launch
        late = [
            replace(s, latency_ticks=tuple(9 * t for t in s.latency_ticks)) for s in launch.slices
        ]
        return replace(launch, slices=tuple(late))

    assert machine_of(changed(quiet(), spoil)).latencies_ms(99.0) == pytest.approx(clean)


def test_the_runtimes_own_precision_is_that_of_its_hints() -> None:
    """None where they could not be opened."""
    assert machine_of(quiet()).default_precision == "f32"
    hints = {cell.compile_key for cell in quiet().cells if cell.is_hint}
    without = changed(quiet(), lambda r: failed(r, make_failure()) if r.key in hints else r)
    assert machine_of(without).default_precision is None


def test_a_surface_of_failures_only_says_nothing() -> None:
    """Refused with a word about it, not by an index."""
    nothing = changed(quiet(), lambda launch: failed(launch, make_failure()))
    with pytest.raises(ValueError, match="slices"):
        RecordedRunner(recorded=RecordedMachine(nothing))


# --- the best cell


def test_without_a_cap_the_fastest_cell_is_the_optimum() -> None:
    """By items per second."""
    machine = machine_of(noisy())
    assert machine.optimum(99.0, None) == int(np.argmax(machine.throughputs))


@given(st.floats(0.0, 1.0), st.sampled_from([50.0, 95.0, 99.0]))
def test_the_optimum_is_the_fastest_within_the_cap(share: float, percentile: float) -> None:
    """Nothing within the cap is faster, and it keeps the cap itself, also at its very edge."""
    machine = _noisy_machine()
    latencies = machine.latencies_ms(percentile)
    cap_ms = float(np.quantile(latencies, share, method="nearest"))
    found = machine.optimum(percentile, cap_ms)
    assert found is not None
    assert latencies[found] <= cap_ms
    assert machine.throughputs[found] == machine.throughputs[latencies <= cap_ms].max()


@cache
def _noisy_machine() -> RecordedMachine:
    return machine_of(noisy())


def test_a_cap_that_no_cell_keeps_has_no_optimum() -> None:
    """None, not the least bad."""
    machine = machine_of(quiet())
    least = float(machine.latencies_ms(99.0).min())
    assert machine.optimum(99.0, 0.999 * least) is None
    assert machine.optimum(99.0, least) is not None


def test_a_cell_that_could_not_be_measured_is_never_the_optimum() -> None:
    """It has no rate, no throughput, and a latency that keeps no cap."""
    best = machine_of(quiet()).optimum(99.0, None)
    assert best is not None
    key = quiet().cells[best].compile_key
    machine = machine_of(
        changed(quiet(), lambda r: failed(r, make_failure()) if r.key == key else r)
    )
    assert machine.requests_per_s(best) is None
    assert machine.throughputs[best] == 0
    assert machine.latencies_ms(99.0)[best] == math.inf
    assert machine.optimum(99.0, None) != best
    assert machine.optimum(99.0, 1e9) == machine.optimum(99.0, None)


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


# --- launches and noise


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


def test_what_launches_differed_by_is_found() -> None:
    """Four launches whose speeds differ by a twentieth."""
    plan = RecordPlan(launches=4, rounds=2, residents=6)
    machine = machine_of(surface_of(plan, launch_noise=0.05, seed=2))
    assert 0.025 < machine.fit.launch_sd < 0.065


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


def test_a_burst_is_of_the_layout_that_it_hit() -> None:
    """It halved one, cost another a sixth, and left the others alone; cells are what they were."""
    machine = machine_of(quiet())
    streams = {"1": 2.0, "4": 1.2}
    late = sorted(s.at_s for launch in quiet().launches for s in launch.slices)
    begin_s, end_s = np.quantile(late, [0.40, 0.48])

    def hit(piece: RecordedSlice) -> RecordedSlice:
        layout = machine.layout(machine.surface.cells[piece.cell])
        if not begin_s <= piece.at_s <= end_s:
            return piece
        return replace(piece, duration_s=piece.duration_s * streams.get(layout[0], 1.0))

    struck = machine_of(
        changed(quiet(), lambda r: replace(r, slices=tuple(map(hit, r.slices)))), launch_sd=0.0
    )
    assert struck.fit.cells == pytest.approx(machine.fit.cells, abs=1e-6)
    for layout, noise in struck.noises.items():
        assert noise.slowness.min() == pytest.approx(1.0, abs=1e-3)
        assert noise.slowness.max() == pytest.approx(streams.get(layout[0], 1.0), abs=1e-3)

    runner = RecordedRunner(recorded=struck)
    for cell in (0, 1, 5):
        usual = struck.requests_per_s(cell)
        assert usual is not None
        found = [usual / rate(block) for block in blocks_of(runner, cell, 600)]
        expected = streams.get(struck.layout(struck.surface.cells[cell])[0], 1.0)
        assert min(found) == pytest.approx(1.0, abs=1e-3)
        assert max(found) == pytest.approx(expected, abs=0.02)


def test_the_layout_is_what_the_runtime_reports() -> None:
    """Streams and threads, whatever was asked for: a hint shares its noise with its likes."""
    machine = machine_of(quiet())
    assert machine.layout(HINT) == ("4", "4")
    like = next(c for c in quiet().cells if c.streams == 4 and c.threads_per_stream == 1)
    assert machine.noise(machine.cells[HINT]) is machine.noise(machine.cells[like])


SLOWNESS = np.array([1.0, 2.0, 4.0, 1.0, 1.0])
NOISE = Noise(at_s=np.array([1.0, 2.0, 3.0, 4.0, 9.0]), slowness=SLOWNESS, length_s=10.0)


@pytest.mark.parametrize(
    ("begin_s", "end_s", "expected"),
    [
        (0.5, 1.5, 1.0),
        (1.5, 2.5, 2.0),
        (1.5, 3.5, 2 / (1 / 2 + 1 / 4)),
        (0.0, 10.0, 5 / (3 + 1 / 2 + 1 / 4)),
        (2.1, 2.2, 2.0),
        (2.8, 2.9, 4.0),
        (5.0, 6.0, 1.0),
        (12.8, 12.9, 4.0),
        (31.5, 33.5, 2 / (1 / 2 + 1 / 4)),
    ],
)
def test_noise_is_averaged_by_rate(begin_s: float, end_s: float, expected: float) -> None:
    """Over the slices that ended in a stretch, or the nearest; then it begins anew."""
    assert NOISE.over(begin_s, end_s) == pytest.approx(expected)


def test_a_stretch_over_the_end_goes_on_at_the_beginning() -> None:
    """Slices before the end and after the beginning count alike."""
    begins_badly = replace(NOISE, slowness=np.array([4.0, 4.0, 1.0, 1.0, 1.0]))
    assert begins_badly.over(8.5, 12.5) == pytest.approx(3 / (1 + 1 / 4 + 1 / 4))


slownesses: st.SearchStrategy[NDArray[np.float64]] = st.lists(
    st.floats(0.5, 5), min_size=1, max_size=20
).map(np.array)


@given(slownesses, st.floats(0, 100), st.floats(0.01, 30))
def test_noise_is_never_worse_than_its_worst(
    slowness: NDArray[np.float64], begin_s: float, span_s: float
) -> None:
    """Nor better than its best, however long one looks."""
    at_s = 1.0 + np.arange(slowness.size, dtype=np.float64)
    noise = Noise(at_s=at_s, slowness=slowness, length_s=float(at_s[-1]))
    found = noise.over(begin_s, begin_s + span_s)
    assert slowness.min() * (1 - 1e-9) <= found <= slowness.max() * (1 + 1e-9)


def test_pauses_for_opening_are_not_part_of_the_noise() -> None:
    """The clock of the noise runs while slices are taken, as a study's does."""
    machine = machine_of(quiet())
    slices = [s for launch in quiet().launches for s in launch.slices]
    spent_s = sum(piece.duration_s for piece in slices)
    length_s = next(iter(machine.noises.values())).length_s
    assert spent_s <= length_s < 1.2 * spent_s
    assert length_s < max(piece.at_s for piece in slices)
    assert sum(noise.at_s.size for noise in machine.noises.values()) == len(slices)


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
        next(model.load(Load(num_requests=requests, api=api, limit_s=1.0)))
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
