"""What the launches of a race say of the limits beside latency: a bound and a verdict for each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from autotune.domain.goal import Goal, Verdict
from autotune.domain.limits import Limit, LimitRow
from autotune.domain.measurement import Block
from autotune.domain.race import LEAST_LAUNCHES, LaunchReadings, LimitStanding
from autotune.stats.launches import LaunchSpread, launch_bounds, next_bounds, pooled_spread
from autotune.stats.tail_test import CERTIFICATE_ALPHA, SEARCH_ALPHA

Bounds = tuple[float, float]
"""Of a logarithm: the lower and the upper one, each one-sided."""


def spreads(processes: Sequence[Sequence[LaunchReadings]], goal: Goal) -> dict[str, LaunchSpread]:
    """By limit on a value of a process: what the logarithms of processes differ by.

    Args:
        processes: of each contender.
        goal: whose limits are looked at.
    """
    return {
        limit.name: pooled_spread(
            (_logs(limit.row, mine) for mine in processes),
            limit.row.launch_sd,
            limit.row.least_sd,
        )
        for limit in goal.limits
        if limit.row.of_launch is not None
    }


def limit_standing(
    limit: Limit,
    launches: Mapping[int, Sequence[Block]],
    processes: Sequence[LaunchReadings],
    items: int,
    spread: LaunchSpread | None,
) -> LimitStanding:
    """What a contender's launches say of one limit.

    That of a mean over load is the bound of the mean over launches, as a moderated t has it, and is
    claimed from three launches on; that of a value of a process is the bound for the next process.

    Args:
        limit: what is asked for.
        launches: counted blocks by launch.
        processes: what each fresh process took beside them.
        items: in a request.
        spread: of the values of processes; None of a mean over load.
    """
    row = limit.row
    if spread is not None:
        logs = _logs(row, processes)
        return _judged(limit, logs, lambda alpha: next_bounds(logs, spread, 1 - alpha))
    values = [_values(row, blocks, items) for blocks in launches.values()]
    kept = [found for found in values if found]
    means = [math.log(sum(found) / len(found)) for found in kept]
    expected = math.hypot(row.launch_sd, _chance(kept))
    found = _judged(limit, means, lambda alpha: launch_bounds(means, 1 - alpha, expected))
    # Two launches may share what the others do not: a verdict, as of requests, and no claim.
    return found if len(means) >= LEAST_LAUNCHES else replace(found, bound=None)


def _judged(
    limit: Limit, logs: Sequence[float], bounds: Callable[[float], Bounds]
) -> LimitStanding:
    if not logs:
        return LimitStanding(limit=limit)
    strict = bounds(CERTIFICATE_ALPHA)
    return LimitStanding(
        limit=limit,
        value=math.exp(float(np.mean(logs))),
        bound=math.exp(min(strict[0 if limit.row.is_floor else 1], 700.0)),
        verdict=_verdict(limit, strict),
        search_verdict=_verdict(limit, bounds(SEARCH_ALPHA)),
    )


def _verdict(limit: Limit, bounds: Bounds) -> Verdict:
    """Met if the bound on the wrong side is within the limit, missed if the other is beyond it."""
    allowed = math.log(limit.value)
    low, high = (allowed - bounds[1], allowed - bounds[0])
    if limit.row.is_floor:
        low, high = -high, -low
    if low >= 0:
        return Verdict.MET
    return Verdict.MISSED if high < 0 else Verdict.UNCLEAR


def _logs(row: LimitRow, processes: Sequence[LaunchReadings]) -> list[float]:
    found = [None if row.of_launch is None else row.of_launch(one) for one in processes]
    return [math.log(value) for value in found if value is not None and value > 0]


def _values(row: LimitRow, blocks: Sequence[Block], items: int) -> list[float]:
    found = [row.of_block(block, items) for block in blocks]
    return [value for value in found if value is not None and value > 0]


def _chance(launches: Sequence[Sequence[float]]) -> float:
    """Standard deviation of the logarithm of a launch's mean, by what its slices differ by."""
    squares, freedom = 0.0, 0
    for values in launches:
        logs = np.log(values)
        squares += float(((logs - logs.mean()) ** 2).sum())
        freedom += len(values) - 1
    if not freedom:
        return 0.0
    return math.sqrt(squares / freedom / np.mean([len(values) for values in launches]))
