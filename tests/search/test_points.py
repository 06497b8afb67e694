"""The table of all points: where each stands, and which are taken."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autotune.search.points import PointTable
from autotune.space.dimensions import DIMENSIONS
from autotune.space.space import SearchSpace
from tests.search.surface import make_space
from tests.space.builders import at
from tests.space.test_space import spaces

SMALL = make_space()
ILLEGAL = at(0, 2, 2)
"""Four threads for each of four streams, on four CPUs."""


@given(spaces())
def test_every_point_has_a_row(space: SearchSpace) -> None:
    """In the order of the space; a row leads to its point and a point to its row."""
    table, points = PointTable(space), list(space.points())
    assert len(table) == space.size
    assert [table[row] for row in range(len(table))] == points
    assert [table.row(point) for point in points] == list(range(len(points)))


@given(spaces())
def test_indices_are_the_points(space: SearchSpace) -> None:
    """One row of indices for each point, one column for each dimension."""
    table = PointTable(space)
    assert table.indices.shape == (space.size, len(DIMENSIONS))
    assert list(map(tuple, table.indices.tolist())) == list(space.points())


def test_what_is_no_point_has_no_row() -> None:
    """A combination that stands for another one is never to be proposed."""
    table = PointTable(SMALL)
    assert SMALL.canonical(ILLEGAL) != ILLEGAL
    assert table.row(ILLEGAL) is None
    assert table.is_taken(ILLEGAL)


def test_nothing_is_taken_at_first() -> None:
    """Every row is free."""
    table = PointTable(SMALL)
    assert table.free.tolist() == list(range(SMALL.size))
    assert not any(table.is_taken(point) for point in SMALL.points())
    assert not table.is_exhausted


@given(st.lists(st.integers(0, SMALL.size - 1), max_size=40))
def test_what_is_taken_is_no_longer_free(rows: list[int]) -> None:
    """In any order, and as often as one likes; free rows ascend."""
    table = PointTable(SMALL)
    table.take(table[row] for row in rows)
    assert table.free.tolist() == [row for row in range(SMALL.size) if row not in rows]
    assert [table.is_taken(point) for point in SMALL.points()] == [
        row in rows for row in range(SMALL.size)
    ]
    assert table.is_exhausted == (len(set(rows)) == SMALL.size)


def test_taking_what_is_no_point_changes_nothing() -> None:
    """A caller need not know what is canonical."""
    table = PointTable(SMALL)
    table.take([ILLEGAL])
    assert table.free.size == SMALL.size


def test_a_table_is_exhausted_with_its_last_point() -> None:
    """And not before."""
    table, points = PointTable(SMALL), list(SMALL.points())
    exhausted = []
    for point in reversed(points):
        table.take([point])
        exhausted.append(table.is_exhausted)
    assert exhausted == [False] * (SMALL.size - 1) + [True]
    assert table.free.size == 0


def test_a_space_of_one_point_has_one_row() -> None:
    """A study may fix every dimension."""
    table = PointTable(
        make_space(threads_per_stream=(2,), streams=(2,), requests_per_stream=(1,), batch=(1,))
    )
    assert len(table) == 1
    assert np.array_equal(table.indices, np.zeros((1, len(DIMENSIONS))))
