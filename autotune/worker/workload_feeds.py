"""What an application does before each request of a workload, beside padding and copying.

Each is a `Feeding`: it is called once with the requests, and what it gives is called before every
start, in the thread of the loop.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import openvino as ov

from autotune.worker.asked import WorkloadData
from autotune.worker.asking import Asking, bound, copied_in, own_tensors, parts_of
from autotune.worker.feeding import Feed, Feeding, Requests
from autotune.worker.inputs import Sample, input_name
from autotune.worker.tensors import encode
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
    at = [input_name(port) for port in compiled.inputs].index(name)
    images = [one[name][0] for one in asked.samples]
    others = [_as_written(compiled, one, name) for one in asked.samples]

    def begin(requests: Requests) -> Feed:
        following = itertools.cycle(zip(images, others, strict=True)).__next__
        places = [parts_of(mine[0], batch_size) for mine in own_tensors(requests)]

        def feed(slot: int) -> None:
            for item in places[slot]:
                image, values = following()
                into(image, how, item[at])
                for index, array in values:
                    item[index][...] = array

        return feed

    return begin


def _as_written(
    compiled: ov.CompiledModel, sample: Sample, image: str
) -> list[tuple[int, np.ndarray]]:
    """What a sample has beside the image, by the number of its input, as tensors hold it."""
    names = [input_name(port) for port in compiled.inputs]
    return [
        (index, encode(sample[name], port.get_element_type()).data)
        for index, (name, port) in enumerate(zip(names, compiled.inputs, strict=True))
        if name != image
    ]


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
