"""Text to quantities and back: durations and bytes with a unit, and nothing without one."""

import math
import re
from decimal import Decimal

# Decimal, so that 1.1ms and 0.0011s are the same number.
_SECONDS_PER_UNIT = {
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_BYTES_PER_UNIT = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_JOULES_PER_UNIT = {
    "uJ": Decimal("1e-6"),
    "µJ": Decimal("1e-6"),
    "mJ": Decimal("1e-3"),
    "J": Decimal(1),
    "kJ": Decimal(1000),
}
_LARGEST_SHARE = 10.0
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-zµ]+)")


def number(value: float, digits: int = 4) -> str:
    """Four significant digits, no exponent: 0.01234, 12.34, 1234, 123456."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return f"{value:+}".replace("inf", "∞").removeprefix("+")
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{rounded:.10f}".rstrip("0").rstrip(".")


def parse_duration(text: str) -> float:
    """Seconds in a text such as ``800us``, ``2.5ms``, ``90s``, ``10m`` or ``1h30m``.

    Raises:
        ValueError: no unit, an unknown unit, or not a positive finite number.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        message = (
            f"{text!r} is not a duration; "
            "write a number with a unit, such as 800us, 2.5ms, 30s, 10m or 8h"
        )
        raise ValueError(message)
    unknown = [unit for _, unit in parts if unit not in _SECONDS_PER_UNIT]
    if unknown:
        message = f"{text!r} has the unknown unit {unknown[0]!r}; use us, ms, s, m, h or d"
        raise ValueError(message)
    seconds = float(sum(Decimal(number) * _SECONDS_PER_UNIT[unit] for number, unit in parts))
    if not 0 < seconds < math.inf:
        message = f"{text!r} must be more than zero and finite"
        raise ValueError(message)
    return seconds


def parse_percent(text: str) -> float:
    """The share in a text such as ``15%`` or ``2.5 %``: 0.15.

    Raises:
        ValueError: no number with a percent sign, or one that is below 0 or above 1000 %.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*%", text.strip())
    if found is None:
        message = f"{text!r} is no share; write a number with a percent sign, such as 15%"
        raise ValueError(message)
    share = float(Decimal(found.group(1)) / 100)
    if share > _LARGEST_SHARE:
        message = f"{text!r} must not be above {_LARGEST_SHARE:.0%}"
        raise ValueError(message)
    return share


def format_percent(share: float) -> str:
    """``15%``, as `parse_percent` reads it."""
    return f"{Decimal(repr(share)) * 100:f}%".replace(".0%", "%")


def parse_bytes(text: str) -> int:
    """Bytes in a text such as ``500MiB``, ``1.5GB`` or ``2 GiB``.

    Raises:
        ValueError: no unit, an unknown unit, or nothing.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]+)", text.strip())
    units = {unit.lower(): size for unit, size in _BYTES_PER_UNIT.items()}
    if match is None or match[2].lower() not in units:
        message = (
            f"{text!r} is no amount of memory; write a number with a unit: "
            f"{', '.join(_BYTES_PER_UNIT)}"
        )
        raise ValueError(message)
    found = int(Decimal(match[1]) * units[match[2].lower()])
    if found <= 0:
        message = f"{text!r} must be more than zero"
        raise ValueError(message)
    return found


def format_duration(seconds: float) -> str:
    """A short text that `parse_duration` reads back as the same number to fifteen digits."""
    exact = Decimal(repr(seconds))
    for unit in ("d", "h", "m", "s", "ms", "us"):
        value = Decimal(f"{exact / _SECONDS_PER_UNIT[unit]:.15g}")
        if unit == "us" or (value >= 1 and (unit in {"s", "ms"} or value == int(value))):
            break
    return f"{value.normalize():f}{unit}"  # never with an exponent


def format_bytes(size: float) -> str:
    """A short text that `parse_bytes` reads back: ``500MB``, ``1.5GiB``, ``123456789B``."""
    whole = int(size)
    for unit, scale in sorted(_BYTES_PER_UNIT.items(), key=lambda item: -item[1]):
        value = Decimal(whole) / scale
        if value >= 1 and value == round(value, 3):
            return f"{value.normalize():f}{unit}"
    return f"{whole}B"


def parse_energy(text: str) -> float:
    """Joules in a text such as ``0.5J`` or ``20mJ``.

    Raises:
        ValueError: no unit, an unknown unit, or nothing.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-zµ]+)", text.strip())
    if match is None or match[2] not in _JOULES_PER_UNIT:
        message = f"{text!r} is no energy; write a number with a unit, such as 20mJ or 0.5J"
        raise ValueError(message)
    return _positive(float(Decimal(match[1]) * _JOULES_PER_UNIT[match[2]]), text)


def format_energy(joules: float) -> str:
    """A short text that `parse_energy` reads back as the same number to fifteen digits."""
    exact = Decimal(repr(joules))
    for unit in ("kJ", "J", "mJ", "uJ"):
        value = Decimal(f"{exact / _JOULES_PER_UNIT[unit]:.15g}")
        if value >= 1 or unit == "uJ":
            break
    return f"{value.normalize():f}{unit}"


def parse_rate(text: str) -> float:
    """Items per second in a text such as ``500`` or ``500/s``.

    Raises:
        ValueError: no number, another unit, or nothing.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(?:/\s*s)?", text.strip())
    if match is None:
        message = f"{text!r} is no throughput; write items per second, such as 500 or 500/s"
        raise ValueError(message)
    return _positive(float(Decimal(match[1])), text)


def format_rate(per_s: float) -> str:
    """A short text that `parse_rate` reads back as the same number."""
    return f"{Decimal(repr(per_s)).normalize():f}/s"


def _positive(value: float, text: str) -> float:
    if not 0 < value < math.inf:
        message = f"{text!r} must be more than zero and finite"
        raise ValueError(message)
    return value
