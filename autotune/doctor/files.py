"""Attempts at readings, and files that each CPU has."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from autotune.doctor.readings import Missing

T = TypeVar("T")


def attempt(probe: Callable[[], T]) -> T | Missing:
    """A reading, or why there is none: an odd machine costs the reading, not the report."""
    try:
        return probe()
    except OSError as error:
        return Missing(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ValueError as error:
        return Missing(str(error))


def cpu_files(root: Path, name: str) -> list[Path]:
    """A file that each CPU has, under its folder in /sys."""
    return sorted(root.glob(f"sys/devices/system/cpu/cpu[0-9]*/{name}"))
