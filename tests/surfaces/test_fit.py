"""What was planted in a surface is found in it: cells, launches, and what time did to both."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autotune.surfaces.fit import SurfaceFit, deviation, fit_surface

Reals = NDArray[np.float64]
Indices = NDArray[np.int64]
SLICE_S = 0.4


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A recording whose truth is known."""

    cell: Indices
    launch: Indices
    at_s: Reals
    log_rate: Reals
    cells: Reals
    """The truth; shape (cells,)."""
    time: Reals
    """What time did to each slice; shape (slices,)."""

    def fit(self, log_rate: Reals | None = None) -> SurfaceFit:
        """What is made of it, or of other rates in the same slices."""
        rates = self.log_rate if log_rate is None else log_rate
        return fit_surface(self.cell, self.launch, self.at_s, rates)

    def errors(self) -> Reals:
        """Of every cell, apart from what all have in common."""
        off = self.fit().cells - self.cells
        found: Reals = off - np.median(off)
        return found


def calm(at_s: Reals) -> Reals:
    """Time does nothing."""
    return np.zeros(at_s.size)


def drift(at_s: Reals) -> Reals:
    """A slow wave of a tenth up and down."""
    return 0.1 * np.sin(at_s / 40)


def bursts(at_s: Reals) -> Reals:
    """Half the speed for six seconds in every minute."""
    return np.where(at_s % 60 < 6, math.log(0.5), 0.0)


