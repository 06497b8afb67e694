import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autotune.analysis.pareto import pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30)


def naive(points: list[tuple[int, int]]) -> list[bool]:
    """By definition: nobody is at least as good in both and better in one."""
    return [not any(a >= s and b <= t and (a, b) != (s, t) for a, b in points) for s, t in points]


@given(POINTS)
def test_front_is_that_of_the_definition(points: list[tuple[int, int]]) -> None:
    """The fast front equals the naive one, ties and repeated points included."""
    speed, delay = [p[0] for p in points], [p[1] for p in points]

    assert pareto_front(speed, delay).tolist() == naive(points)


SPACED = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), max_size=30)


@given(SPACED)
def test_front_with_a_loss_is_that_of_the_definition(points: list[tuple[int, int, int]]) -> None:
    """Nobody is at least as good in all three and better in one."""
    speed, delay, loss = ([point[axis] for point in points] for axis in range(3))
    naive = [
        not any(a >= s and b <= t and c <= u and (a, b, c) != (s, t, u) for a, b, c in points)
        for s, t, u in points
    ]
    assert pareto_front(speed, delay, loss=loss).tolist() == naive


@given(POINTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(points: list[tuple[int, int]], random: "st.DrawFn") -> None:
    """Shuffled points have the same front."""
    shuffled = list(points)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    front = {p for p, on in zip(points, pareto_front(*_columns(points)), strict=True) if on}
    again = {p for p, on in zip(shuffled, pareto_front(*_columns(shuffled)), strict=True) if on}

    assert again == front


REAL = st.lists(st.tuples(st.floats(1, 100), st.floats(0.1, 50)), max_size=40)


@given(REAL, st.sampled_from([0.005, 0.01, 0.2]))
def test_front_beyond_the_noise(points: list[tuple[float, float]], noise: float) -> None:
    """It is part of the front; its steps are larger than the noise; nothing larger is left out."""
    speed, delay = _columns(points)  # type: ignore[arg-type]
    exact = pareto_front(speed, delay)
    front = pareto_front(speed, delay, noise)

    assert not (front & ~exact).any()
    assert front.any() == bool(points)
    kept = np.flatnonzero(front)[np.argsort(delay[front])]
    assert all(speed[b] > speed[a] * (1 + noise) for a, b in itertools.pairwise(kept))
    for i in np.flatnonzero(exact & ~front):
        assert any(delay[j] <= delay[i] and speed[i] <= speed[j] * (1 + noise) for j in kept)


def test_no_points_have_no_front() -> None:
    """An empty study is no error."""
    assert pareto_front([], []).shape == (0,)


def _columns(points: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    array = np.array(points, dtype=float).reshape(-1, 2)
    return array[:, 0], array[:, 1]
