"""What a target is given, in one line."""

from typing import Any

from autotune.domain.measurement import Feed
from autotune.export.best_file import BestFile, BestModel
from autotune.export.from_trial import best_file
from autotune.export.targets.target import Port, Tuned
from autotune.space.configuration import Configuration
from autotune.space.dimensions import Api, PerformanceHint
from tests.builders import (
    GOAL,
    make_configuration,
    make_measurement,
    make_opening,
    make_trial,
)

HINT = make_trial(0, configuration=Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT))


def make_file(**fields: Any) -> BestFile:
    """A best.json of two streams of one thread; `fields` are the configuration's."""
    effective = fields.pop("effective", None)
    feed = fields.pop("feed", Feed.BIND)
    configuration = make_configuration(**fields)
    requests = 1 if configuration.api is Api.SYNC else configuration.num_requests or 2
    opening = make_opening(**({} if effective is None else {"effective": effective}))
    trial = make_trial(
        3,
        configuration=configuration,
        measurement=make_measurement(opening=opening, feed=feed, num_requests=requests),
    )
    return best_file(
        trial=trial,
        trials=(HINT, trial),
        goal=GOAL,
        model=BestModel(path="../m.onnx", sha256="0" * 64, shapes={"x": [1, 3, 8, 8]}),
        machine={"cpu_model": "x"},
        versions={"openvino": "2026.4.1-22982", "python": "3.11"},
        study="s",
    )


def make_tuned(best: BestFile | None = None, **fields: Any) -> Tuned:
    """An ONNX model with one image input, to be deployed with a batch of its file."""
    best = best or make_file()
    values: dict[str, Any] = {
        "model": "../../models/m.onnx",
        "inputs": (Port("x", (best.batch_size, 3, 8, 8), "f32"),),
        "outputs": (Port("y", (best.batch_size, 10), "f32"),),
        **fields,
    }
    return Tuned(best=best, **values)
