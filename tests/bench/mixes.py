"""What serving a mix of shapes costs beside the requests: choosing buckets, and routing to them."""

import math
import tempfile
import time
from pathlib import Path

import numpy as np
import openvino as ov

from autotune.space.shape_plan import Sizes
from autotune.worker.asking import Asking, bound
from autotune.worker.inputs import samples
from autotune.worker.load import RequestLoop, deployed
from autotune.workload.buckets import choose
from autotune.workload.costs import interpolated
from tests import models
from tests.bench.figure import Figure, figure

_SHAPES, _MOST_BUCKETS = 1000, 8
_SLICE_S, _SLICES = 0.1, 60
_CLASSIFIER = Path("studies/models/classifier.onnx")


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


def routing() -> list[Figure]:
    """One compiled model, routed to by callbacks as if it were two, against its `AsyncInferQueue`.

    Both bind every request anew; in alternating slices, with one request in flight and with four.
    """
    core, found = ov.Core(), []
    for name, network in (("tiny", _tiny(core)), ("classifier", _classifier(core))):
        data = samples(network)
        asked = Asking(
            samples=data,
            turns=[[number] for number in range(len(data))],
            model_of=[0] * len(data),
            shapes=(),
            pads={},
        )
        compiled = core.compile_model(network, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
        for count in (1, 4):
            feeding = bound(asked, compiled.inputs)
            queued, routed = (
                deployed([compiled] * times, count, feeding, is_blocking=False) for times in (1, 2)
            )
            pairs = [(_rate(queued), _rate(routed)) for _ in range(_SLICES)]
            what = f"{name}, {count} in flight: rate routed by callbacks over queued"
            found.append(figure(what, [b / a for a, b in pairs], "", "-"))
    return found


def _rate(load: RequestLoop) -> float:
    load.fill()
    block = load.block(_SLICE_S, 1)
    load.drain()
    return len(block["latency_ticks"]) / 4 / float(block["duration_s"])


def _tiny(core: ov.Core) -> ov.Model:
    with tempfile.TemporaryDirectory() as folder:
        models.write(Path(folder))
        return core.read_model(Path(folder, models.TINY)).clone()


def _classifier(core: ov.Core) -> ov.Model:
    network = core.read_model(_CLASSIFIER)
    network.reshape([1, 3, 48, 192])
    return network
