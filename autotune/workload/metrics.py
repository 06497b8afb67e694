"""How near an answer is to the one that it is held to: a score from 0 to 1 for each sample."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autotune.workload.inputs import Inputs

Array = np.ndarray[Any, Any]
Outputs = Mapping[str, Array]
"""Of one sample, by the outputs' names."""
_MOST_OVERLAP = 1e-12
_LEAST_COLUMNS, _SSD_COLUMNS = 4, 7
"""Image, label, score, and the corners: rows of a DetectionOutput."""


class MetricError(ValueError):
    """Answers that a metric cannot compare; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a study asks for."""

    name: str
    """Of `METRICS`; or as the study names a function."""
    code: Inputs | None = None
    """Where the function is; None for one of `METRICS`."""
    output: str = ""
    """The output that counts; empty for the worst of all."""
    threshold: float = 0.5
    """Boxes with a lower score are none."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` reads it back."""
        code = None if self.code is None else self.code.to_dict()
        return {
            "name": self.name,
            "code": code,
            "output": self.output,
            "threshold": self.threshold,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Metric":
        """What `to_dict` gave."""
        code = values["code"]
        return cls(**{**values, "code": None if code is None else Inputs.from_dict(code)})


def top1(wanted: Array, found: Array, _: float = 0.5) -> float:
    """The share of places at which the largest value is of the same class.

    Classes lie along the last axis that has more than one element, places along all before it: an
    image has one, a line of text one for each step.
    """
    a, b = _alike(wanted, found)
    axes = [axis for axis, size in enumerate(a.shape) if size > 1]
    if not axes:
        raise MetricError("there is one value, and no class")
    return float((a.argmax(axes[-1]) == b.argmax(axes[-1])).mean())


def top1_of_label(label: Array, found: Array) -> float:
    """1 where the class with the largest value is the right one, else 0.

    Raises:
        MetricError: the label is no class of the output's, or the output has several places.
    """
    flat = found.reshape(-1)
    if flat.size != max(found.shape, default=1) or flat.size < 2:
        raise MetricError(f"an output of {list(found.shape)} is no score for each class")
    if label.size != 1 or label.dtype.kind not in "biu":
        raise MetricError("a label is the number of a class")
    right = int(label.reshape(-1)[0])
    if not 0 <= right < flat.size:
        raise MetricError(f"label {right} is none of {flat.size} classes")
    return float(int(flat.argmax()) == right)


def cosine(wanted: Array, found: Array, _: float = 0.5) -> float:
    """The cosine of the angle between two answers; 0 where that is more than a right one."""
    a, b = (one.reshape(-1).astype(np.float64) for one in _alike(wanted, found))
    a, b = (one / (np.abs(one).max() or 1.0) for one in (a, b))  # whose squares are finite
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    if not lengths:
        return float(not a.any() and not b.any())
    return min(1.0, max(0.0, float(a @ b) / lengths))


def relative_error(wanted: Array, found: Array, _: float = 0.5) -> float:
    """1 less the length of the difference over that of the answer; 0 where it is as long."""
    a, b = (one.reshape(-1).astype(np.float64) for one in _alike(wanted, found))
    scale = float(max(np.abs(a).max(), np.abs(b).max())) or 1.0
    length = float(np.linalg.norm(a / scale))
    apart = float(np.linalg.norm(b / scale - a / scale))
    if not length:
        return float(not apart)
    return max(0.0, 1 - apart / length)


def iou(wanted: Array, found: Array, threshold: float = 0.5) -> float:
    """Overlap of boxes: the sum over pairs, over as many boxes as the side with more of them has.

    Pairs are made from the largest overlap on. Rows are boxes by their corners x1, y1, x2, y2, then
    a score where there is one, and a label; or the seven columns of a DetectionOutput. Boxes of
    different labels overlap in nothing.
    """
    sides = [_boxes(one, threshold) for one in (wanted, found)]
    (a, labels_a), (b, labels_b) = sides
    if not len(a) and not len(b):
        return 1.0
    if not len(a) or not len(b):
        return 0.0
    overlap = _overlaps(a, b) * (labels_a[:, None] == labels_b[None, :])
    total = 0.0
    for _ in range(min(len(a), len(b))):
        at = np.unravel_index(int(overlap.argmax()), overlap.shape)
        best = float(overlap[at])
        if best <= 0:
            break
        total += best
        overlap[at[0], :] = -1
        overlap[:, at[1]] = -1
    return total / max(len(a), len(b))


METRICS: Mapping[str, Callable[[Array, Array, float], float]] = {
    "top1": top1,
    "cosine": cosine,
    "relative_error": relative_error,
    "iou": iou,
}
"""By the names that a study gives them."""


def score(metric: Metric, wanted: Outputs, found: Outputs) -> float:
    """Of one sample: of the output that counts, or the worst of all.

    Not a number where a value is none: an answer of that kind is right by no measure.

    Raises:
        MetricError: the answers are none of this metric's; the message names the output.
    """
    names = [metric.output] if metric.output else list(wanted)
    missing = next((name for name in names if name not in wanted), None)
    if missing is not None:
        raise MetricError(f"there is no output {missing!r}; there are {', '.join(wanted)}")
    each = []
    for name in names:
        a, b = wanted[name], found[name]
        if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
            raise MetricError(f"output {name!r} has text, which has no {metric.name}")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return math.nan
        try:
            each.append(METRICS[metric.name](a, b, metric.threshold))
        except MetricError as error:
            raise MetricError(f"{metric.name} of output {name!r}: {error}") from None
    return min(each)


def is_same(wanted: Outputs, found: Outputs) -> bool:
    """Whether two answers are the same to the bit."""
    return all(
        wanted[name].shape == found[name].shape
        and wanted[name].dtype == found[name].dtype
        and wanted[name].tobytes() == found[name].tobytes()
        for name in wanted
    )


def why_silent(answers: Sequence[Outputs], output: str = "") -> str | None:
    """Why answers of the reference cannot tell right from wrong; None where an output can."""
    names = [output] if output else list(answers[0] if answers else ())
    whys = [_why_silent(name, [one[name] for one in answers if name in one]) for name in names]
    return None if None in whys else next(iter(whys), "there are no answers")


def _why_silent(name: str, parts: Sequence[Array]) -> str | None:
    if all(part.size == 0 for part in parts):
        return f"output {name!r} is empty for every sample"
    first = parts[0]
    is_one = all(part.shape == first.shape and part.tobytes() == first.tobytes() for part in parts)
    return f"output {name!r} is the same for every sample" if len(parts) > 1 and is_one else None


def _alike(wanted: Array, found: Array) -> tuple[Array, Array]:
    if wanted.shape != found.shape:
        raise MetricError(f"shapes differ: {list(wanted.shape)} and {list(found.shape)}")
    if not wanted.size:
        raise MetricError("it is empty")
    return wanted, found


def _boxes(values: Array, threshold: float) -> tuple[Array, Array]:
    """Corners, and labels, of what has a score that counts.

    Raises:
        MetricError: these are no boxes.
    """
    columns = values.shape[-1] if values.ndim else 0
    if not _LEAST_COLUMNS <= columns <= _SSD_COLUMNS:
        raise MetricError(
            f"{list(values.shape)} are no boxes: rows have x1, y1, x2, y2, a score and a label"
        )
    rows = values.reshape(-1, columns).astype(np.float64)
    if columns == _SSD_COLUMNS:
        kept = rows[(rows[:, 0] >= 0) & (rows[:, 2] >= threshold)]
        return kept[:, 3:], kept[:, 1]
    kept = rows[rows[:, 4] >= threshold] if columns > 4 else rows
    labels = kept[:, 5] if columns > 5 else np.zeros(len(kept))
    return kept[:, :4], labels


def _overlaps(a: Array, b: Array) -> Array:
    """Intersection over union of every pair; shape (of a, of b)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(one[:, 2:4] - one[:, :2], 0, None).prod(axis=1) for one in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - common
    return np.where(union > _MOST_OVERLAP, common / np.maximum(union, _MOST_OVERLAP), 0.0)
