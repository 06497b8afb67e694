"""What an application does before each request of a workload, beside padding and copying.

Each is a `Feeding`: it is called once with the requests, and what it gives is called before every
start, in the thread of the loop.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov

from autotune.worker.asked import WorkloadData
from autotune.worker.asking import Asking, bound, copied_in
from autotune.worker.feeding import Feed, Feeding, Requests
from autotune.worker.inputs import Sample, input_name
from autotune.workload.preparing import into


def in_turn(compiled: ov.CompiledModel, samples: Sequence[Sample], *, copies: bool) -> Feeding:
    """Samples one after the other, each in its own shape: images of several sizes, a sequence."""
    asked = Asking(
        samples=samples,
        turns=[[number] for number in range(len(samples))],
        model_of=[0] * len(samples),
        shapes=(),
        pads={},
    )
    return (copied_in if copies else bound)(asked, compiled.inputs)


def prepared(
    compiled: ov.CompiledModel, asked: WorkloadData, name: str, batch_size: int
) -> Feeding:
    """Images are prepared by Pillow and NumPy, and written into the request's own tensors.

    Args:
        compiled: the model, which takes them prepared.
        asked: the images.
        name: of the input that they are for.
        batch_size: images of a request.
    """
    how = asked.preprocessing
    assert how is not None  # noqa: S101 - for the type checker
    names = [input_name(port) for port in compiled.inputs]

    def begin(requests: Requests) -> Feed:
        following = itertools.cycle(asked.samples).__next__
        places = [
            [_rows(mine[0], index, batch_size) for index in range(len(names))] for mine in requests
        ]

        def feed(slot: int) -> None:
            for item in range(batch_size):
                sample = following()
                for input_, rows in zip(names, places[slot], strict=True):
                    if input_ == name:
                        into(sample[input_][0], how, rows[item])
                    else:
                        rows[item][...] = sample[input_]

        return feed

    return begin


def _rows(request: Any, index: int, batch_size: int) -> list[np.ndarray]:
    """The part of an input that each item of a batch has; all of one without axes."""
    data = request.get_input_tensor(index).data
    return np.split(data, batch_size) if data.ndim else [data] * batch_size


def of_states(feeding: Feeding, *, resets: bool) -> Feeding:
    """As another one, with what a request keeps reset once, or before each item."""

    def begin(requests: Requests) -> Feed | None:
        feed = feeding(requests)
        begin_anew = [mine[0].reset_state for mine in requests]
        for reset in begin_anew:
            reset()
        if not resets:
            return feed

        def feed_anew(slot: int) -> int | None:
            begin_anew[slot]()
            return None if feed is None else feed(slot)

        return feed_anew

    return begin
