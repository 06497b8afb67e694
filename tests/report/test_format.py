import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.goal import Goal, Objective
from autotune.report import format as fmt


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s"), (25500, "7 h 05 min")],
)
def test_stretches_of_time(value: float, text: str) -> None:
    """Seconds, minutes, hours: whatever a person would say."""
    assert fmt.seconds(value) == text


def test_what_is_missing_is_a_dash() -> None:
    """None is not zero."""
    assert {f(None) for f in (fmt.seconds, fmt.milliseconds, fmt.per_second, fmt.times)} == {"-"}


def test_goal_in_words() -> None:
    """The cap is written as in a study file."""
    goal = Goal(Objective.THROUGHPUT, 99.0, 2.5)

    assert fmt.goal_in_words(goal) == "highest throughput with p99 <= 2.5ms"
    assert fmt.goal_in_words(Goal(Objective.LATENCY, 99.9, None)) == "lowest p99.9 latency"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (0.003, "0.3 %"),
        (0.0123, "1.2 %"),
        (0.1, "10 %"),
        (0.874, "87 %"),
        (1.0, "100 %"),
        (-0.0123, "-1.2 %"),
        (12.0, "1200 %"),
    ],
)
def test_shares_are_percent(value: float, text: str) -> None:
    """Two digits are enough for any difference."""
    assert fmt.percent(value) == text


@given(st.floats(1e-3, 10))
def test_a_share_is_close_to_the_value(value: float) -> None:
    """To half a percent, or a twentieth of a small one; never an exponent."""
    text = fmt.percent(value)
    assert float(text.removesuffix(" %")) / 100 == pytest.approx(value, rel=0.051)
    assert "e" not in text


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        (Goal(Objective.THROUGHPUT, 99.0, 20.0), "p99 <= 20ms"),
        (Goal(Objective.LATENCY, 99.9, 0.8), "p99.9 <= 800us"),
        (Goal(Objective.THROUGHPUT, 50.0, 1500.0), "p50 <= 1.5s"),
        (Goal(Objective.THROUGHPUT, 99.0, None), ""),
    ],
)
def test_the_cap_in_words(goal: Goal, text: str) -> None:
    """As in a study file; nothing where there is none."""
    assert fmt.cap_in_words(goal) == text
