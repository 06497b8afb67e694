"""What the page knows of limits beside latency: readings of all trials, for any limit asked for."""

from collections.abc import Collection, Sequence
from typing import Any

from autotune.domain.goal import Goal, Objective
from autotune.domain.limits import BY_NAME, TABLE, LimitRow
from autotune.domain.measurement import Measurement
from autotune.domain.trial import Trial
from autotune.domain.verdicts import worth
from autotune.report.columns import LOSS
from autotune.report.page.drawing import rounded

MAX_DROP = "max_drop"
"""What the page calls the limit of the accuracy that is lost."""

_SCALES: dict[str, tuple[tuple[str, float], ...]] = {
    "memory": (("GiB", 2.0**30), ("MiB", 2.0**20)),
    "duration": (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)),
    "energy": (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6)),
    "rate": (("/s", 1.0),),
}
"""Units by the form of a limit, the largest first."""


def limit_columns(trials: Sequence[Trial], asked: Collection[str] = ()) -> list[dict[str, Any]]:
    """Each limit of the table that some trial has a reading of, with the bounds of all trials.

    The page judges by these bounds as the search does: met, missed or unclear. So a limit that is
    asked for is there without any reading, too: what nobody can say is not met.
    """
    found = (_column(row, trials, is_asked=row.name in asked) for row in TABLE)
    return [column for column in found if column is not None]


def drop_column(trials: Sequence[Trial]) -> dict[str, Any] | None:
    """What the accuracy of each trial loses, as a limit of the page; None where nobody looked.

    What was not shown of answers has no bounds, and so meets no limit.
    """
    seen = [None if t.measurement is None else t.measurement.opening.accuracy for t in trials]
    if not any(seen):
        return None
    found = [one and one.bounds for one in seen]
    return {
        "name": MAX_DROP,
        "label": LOSS.name,
        "floor": False,
        "units": [{"text": "", "scale": 1.0}],
        "value": [one and rounded(one.seen) for one in found],
        "low": [one and rounded(one.low) for one in found],
        "high": [one and rounded(one.high) for one in found],
    }


def _column(row: LimitRow, trials: Sequence[Trial], *, is_asked: bool) -> dict[str, Any] | None:
    seen = [t.measurement and row.reading(t.measurement) for t in trials]
    if not any(seen) and not is_asked:
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


def needed_bytes(measurement: Measurement) -> float | None:
    """The memory that a limit is on: a trial that meets it must not seem to take more."""
    seen = BY_NAME["max_memory"].reading(measurement)
    return None if seen is None else seen.value


def worths(trials: Sequence[Trial], goal: Goal) -> dict[str, list[Any]] | None:
    """What efficiency asks for, of each trial; None where the goal asks for something else."""
    if goal.objective is not Objective.EFFICIENCY:
        return None
    seen = [t.measurement and worth(t.measurement, goal) for t in trials]
    return {
        "mean": [one and rounded(one.mean) for one in seen],
        "low": [one and rounded(one.low) for one in seen],
    }
