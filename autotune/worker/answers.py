"""Whether two ways of running a model give the same answers, and whether it would show.

`set_batch` can silently produce wrong answers, faster. Whether it did shows only in outputs that
say something: that are finite, not empty, and differ from sample to sample. A detector that finds
nothing in noise gives the same empty list for a right and for a wrong batch.

An answer is what one sample gives at batch 1: a `Part` for each output. Large outputs are kept in
part, always the same one, so that a reference stays small.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOLERANCE = {"f32": 0.01, "f16": 0.05, "bf16": 0.15}
"""Largest deviation from the reference relative to its largest value, by precision. Made to catch
wrong answers (a batch that mixes items up), not to judge accuracy."""
STRICT = 0.001
"""The same where a batch is to be proven in f32: 2e-6 is the most that was seen of a right one."""
MOST_VALUES = 2**16
"""Of an output, as many values are kept at most."""
_NOISE = {"f32": 1e-5, "f16": 2e-3, "bf16": 1.6e-2}
"""What rounding may make of a value, relative to the output's largest."""
_TELLING = 4
"""An element says something where samples differ by so many times what rounding may do."""
_FOLLOWS = 0.25
"""There an item may be off by this share of the differences between samples."""
_LABELS = 0.01
"""Share of an output's whole numbers that may be off."""


class WrongOutputError(Exception):
    """The compiled model's outputs have other shapes or values than the reference."""


@dataclass(frozen=True, slots=True)
class Part:
    """One output for one sample."""

    shape: tuple[int, ...]
    values: np.ndarray
    """Flat: all of them, or some at `_places`."""


Answer = Sequence[Part]
"""All outputs for one sample."""


def part_of(output: np.ndarray, most: int = MOST_VALUES) -> Part:
    """What is kept of an output, `most` values of it; copied."""
    flat = output.reshape(-1)
    kept = np.array(flat) if flat.size <= most else flat[_places(flat.size, most)]
    return Part(tuple(output.shape), kept)


def narrowed(part: Part, most: int) -> Part:
    """What `part_of` would have kept with fewer values."""
    if part.values.size <= most:
        return part
    size = math.prod(part.shape)
    places = _places(size, most)
    if part.values.size < size:
        places = np.searchsorted(_places(size, part.values.size), places)
    return Part(part.shape, part.values[places])


def check(
    outputs: Sequence[np.ndarray],
    expected: Sequence[Answer],
    known: Sequence[Answer],
    precision: str,
    tolerance: float | None = None,
) -> float:
    """Largest deviation of a batch from the answers of its samples, relative to their largest.

    Args:
        outputs: what the batch gave.
        expected: for each of its items, the answer of that sample at batch 1.
        known: the answers of all samples: how far apart they are tells what an item must keep.
        precision: of both.
        tolerance: instead of that of the precision.

    Raises:
        WrongOutputError: another shape, a value that is finite in only one of the two, a deviation
            beyond the tolerance, or an item that does not follow its sample.
    """
    limit = TOLERANCE.get(precision, 0.15) if tolerance is None else tolerance
    worst = 0.0
    for index, output in enumerate(outputs):
        wanted, parts = ([answer[index] for answer in answers] for answers in (expected, known))
        items = _items(index, output, wanted, parts)
        scale = _scale(parts)
        for got, part in zip(items, wanted, strict=True):
            worst = max(worst, _deviation(got, part.values, scale))
        if not worst <= limit:
            message = (
                f"outputs deviate from batch 1 by {worst:.2g} of their largest value, "
                f"more than {limit:g}"
            )
            raise WrongOutputError(message)
        _check_that_items_follow(index, items, wanted, parts, precision)
    return worst


