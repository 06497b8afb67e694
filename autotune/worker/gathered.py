"""Answers of requests that the runtime makes one batch of: each must be that of its own sample.

A request that nobody joins is run alone after a time-out, by another compiled model than that of
the batch. So several are started together, with other samples beside each other.

The runtime (2026.4.1) gives every request its batch when it is made, in turn, and for good: after
one that was made for something else, the four of a batch of four belong to two, and both wait for
ever for others. So what is put under load is compiled once more, after all that was looked at.
"""

from collections.abc import Sequence

import openvino as ov

from autotune.space.devices import Through, kind_of, set_always
from autotune.space.dimensions import COLLECTING_PROPERTY
from autotune.worker.batches import WrongOutputError, check
from autotune.worker.inputs import Sample, tensors_of
from autotune.worker.reference import Run
from autotune.worker.tensors import decode

_MOST = 256
"""Requests that are looked at together, however many the model would take."""


def unhurried(device: str) -> dict[str, str]:
    """What is set where single requests are looked at: nobody waits for others then."""
    always = set_always(device)
    return {**always, COLLECTING_PROPERTY: "1"} if _collects(device) else always


def _collects(device: str) -> bool:
    return kind_of(device).through is Through.DIRECT


def why_strange(
    compiled: ov.CompiledModel, groups: Sequence[Sequence[Sample]], run: Run
) -> str | None:
    """Why requests that run together give other answers than alone; None where they do not.

    Args:
        compiled: the model, on a device that may collect requests.
        groups: samples of each kind of data.
        run: the answers to them, one by one.
    """
    optimal = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    for samples, known in zip(groups, run.answers, strict=True):
        # Twice as many, as the first ones may share a batch with requests that run no more.
        requests = [compiled.create_infer_request() for _ in range(min(2 * optimal, _MOST))]
        for number, request in enumerate(requests):
            sample = samples[number % len(samples)]
            for index, tensor in enumerate(tensors_of(compiled.inputs, sample)):
                request.set_input_tensor(index, tensor)
        for request in requests:
            request.start_async()
        for number, request in enumerate(requests):
            request.wait()
            outputs = [decode(request.get_output_tensor(i)) for i in range(len(compiled.outputs))]
            try:
                check(outputs, [known[number % len(samples)]], known, run.arithmetic)
            except WrongOutputError as error:
                return f"requests that run together are mixed up: {error}"
    return None
