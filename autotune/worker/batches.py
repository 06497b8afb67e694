"""Whether a batch gives each of its samples the answer that it gives alone.

`set_batch` can silently produce wrong answers, faster. An answer is what one sample gives at
batch 1; whether a mistake would show in it: answers.py.
"""

from collections.abc import Sequence

import numpy as np

from autotune.worker.answers import elements_apart
from autotune.worker.parts import (
    Answer,
    Part,
    finite_or_zero,
    is_finite,
    magnitude,
    off_by,
    part_of,
)

TOLERANCE = {"f32": 0.01, "f16": 0.05, "bf16": 0.15}
"""Largest deviation from the reference relative to its largest value, by precision. Made to catch
wrong answers (a batch that mixes items up), not to judge accuracy."""
STRICT = 0.001
"""The same where a batch is to be proven in f32: 2e-6 is the most that was seen of a right one."""
_FOLLOWS = 0.25
"""Where samples differ, an item may be off by this share of the differences between them."""
_LABELS = 0.01
"""Share of an output's whole numbers that may be off."""


class WrongOutputError(Exception):
    """The compiled model's outputs have other shapes or values than the reference."""


def check(
    outputs: Sequence[np.ndarray],
    expected: Sequence[Answer],
    known: Sequence[Answer],
    arithmetic: str,
    tolerance: float | None = None,
) -> float:
    """Largest deviation of a batch from the answers of its samples, relative to their largest.

    Args:
        outputs: what the batch gave.
        expected: for each of its items, the answer of that sample at batch 1.
        known: the answers of all samples: how far apart they are tells what an item must keep.
        arithmetic: of both.
        tolerance: instead of that of the precision.

    Raises:
        WrongOutputError: another shape, a value that is finite in only one of the two, a deviation
            beyond the tolerance, or an item that does not follow its sample.
    """
    limit = TOLERANCE.get(arithmetic, 0.15) if tolerance is None else tolerance
    worst = 0.0
    for index, output in enumerate(outputs):
        wanted, parts = ([answer[index] for answer in answers] for answers in (expected, known))
        items = _items(index, output, wanted, parts)
        scale = magnitude(parts)
        for got, part in zip(items, wanted, strict=True):
            worst = max(worst, off_by(got, part.values, scale))
        if not worst <= limit:
            known_as = "batch 1" if len(expected) > 1 else "the reference"
            message = (
                f"outputs deviate from {known_as} by {worst:.3g} of their largest value, "
                f"more than {limit:g}"
            )
            raise WrongOutputError(message)
        _check_that_items_follow(index, items, wanted, parts, arithmetic)
    return worst


def strays(
    outputs: Sequence[np.ndarray],
    expected: Sequence[Answer],
    known: Sequence[Answer],
    arithmetic: str,
) -> list[np.ndarray]:
    """For each output, the elements of a batch that passed `check` and yet are in doubt.

    Scores of 1e-7 beside boxes of hundreds pass, whoever's they are: rounding of the largest value
    is more than all that they differ by. Such an element is compared with its own size: it is in
    doubt where samples differ in it and some item is off by a quarter of that.

    Args:
        outputs: what the batch gave.
        expected: for each of its items, the answer of that sample at batch 1.
        known: the answers of all samples.
        arithmetic: of both.
    """
    found = []
    for index, output in enumerate(outputs):
        wanted, parts = ([answer[index] for answer in answers] for answers in (expected, known))
        _, faint, apart = elements_apart(parts, arithmetic)
        strayed = np.zeros_like(faint)
        if faint.any():
            for got, part in zip(_items(index, output, wanted, parts), wanted, strict=True):
                off = np.abs(finite_or_zero(got) - finite_or_zero(part.values))
                strayed |= faint & (off > _FOLLOWS * apart)
        found.append(strayed)
    return found


def check_shapes(outputs: Sequence[np.ndarray], expected: Sequence[Answer]) -> None:
    """As `check`, of shapes and of what is finite: all that a random answer can be held to.

    Raises:
        WrongOutputError: another shape, or values that are not finite where the reference's are.
    """
    for index, output in enumerate(outputs):
        wanted = [answer[index] for answer in expected]
        for got, part in zip(_items(index, output, wanted, []), wanted, strict=True):
            if is_finite(part.values) and not is_finite(got):
                message = f"output {index} has values that are not finite, unlike batch 1"
                raise WrongOutputError(message)


def _items(
    index: int, output: np.ndarray, wanted: Sequence[Part], known: Sequence[Part]
) -> list[np.ndarray]:
    """The output cut into its items, each kept in part as the reference is.

    What is the same for every sample, as anchors beside detections are, may be there once for all.
    """
    shapes = [part.shape for part in wanted]
    if output.shape == shapes[0] and _are_equal(known):
        return [part_of(output, wanted[0].values.size).values] * len(wanted)
    if len(shapes) == 1:
        joined = shapes[0]
    elif not shapes[0] or len({shape[1:] for shape in shapes}) > 1:
        message = f"output {index} has no batch dimension"
        raise WrongOutputError(message)
    else:
        joined = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    if output.shape != joined:
        message = f"output {index} has the shape {output.shape}, expected {joined}"
        raise WrongOutputError(message)
    if len(shapes) == 1:
        return [part_of(output, wanted[0].values.size).values]
    ends = np.cumsum([shape[0] for shape in shapes])[:-1]
    items = np.split(output, ends)
    return [
        part_of(item, part.values.size).values for item, part in zip(items, wanted, strict=True)
    ]


def _are_equal(parts: Sequence[Part]) -> bool:
    """Whether there are several, and all are the same to the last bit."""
    return len(parts) > 1 and all(
        part.shape == parts[0].shape and part.values.tobytes() == parts[0].values.tobytes()
        for part in parts
    )


def _check_that_items_follow(
    index: int,
    items: Sequence[np.ndarray],
    wanted: Sequence[Part],
    known: Sequence[Part],
    arithmetic: str,
) -> None:
    """Where samples differ, each item must be nearer to its own sample than to others.

    A small value among large ones may be wrong without deviating much from the largest.
    """
    telling, _, apart = elements_apart(known, arithmetic)
    if not telling.any():
        return
    allowed = _FOLLOWS * apart[telling]
    for position, (got, part) in enumerate(zip(items, wanted, strict=True)):
        off = np.abs(finite_or_zero(got) - finite_or_zero(part.values))[telling]
        wrong = int((off > allowed).sum())
        # Of labels, a few among many may turn where two were as good as equal.
        if wrong > (_LABELS * off.size if part.values.dtype.kind in "ui" else 0):
            what = f"item {position} of a batch" if len(items) > 1 else "the answer"
            message = (
                f"{what} does not follow its sample: in output {index} "
                f"{wrong} values are off by a quarter or more of the differences between samples"
            )
            raise WrongOutputError(message)
