"""Models with open dimensions: each shape is planned when it is first seen, and that takes long."""

from collections.abc import Sequence

import openvino as ov

from autotune.worker.inputs import Sample, tensors_of


def see_every_shape(compiled: ov.CompiledModel, samples: Sequence[Sample]) -> None:
    """Run each distinct shape once on every stream.

    The runtime (2026.4.1) plans a shape anew on each stream, and keeps the plan: 240 ms for a
    picture that the graph resizes to 192 x 192, which then takes 5 ms. What has served for a while
    has done it; shapes that never come again would pay each time.
    """
    several = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    requests = [compiled.create_infer_request() for _ in range(several)]
    seen = set()
    for sample in samples:
        shape = tuple(array.shape for array in sample.values())
        if shape in seen:
            continue
        seen.add(shape)
        tensors = tensors_of(compiled.inputs, sample)
        for request in requests:
            for index, tensor in enumerate(tensors):
                request.set_input_tensor(index, tensor)
            request.start_async()
        for request in requests:
            request.wait()
