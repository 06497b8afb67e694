"""Another cap or percentile, answered from stored blocks; other limits, from stored readings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autotune.analysis.among import ALL, Among
from autotune.analysis.caps import cap_ranges, latencies_of, lowest_met
from autotune.domain.goal import Goal, Objective, Sla, Verdict
from autotune.domain.measurement import TICK_MS, Latency, Measurement
from autotune.domain.ranking import is_feasible, merit, nearest_miss, nearest_misses
from autotune.domain.trial import Trial
from autotune.domain.verdicts import judged
from autotune.stats.latency import cap_ticks, over_cap, percentile_rank, summarise
from autotune.stats.tail_test import most_over_to_meet, sla_verdict


def is_allowed(trial: Trial, goal: Goal, among: Among = ALL) -> bool:
    """Whether a measured trial is one of those and keeps every limit beside latency.

    One whose reading is not known does not.
    """
    measured = trial.measurement
    if measured is None or not among.has(trial):
        return False
    return all(one.verdict is Verdict.MET for one in judged(measured, goal))


def measurement_under(measurement: Measurement, goal: Goal) -> Measurement:
    """A measurement (with blocks) under another goal: verdict, over-cap count, percentile."""
    latency = summarise(measurement.counted, goal.percentile)
    if goal.sla is None:
        return replace(measurement, latency=latency, verdict=None, over_cap=0)
    requests = [block.completions for block in measurement.counted]
    over = [over_cap(block, goal.sla.cap_ms) for block in measurement.counted]
    verdict = sla_verdict(requests, over, goal.sla, measurement.num_requests)
    return replace(measurement, latency=latency, verdict=verdict, over_cap=sum(over))


def under(
    trials: Iterable[Trial], goal: Goal, with_blocks: Callable[[Trial], Trial]
) -> tuple[Trial, ...]:
    """All trials judged by another goal; `with_blocks` brings back what the verdict is made of."""
    return tuple(_judged(trial, goal, with_blocks) for trial in trials)


def deciding(
    trials: Sequence[Trial],
    stored: Goal,
    goal: Goal,
    with_blocks: Callable[[Trial], Trial],
    among: Among = ALL,
) -> tuple[Trial, ...]:
    """The trials that decide which is best under another goal, and the hints, judged by it.

    The same answer as from judging all, without reading the blocks of all: what is best and met is
    found from the top, and most of what is not met shows that by its stored percentiles. Where
    nothing is met, the nearest miss of each constraint is among them. Failed trials are kept as
    they are.

    Args:
        trials: all, by number, with the stored statistics.
        stored: the goal that these belong to.
        goal: the one that is asked for.
        with_blocks: brings back the blocks of a trial.
        among: which the best must be one of.
    """
    allowed = [trial for trial in trials if is_allowed(trial, goal, among)]
    if goal.objective is Objective.LATENCY:
        needed = _lowest_met(allowed, stored, goal, with_blocks)
    else:
        ranked = sorted(allowed, key=lambda trial: merit(trial, goal), reverse=True)
        needed = _first_met(ranked, goal, with_blocks)
    needed = needed or _misses(trials, allowed, stored, goal, among)
    others = [t for t in trials if t.configuration.is_hint or t.measurement is None]
    wanted = {trial.number: trial for trial in (*others, *needed)}
    return under([wanted[number] for number in sorted(wanted)], goal, with_blocks)


def needs_judging(stored: Goal, asked: Goal) -> bool:
    """Whether the stored verdicts answer another question."""
    return _question(stored.sla) != _question(asked.sla) or stored.percentile != asked.percentile


def may_be_met(latencies: Sequence[Latency], sla: Sla) -> NDArray[np.bool_]:
    """Which measurements could meet an SLA, by their stored percentiles alone; shape (n,).

    A percentile above the cap says how many requests are over it at least; more than the test
    allows, and no look at the single requests can change that.
    """
    requests = np.array([one.requests for one in latencies], dtype=np.int64)
    most = most_over_to_meet(requests, 1 - sla.percentile / 100)
    cap = cap_ticks(sla.cap_ms)
    least = np.array([_least_over(one, cap) for one in latencies], dtype=np.int64)
    return least <= most


def _judged(trial: Trial, goal: Goal, with_blocks: Callable[[Trial], Trial]) -> Trial:
    if trial.measurement is None:
        return trial
    whole = with_blocks(trial)
    assert whole.measurement is not None  # noqa: S101 - it had one
    return replace(
        trial, measurement=replace(measurement_under(whole.measurement, goal), blocks=())
    )


def _first_met(
    ranked: Sequence[Trial], goal: Goal, with_blocks: Callable[[Trial], Trial]
) -> list[Trial]:
    """The first of the ranked trials that is met, alone; empty where none is."""
    if goal.sla is None:
        return list(ranked[:1])
    latencies = [trial.measurement.latency for trial in ranked if trial.measurement]
    for trial, may in zip(ranked, may_be_met(latencies, goal.sla), strict=True):
        if may:
            judged = _judged(trial, goal, with_blocks).measurement
            if judged is not None and is_feasible(judged, goal):
                return [trial]
    return []


def _lowest_met(
    trials: Sequence[Trial], stored: Goal, goal: Goal, with_blocks: Callable[[Trial], Trial]
) -> list[Trial]:
    """Those that are met and may have the lowest latency; empty where none is met."""
    if goal.sla is None:
        return _nearest(trials, stored.percentile, goal.percentile)
    latencies = [trial.measurement.latency for trial in trials if trial.measurement]
    spans = [_span(latency, stored.percentile, goal.percentile)[0] for latency in latencies]
    may = may_be_met(latencies, goal.sla)
    found, least = [], float("inf")
    for place in sorted(range(len(trials)), key=spans.__getitem__):
        if spans[place] > least:
            break
        judged = _judged(trials[place], goal, with_blocks).measurement if may[place] else None
        if judged is not None and is_feasible(judged, goal):
            found.append(trials[place])
            least = min(least, judged.latency.goal_ms)
    return found


def lowest_cap(
    trials: Sequence[Trial],
    stored: float,
    percentile: float,
    with_blocks: Callable[[Trial], Trial],
) -> tuple[int, int] | None:
    """The lowest cap that any trial meets at a percentile, in ticks, and that trial.

    As `lowest_met` of all `cap_ranges`; but a trial's cap is never below its percentile, so that
    few of them need their blocks. None where none meets any.
    """
    own = [t for t in trials if t.measurement is not None and t.reused_from is None]
    spans = [_span(t.measurement.latency, stored, percentile)[0] for t in own if t.measurement]
    requests = [t.measurement.latency.requests for t in own if t.measurement]
    can = most_over_to_meet(requests, 1 - percentile / 100) >= 0
    best: tuple[int, int] | None = None
    for place in sorted(range(len(own)), key=spans.__getitem__):
        if best is not None and round(spans[place] / TICK_MS) > best[0]:
            break
        if not can[place]:
            continue
        whole = with_blocks(own[place])
        found = lowest_met(cap_ranges([whole], [percentile], latencies_of(whole)), percentile)
        best = min((one for one in (best, found) if one is not None), default=None)
    return best


def _misses(
    trials: Sequence[Trial],
    allowed: Sequence[Trial],
    stored: Goal,
    goal: Goal,
    among: Among,
) -> list[Trial]:
    """What comes nearest: to the cap among those within the limits, and to each limit."""
    found = _nearest(allowed, stored.percentile, goal.percentile)
    if goal.limits:
        there = [trial for trial in trials if trial.measurement and among.has(trial)]
        beside = replace(goal, cap_ms=None)
        near = nearest_miss(there, beside)
        found += [*nearest_misses(there, beside).values(), *([] if near is None else [near])]
    return found


def _nearest(trials: Sequence[Trial], stored: float, percentile: float) -> list[Trial]:
    """Those that may have the lowest latency at a percentile."""
    spans = [_span(t.measurement.latency, stored, percentile) for t in trials if t.measurement]
    least = min((high for _, high in spans), default=0.0)
    return [trial for trial, (low, _) in zip(trials, spans, strict=True) if low <= least]


def _span(latency: Latency, stored: float, percentile: float) -> tuple[float, float]:
    """Bounds of a percentile, in milliseconds, from the ones that are stored."""
    known = [*_percentiles(latency), (stored, latency.goal_ms), (100.0, latency.max_ms)]
    low = max((value for at, value in known if at <= percentile), default=0.0)
    return low, min(value for at, value in known if at >= percentile)


def _least_over(latency: Latency, cap: int) -> int:
    """Requests that are over a cap, in ticks, at least."""
    least = int(round(latency.max_ms / TICK_MS) > cap)
    for percentile, value in _percentiles(latency):
        if round(value / TICK_MS) > cap:
            rank = percentile_rank(latency.requests, percentile)
            least = max(least, latency.requests - rank + 1)
    return least


def _percentiles(latency: Latency) -> tuple[tuple[float, float], ...]:
    return (
        (50.0, latency.p50_ms),
        (90.0, latency.p90_ms),
        (95.0, latency.p95_ms),
        (99.0, latency.p99_ms),
    )


def _question(sla: Sla | None) -> tuple[float, float] | None:
    return None if sla is None else (sla.percentile, sla.cap_ms)
