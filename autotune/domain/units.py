"""Text to quantities and back: durations with a unit, and nothing without one."""

import math
import re

_SECONDS_PER_UNIT = {
    "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
}  # fmt: skip
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-zµ]+)")


def parse_duration(text: str) -> float:
    """Seconds in a text such as ``800us``, ``2.5ms``, ``90s``, ``10m`` or ``1h30m``.

    Raises:
        ValueError: no unit, an unknown unit, or not a positive finite number.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        message = f"{text!r} is not a duration; write a number with a unit, such as 800us, 2.5ms, 30s, 10m or 8h"
        raise ValueError(message)
    unknown = [unit for _, unit in parts if unit not in _SECONDS_PER_UNIT]
    if unknown:
        message = f"{text!r} has the unknown unit {unknown[0]!r}; use us, ms, s, m, h or d"
        raise ValueError(message)
    seconds = math.fsum(float(number) * _SECONDS_PER_UNIT[unit] for number, unit in parts)
    if not 0 < seconds < math.inf:
        message = f"{text!r} must be more than zero"
        raise ValueError(message)
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back as the same number of seconds."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        scale = _SECONDS_PER_UNIT[unit]
        value = float(f"{seconds / scale:.12g}")
        if value >= 1 and (value == int(value) or unit in {"s", "ms", "us"}):
            return f"{value:.12g}{unit}"
    return f"{seconds * 1e6:.12g}us"
