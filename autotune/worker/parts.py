"""What is kept of one output for one sample, and numbers of it.

Large outputs are kept in part, always the same one, so that a reference stays small.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_VALUES = 2**16
"""Of an output, as many values are kept at most."""


@dataclass(frozen=True, slots=True)
class Part:
    """One output for one sample."""

    shape: tuple[int, ...]
    values: np.ndarray
    """Flat: all of them, or some at `_places`."""


Answer = Sequence[Part]
"""All outputs for one sample, at batch 1."""


def part_of(output: np.ndarray, most: int = MOST_VALUES) -> Part:
    """What is kept of an output, `most` values of it; copied."""
    flat = output.reshape(-1)
    kept = np.array(flat) if flat.size <= most else flat[_places(flat.size, most)]
    return Part(tuple(output.shape), kept)


def narrowed(part: Part, most: int) -> Part:
    """What `part_of` would have kept with fewer values."""
    if part.values.size <= most:
        return part
    size = math.prod(part.shape)
    places = _places(size, most)
    if part.values.size < size:
        places = np.searchsorted(_places(size, part.values.size), places)
    return Part(part.shape, part.values[places])


def _places(size: int, most: int) -> np.ndarray:
    """Which values of a large output are kept: spread at random, the same in every process.

    Fewer are among those of more.
    """
    return np.sort(np.random.default_rng(size).integers(0, size, MOST_VALUES)[:most])


def matrix(parts: Sequence[Part]) -> np.ndarray | None:
    """Samples by elements; None where the values are no numbers."""
    if parts[0].values.dtype.kind not in "buif":
        return None
    return np.stack([finite_or_zero(part.values) for part in parts])


def finite_or_zero(values: np.ndarray) -> np.ndarray:
    """With 0 in place of what is not."""
    wide = values.astype(np.float64)
    return np.where(np.isfinite(wide), wide, 0.0)


def is_finite(values: np.ndarray) -> bool:
    """Whether every value is; what is not of floating point always is."""
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def magnitude(parts: Sequence[Part]) -> float:
    """The size of an output: the median over samples of its largest finite value; never 0."""
    largest = [_largest(part.values) for part in parts]
    return float(np.median(largest)) or max(largest, default=0.0) or 1.0


def _largest(values: np.ndarray) -> float:
    if values.dtype.kind not in "buif" or not values.size:
        return 0.0
    finite = np.abs(values.astype(np.float64))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size else 0.0


def off_by(got: np.ndarray, wanted: np.ndarray, scale: float) -> float:
    """Relative to the larger of the sample's own largest value and a thousandth of the usual."""
    if wanted.dtype.kind not in "buif":
        return float(not np.array_equal(got, wanted))
    if wanted.dtype.kind in "ui" and wanted.dtype.itemsize > 1:
        # A label or an index that is off by one is another answer: as many as there are of them.
        return float(np.mean(got != wanted)) if wanted.size else 0.0
    exact, found = wanted.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(exact)
    if not np.array_equal(finite, np.isfinite(found)):
        return math.inf
    if not finite.any():
        return 0.0
    own = max(float(np.abs(exact[finite]).max()), scale / 1000)
    return float(np.abs(found[finite] - exact[finite]).max()) / own
