"""Random data in ranges that were said, or guessed with a warning."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import SourceError
from autotune.workload.guesses import InputKind, guessed
from autotune.workload.inputs import Range
from autotune.workload.random_data import check_range, made_samples, parse_ranges, values_in
from tests.workload.builders import port

WHOLE = [np.dtype(f"{sign}{size}") for sign in "iu" for size in (1, 2, 4, 8)]
REAL = [np.dtype(f"f{size}") for size in (2, 4, 8)]
BOOL = np.dtype(bool)


def generator() -> np.random.Generator:
    """From a fixed seed."""
    return np.random.default_rng(5)


@pytest.mark.parametrize("dtype", [*WHOLE, BOOL], ids=str)
def test_whole_numbers_have_both_ends(dtype: np.dtype[Any]) -> None:
    """Of a small range and of the whole type."""
    ends = (0, 1) if dtype == BOOL else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for low, high in {(0, 1), ends, (1, 1), (ends[1], ends[1]), (ends[0], ends[0])}:
        values = values_in(generator(), Range(low, high), port(dtype=dtype), [400])
        assert values.dtype == dtype
        assert int(values.min()) >= low
        assert int(values.max()) <= high
        if high - low <= 255:
            assert low in values.tolist()
            assert high in values.tolist()


@pytest.mark.parametrize("dtype", REAL, ids=str)
def test_real_numbers_are_within(dtype: np.dtype[Any]) -> None:
    """Of ranges that are narrow, constant, and as wide as the type."""
    largest = float(np.finfo(dtype).max)
    for low, high in [(0, 1), (-3.5, -3.25), (0.1, 0.1), (-largest, largest), (0, largest)]:
        values = values_in(generator(), Range(low, high), port(dtype=dtype), [50, 2])
        assert values.dtype == dtype
        assert np.isfinite(values).all()
        assert values.min() >= dtype.type(low)
        assert values.max() <= dtype.type(high)
        assert (len(np.unique(values)) > 10) == (low < high)


@given(
    st.sampled_from([*WHOLE, *REAL, BOOL]),
    st.integers(-(2**70), 2**70) | st.floats(allow_nan=True),
    st.integers(-(2**70), 2**70) | st.floats(allow_nan=True),
)
def test_any_range_gives_its_values_or_is_refused(
    dtype: np.dtype[Any], low: float, high: float
) -> None:
    """No value is ever another one than was asked for."""
    one = port(dtype=dtype)
    try:
        check_range(Range(low, high), "x", one)
    except SourceError:
        return
    values = values_in(generator(), Range(low, high), one, [20])
    assert values.dtype == dtype
    if dtype in REAL:
        assert (values >= dtype.type(low)).all()
        assert (values <= dtype.type(high)).all()
    else:
        assert all(low <= int(value) <= high for value in values)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "words"),
    [
        (2, 1, None, "is empty; give the lower number first"),
        (0, math.nan, None, "is not finite"),
        (-math.inf, 1, None, "is not finite"),
        (0, 0.5, "i8", "takes whole numbers"),
        (0, 256, "u1", "but uint8 there goes from 0 to 255"),
        (-1, 1, "u8", "goes from 0 to"),
        (0, 2, "?", "but bool there goes from 0 to 1"),
        (0, 70000, "f2", "but float16 there goes from"),
        (0, 1, "U", "the model takes text there"),
    ],
)
def test_ranges_that_cannot_be_are_refused(
    low: float, high: float, dtype: str | None, words: str
) -> None:
    """With the range and the type."""
    one = None if dtype is None else port(dtype=dtype)
    with pytest.raises(SourceError, match=words):
        check_range(Range(low, high), "x", one)


def test_types_below_a_byte_have_their_own_limits() -> None:
    """They are written in wider ones."""
    one = port("x", (8,), np.int64, limits=(0, 15))
    with pytest.raises(SourceError, match="goes from 0 to 15"):
        values_in(generator(), Range(0, 16), one, [8])
    assert values_in(generator(), Range(0, 15), one, [8]).max() <= 15


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("ids=0:30000;mask=1", {"ids": Range(0, 30000), "mask": Range(1, 1)}),
        (" x = -0.5 : 0.5 ; ", {"x": Range(-0.5, 0.5)}),
        ("0:1", {"": Range(0, 1)}),
        ("in:0=3", {"in:0": Range(3, 3)}),
        ("a=b=1e2", {"a=b": Range(100, 100)}),
        (f"big={2**63 - 1}", {"big": Range(2**63 - 1, 2**63 - 1)}),
        ("", {}),
    ],
)
def test_ranges_are_read_from_an_option(text: str, known: dict[str, Range]) -> None:
    """Whole numbers stay whole, however large."""
    assert parse_ranges(text) == known


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ids", "'ids' is no range; write name=low:high"),
        ("ids=", "is no range"),
        ("ids=1:", "is no range"),
        ("ids=1:2:3", "is no range"),
        ("ids=a:b", "is no range"),
        ("ids=2:1", "is empty"),
        ("ids=nan", "is not finite"),
        ("ids=0:inf", "is not finite"),
        (f"ids=0:{'9' * 400}", "is no range"),
        (f"ids=-{'9' * 5000}", "is no range"),
        ("ids=0:1e999", "is not finite"),
        ("ids=1;ids=2", "gives 'ids' two ranges"),
    ],
)
def test_what_is_no_range_is_told(text: str, words: str) -> None:
    """With how one is written."""
    with pytest.raises(SourceError, match=words):
        parse_ranges(text)


GUESSES = {
    InputKind.IDS: "input_ids ids tokens decoder_input_ids inputIds input-ids:0 word_ids token_ids",
    InputKind.MASK: "attention_mask mask decoder_attention_mask padding-mask attentionMask",
    InputKind.TYPES: "token_type_ids segment_ids segments tokenTypeIds token_types",
    InputKind.POSITIONS: "position_ids positions pos position_ids:0",
    InputKind.LENGTHS: "lengths x_len seq_len text-lengths length",
    InputKind.RATE: "sr sample_rate sampleRate sampling_rate",
    InputKind.LABELS: "label class_ids speaker_id langs",
    InputKind.WHOLE: "x data state hidden 0 side maskin kids sender",
}


@pytest.mark.parametrize(
    ("name", "kind"), [(n, kind) for kind, names in GUESSES.items() for n in names.split()]
)
@pytest.mark.parametrize("dtype", ["i4", "i8"])
def test_kinds_are_guessed_from_names(name: str, kind: InputKind, dtype: str) -> None:
    """And said, with the way out."""
    one, found, warning = guessed(name, np.dtype(dtype), (1, None))
    assert found is kind
    assert warning.startswith(f"input {name!r} is taken for {kind}, and gets ")
    assert warning.endswith(": give inputs of your own, or its range")
    check_range(one, name, port(name, dtype=dtype))


@pytest.mark.parametrize(
    ("dtype", "shape", "kind", "ends"),
    [
        ("u1", (1, 3, None, None), InputKind.PIXELS, (0, 255)),
        ("u1", (None, 480, 640, 3), InputKind.PIXELS, (0, 255)),
        ("u1", None, InputKind.PIXELS, (0, 255)),
        ("u1", (1, 8), InputKind.WHOLE, (0, 1)),
        ("f4", (1, 3, 224, 224), InputKind.REALS, (0, 1)),
        ("f2", None, InputKind.REALS, (0, 1)),
        ("?", (1,), InputKind.FLAGS, (0, 1)),
        ("U", (1,), InputKind.TEXT, (0, 0)),
    ],
)
def test_kinds_are_guessed_from_types(
    dtype: str, shape: Any, kind: InputKind, ends: tuple[int, int]
) -> None:
    """Where the name says nothing."""
    one, found, _ = guessed("x", np.dtype(dtype), shape)
    assert (found, one) == (kind, Range(*ends))


def test_samples_are_the_same_in_every_process() -> None:
    """Those that were said as they were said, the others guessed with a warning each."""
    ports = [
        port("input_ids", dtype="i8"),
        port("attention_mask", dtype="i8"),
        port("position_ids", dtype="i8"),
        port("x", (1,), dtype="f4"),
        port("text", (2,), dtype="U"),
        port("rate", (), dtype="i4"),
        port("nibble", (4,), np.int64, limits=(0, 0)),
    ]
    shapes = {one.name: (1, 6) if one.shape == (None, None) else one.shape or () for one in ports}
    sized = {name: [size or 1 for size in shape] for name, shape in shapes.items()}
    ranges = {"input_ids": Range(5, 30000), "rate": Range(8000, 8000)}
    found = made_samples(ports, sized, ranges)
    again = made_samples(ports, sized, ranges)
    assert len(found.samples) == len(found.names) == 4
    for one, other in zip(found.samples, again.samples, strict=True):
        for facts in ports:
            values = one[facts.name]
            assert np.array_equal(values, other[facts.name])
            assert list(values.shape) == sized[facts.name]
            assert values.dtype.kind == facts.dtype.kind
        assert one["input_ids"].min() >= 5
        assert one["attention_mask"].tolist() == [[1] * 6]
        assert one["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5]]
        assert one["rate"].item() == 8000
        assert one["nibble"].tolist() == [0] * 4
    assert not np.array_equal(found.samples[0]["input_ids"], found.samples[1]["input_ids"])
    assert len(found.notes) == len(ports) - len(ranges)


def test_ranges_of_inputs_that_are_none() -> None:
    """Are named with what the model takes."""
    with pytest.raises(SourceError, match="no input is named 'id'; the model takes ids"):
        made_samples([port("ids", dtype="i8")], {"ids": (1, 2)}, {"id": Range(0, 1)})
    two = [port("a"), port("b")]
    with pytest.raises(SourceError, match="name each input; the model takes a, b"):
        made_samples(two, {"a": (1,), "b": (1,)}, {"": Range(0, 1)})
    lone = made_samples([port("ids", dtype="i8")], {"ids": (1, 2)}, {"": Range(7, 7)})
    assert lone.samples[0]["ids"].tolist() == [[7, 7]]
    assert lone.notes == []