def planted(
    *,
    keys: int = 20,
    per_key: int = 5,
    launches: int = 3,
    rounds: int = 2,
    residents: int = 10,
    launch_sd: float = 0.0,
    chance: float = 0.0,
    time: Any = calm,
    seed: int = 0,
) -> Planted:
    """A recording as `Recording` makes it: groups of residents whose cells take random turns."""
    random = np.random.default_rng(seed)
    truth = random.uniform(0.0, 6.0, keys * per_key)
    order: list[tuple[int, int]] = []
    process, effects = 0, []
    for _ in range(launches):
        line = random.permutation(keys)
        for first in range(0, keys, residents):
            group = line[first : first + residents]
            effects += list(random.normal(0.0, launch_sd, group.size))
            names = {key: process + n for n, key in enumerate(group)}
            process += group.size
            cells = np.concatenate([np.arange(per_key) + per_key * key for key in group])
            for _ in range(rounds):
                order += [(int(c), names[c // per_key]) for c in random.permutation(cells)]
    cell, launch = np.array(order, dtype=np.int64).T
    at_s = SLICE_S * (1.0 + np.arange(cell.size))
    weather = time(at_s)
    rates = truth[cell] + np.array(effects)[launch] + weather
    return Planted(
        cell=cell,
        launch=launch,
        at_s=at_s,
        log_rate=rates + random.normal(0.0, chance, cell.size),
        cells=truth,
        time=weather,
    )


def test_without_noise_cells_are_exact() -> None:
    """Nothing is lost by looking for launches and times that are not there."""
    surface = planted()
    found = surface.fit()
    assert found.cells == pytest.approx(surface.cells, abs=1e-9)
    assert found.rest == pytest.approx(np.zeros(surface.cell.size), abs=1e-9)
    assert (found.launch_sd, found.cell_error) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_chance_averages_out() -> None:
    """Six slices of each cell: the error is that of a median of six."""
    surface = planted(chance=0.02)
    assert float(surface.errors().std()) < 0.012
    assert surface.fit().cell_error == pytest.approx(0.02 / math.sqrt(6), rel=0.3)


@pytest.mark.parametrize("seed", range(3))
def test_the_time_is_told_from_the_cells(seed: int) -> None:
    """A slow wave of a tenth up and down moves cells by a hundredth or two, typically."""
    surface = planted(chance=0.01, time=drift, seed=seed)
    plain = np.array([surface.log_rate[surface.cell == c].mean() for c in range(100)])
    assert float(surface.errors().std()) < min(0.02, 0.75 * float((plain - surface.cells).std()))
    assert float(np.abs(surface.errors()).max()) < 0.04


@pytest.mark.parametrize("seed", range(3))
def test_a_burst_that_halves_some_slices_does_not_move_the_cells(seed: int) -> None:
    """A tenth of the time at half speed, where fewer than half of a cell's slices are hit."""
    surface = planted(chance=0.01, time=bursts, seed=seed)
    plain = np.array([surface.log_rate[surface.cell == c].mean() for c in range(100)])
    hit = np.bincount(surface.cell, weights=surface.time < 0)
    errors = surface.errors()[hit < 3]
    assert float((plain - surface.cells)[hit < 3].std()) > 0.05
    assert hit.max() >= 3
    assert float(errors.std()) < 0.01
    assert float(np.abs(errors).max()) < 0.04
    assert float(np.median(surface.fit().cells - surface.cells)) == pytest.approx(0.0, abs=0.01)


def test_a_burst_in_half_of_a_cells_slices_is_seen_in_its_neighbours() -> None:
    """Their slices were just as slow, so it was the time and not the cell: within a tenth."""
    for seed in range(3):
        surface = planted(chance=0.01, time=bursts, seed=seed)
        assert float(np.abs(surface.errors()).max()) < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_launches_are_told_from_cells(seed: int) -> None:
    """Their deviation is found but for half, and cells are off by no more than that explains.

    Three launches of a cell share its median, so that what they differ by looks smaller than it is.
    """
    surface = planted(keys=60, launch_sd=0.04, chance=0.01, seed=seed)
    assert 0.5 * 0.04 < surface.fit().launch_sd < 1.2 * 0.04
    assert float(surface.errors().std()) < 1.2 * 0.04 / math.sqrt(2)
    longer = planted(keys=15, launches=12, launch_sd=0.04, chance=0.01, seed=seed)
    assert 0.75 * 0.04 < longer.fit().launch_sd < 1.2 * 0.04


def test_chance_is_not_taken_for_launches() -> None:
    """Where launches are alike they are said to be, or nearly."""
    for seed in range(2):
        assert planted(keys=40, chance=0.03, seed=seed).fit().launch_sd < 0.008


@pytest.mark.parametrize(
    ("launch_sd", "chance", "launches"), [(0.0, 0.03, 3), (0.05, 0.005, 3), (0.05, 0.005, 12)]
)
def test_the_error_of_a_cell_is_about_what_is_stated(
    launch_sd: float, chance: float, launches: int
) -> None:
    """Whether it is chance or launches that cells differ by; more launches make it smaller."""
    errors, stated = [], []
    for seed in range(2):
        surface = planted(
            keys=20,
            per_key=8,
            launch_sd=launch_sd,
            chance=chance,
            launches=launches,
            seed=seed,
        )
        errors.append(float(surface.errors().std()))
        stated.append(surface.fit().cell_error)
    assert 0.6 < np.mean(errors) / np.mean(stated) < 1.6


def test_the_rest_is_what_time_did() -> None:
    """Bursts stay in it, as deep and as long as they were: a replay lives on them."""
    surface = planted(chance=0.01, time=bursts)
    rest = surface.fit().rest
    slow = surface.time < 0
    assert rest.shape == surface.cell.shape
    assert float(np.median(rest[slow])) == pytest.approx(math.log(0.5), abs=0.03)
    assert float(np.median(rest[~slow])) == pytest.approx(0.0, abs=0.01)
    assert float(np.corrcoef(rest, surface.time)[0, 1]) > 0.95


def test_what_launches_differ_by_is_not_in_the_rest() -> None:
    """A replay draws another launch for it; only what a whole group shares looks like time."""
    surface = planted(keys=40, launch_sd=0.05, chance=0.005)
    rest = surface.fit().rest
    means = np.bincount(surface.launch, weights=rest) / np.bincount(surface.launch)
    assert float(means.std()) < 0.5 * 0.05


def test_a_cell_without_slices_is_not_a_number() -> None:
    """Those after it keep their places; one after the last with slices has no place."""
    surface = planted(keys=4, per_key=2)
    kept = surface.cell != 3
    found = fit_surface(
        surface.cell[kept], surface.launch[kept], surface.at_s[kept], surface.log_rate[kept]
    )
    assert np.flatnonzero(np.isnan(found.cells)).tolist() == [3]
    assert found.cells[[0, 1, 2, 4, 5, 6, 7]] == pytest.approx(np.delete(surface.cells, 3))
    assert np.isfinite(found.rest).all()
    last = surface.cell != 7
    shorter = fit_surface(
        surface.cell[last], surface.launch[last], surface.at_s[last], surface.log_rate[last]
    )
    assert shorter.cells.size == 7


def test_a_launch_without_slices_changes_nothing() -> None:
    """Numbers may be left out, as where a process crashed."""
    surface = planted(keys=4, chance=0.02, launch_sd=0.02)
    spread = fit_surface(surface.cell, 3 * surface.launch + 1, surface.at_s, surface.log_rate)
    assert spread.cells == pytest.approx(surface.fit().cells)
    assert spread.launch_sd == pytest.approx(surface.fit().launch_sd)


def test_no_slices_say_nothing() -> None:
    """Refused, rather than a surface of nothing."""
    none = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="without slices"):
        fit_surface(none, none, np.array([]), np.array([]))


def test_one_slice_is_a_surface() -> None:
    """Its own rate, no launches to tell apart, no neighbours in time."""
    one = np.array([0], dtype=np.int64)
    found = fit_surface(one, one, np.array([1.0]), np.array([2.5]))
    assert found.cells.tolist() == [2.5]
    assert found.rest.tolist() == [0.0]
    assert found.launch_sd == 0.0
    assert math.isfinite(found.cell_error)


def test_pauses_do_no_harm() -> None:
    """A recording that was stopped for an hour in the middle; a lone slice has no neighbours."""
    surface = planted(keys=10, residents=5, chance=0.005)
    half = surface.cell.size // 2
    later = np.arange(surface.cell.size) >= half
    lone = np.arange(surface.cell.size) >= surface.cell.size - 1
    at_s = surface.at_s + 3600.0 * later + 3600.0 * lone
    found = fit_surface(surface.cell, surface.launch, at_s, surface.log_rate)
    assert found.cells == pytest.approx(surface.cells, abs=0.02)
    assert np.isfinite(found.rest).all()


@settings(max_examples=20)
@given(st.floats(-5, 5), st.integers(0, 100))
def test_units_do_not_matter(shift: float, seed: int) -> None:
    """Requests in a minute instead of a second: cells move with them, nothing else does."""
    surface = planted(keys=6, residents=3, chance=0.02, launch_sd=0.02, time=drift, seed=seed)
    one, other = surface.fit(), surface.fit(surface.log_rate + shift)
    assert other.cells == pytest.approx(one.cells + shift, abs=1e-6)
    assert other.rest == pytest.approx(one.rest, abs=1e-6)
    assert other.launch_sd == pytest.approx(one.launch_sd, abs=1e-6)
    assert other.cell_error == pytest.approx(one.cell_error, abs=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 100), st.integers(0, 100))
def test_names_do_not_matter(seed: int, order: int) -> None:
    """Cells in another order have the same rates."""
    surface = planted(keys=6, residents=3, chance=0.02, launch_sd=0.02, seed=seed)
    names = np.random.default_rng(order).permutation(surface.cells.size)
    other = fit_surface(names[surface.cell], surface.launch, surface.at_s, surface.log_rate)
    assert other.cells[names] == pytest.approx(surface.fit().cells, abs=1e-9)


@pytest.mark.parametrize("spread", [0.01, 1.0, 20.0])
def test_the_robust_deviation_is_that_of_a_normal_sample(spread: float) -> None:
    """Also with a tenth of the values far away."""
    values = np.random.default_rng(1).normal(5.0, spread, 20_000)
    assert deviation(values) == pytest.approx(spread, rel=0.03)
    values[:2000] = 1e6
    assert deviation(values) == pytest.approx(spread, rel=0.2)
    assert deviation(np.ones(5)) == 0.0
