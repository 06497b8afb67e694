"""What the page knows of limits beside latency: readings of all trials, for any limit asked for."""

from collections.abc import Sequence
from typing import Any

from autotune.domain.goal import Goal, Objective
from autotune.domain.limits import TABLE, LimitRow
from autotune.domain.trial import Trial
from autotune.domain.verdicts import worth
from autotune.report.page.drawing import rounded

_SCALES: dict[str, tuple[tuple[str, float], ...]] = {
    "memory": (("GiB", 2.0**30), ("MiB", 2.0**20)),
    "duration": (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)),
    "energy": (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6)),
    "rate": (("/s", 1.0),),
}
"""Units by the form of a limit, the largest first."""


def limit_columns(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Each limit of the table that some trial has a reading of, with the bounds of all trials.

    The page judges by these bounds as the search does: met, missed or unclear.
    """
    return [column for row in TABLE if (column := _column(row, trials)) is not None]


def _column(row: LimitRow, trials: Sequence[Trial]) -> dict[str, Any] | None:
    seen = [t.measurement and row.reading(t.measurement) for t in trials]
    if not any(seen):
        return None
    return {
        "name": row.name,
        "label": row.label,
        "floor": row.is_floor,
        "units": [{"text": text, "scale": scale} for text, scale in _SCALES[row.form]],
        "value": [one and rounded(one.value) for one in seen],
        "low": [one and rounded(one.low) for one in seen],
        "high": [one and rounded(one.high) for one in seen],
    }


def worths(trials: Sequence[Trial], goal: Goal) -> dict[str, list[Any]] | None:
    """What efficiency asks for, of each trial; None where the goal asks for something else."""
    if goal.objective is not Objective.EFFICIENCY:
        return None
    seen = [t.measurement and worth(t.measurement, goal) for t in trials]
    return {
        "mean": [one and rounded(one.mean) for one in seen],
        "low": [one and rounded(one.low) for one in seen],
    }
