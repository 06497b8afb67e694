"""How near an answer is to another: oracles, what fails, and what says nothing."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cosine as scipy_cosine

from autotune.workload.metrics import (
    METRICS,
    Metric,
    MetricError,
    is_same,
    score,
    top1_of_label,
    why_silent,
)

VALUES = st.floats(-1e6, 1e6, width=32)
ARRAYS = hnp.array_shapes(min_dims=1, max_dims=4, max_side=5).flatmap(
    lambda shape: st.tuples(*(hnp.arrays(np.float32, shape, elements=VALUES) for _ in range(2)))
)
BOXES = st.lists(st.tuples(*(st.floats(0, 50) for _ in range(4))), max_size=5)


@pytest.mark.parametrize("name", METRICS)
@given(ARRAYS)
def test_a_score_lies_between_0_and_1_and_is_1_of_itself(
    name: str, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    """Of whatever it can be said."""
    metric = Metric(name=name)
    try:
        found = score(metric, {"y": pair[0]}, {"y": pair[1]})
        own = score(metric, {"y": pair[0]}, {"y": pair[0]})
    except MetricError:
        return
    assert 0 <= found <= 1
    if name != "iou":  # a box of no area overlaps nothing, not even itself
        assert own == pytest.approx(1)


@given(ARRAYS)
def test_the_cosine_is_that_of_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """Whose distance is 1 less it; more than a right angle is as wrong as one."""
    a, b = (one.reshape(-1).astype(np.float64) for one in pair)
    if not a.any() or not b.any():
        return
    found = METRICS["cosine"](*pair, 0.5)
    assert found == pytest.approx(max(0.0, 1 - scipy_cosine(a, b)), abs=1e-6)


@given(ARRAYS)
def test_the_relative_error_is_that_of_numpy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """The length of the difference over that of the answer, at most 1."""
    a, b = (one.astype(np.float64) for one in pair)
    length = float(np.linalg.norm(a))
    if not length:
        return
    wanted = max(0.0, 1 - float(np.linalg.norm(b - a)) / length)
    assert METRICS["relative_error"](*pair, 0.5) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 7), (1, 7, 1, 1), (7,), (1, 5, 7), (2, 3, 4, 7)])
def test_top1_compares_classes_place_by_place(shape: tuple[int, ...]) -> None:
    """Classes along the last axis that has several; an image has one place, a text many."""
    random = np.random.default_rng(3)
    a, b = random.random(shape), random.random(shape)
    found = METRICS["top1"](a, b, 0.5)
    flat = [one.reshape(-1, 7) for one in (a, b)]
    assert found == pytest.approx(np.mean(flat[0].argmax(1) == flat[1].argmax(1)))


def area(box: Any) -> float:
    """Of corners."""
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))


def overlap(a: Any, b: Any) -> float:
    """Of two boxes, by hand."""
    common = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    union = area(a) + area(b) - common
    return common / union if union > 1e-12 else 0.0


def boxes(corners: Any) -> np.ndarray:
    """From any two corners, rows of boxes with an area."""
    rows = [(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1) for a, b, c, d in corners]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


@given(BOXES, BOXES)
def test_overlap_is_at_most_that_of_the_best_pairs(one: Any, other: Any) -> None:
    """Which SciPy finds; pairs from the largest overlap on come to at least half of it."""
    a, b = boxes(one), boxes(other)
    found = METRICS["iou"](a, b, 0.5)
    if not len(a) or not len(b):
        assert found == float(len(a) == len(b))
        return
    table = np.array([[overlap(x, y) for y in b] for x in a])
    rows, columns = linear_sum_assignment(-table)
    best = float(table[rows, columns].sum()) / max(len(a), len(b))
    assert best / 2 - 1e-9 <= found <= best + 1e-9


def test_boxes_of_other_labels_or_low_scores_are_none() -> None:
    """Columns: corners, score, label; and the seven of a DetectionOutput."""
    box = [0, 0, 10, 10]
    a = np.array([[*box, 0.9, 1], [*box, 0.2, 1]])
    assert METRICS["iou"](a, np.array([[*box, 0.9, 1]]), 0.5) == 1
    assert METRICS["iou"](a, np.array([[*box, 0.9, 2]]), 0.5) == 0
    ssd = np.array([[[[0, 1, 0.9, *box], [0, 1, 0.1, *box], [-1, 0, 0, 0, 0, 0, 0]]]])
    assert METRICS["iou"](ssd, ssd[:, :, :1], 0.5) == 1
    for wrong in (np.zeros((1, 3)), np.zeros((1, 320)), np.zeros(())):
        with pytest.raises(MetricError, match="no boxes"):
            METRICS["iou"](wrong, wrong, 0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", METRICS)
def test_what_is_not_finite_has_no_score(name: str, value: float) -> None:
    """On either side."""
    good, bad = np.ones((1, 4)), np.array([[1, 1, 1, value]])
    for pair in ((good, bad), (bad, good)):
        found = score(Metric(name=name), {"y": pair[0]}, {"y": pair[1]})
        assert math.isnan(found)


@pytest.mark.parametrize("name", ["top1", "cosine", "relative_error"])
def test_shapes_must_be_alike_and_not_empty(name: str) -> None:
    """A message names the output."""
    metric = Metric(name=name)
    with pytest.raises(MetricError, match=r"of output 'y': shapes differ"):
        score(metric, {"y": np.ones(3)}, {"y": np.ones(4)})
    with pytest.raises(MetricError, match=r"of output 'y': it is empty"):
        score(metric, {"y": np.ones(0)}, {"y": np.ones(0)})
    with pytest.raises(MetricError, match="has text"):
        score(metric, {"y": np.array(["a"])}, {"y": np.array(["a"])})


def test_the_worst_output_counts_or_the_one_that_is_named() -> None:
    """And a name that is none is said."""
    wanted = {"a": np.array([1.0, 0]), "b": np.array([1.0, 0])}
    found = {"a": np.array([1.0, 0]), "b": np.array([0, 1.0])}
    assert score(Metric(name="cosine"), wanted, found) == 0
    assert score(Metric(name="cosine", output="a"), wanted, found) == 1
    with pytest.raises(MetricError, match="no output 'c'; there are a, b"):
        score(Metric(name="cosine", output="c"), wanted, found)


@pytest.mark.parametrize(
    ("label", "right"), [(np.array(2), 1.0), (np.array([2]), 1.0), (np.array(0), 0.0)]
)
def test_a_label_is_the_number_of_a_class(label: np.ndarray, right: float) -> None:
    """Of an output with one score for each class."""
    for shape in ((4,), (1, 4), (1, 4, 1, 1)):
        assert top1_of_label(label, np.array([0.1, 0.2, 0.4, 0.3]).reshape(shape)) == right


@pytest.mark.parametrize(
    ("label", "shape", "words"),
    [
        (np.array(4), (1, 4), "label 4 is none of 4 classes"),
        (np.array(-1), (1, 4), "label -1"),
        (np.array(0.5), (1, 4), "number of a class"),
        (np.array([1, 2]), (1, 4), "number of a class"),
        (np.array("cat"), (1, 4), "number of a class"),
        (np.array(1), (2, 4), "no score for each class"),
        (np.array(0), (1, 1), "no score for each class"),
    ],
)
def test_a_label_that_does_not_fit_is_named(
    label: np.ndarray, shape: tuple[int, ...], words: str
) -> None:
    """Before it counts as wrong."""
    with pytest.raises(MetricError, match=words):
        top1_of_label(label, np.ones(shape))


def test_answers_that_are_the_same_for_every_sample_say_nothing() -> None:
    """Unless another output tells samples apart; empty ones likewise."""
    same, empty = {"y": np.ones(3)}, {"y": np.ones((0, 4))}
    other = {"y": np.ones(3), "z": np.zeros(1)}, {"y": np.ones(3), "z": np.ones(1)}
    assert "the same for every sample" in str(why_silent([same, same]))
    assert "is empty" in str(why_silent([empty, empty]))
    assert why_silent(other) is None
    assert "'y' is the same" in str(why_silent(other, "y"))
    assert why_silent([same]) is None  # of one sample nobody knows


def test_identical_is_to_the_bit() -> None:
    """Type and shape as well; zero with another sign is another answer."""
    one = {"y": np.array([[0.0, 1.0]], np.float32)}
    assert is_same(one, {"y": one["y"].copy()})
    others = (
        np.array([[-0.0, 1.0]], np.float32),
        np.array([0.0, 1.0], np.float32),
        np.array([[0.0, 1.0]], np.float64),
        np.array([[0.0, np.nextafter(np.float32(1), np.float32(2))]], np.float32),
    )
    assert not any(is_same(one, {"y": other}) for other in others)


def test_a_metric_is_what_was_written() -> None:
    """From process to process."""
    for name, output in itertools.product(METRICS, ("", "y")):
        metric = Metric(name=name, output=output, threshold=0.3)
        assert Metric.from_dict(metric.to_dict()) == metric
