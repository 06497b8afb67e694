"""What answers of different samples say, and how far apart they are.

A mistake shows only in outputs that say something: that are finite, not empty, and differ from
sample to sample. A detector that finds nothing in noise gives the same empty list for a right and
for a wrong batch.
"""

import math
from collections.abc import Sequence

import numpy as np

from autotune.worker.parts import Answer, Part, is_finite, magnitude, matrix, off_by

_NOISE = {"f32": 1e-5, "f16": 2e-3, "bf16": 1.6e-2}
"""What rounding may make of a value, relative to the output's largest."""
TELLING = 4
"""An element says something where samples differ by so many times what rounding may do."""


def noise_of(arithmetic: str) -> float:
    """What rounding may make of a value, relative to the output's largest."""
    return _NOISE.get(arithmetic, 1.6e-2)


def silences(
    known: Sequence[Answer], arithmetic: str, relevant: Sequence[bool]
) -> list[str | None]:
    """For each output, why these answers could not show a mistake in it; None where they could.

    Args:
        known: of different samples.
        arithmetic: that they were computed in.
        relevant: for each output, whether it depends on the inputs at all; one that does not has
            nothing to show.
    """
    return [
        _silence(parts, arithmetic) if relevant[index] else None
        for index, parts in enumerate(zip(*known, strict=True))
    ]


def _silence(parts: Sequence[Part], arithmetic: str) -> str | None:
    usable = [part for part in parts if is_finite(part.values)]
    if not usable:
        return "not finite for any sample"
    if all(part.values.size == 0 for part in usable):
        return "empty for every sample"
    if len({part.shape for part in usable}) > 1:
        return None  # as many detections as there are: they differ
    return None if _telling(usable, arithmetic).any() else "the same for every sample"


def are_finite(known: Sequence[Answer]) -> bool:
    """Whether every value of every output is."""
    return all(is_finite(part.values) for answer in known for part in answer)


def deviation(outputs: Sequence[Answer], exact: Sequence[Answer]) -> float | None:
    """Largest deviation of any output of any sample.

    None where a value is finite in only one of the two, infinite where an output has another shape.
    """
    worst = 0.0
    for index in range(len(exact[0]) if exact else 0):
        scale = magnitude([answer[index] for answer in exact])
        for answer, wanted in zip(outputs, exact, strict=True):
            if answer[index].shape != wanted[index].shape:
                return math.inf
            worst = max(worst, off_by(answer[index].values, wanted[index].values, scale))
    return worst if math.isfinite(worst) else None


def is_repeated(first: Answer, again: Answer, arithmetic: str) -> bool:
    """Whether two runs of one sample gave one answer, within what rounding may do."""
    for one, other in zip(first, again, strict=True):
        if one.shape != other.shape:
            return False
        found = off_by(other.values, one.values, magnitude([one]))
        if found > TELLING * noise_of(arithmetic):
            return False
    return True


def spread(known: Sequence[Answer]) -> float:
    """How far answers of different samples are apart, relative to their largest value.

    The least of all outputs that differ at all; infinite where none does.
    """
    found = math.inf
    for parts in zip(*known, strict=True):
        usable = [part for part in parts if is_finite(part.values)]
        if len({part.shape for part in usable}) != 1 or not usable[0].values.size:
            continue
        values = matrix(usable)
        if values is None:
            continue
        apart = float((values.max(axis=0) - values.min(axis=0)).max()) / magnitude(usable)
        found = min(found, apart) if apart > 0 else found
    return found


def differing(known: Sequence[Answer], arithmetic: str) -> list[np.ndarray]:
    """For each output, the elements in which samples differ by more than rounding of their own."""
    found = (elements_apart(parts, arithmetic) for parts in zip(*known, strict=True))
    return [strong | faint for strong, faint, _ in found]


def elements_apart(
    parts: Sequence[Part], arithmetic: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elements that tell beside the output's largest value, those that do beside their own only.

    And by how much samples differ in each. Nothing where the sizes differ: it shows by them.
    """
    values = matrix(parts) if len({part.shape for part in parts}) == 1 else None
    if values is None:
        nothing = np.zeros(parts[0].values.size, bool)
        return nothing, nothing, np.zeros(parts[0].values.size)
    strong, apart = _telling(parts, arithmetic), values.max(axis=0) - values.min(axis=0)
    noise = noise_of(arithmetic) * np.abs(values).max(axis=0)
    return strong, ~strong & (apart > TELLING * noise), apart


def _telling(parts: Sequence[Part], arithmetic: str) -> np.ndarray:
    """For each element, whether samples differ in it by more than rounding could make them."""
    values = matrix(parts)
    if values is None:  # text, or a type of its own
        first = parts[0].values
        return np.asarray(np.any([part.values != first for part in parts], axis=0))
    apart = values.max(axis=0) - values.min(axis=0)
    if parts[0].values.dtype.kind in "bui":
        return np.asarray(apart > 0)
    noise = noise_of(arithmetic) * magnitude(parts)
    return np.asarray(apart > TELLING * noise)
