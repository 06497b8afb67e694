"""Comparing a batch with its samples: what deviates, and what follows its sample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.worker.answers import differing
from autotune.worker.batches import WrongOutputError, check, check_shapes, strays
from autotune.worker.parts import MOST_VALUES, narrowed, part_of
from tests.worker.builders import KNOWN, ROWS, answers


def test_an_item_must_give_what_its_sample_gives_alone() -> None:
    """Wherever it stands, within the tolerance of the precision."""
    assert check([ROWS[[2, 0]]], [KNOWN[2], KNOWN[0]], KNOWN, "f32") == 0.0
    assert 0 < check([ROWS * np.float32(1.005)], KNOWN, KNOWN, "f32") < 0.01
    with pytest.raises(WrongOutputError, match=r"deviate from batch 1 by 0\.02"):
        check([ROWS * np.float32(1.02)], KNOWN, KNOWN, "f32")
    assert check([ROWS * np.float32(1.02)], KNOWN, KNOWN, "bf16") == pytest.approx(0.02, rel=0.1)


def test_a_single_item_is_called_no_batch() -> None:
    """Its deviation is said with enough digits to be more than what is allowed."""
    with pytest.raises(WrongOutputError, match=r"from the reference by 0\.0103 .* more than 0\.01"):
        check([ROWS[2:] * np.float32(1.0103)], [KNOWN[2]], KNOWN, "f32")
    with pytest.raises(WrongOutputError, match="the answer does not follow its sample"):
        check([np.array([[8.0, 9.95], [8.0, 9.95]])[:1]], [KNOWN[0]], KNOWN, "bf16", 9.0)


@given(st.permutations([0, 1, 2]))
def test_an_exchange_of_items_is_always_seen(order: list[int]) -> None:
    """Whatever goes where."""
    if order == [0, 1, 2]:
        assert check([ROWS[order]], KNOWN, KNOWN, "f32") == 0.0
    else:
        with pytest.raises(WrongOutputError):
            check([ROWS[order]], KNOWN, KNOWN, "f32")


def test_a_small_value_among_large_ones_must_follow_its_sample() -> None:
    """A score below 1 beside boxes of hundreds deviates by little of the largest."""
    boxes, scores = [300.0, 500.0, 640.0], [0.1, 0.5, 0.9]
    known = answers(list(zip(boxes, scores, strict=True)))
    wrong = np.array([[b, 0.9] for b in boxes])
    with pytest.raises(WrongOutputError, match="item 0 of a batch does not follow its sample"):
        check([wrong], known, known, "f32")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (np.zeros((1, 6)), r"shape \(1, 6\), expected \(3, 2\)"),
        (np.zeros((3, 2, 1)), r"shape \(3, 2, 1\)"),
        (np.where(ROWS == 4, np.nan, ROWS), "deviate from batch 1 by inf"),
    ],
)
def test_another_shape_or_values_that_are_not_finite_are_refused(
    output: np.ndarray, words: str
) -> None:
    """Whatever the rest looks like; also where answers are random."""
    with pytest.raises(WrongOutputError, match=words):
        check([output], KNOWN, KNOWN, "f32")
    with pytest.raises(WrongOutputError):
        check_shapes([output], KNOWN)


def test_random_answers_are_held_to_shapes_and_what_is_finite() -> None:
    """Nothing else of them comes back."""
    check_shapes([ROWS * 7], KNOWN)


def test_an_output_without_a_batch_axis_cannot_be_a_batch() -> None:
    """A scalar, or rows of different widths."""
    scalars = [[part_of(np.array(float(i)))] for i in range(2)]
    with pytest.raises(WrongOutputError, match="no batch dimension"):
        check([np.array([0.0, 1.0])], scalars, scalars, "f32")


def test_lists_of_different_lengths_follow_each_other() -> None:
    """As many detections as each image has."""
    known = [[part_of(np.full((n, 4), float(n), np.float32))] for n in (2, 0, 3)]
    joined = np.concatenate([np.full((n, 4), float(n), np.float32) for n in (2, 0, 3)])
    assert check([joined], known, known, "f32") == 0.0
    with pytest.raises(WrongOutputError, match="deviate"):
        check([joined[::-1].copy()], known, known, "f32")


def test_labels_are_right_or_wrong() -> None:
    """Class 998 is not nearly class 999; of a map of many, a few may turn at a tie."""
    labels = answers(np.array([997, 998, 999]))
    with pytest.raises(WrongOutputError):
        check([np.array([997, 998, 998])], labels, labels, "f32")
    generator = np.random.default_rng(3)
    maps = generator.integers(0, 20, (3, 10_000))
    known = answers(maps)
    turned = maps.copy()
    turned[:, 17] += 1
    assert 0 < check([turned], known, known, "f32") < 0.001
    with pytest.raises(WrongOutputError):
        check([maps[[1, 0, 2]]], known, known, "f32")


TINY = np.array([[300.0, 1e-7], [500.0, 3e-7], [640.0, 9e-7]])
"""A box, and a score that is nothing beside it."""


def test_a_score_that_rounding_of_a_box_would_hide_is_compared_with_scores() -> None:
    """Right or wrong, it passes the check; only a wrong one strays."""
    known = answers(TINY)
    wrong = np.array([[box, TINY[0, 1]] for box in TINY[:, 0]])
    for output, strayed in ((TINY, [False, False]), (wrong, [False, True])):
        check([output], known, known, "f32")
        (found,) = strays([output], known, known, "f32")
        assert list(found) == strayed
    assert [list(found) for found in differing(known, "f32")] == [[True, True]]


def test_rounding_of_a_value_of_its_own_size_is_nothing() -> None:
    """What differs by less than a millionth of itself does not differ."""
    known = answers(np.array([[1.0, 300.0], [1.000001, 500.0]]))
    assert [list(found) for found in differing(known, "f32")] == [[False, True]]
    (found,) = strays([np.array([[1.000001, 300.0], [1.0, 500.0]])], known, known, "f32")
    assert not found.any()


@pytest.mark.parametrize("size", [700, 3 * MOST_VALUES])
def test_a_batch_is_compared_where_its_reference_was_kept(size: int) -> None:
    """However little that is: an exchange still shows."""
    rows = np.random.default_rng(0).random((3, size), dtype=np.float32)
    known = [[narrowed(part, 300) for part in answer] for answer in answers(rows)]
    assert check([rows[[1, 2]]], known[1:], known, "f32") == 0.0
    assert check([rows[[1]]], known[1:2], known, "f32") == 0.0
    with pytest.raises(WrongOutputError):
        check([rows[[2, 1]]], known[1:], known, "f32")
