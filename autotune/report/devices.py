"""What each device of a study came to, as a table and in sentences; nothing where there is one."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from autotune.analysis.devices import DeviceSummary
from autotune.domain.goal import Goal
from autotune.domain.measurement import Measurement
from autotune.domain.ranking import ratio
from autotune.domain.trial import Trial
from autotune.domain.verdicts import first_open
from autotune.report.format import (
    limit_in_words,
    limited,
    milliseconds,
    per_second,
    percentile,
    times,
)
from autotune.report.tables import trials_table
from autotune.space.words import several


def devices_table(
    devices: Sequence[DeviceSummary], goal: Goal, baseline: Trial | None
) -> RenderableType | None:
    """The best of each device; None where there are not several.

    Args:
        devices: of one study.
        goal: what they are the best for.
        baseline: the trial that ratios are to.
    """
    if len(devices) < 2:
        return None
    leaders = [one.best for one in devices if one.best is not None]
    table = trials_table(leaders, goal, baseline, "best of each device, by the search")
    without = [line for one in devices if (line := why_no_best(one, goal)) is not None]
    return Group(table, *(Text(line) for line in without)) if leaders else Text("\n".join(without))


def why_no_best(one: DeviceSummary, goal: Goal) -> str | None:
    """Why a device has no best; None where it has one."""
    if one.best is not None:
        return None
    if one.nearest is not None and one.nearest.measurement is not None:
        latency_ms = one.nearest.measurement.latency.goal_ms
        return (
            f"{one.device}: nothing was shown to meet the goal; the nearest of "
            f"{several(one.trials, 'trial')} is {one.nearest.number}: "
            f"{percentile(goal.percentile)} {milliseconds(latency_ms)}"
            f"{_in_the_way(one.nearest.measurement, goal)}"
        )
    failure = None if one.failure is None else one.failure.failure
    if failure is None:
        return f"{one.device}: nothing was measured"
    return (
        f"{one.device}: nothing ran in {several(one.trials, 'trial')}: "
        f"{failure.kind.value.replace('_', ' ')}: {failure.message}"
    )


def _in_the_way(measurement: Measurement, goal: Goal) -> str:
    """The limit beside latency that is not shown to be kept, if there is one."""
    one = first_open(measurement, goal)
    if one is None:
        return ""
    row, seen = one.limit.row, one.reading
    value = row.unknown if seen is None else limited(row, seen.value)
    return f"; {limit_in_words(one.limit)}: {one.verdict}, {value}"


def device_rows(
    devices: Sequence[DeviceSummary], goal: Goal, baseline: Trial | None
) -> list[tuple[str, str, str]]:
    """Device, its best or why it has none, and that against the baseline; for the page."""
    if len(devices) < 2:
        return []
    return [_row(one, goal, baseline) for one in devices]


def _row(one: DeviceSummary, goal: Goal, baseline: Trial | None) -> tuple[str, str, str]:
    if one.best is None or one.best.measurement is None:
        return one.device, (why_no_best(one, goal) or "").removeprefix(f"{one.device}: "), ""
    measured = one.best.measurement
    said = (
        f"{one.best.configuration} (trial {one.best.number}): "
        f"{per_second(measured.throughput_per_s)}, "
        f"{percentile(goal.percentile)} {milliseconds(measured.latency.goal_ms)}"
    )
    return one.device, said, times(ratio(one.best, baseline, goal))


def devices_json(devices: Sequence[DeviceSummary], goal: Goal) -> list[dict[str, Any]]:
    """The same for programs, also of a single device."""
    return [
        {
            "device": one.device,
            "trials": one.trials,
            "best_trial": None if one.best is None else one.best.number,
            "better_hint_trial": None if one.hint is None else one.hint.number,
            "ratio_to_own_hint": ratio(one.best, one.hint, goal),
            "why_no_best": why_no_best(one, goal),
        }
        for one in devices
    ]
