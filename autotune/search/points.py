"""Every point of a space in one table, and which of them are taken."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autotune.space.space import Point, SearchSpace, gathered_at

Rows = NDArray[np.int64]


class PointTable:
    """All canonical points, one in each row, in the order of the space."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._all = list(space.points())
        self._rows = {point: row for row, point in enumerate(self._all)}
        self._taken = np.zeros(len(self._all), dtype=bool)
        self.indices: NDArray[np.int32] = np.array(self._all, dtype=np.int32)
        """Indices into the choices of every dimension; shape (points, dimensions)."""

    @cached_property
    def is_blocking(self) -> NDArray[np.bool_]:
        """Whether one request at a time is issued; shape (points,)."""
        return np.array([self.space.is_blocking(point) for point in self._all])

    @cached_property
    def gathered(self) -> NDArray[np.int64]:
        """How many requests the runtime makes one of; shape (points,)."""
        return np.array([gathered_at(self.space, point) for point in self._all], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, row: int) -> Point:
        return self._all[row]

    def row(self, point: Point) -> int | None:
        """Where a point stands; None for one that is not canonical."""
        return self._rows.get(point)

    def take(self, points: Iterable[Point]) -> None:
        """These are known, running or ruled out: not to be proposed again."""
        for point in points:
            row = self._rows.get(point)
            if row is not None:
                self._taken[row] = True

    def is_taken(self, point: Point) -> bool:
        """Whether a point is taken; one that is not in the table always is."""
        row = self._rows.get(point)
        return row is None or bool(self._taken[row])

    @property
    def free(self) -> Rows:
        """Rows that are not taken, ascending."""
        return np.flatnonzero(~self._taken)

    @property
    def is_exhausted(self) -> bool:
        """Whether every point is taken."""
        return bool(self._taken.all())
