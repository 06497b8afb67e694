"""The one formatting of every figure, units always shown."""

from autotune.analysis.what_if import Limits
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


def memory(size: int | None) -> str:
    """Bytes as ``500 MiB`` or ``1.5 GiB``, three significant digits."""
    if size is None:
        return "-"
    if size >= 2**30:
        return f"{number(size / 2**30, 3)} GiB"
    return f"{number(size / 2**20, 3)} MiB"


def percent(value: float) -> str:
    """A share or a relative difference: 0.3 %, 1.2 %, 87 %."""
    shown = 100 * value
    return f"{shown:.0f} %" if abs(shown) >= 10 or shown == 0 else f"{shown:.2g} %"


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


def cap_in_words(goal: Goal) -> str:
    """``p99 <= 20ms``, as in a study file; empty without a cap.

    With headroom also what requests are held to: ``p99 <= 10ms with 25 % headroom (8ms)``.
    """
    if goal.cap_ms is None or goal.given_cap_ms is None:
        return ""
    said = f"{percentile(goal.percentile)} <= {format_duration(goal.given_cap_ms / 1000)}"
    if not goal.headroom:
        return said
    held = format_duration(float(f"{goal.cap_ms / 1000:.4g}"))
    return f"{said} with {percent(goal.headroom)} headroom ({held})"


def limits_in_words(limits: Limits) -> str:
    """``at most 500 MiB, on CPU``; empty without any."""
    size = limits.max_memory_bytes
    parts = [
        *([] if size is None else [f"at most {memory(size)}"]),
        *([] if limits.device is None else [f"on {limits.device}"]),
    ]
    return ", ".join(parts)


def goal_in_words(goal: Goal) -> str:
    """The goal as a sentence."""
    under = f" with {cap_in_words(goal)}" if goal.cap_ms is not None else ""
    what = {
        Objective.THROUGHPUT: "highest throughput",
        Objective.LATENCY: f"lowest {percentile(goal.percentile)} latency",
        Objective.PARETO: f"front of throughput against {percentile(goal.percentile)} latency",
    }
    return what[goal.objective] + under
