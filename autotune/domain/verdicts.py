"""What a measurement says of a goal: its value, and a verdict for each limit beside the latency."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from autotune.domain.goal import Goal, Objective, Resource, Verdict, together
from autotune.domain.limits import Limit, LimitReading, LimitRow
from autotune.domain.measurement import TICK_MS, Interval, Measurement, Opening

LATENCY = "latency"
"""What the cap on latency is called among the constraints."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One limit, and what a measurement says of it."""

    limit: Limit
    reading: LimitReading | None
    """None where it was not measured."""
    verdict: Verdict

    @property
    def excess(self) -> float | None:
        """Logarithm of how many times over the limit the reading is; negative within it."""
        seen = self.reading
        return None if seen is None else self.limit.row.excess(seen.value, self.limit.value)


def verdict_of(limit: Limit, seen: LimitReading | None) -> Verdict:
    """By the bounds, never by the value alone: what is not known is unclear."""
    if seen is None or seen.low is None or seen.high is None:
        return Verdict.UNCLEAR
    best, worst = (seen.high, seen.low) if limit.row.is_floor else (seen.low, seen.high)
    if limit.row.excess(worst, limit.value) <= 0:
        return Verdict.MET
    return Verdict.MISSED if limit.row.excess(best, limit.value) > 0 else Verdict.UNCLEAR


def judged(measurement: Measurement, goal: Goal) -> tuple[Judged, ...]:
    """A verdict for each limit of a goal, in its order.

    That of a mean by the ends of its 95 % interval, so that each errs in one case of forty; that of
    a value of one process by what processes are expected to differ by (`LimitRow.margin`).
    """
    found = []
    for limit in goal.limits:
        seen = limit.row.reading(measurement)
        found.append(Judged(limit, seen, verdict_of(limit, seen)))
    return tuple(found)


def judged_so_far(
    opening: Opening, goal: Goal, of_load: Callable[[LimitRow], Interval | None]
) -> dict[str, Verdict]:
    """What is known of the limits while a measurement goes on, by name.

    Args:
        opening: of the model; memory is not known until the load ends.
        goal: its limits.
        of_load: a mean over the counted blocks, with an interval that may be claimed.
    """
    found = {}
    for limit in goal.limits:
        row = limit.row
        if row.of_load is not None:
            seen = of_load(row)
            reading = None if seen is None else LimitReading(seen.mean, seen.low, seen.high)
        elif row.of_opening is not None:
            reading = row.within_margin(row.of_opening(opening))
        else:
            continue
        found[limit.name] = verdict_of(limit, reading)
    return found


def verdict_under(measurement: Measurement, goal: Goal) -> Verdict | None:
    """Of the SLA and all limits together; None where the goal asks for nothing."""
    sla = measurement.verdict if goal.cap_ms is not None else None
    if goal.cap_ms is not None and sla is None:  # judged by a goal without a cap
        sla = Verdict.UNCLEAR
    return together([sla, *(one.verdict for one in judged(measurement, goal))])


def first_open(measurement: Measurement, goal: Goal) -> Judged | None:
    """The limit that stands in the way: one that is missed, else one that is unclear, else None."""
    found = judged(measurement, goal)
    for verdict in (Verdict.MISSED, Verdict.UNCLEAR):
        for one in found:
            if one.verdict is verdict:
                return one
    return None


def excesses(measurement: Measurement, goal: Goal) -> dict[str, float | None]:
    """By constraint, latency first: logarithm of how many times over its limit a measurement is.

    Negative within it; None where it was not measured.
    """
    found: dict[str, float | None] = {}
    if goal.cap_ms is not None:
        # A latency may be below one tick.
        found[LATENCY] = math.log(max(measurement.latency.goal_ms, TICK_MS) / goal.cap_ms)
    return found | {one.limit.name: one.excess for one in judged(measurement, goal)}


def resource_limit(goal: Goal) -> str:
    """The row of the table that counts what a goal's efficiency is counted by."""
    return "max_cpu_per_item" if goal.resource is Resource.CPU else "max_energy_per_item"


def used_per_item(measurement: Measurement, resource: Resource) -> Interval | None:
    """What an item takes of a resource; None where it was not measured, or is nothing."""
    seen = measurement.readings
    found = seen.cpu_s_per_item if resource is Resource.CPU else seen.energy_j_per_item
    return found if found is not None and found.mean > 0 else None


def worth(measurement: Measurement, goal: Goal) -> Interval | None:
    """What a goal asks for, the larger the better, with its 95 % interval.

    Items per second, items for each CPU-second or joule, or one over the latency percentile in
    seconds, of which there is no interval. None where it was not measured.
    """
    if goal.objective is Objective.LATENCY:
        goal_ms = measurement.latency.goal_ms
        return Interval(1000 / goal_ms, None, None) if goal_ms > 0 else None
    if goal.objective is not Objective.EFFICIENCY:
        return measurement.throughput
    used = used_per_item(measurement, goal.resource)
    return None if used is None else inverse(used)


def inverse(of: Interval) -> Interval:
    """One over a positive quantity; an end that is not above zero bounds nothing."""
    low = None if of.high is None or of.high <= 0 else 1 / of.high
    high = None if of.low is None or of.low <= 0 else 1 / of.low
    return Interval(1 / of.mean, low, high)
