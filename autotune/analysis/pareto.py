"""The Pareto front of throughput against latency."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_front(throughput: ArrayLike, latency: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other point beats in one and equals or beats in the other.

    Args:
        throughput: shape (n,), larger is better.
        latency: shape (n,), smaller is better.

    Returns:
        Shape (n,), true on the front; equal points are all on it. O(n log n): by falling
        throughput, a point is on the front if its latency is the lowest so far.
    """
    speed, delay = np.asarray(throughput, dtype=float), np.asarray(latency, dtype=float)
    order = np.lexsort((delay, -speed))
    speed, delay = speed[order], delay[order]
    # The lowest latency among all points of more throughput: a point must be below it, unless
    # it equals the point before it.
    lowest = np.concatenate(([np.inf], np.minimum.accumulate(delay)))[: order.size]
    leads = delay < lowest
    first = np.maximum.accumulate(np.where(leads, np.arange(order.size), 0))
    equal = (speed == speed[first]) & (delay == delay[first]) if order.size else leads
    front = np.zeros(order.size, dtype=bool)
    front[order] = leads | equal
    return front
