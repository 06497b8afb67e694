"""What the machine did over time, looked up at any time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autotune.surfaces.noise import Noise

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
