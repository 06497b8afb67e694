"""The reference in one line: how steady the machine was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.measurement import Block
from autotune.report.drift import drift_json, drift_lines
from tests.builders import make_block


def readings(*counts: int) -> list[tuple[int, float, Block]]:
    """Slices of half a second with so many requests."""
    return [(1, 10.0 * n, make_block((1.0,) * count)) for n, count in enumerate(counts)]


@pytest.mark.parametrize("counts", [(), (100,), (100, 50)])
def test_fewer_than_three_slices_say_nothing(counts: tuple[int, ...]) -> None:
    """There is nothing usual to differ from."""
    assert drift_lines(readings(*counts)) == []
    assert drift_json(readings(*counts)) is None


def test_range_and_drift_in_one_line() -> None:
    """The machine lost a fifth on the way, and had one bad moment."""
    (line,) = drift_lines(readings(100, 100, 100, 100, 50, 100, 80, 80, 80))
    assert "9 slices between trials" in line
    assert "200/s" in line
    assert "slowest 50 % and fastest 100 % of it" in line
    assert "last third against the first: 80 %" in line


def test_json_has_the_same_figures() -> None:
    """Ready to be written."""
    found = drift_json(readings(100, 110, 90))
    assert found == {
        "slices": 3,
        "median_per_s": 200.0,
        "slowest": pytest.approx(0.9),
        "fastest": pytest.approx(1.1),
        "last_third_over_first": pytest.approx(0.9),
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=30))
def test_the_median_lies_within_the_range(counts: list[int]) -> None:
    """Whatever was seen."""
    found = drift_json(readings(*counts))
    assert found is not None
    assert found["slowest"] <= 1 <= found["fastest"]
    assert found["slices"] == len(counts)


@given(st.integers(1, 1000), st.integers(3, 20))
def test_a_steady_machine_does_not_drift(count: int, slices: int) -> None:
    """One speed, whatever it is."""
    found = drift_json(readings(*[count] * slices))
    assert found is not None
    assert (found["slowest"], found["fastest"], found["last_third_over_first"]) == (1, 1, 1)
