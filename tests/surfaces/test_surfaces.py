"""The recorded surfaces that lie beside the code: whole, told where from, and fit for replays."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from autotune.search.derive import seeds
from autotune.spec import load_spec, parse_spec
from autotune.surfaces.file import load_surface
from autotune.surfaces.replay import caps_ms
from autotune.surfaces.surface import LEVELS, Surface
from autotune.surfaces.truth import RecordedMachine

FOLDER = Path(__file__).resolve().parents[2] / "studies" / "surfaces"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/surface.db"))

pytestmark = pytest.mark.parametrize("name", NAMES)


@cache
def surface(name: str) -> Surface:
    """Loaded once."""
    return load_surface(FOLDER / name / "surface.db")


@cache
def machine(name: str) -> RecordedMachine:
    """Worked out once."""
    return RecordedMachine(surface(name))


def test_a_surface_is_whole_and_large_enough(name: str) -> None:
    """Hundreds of configurations, in several fresh processes each, with every slice of the plan."""
    found = surface(name)
    plan = found.identity.plan
    assert found.is_whole
    assert len(found.cells) >= 300
    assert plan.launches >= 2
    taken = Counter((s.cell, s.launch) for r in found.launches for s in r.slices)
    opened = {(r.key, r.launch) for r in found.launches if r.failure is None}
    expected = {(cell, launch): plan.rounds for key, launch in opened for cell in found.by_key[key]}
    assert taken == expected
    assert len(opened) >= 0.95 * len(found.launches)


def test_its_file_is_small(name: str) -> None:
    """It is kept beside the code."""
    assert (FOLDER / name / "surface.db").stat().st_size < 2 * 10**6


def test_it_says_where_it_is_from(name: str) -> None:
    """Machine, runtime and packages, and the study, which is the one in its folder."""
    identity = surface(name).identity
    assert identity.name == name
    assert identity.machine["cpu_model"]
    assert identity.machine["usable_cpus"] == identity.space.cpus
    assert identity.machine["openvino"].startswith(identity.versions["openvino"])
    assert {"python", "autotune", "openvino", "optuna", "numpy"} <= set(identity.versions)
    assert "unknown" not in identity.versions.values()
    assert len(identity.model_sha256) == 64
    assert identity.started_at[:2] == "20"
    assert parse_spec(identity.spec) == load_spec(FOLDER / name)


def test_its_cells_are_the_hints_and_the_space(name: str) -> None:
    """Each once, the hints first; what every study begins with is among them."""
    found = surface(name)
    space = found.identity.space
    assert [cell.is_hint for cell in found.cells[:2]] == [True, True]
    assert set(seeds(space)) <= set(found.cells)
    assert set(found.cells) == {*seeds(space), *map(space.configuration, space.points())}
    assert len(set(found.cells)) == len(found.cells)


def test_its_slices_are_possible(name: str) -> None:
    """Latencies ascend, requests are never busier than always, and time goes on."""
    for recorded in surface(name).launches:
        for piece in recorded.slices:
            assert len(piece.latency_ticks) == len(LEVELS)
            assert piece.latency_ticks[0] > 0
            assert list(piece.latency_ticks) == sorted(piece.latency_ticks)
            assert 0.5 < piece.occupancy < 1.01
            assert piece.completions > 0
            assert piece.duration_s > 0
            assert piece.at_s > recorded.at_s


def test_little_explains_its_latencies(name: str) -> None:
    """The mean between the levels is what rate and requests in flight make it, for nearly all.

    Of slices with a score of requests: fewer begin and end in the middle of too many.
    """
    shares, found = np.array(LEVELS), machine(name)
    off = np.array(
        [
            abs(float(np.trapezoid(shape, shares)) - 1)
            for key, shapes in found.shapes.items()
            for shape, taken in zip(shapes, found.slices[key], strict=True)
            if taken.completions >= 20
        ]
    )
    assert off.size > 0
    assert float(np.quantile(off, 0.95)) < 0.05


def test_its_truth_can_be_told(name: str) -> None:
    """A rate and a latency for nearly every cell, and an error far below what they differ by."""
    found = machine(name)
    known = found.throughputs > 0
    assert known.mean() > 0.95
    assert found.fit.cell_error < 0.05
    assert float(found.throughputs.max() / np.median(found.throughputs[known])) > 1.1
    assert found.default_precision in found.surface.identity.space.choices["precision"]


def test_caps_make_a_difference(name: str) -> None:
    """A tight cap has another optimum than a loose one, and each has one."""
    percentile = parse_spec(surface(name).identity.spec).goal.percentile
    caps = caps_ms(machine(name), percentile, [0.1, 0.3, 0.6, 1.0])
    optima = [machine(name).optimum(percentile, cap_ms) for cap_ms in caps]
    assert None not in optima
    assert len(set(optima)) > 1
    best = [machine(name).throughputs[cell] for cell in optima if cell is not None]
    assert best == sorted(best)