def strays(
    outputs: Sequence[np.ndarray],
    expected: Sequence[Answer],
    known: Sequence[Answer],
    precision: str,
) -> list[np.ndarray]:
    """For each output, the elements of a batch that passed `check` and yet are in doubt.

    Scores of 1e-7 beside boxes of hundreds pass, whoever's they are: rounding of the largest value
    is more than all that they differ by. Such an element is compared with its own size: it is in
    doubt where samples differ in it and some item is off by a quarter of that.

    Args:
        outputs: what the batch gave.
        expected: for each of its items, the answer of that sample at batch 1.
        known: the answers of all samples.
        precision: of both.
    """
    found = []
    for index, output in enumerate(outputs):
        wanted, parts = ([answer[index] for answer in answers] for answers in (expected, known))
        _, faint, apart = _differing(parts, precision)
        strayed = np.zeros_like(faint)
        if faint.any():
            for got, part in zip(_items(index, output, wanted, parts), wanted, strict=True):
                strayed |= faint & (np.abs(_finite(got) - _finite(part.values)) > _FOLLOWS * apart)
        found.append(strayed)
    return found


def differing(known: Sequence[Answer], precision: str) -> list[np.ndarray]:
    """For each output, the elements in which samples differ by more than rounding of their own."""
    found = (_differing(parts, precision) for parts in zip(*known, strict=True))
    return [strong | faint for strong, faint, _ in found]


