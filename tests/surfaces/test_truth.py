"""What a surface tells of its machine: rates, latencies, the best cell, noise of each layout."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.measurement import TICK_MS
from autotune.stats.latency import ticks_of
from autotune.surfaces.runner import RecordedRunner
from autotune.surfaces.surface import (
    RecordedLaunch,
    RecordedSlice,
    RecordPlan,
)
from autotune.surfaces.truth import RecordedMachine
from autotune.testing import SimulatedRunner
from tests.builders import make_failure
from tests.surfaces.recorded import (
    CPU,
    HINT,
    blocks_of,
    changed,
    failed,
    machine_of,
    noisy,
    quiet,
    rate,
    surface_of,
)


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


# --- launches and noise


def test_what_launches_differed_by_is_found() -> None:
    """Four launches whose speeds differ by a twentieth."""
    plan = RecordPlan(launches=4, rounds=2, residents=6)
    machine = machine_of(surface_of(plan, launch_noise=0.05, seed=2))
    assert 0.025 < machine.fit.launch_sd < 0.065


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


def test_pauses_for_opening_are_not_part_of_the_noise() -> None:
    """The clock of the noise runs while slices are taken, as a study's does."""
    machine = machine_of(quiet())
    slices = [s for launch in quiet().launches for s in launch.slices]
    spent_s = sum(piece.duration_s for piece in slices)
    length_s = next(iter(machine.noises.values())).length_s
    assert spent_s <= length_s < 1.2 * spent_s
    assert length_s < max(piece.at_s for piece in slices)
    assert sum(noise.at_s.size for noise in machine.noises.values()) == len(slices)
