"""Answers of samples: how far they are apart, and what says nothing at all."""

import numpy as np
import pytest

from autotune.worker.answers import are_finite, deviation, is_repeated, silences, spread
from tests.worker.builders import KNOWN, ROWS, answers


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (np.zeros((3, 4), np.float32), "the same for every sample"),
        (np.full((3, 4), 0.001, np.float32), "the same for every sample"),
        (np.zeros((3, 0), np.float32), "empty for every sample"),
        (np.full((3, 4), np.nan, np.float32), "not finite for any sample"),
        (np.ones((3, 1), np.int64), "the same for every sample"),
        (np.array([[1.0], [1.000001], [1.0]], np.float32), "the same for every sample"),
        (np.array([["a"], ["a"], ["a"]]), "the same for every sample"),
        (ROWS, None),
        (np.array([[1], [2], [1]]), None),
        (np.array([["a"], ["b"], ["a"]]), None),
        (np.array([[1.0], [1.01], [1.0]], np.float32), None),
    ],
)
def test_outputs_that_are_empty_constant_or_not_finite_say_nothing(
    rows: np.ndarray, why: str | None
) -> None:
    """A wrong batch would give them too."""
    assert silences(answers(rows), "f32", [True]) == [why]
    assert silences(answers(rows), "f32", [False]) == [None]


def test_each_output_must_speak_for_itself() -> None:
    """Right logits prove nothing of an empty list beside them."""
    known = answers(ROWS, np.zeros((3, 0), np.float32))
    assert silences(known, "f32", [True, True]) == [None, "empty for every sample"]


def test_rounding_does_not_tell_samples_apart() -> None:
    """A difference that f32 shows may be lost in bf16."""
    rows = np.array([[1.0], [1.02], [1.0]], np.float32)
    assert silences(answers(rows), "f32", [True]) == [None]
    assert silences(answers(rows), "bf16", [True]) == ["the same for every sample"]


def test_deviation_is_relative_to_the_largest_value() -> None:
    """Over all samples; None where only one of the two is finite, infinite for another size."""
    exact = answers(np.array([[0.0, 10.0]]))
    assert deviation(answers(np.array([[1.0, 10.0]])), exact) == pytest.approx(0.1)
    assert deviation(exact, exact) == 0.0
    assert deviation(answers(np.array([[np.inf, 10.0]])), exact) is None
    assert deviation(answers(np.array([[0.5]])), answers(np.array([[0.0]]))) == 500
    assert deviation(answers(np.array([[True]])), answers(np.array([[False]]))) == pytest.approx(
        1e3
    )
    assert deviation(answers(np.array([[0.0, 1.0, 2.0]])), exact) == np.inf


def test_values_that_are_not_finite_are_found_wherever_they_are() -> None:
    """In every output of every sample."""
    assert are_finite(KNOWN)
    assert are_finite(answers(np.array([[1, 2]])))
    assert not are_finite(answers(ROWS, np.where(ROWS == 8, np.nan, ROWS)))
    assert not are_finite(answers(np.where(ROWS == 8, -np.inf, ROWS)))


def test_spread_is_how_far_samples_are_apart() -> None:
    """Relative to the largest value, of the output that tells least."""
    assert spread(KNOWN) == pytest.approx(0.8)
    assert spread(answers(ROWS, [[1.0], [1.1], [1.0]])) == pytest.approx(0.1, rel=0.1)
    assert spread(answers(np.ones((3, 2)))) == np.inf


def test_a_sample_that_gives_another_answer_is_not_repeated() -> None:
    """Beyond rounding, or of another shape."""
    (answer,) = answers(np.array([[1.0, 2.0]]))
    (rounded,) = answers(np.array([[1.0, 2.000001]]))
    (other,) = answers(np.array([[1.0, 2.01]]))
    (longer,) = answers(np.array([[1.0, 2.0, 3.0]]))
    assert is_repeated(answer, rounded, "f32")
    assert not is_repeated(answer, other, "f32")
    assert not is_repeated(answer, longer, "f32")