def _differing(parts: Sequence[Part], precision: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elements that tell beside the output's largest value, those that do beside their own only.

    And by how much samples differ in each. Nothing where the sizes differ: it shows by them.
    """
    values = _matrix(parts) if len({part.shape for part in parts}) == 1 else None
    if values is None:
        nothing = np.zeros(parts[0].values.size, bool)
        return nothing, nothing, np.zeros(parts[0].values.size)
    strong, apart = _telling(parts, precision), values.max(axis=0) - values.min(axis=0)
    noise = _NOISE.get(precision, 1.6e-2) * np.abs(values).max(axis=0)
    return strong, ~strong & (apart > _TELLING * noise), apart


def check_shapes(outputs: Sequence[np.ndarray], expected: Sequence[Answer]) -> None:
    """As `check`, of shapes and of what is finite: all that a random answer can be held to.

    Raises:
        WrongOutputError: another shape, or values that are not finite where the reference's are.
    """
    for index, output in enumerate(outputs):
        wanted = [answer[index] for answer in expected]
        for got, part in zip(_items(index, output, wanted, []), wanted, strict=True):
            if _is_finite(part.values) and not _is_finite(got):
                message = f"output {index} has values that are not finite, unlike batch 1"
                raise WrongOutputError(message)


def silences(known: Sequence[Answer], precision: str, relevant: Sequence[bool]) -> list[str | None]:
    """For each output, why these answers could not show a mistake in it; None where they could.

    Args:
        known: of different samples.
        precision: that they were computed in.
        relevant: for each output, whether it depends on the inputs at all; one that does not has
            nothing to show.
    """
    return [
        _silence(parts, precision) if relevant[index] else None
        for index, parts in enumerate(zip(*known, strict=True))
    ]


def _silence(parts: Sequence[Part], precision: str) -> str | None:
    usable = [part for part in parts if _is_finite(part.values)]
    if not usable:
        return "not finite for any sample"
    if all(part.values.size == 0 for part in usable):
        return "empty for every sample"
    if len({part.shape for part in usable}) > 1:
        return None  # as many detections as there are: they differ
    return None if _telling(usable, precision).any() else "the same for every sample"


def are_finite(known: Sequence[Answer]) -> bool:
    """Whether every value of every output is."""
    return all(_is_finite(part.values) for answer in known for part in answer)


def deviation(outputs: Sequence[Answer], exact: Sequence[Answer]) -> float | None:
    """Largest deviation of any output of any sample.

    None where a value is finite in only one of the two, infinite where an output has another shape.
    """
    worst = 0.0
    for index in range(len(exact[0]) if exact else 0):
        scale = _scale([answer[index] for answer in exact])
        for answer, wanted in zip(outputs, exact, strict=True):
            if answer[index].shape != wanted[index].shape:
                return math.inf
            worst = max(worst, _deviation(answer[index].values, wanted[index].values, scale))
    return worst if math.isfinite(worst) else None


def is_repeated(first: Answer, again: Answer, precision: str) -> bool:
    """Whether two runs of one sample gave one answer, within what rounding may do."""
    for one, other in zip(first, again, strict=True):
        if one.shape != other.shape:
            return False
        found = _deviation(other.values, one.values, _scale([one]))
        if found > _TELLING * _NOISE.get(precision, 1.6e-2):
            return False
    return True


def spread(known: Sequence[Answer]) -> float:
    """How far answers of different samples are apart, relative to their largest value.

    The least of all outputs that differ at all; infinite where none does.
    """
    found = math.inf
    for parts in zip(*known, strict=True):
        usable = [part for part in parts if _is_finite(part.values)]
        if len({part.shape for part in usable}) != 1 or not usable[0].values.size:
            continue
        values = _matrix(usable)
        if values is None:
            continue
        apart = float((values.max(axis=0) - values.min(axis=0)).max()) / _scale(usable)
        found = min(found, apart) if apart > 0 else found
    return found


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
    precision: str,
) -> None:
    """Where samples differ, each item must be nearer to its own sample than to others.

    A small value among large ones may be wrong without deviating much from the largest.
    """
    telling, _, apart = _differing(known, precision)
    if not telling.any():
        return
    allowed = _FOLLOWS * apart[telling]
    for position, (got, part) in enumerate(zip(items, wanted, strict=True)):
        off = np.abs(_finite(got) - _finite(part.values))[telling]
        wrong = int((off > allowed).sum())
        # Of labels, a few among many may turn where two were as good as equal.
        if wrong > (_LABELS * off.size if part.values.dtype.kind in "ui" else 0):
            message = (
                f"item {position} of a batch does not follow its sample: in output {index} "
                f"{wrong} values are off by a quarter or more of the differences between samples"
            )
            raise WrongOutputError(message)


def _telling(parts: Sequence[Part], precision: str) -> np.ndarray:
    """For each element, whether samples differ in it by more than rounding could make them."""
    values = _matrix(parts)
    if values is None:  # text, or a type of its own
        first = parts[0].values
        return np.asarray(np.any([part.values != first for part in parts], axis=0))
    apart = values.max(axis=0) - values.min(axis=0)
    if parts[0].values.dtype.kind in "bui":
        return np.asarray(apart > 0)
    noise = _NOISE.get(precision, 1.6e-2) * _scale(parts)
    return np.asarray(apart > _TELLING * noise)


def _matrix(parts: Sequence[Part]) -> np.ndarray | None:
    """Samples by elements; None where the values are no numbers."""
    if parts[0].values.dtype.kind not in "buif":
        return None
    return np.stack([_finite(part.values) for part in parts])


def _finite(values: np.ndarray) -> np.ndarray:
    """With 0 in place of what is not."""
    wide = values.astype(np.float64)
    return np.where(np.isfinite(wide), wide, 0.0)


def _scale(parts: Sequence[Part]) -> float:
    """The size of an output: the median over samples of its largest finite value; never 0."""
    largest = [_largest(part.values) for part in parts]
    return float(np.median(largest)) or max(largest, default=0.0) or 1.0


def _largest(values: np.ndarray) -> float:
    if values.dtype.kind not in "buif" or not values.size:
        return 0.0
    finite = np.abs(values.astype(np.float64))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size else 0.0


def _deviation(got: np.ndarray, wanted: np.ndarray, scale: float) -> float:
    """Relative to the larger of the sample's own largest value and a thousandth of the usual."""
    if wanted.dtype.kind not in "buif":
        return float(not np.array_equal(got, wanted))
    if wanted.dtype.kind in "ui" and wanted.dtype.itemsize > 1:
        # A label or an index that is off by one is another answer: as many as there are of them.
        return float(np.mean(got != wanted)) if wanted.size else 0.0
    exact, found = wanted.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(exact)
    if not np.array_equal(finite, np.isfinite(found)):
        return math.inf
    if not finite.any():
        return 0.0
    own = max(float(np.abs(exact[finite]).max()), scale / 1000)
    return float(np.abs(found[finite] - exact[finite]).max()) / own


def _is_finite(values: np.ndarray) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _places(size: int, most: int) -> np.ndarray:
    """Which values of a large output are kept: spread at random, the same in every process.

    Fewer are among those of more.
    """
    return np.sort(np.random.default_rng(size).integers(0, size, MOST_VALUES)[:most])
