"""Durations as text: always with a unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.units import (
    format_duration,
    format_percent,
    number,
    parse_duration,
    parse_percent,
)

UNITS = st.sampled_from(["us", "µs", "ms", "s", "m", "min", "h", "d"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("800us", 0.0008),
        ("800µs", 0.0008),
        ("2.5ms", 0.0025),
        ("1s", 1.0),
        ("90s", 90.0),
        ("10m", 600.0),
        ("10min", 600.0),
        ("8h", 28_800.0),
        ("1d", 86_400.0),
        ("1h30m", 5400.0),
        ("1h 30m 5s", 5405.0),
        (" 20 ms ", 0.02),
        ("20MS", 0.02),
        (".5s", 0.5),
    ],
)
def test_durations_have_a_unit(text: str, seconds: float) -> None:
    """Numbers with units are seconds, exactly; parts add up."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "20", "2.5", "ms", "1,5ms", "-3ms", "1e3ms", "20ms!", "two hours", "1..5s", "5.s"],
)
def test_anything_else_is_no_duration(text: str) -> None:
    """A text without number and unit is refused, and the message shows it."""
    with pytest.raises(ValueError, match=r"duration|unit") as refused:
        parse_duration(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["5y", "3ns", "1h5x"])
def test_unknown_units_are_named(text: str) -> None:
    """The message names the unknown unit and the known ones."""
    with pytest.raises(ValueError, match=r"unknown unit '(y|ns|x)'; use us, ms, s, m, h or d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0.000ms", "0h0m", "9" * 400 + "s", f"1{'0' * 308}s" * 2])
def test_durations_are_positive_and_finite(text: str) -> None:
    """Zero and numbers that no clock holds are refused."""
    with pytest.raises(ValueError, match="more than zero and finite"):
        parse_duration(text)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    """No text leads to anything but a positive number or a ValueError."""
    try:
        assert 0 < parse_duration(text) < float("inf")
    except ValueError as refused:
        assert repr(text) in str(refused)  # noqa: PT017 - both outcomes are right


@given(st.integers(1, 10**12), st.integers(0, 8), UNITS)
def test_round_trip_of_what_people_write(digits: int, decimals: int, unit: str) -> None:
    """A number of up to twelve digits in any unit is read back as the same seconds."""
    seconds = parse_duration(f"{digits / 10**decimals:.{decimals}f}{unit}")
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.floats(1e-9, 1e12))
def test_round_trip_of_any_number(seconds: float) -> None:
    """Any duration is read back to fifteen digits."""
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-14)


def test_units_do_not_change_the_number() -> None:
    """1.1 ms and 0.0011 s are the same number, so a study's cap may be written either way."""
    assert parse_duration("1.1ms") == parse_duration("0.0011s") == parse_duration("1100us")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (86_400, "1d"),
        (28_800, "8h"),
        (5400, "90m"),
        (90, "90s"),
        (0.02, "20ms"),
        (0.0025, "2.5ms"),
        (0.0008, "800us"),
        (1e-8, "0.01us"),
        (0.1 + 0.2, "300ms"),
        (1e15, "1000000000000000s"),
    ],
)
def test_the_shortest_form_is_chosen(seconds: float, text: str) -> None:
    """Whole numbers of the largest unit, without exponents or rounding noise."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "share"),
    [("15%", 0.15), (" 2.5 % ", 0.025), ("0%", 0.0), (".5%", 0.005), ("1000%", 10.0)],
)
def test_percents_are_shares(text: str, share: float) -> None:
    """With a percent sign, exactly."""
    assert parse_percent(text) == share


@pytest.mark.parametrize("text", ["15", "0.15", "-5%", "15 percent", "%", "", "1001%", "1e3%"])
def test_what_is_no_percent_is_refused(text: str) -> None:
    """Never guessed: 0.15 may be meant either way."""
    with pytest.raises(ValueError, match=r"percent sign|above"):
        parse_percent(text)


@given(st.decimals(0, 1000, places=3).map(lambda value: float(value / 100)))
def test_percents_round_trip(share: float) -> None:
    """What is written is read back as the same number."""
    assert parse_percent(format_percent(share)) == share


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.012346, "0.01235"),
        (1.0, "1"),
        (12.346, "12.35"),
        (999.96, "1000"),
        (1234.4, "1234"),
        (123456.7, "123457"),
    ],
)
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    """Never an exponent, never a trailing zero."""
    assert number(value) == text


@given(st.floats(1e-6, 1e9))
def test_number_is_close_to_the_value(value: float) -> None:
    """What is shown is the value to one part in a thousand."""
    assert float(number(value)) == pytest.approx(value, rel=1e-3)
