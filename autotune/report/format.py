"""The one formatting of every figure, units always shown."""

from autotune.domain.goal import Goal, Objective
from autotune.domain.units import format_duration


def number(value: float, digits: int = 4) -> str:
    """Four significant digits, no exponent: 0.01234, 12.34, 1234, 123456."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{rounded:.10f}".rstrip("0").rstrip(".")


def per_second(value: float | None) -> str:
    """Items per second."""
    return "-" if value is None else f"{number(value)}/s"


def milliseconds(value: float | None) -> str:
    """A latency, three significant digits."""
    return "-" if value is None else f"{number(value, 3)} ms"


def times(value: float | None) -> str:
    """A ratio."""
    return "-" if value is None else f"{value:.2f}x"


def percentile(value: float) -> str:
    """``p99``, ``p99.9``."""
    return f"p{value:g}"


def seconds(value: float | None) -> str:
    """A stretch of time for people: 45 s, 3 min 20 s, 7 h 05 min."""
    if value is None:
        return "-"
    whole = round(max(0.0, value))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def goal_in_words(goal: Goal) -> str:
    """The goal as a sentence."""
    cap = "" if goal.cap_ms is None else f"{percentile(goal.percentile)} <= {format_duration(goal.cap_ms / 1000)}"
    if goal.objective is Objective.THROUGHPUT:
        return f"highest throughput with {cap}"
    if goal.objective is Objective.LATENCY:
        return f"lowest {percentile(goal.percentile)} latency" + (f" with {cap}" if cap else "")
    return f"front of throughput against {percentile(goal.percentile)} latency" + (f" with {cap}" if cap else "")
