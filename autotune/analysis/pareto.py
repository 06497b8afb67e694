"""The Pareto front of throughput against latency, and against accuracy where that differs."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

NOISE = 0.01
"""Relative throughput below which the front that is shown tells no two points apart."""


def pareto_front(
    throughput: ArrayLike,
    latency: ArrayLike,
    noise: float = 0.0,
    loss: ArrayLike | None = None,
) -> NDArray[np.bool_]:
    """Which points no other point beats in one and equals or beats in the others.

    Args:
        throughput: shape (n,), larger is better.
        latency: shape (n,), smaller is better.
        noise: relative gain in throughput that latency, or a loss, must buy. With it, by rising
            latency, a point of the front is left out unless it beats the last one kept by more.
        loss: of accuracy, shape (n,), smaller is better; None where it is no matter.

    Returns:
        Shape (n,), true on the front; without `noise`, equal points are all on it. O(n log n) for
        each loss that there is: by falling throughput, a point is on the front if its latency is
        the lowest so far.
    """
    speed, delay = np.asarray(throughput, dtype=float), np.asarray(latency, dtype=float)
    if loss is None:
        return _plane_front(speed, delay, noise)
    lost, found = np.asarray(loss, dtype=float), np.zeros(speed.size, dtype=bool)
    by_loss = np.argsort(lost, kind="stable")  # of equal points the first leads
    for level in np.unique(lost):
        # A point is on the front if it is on that of all points that lose no more, and none of
        # those that lose less is its equal.
        near = by_loss[: np.searchsorted(lost[by_loss], level, side="right")]
        front = near[_plane_front(speed[near], delay[near], noise)]
        less = {(speed[i], delay[i]) for i in front if lost[i] < level}
        found[[i for i in front if lost[i] == level and (speed[i], delay[i]) not in less]] = True
    return found


def _plane_front(
    speed: NDArray[np.float64], delay: NDArray[np.float64], noise: float
) -> NDArray[np.bool_]:
    order = np.lexsort((delay, -speed))
    speed, delay = speed[order], delay[order]
    # The lowest latency among all points of more throughput: a point must be below it, unless
    # it equals the point before it.
    lowest = np.concatenate(([np.inf], np.minimum.accumulate(delay)))[: order.size]
    leads = delay < lowest
    first = np.maximum.accumulate(np.where(leads, np.arange(order.size), 0))
    equal = (speed == speed[first]) & (delay == delay[first]) if order.size else leads
    front = np.zeros(order.size, dtype=bool)
    front[order[_beyond(speed, leads, noise)] if noise else order[leads | equal]] = True
    return front


def _beyond(speed: NDArray[np.float64], leads: NDArray[np.bool_], noise: float) -> list[int]:
    """Of the places that lead, by rising throughput, those that beat the last kept beyond noise."""
    kept: list[int] = []
    for place in np.flatnonzero(leads)[::-1].tolist():
        if not kept or speed[place] > speed[kept[-1]] * (1 + noise):
            kept.append(place)
    return kept
