"""The one formatting of every figure, units always shown."""

from collections.abc import Iterable

from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.limits import Limit, LimitRow
from autotune.domain.units import format_duration, number


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


def span(value: float | None) -> str:
    """A short stretch of time, three significant digits: 450 us, 2.31 ms, 1.2 s."""
    if value is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= 0.9995 * scale:
            return f"{number(value / scale, 3)} {unit}"
    return f"{number(value / 1e-6, 3)} us"


def energy(value: float | None) -> str:
    """Joules, three significant digits: 12.3 mJ, 1.2 J."""
    if value is None:
        return "-"
    for unit, scale in (("J", 1.0), ("mJ", 1e-3)):
        if value >= 0.9995 * scale:
            return f"{number(value / scale, 3)} {unit}"
    return f"{number(value / 1e-6, 3)} uJ"


def limited(row: LimitRow, value: float | None) -> str:
    """A value of what a row of the table limits, with its unit."""
    if value is None:
        return "-"
    return _LIMITED[row.name](value)


def _bytes(value: float) -> str:
    return memory(round(value))


_LIMITED = {
    "max_memory": _bytes,
    "max_cpu_per_item": span,
    "max_compile_time": span,
    "max_first_inference": span,
    "max_energy_per_item": energy,
    "min_throughput": per_second,
}


def limit_in_words(limit: Limit) -> str:
    """``memory <= 500MB``, ``throughput >= 500/s``, as in a study file."""
    sign = ">=" if limit.row.is_floor else "<="
    return f"{limit.row.label} {sign} {limit.row.text(limit.value)}"


def constraints_in_words(goal: Goal) -> str:
    """The cap and all limits, between commas; empty without any."""
    cap = cap_in_words(goal)
    return joined([*([cap] if cap else []), *(limit_in_words(limit) for limit in goal.limits)])


def joined(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, last = [*parts] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def per_resource(goal: Goal) -> str:
    """What efficiency counts by: ``CPU-second`` or ``joule``."""
    return "CPU-second" if goal.resource is Resource.CPU else "joule"


def gained(goal: Goal) -> str:
    """What a ratio to the better hint is of, to stand after it; empty for throughput."""
    return {
        Objective.EFFICIENCY: f" in items per {per_resource(goal)}",
        Objective.LATENCY: " in latency",
    }.get(goal.objective, "")


def efficiency(value: float | None, goal: Goal) -> str:
    """Items for each CPU-second or joule."""
    return "-" if value is None else f"{number(value)} per {per_resource(goal)}"


def goal_in_words(goal: Goal) -> str:
    """The goal as a sentence."""
    asked = constraints_in_words(goal)
    under = f" with {asked}" if asked else ""
    what = {
        Objective.THROUGHPUT: "highest throughput",
        Objective.LATENCY: f"lowest {percentile(goal.percentile)} latency",
        Objective.PARETO: f"front of throughput against {percentile(goal.percentile)} latency",
        Objective.EFFICIENCY: f"most items per {per_resource(goal)}",
    }
    preferred = ", portable among equals" if goal.portable else ""
    return what[goal.objective] + under + preferred
