"""What the reference says of the machine over a study."""

from collections.abc import Sequence

import numpy as np

from autotune.domain.measurement import Block
from autotune.report.format import per_second, percent

_LEAST = 3


def drift_lines(
    readings: Sequence[tuple[int, float, Block]], items_per_request: int = 1
) -> list[str]:
    """The reference's range and drift in one line; nothing for fewer than three slices."""
    found = drift_json(readings, items_per_request)
    if found is None:
        return []
    line = (
        f"reference (the better hint, {found['slices']} slices between trials): "
        f"{per_second(found['median_per_s'])}, slowest {percent(found['slowest'])} and fastest "
        f"{percent(found['fastest'])} of it; last third against the first: "
        f"{percent(found['last_third_over_first'])}"
    )
    return [line]


def drift_json(
    readings: Sequence[tuple[int, float, Block]], items_per_request: int = 1
) -> dict[str, float] | None:
    """Median, extremes over the median, and the last third's median over the first third's.

    The reference is a hint, which has batch 1.
    """
    if len(readings) < _LEAST:
        return None
    rates = np.array([block.completions / block.duration_s for _, _, block in readings])
    rates *= items_per_request
    median, third = float(np.median(rates)), max(1, rates.size // 3)
    return {
        "slices": rates.size,
        "median_per_s": median,
        "slowest": float(rates.min()) / median,
        "fastest": float(rates.max()) / median,
        "last_third_over_first": float(np.median(rates[-third:]) / np.median(rates[:third])),
    }
