"""What a search found, in sentences."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.history import History
from autotune.domain.measurement import TICK_MS, Measurement
from autotune.domain.ranking import (
    is_feasible,
    last_improvement,
    nearest_miss,
    nearest_misses,
    seen,
)
from autotune.domain.trial import Trial
from autotune.domain.units import format_duration
from autotune.domain.verdicts import LATENCY, judged, worth
from autotune.host.core_budget import budget_in_words
from autotune.report.format import (
    cap_in_words,
    constraints_in_words,
    efficiency,
    limit_in_words,
    limited,
    milliseconds,
    percent,
    percentile,
)
from autotune.spec import parse_spec
from autotune.spec.fed_words import fed_in_words
from autotune.stats.latency import cap_ticks
from autotune.stats.tail_test import requests_needed
from autotune.storage.identity import Identity

_MOST_RULED_OUT = 5


def terms_in_words(items_per_request: int, inputs: str, core_budget: str | None = None) -> str:
    """What the numbers are numbers of: the unit of throughput, what requests were fed, the CPUs.

    Said once where numbers stand.

    Args:
        items_per_request: at batch 1.
        inputs: what was fed, and how, in words.
        core_budget: what of the machine was used, in words; None for all of it.
    """
    own = f", {items_per_request} items per request at batch 1" if items_per_request > 1 else ""
    budget = "" if core_budget is None else f"; core budget: {core_budget}"
    return f"throughput in items/s{own}; inputs: {inputs}{budget}"


def terms_of(identity: Identity, machine: Mapping[str, Any]) -> str:
    """The same of a stored study, and the machine that it last ran on."""
    inputs = inputs_of(identity)
    return terms_in_words(identity.items_per_request, inputs, budget_in_words(machine))


def inputs_of(identity: Identity) -> str:
    """What a stored study feeds, in words."""
    return fed_in_words(parse_spec(identity.spec), identity.fed)


def ruled_out(trials: Sequence[Trial]) -> list[str]:
    """What is not tried any more, and why: models that could not be opened, devices."""
    models, devices = History(trials).ruled_out()
    lines = [
        f"ruled out, with any number of requests: {trial.configuration}: {trial.failure.kind.value}"
        for trial in models
        if trial.failure is not None
    ]
    return [
        *lines[:_MOST_RULED_OUT],
        *([f"and {len(lines) - _MOST_RULED_OUT} more"] if len(lines) > _MOST_RULED_OUT else []),
        *(f"ruled out: {device}, altogether: {_last_word(models, device)}" for device in devices),
    ]


def _last_word(refused: Sequence[Trial], device: str) -> str:
    """What a device that ran nothing said last."""
    failures = [t.failure for t in refused if t.configuration.device == device and t.failure]
    return f"{failures[-1].kind.value.replace('_', ' ')}: {failures[-1].message}"


def search_in_words(trials: Sequence[Trial], goal: Goal, space_size: int) -> str:
    """How much of the space was seen, and when the search last got anywhere."""
    tried = seen(trials)
    said = f"saw {tried} of {space_size} configurations ({percent(tried / space_size)})"
    last = last_improvement(trials, goal)
    if last is None:
        return said
    return f"{said}; trial {trials[last].number} of {len(trials)} was the last to gain over 1 %"


def why_nothing(trials: tuple[Trial, ...], goal: Goal) -> str:
    """Why there is no best configuration, and how far the nearest one is off.

    A line more for each constraint where there are several.
    """
    near = nearest_miss(trials, goal)
    if not trials:
        return "nothing was measured yet"
    if near is None or near.measurement is None:
        return "no configuration could be measured; autotune status shows why"
    if not goal.is_constrained:
        return "no configuration was measured, or not what the goal asks for"
    met = [t.number for t in trials if t.measurement and is_feasible(t.measurement, goal)]
    if met:
        return (
            f"no configuration was shown to meet {constraints_in_words(goal)}: in the search, "
            f"{len(met)} did, such as trial {met[0]}, and the race confirmed none"
        )
    if goal.limits:
        head = (
            f"no configuration was shown to meet all of {constraints_in_words(goal)}; the nearest "
            f"is trial {near.number}, {near.configuration}"
        )
        return "\n".join([head, *miss_lines(trials, goal)])
    return _over_the_cap(near, near.measurement, goal)


def limit_lines(trial: Trial | None, goal: Goal) -> list[str]:
    """What the search saw of each limit of a goal, and of what it asks for beside throughput."""
    return [line for _, line in labelled_lines(trial, goal)]


def labelled_lines(trial: Trial | None, goal: Goal) -> list[tuple[str, str]]:
    """The same, each with whether it is of the `objective` or of a `limit`."""
    if trial is None or trial.measurement is None:
        return []
    found = []
    if goal.objective is Objective.EFFICIENCY:
        seen = worth(trial.measurement, goal)
        mean, low = (None, None) if seen is None else (seen.mean, seen.low)
        said = f"efficiency: {efficiency(mean, goal)}, at least {efficiency(low, goal)}"
        found.append(("objective", said))
    for one in judged(trial.measurement, goal):
        row, reading = one.limit.row, one.reading
        value = row.unknown if reading is None else limited(row, reading.value)
        found.append(("limit", f"{limit_in_words(one.limit)}: {one.verdict}, {value}"))
    return found


def miss_lines(trials: Sequence[Trial], goal: Goal) -> list[str]:
    """For each constraint, how many trials meet it, and the one that comes nearest to it."""
    measured = [trial.measurement for trial in trials if trial.measurement is not None]
    near, found = nearest_misses(trials, goal), []
    if goal.cap_ms is not None:
        met = sum(one.verdict is Verdict.MET for one in measured)
        nearest, trial = "", near.get(LATENCY)
        if trial is not None and trial.measurement is not None:
            value = milliseconds(trial.measurement.latency.goal_ms)
            nearest = _nearest(trial, value, trial.measurement.verdict)
        found.append(_miss_line(cap_in_words(goal), met, nearest, ""))
    for place, limit in enumerate(goal.limits):
        met = sum(judged(one, goal)[place].verdict is Verdict.MET for one in measured)
        nearest, trial = "", near.get(limit.name)
        if trial is not None and trial.measurement is not None:
            seen = judged(trial.measurement, goal)[place]
            if seen.reading is not None:
                nearest = _nearest(trial, limited(limit.row, seen.reading.value), seen.verdict)
        found.append(_miss_line(limit_in_words(limit), met, nearest, limit.row.unknown))
    return found


def _nearest(trial: Trial, value: str, verdict: Verdict | None) -> str:
    """A value may look as if it met what it was not shown to meet."""
    doubt = " (unclear)" if verdict is Verdict.UNCLEAR else ""
    return f"the nearest is trial {trial.number} with {value}{doubt}"


def _miss_line(what: str, met: int, nearest: str, unknown: str) -> str:
    if not nearest:
        return f"{what}: not known of any trial: {unknown}"
    return f"{what}: met by {f'{met} trials, ' if met else 'none; '}{nearest}"


def _over_the_cap(near: Trial, measured: Measurement, goal: Goal) -> str:
    assert goal.cap_ms is not None  # noqa: S101 - the caller has looked
    nearest = (
        f"the nearest is trial {near.number}, {near.configuration}: "
        f"{percentile(goal.percentile)} {milliseconds(measured.latency.goal_ms)}"
    )
    off = measured.latency.goal_ms / goal.cap_ms - 1
    if off > 0:
        return f"no configuration meets {cap_in_words(goal)}; {nearest}, {_excess(off)}"
    requests = measured.latency.requests
    return (
        f"no configuration was shown to meet {cap_in_words(goal)}; {nearest}, "
        f"verdict {measured.verdict} after {requests} requests{_too_few(requests, goal)}"
    )


def relaxed_in_words(lowest: tuple[int, int] | None, goal: Goal) -> str:
    """What cap would be met, rounded up to three digits, to be added to `why_nothing`.

    Args:
        lowest: that cap in ticks, and the trial that meets it; None where none is shown.
        goal: what was asked for.
    """
    if lowest is None:
        return (
            "; trials end once a miss is clear, here too early to show another cap: "
            "tune with a higher one"
        )
    cap, trial = lowest
    if goal.cap_ms is not None and cap <= cap_ticks(goal.cap_ms):
        return ""  # it was met, and that was not enough
    exact = cap * TICK_MS * (1 + goal.headroom)  # what must be given, to be held to that
    step = 10.0 ** (math.floor(math.log10(exact)) - 2) if exact > 0 else TICK_MS
    shown = format_duration(round(math.ceil(exact / step - 1e-9) * step, 9) / 1000)
    return f"; {percentile(goal.percentile)} <= {shown} would be met, by trial {trial}"


def _excess(off: float) -> str:
    return f"{percent(off)} over the cap" if off < 1 else f"{off + 1:.1f} times the cap"


def _too_few(requests: int, goal: Goal) -> str:
    needed = requests_needed(0, goal.percentile)
    if requests >= needed:
        return ""
    steps = (p for p in range(int(goal.percentile), 0, -1) if requests_needed(0, p) <= requests)
    shown = next(steps, None)
    return (
        f", which can show {'nothing' if shown is None else percentile(shown)} at most; "
        f"{percentile(goal.percentile)} needs {needed}: give a longer budget, a longer "
        "[measure] limit, or a lower percentile"
    )
