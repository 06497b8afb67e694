"""What serving a mix of shapes costs beside the requests: choosing buckets, and routing to them."""

import math
import time

import numpy as np

from autotune.space.shape_plan import Sizes
from autotune.workload.buckets import choose
from autotune.workload.costs import interpolated
from tests.bench.figure import Figure, figure

_SHAPES, _MOST_BUCKETS = 1000, 8


def buckets() -> list[Figure]:
    """A thousand distinct shapes, of one, two and four dimensions that vary, and one to eight."""
    random, found = np.random.default_rng(0), []
    for dimensions in (1, 2, 4):
        high = 5000 if dimensions == 1 else 640
        drawn = random.choice(high, (4 * _SHAPES, dimensions)) + 16
        sizes: list[Sizes] = [tuple(one) for one in np.unique(drawn, axis=0).tolist()]
        sizes = [sizes[at] for at in random.permutation(len(sizes))[:_SHAPES]]
        weights = random.uniform(0.1, 5, len(sizes)).tolist()
        measured = [(side,) * dimensions for side in np.linspace(16, high, 12, dtype=int).tolist()]
        cost = interpolated({one: 1 + math.prod(one) / 1e4 for one in measured})
        took = []
        for k in range(1, _MOST_BUCKETS + 1):
            begun = time.perf_counter()
            choose(sizes, weights, cost, k)
            took.append(time.perf_counter() - begun)
        what = f"buckets of {len(sizes)} shapes, {dimensions} dimensions, 1 to {_MOST_BUCKETS}"
        found.append(figure(what, took, "s", "<= 1"))
    return found
