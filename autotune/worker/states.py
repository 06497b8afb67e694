"""Models that keep something from one request to the next: answers in sequence."""

from collections.abc import Sequence

import openvino as ov

from autotune.worker import model
from autotune.worker.answers import deviation
from autotune.worker.batches import TOLERANCE, WrongOutputError
from autotune.worker.inputs import Sample
from autotune.worker.parts import Answer


def in_sequence(compiled: ov.CompiledModel, samples: Sequence[Sample]) -> list[Answer]:
    """Answers of one request that goes through the samples, beginning anew."""
    request = compiled.create_infer_request()
    request.reset_state()
    return [model.answer_of(request, compiled, sample) for sample in samples]


def prove_sequence(
    compiled: ov.CompiledModel,
    samples: Sequence[Sample],
    exact: Sequence[Answer],
    arithmetic: str,
) -> float:
    """Largest deviation from the answers of a sequential run in f32.

    Raises:
        WrongOutputError: they are other ones.
    """
    worst, limit = 0.0, TOLERANCE.get(arithmetic, 0.15)
    for number, (got, wanted) in enumerate(
        zip(in_sequence(compiled, samples), exact, strict=True), 1
    ):
        off = deviation([got], [wanted])
        if off is None or off > limit:
            far = "not finite" if off is None else f"off by {off:.2g} of its largest value"
            message = f"step {number} of the sequence is {far}, more than {limit:g}"
            raise WrongOutputError(message)
        worst = max(worst, off)
    return worst
