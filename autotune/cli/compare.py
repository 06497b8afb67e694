"""`compare`: a race without a study, shown, as JSON, and turned into an exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from autotune.cli.output import (
    announce,
    cpus_of,
    goal_json,
    patience_of,
    print_json,
    say,
    say_what_is_not_passed_on,
    seconds_of,
    teller,
)
from autotune.cli.questions import within_limits
from autotune.cli.stop import Signals
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Feed, Interval
from autotune.domain.model_file import located
from autotune.domain.race import RaceResult, Standing, State
from autotune.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError
from autotune.export.certificate import best_ratio
from autotune.host.core_budget import CpuRequest
from autotune.machines.fingerprint import Machine
from autotune.machines.locks import Patience
from autotune.racing.contest import common_goal, contest
from autotune.racing.named import NamedContender, RacedModel, named_contenders
from autotune.report.format import (
    goal_in_words,
)
from autotune.report.race import (
    conditions_lines,
    failure_lines,
    ratio_text,
    standing_lines,
    words,
)
from autotune.report.race_json import limits_json
from autotune.report.race_table import race_table
from autotune.report.words import terms_in_words
from autotune.spec import parse_shapes

_COMPARED = [one.value for one in Objective if one is not Objective.PARETO]
"""What is one number; a front has no ratio to the first."""


def run_compare(
    names: Sequence[str],
    budget: str,
    *,
    model: Path | None,
    shape: str | None,
    device: str,
    objective: str | None,
    max_latency: str | None,
    asked_percentile: float | None,
    limits: Mapping[str, str | None],
    anyway: bool,
    cpus: str | None = None,
    wait: str | None,
    trust: bool = False,
    as_json: bool,
) -> int:
    """Race everything that was named; the exit code."""
    if len(names) < 2:
        raise UsageError("compare takes two or more: best.json, STUDY:TRIAL, LATENCY, streams=2,…")
    given = None if model is None else RacedModel(path=located(model), shapes=parse_shapes(shape))
    named = named_contenders(names, given, device, trust=trust)
    goal = _goal(common_goal(named), objective, max_latency, asked_percentile)
    goal = within_limits(goal, limits)
    asked = cpus_of(cpus)
    budget_s, console = seconds_of("--budget", budget), Console(stderr=as_json)
    say_what_is_not_passed_on(console)
    patience = patience_of(wait, partial(say, console))
    with Signals(partial(announce, console), patience=patience) as stop:
        compared = head_to_head(
            named, goal, budget_s, stop, console, anyway=anyway, cpus=asked, patience=patience
        )
    if as_json:
        print_json(comparison_json(*compared))
    else:
        show_race(console, *compared)
    return EXIT_INTERRUPTED if stop() else EXIT_OK


def _feed(named: Sequence[NamedContender]) -> Feed:
    """How all files and trials were fed; one race has one way.

    Raises:
        UsageError: they were fed in different ways.
    """
    feeds = {one.feed for one in named if one.feed is not None}
    if len(feeds) > 1:
        raise UsageError("these were tuned with different [measure] feed: tune one anew")
    return feeds.pop() if feeds else Feed.BIND


Compared = tuple[Sequence[NamedContender], RaceResult, Goal, Machine]


def head_to_head(
    named: Sequence[NamedContender],
    goal: Goal,
    budget_s: float,
    stop: Signals,
    console: Console,
    *,
    anyway: bool,
    cpus: CpuRequest | None = None,
    patience: Patience,
) -> Compared:
    """Race them, with a line for every launch."""
    race, machine = contest(
        named,
        goal,
        budget_s,
        anyway=anyway,
        cpus=cpus,
        feed=_feed(named),
        on_launch=teller(console, "race"),
        is_stopped=stop,
        patience=patience,
    )
    return named, race.result(), goal, machine


def show_race(
    console: Console,
    named: Sequence[NamedContender],
    result: RaceResult,
    goal: Goal,
    machine: Machine,
) -> None:
    """Its table, and each contender against the first in words."""
    say(console, f"judged by: {goal_in_words(goal)}")
    console.print(race_table(result, goal, baseline="first", states=False))
    for line in terms_lines(named, result, machine):
        say(console, line)
    for line in failure_lines(result):
        say(console, line)
    first = result.standings[0]
    for standing in result.standings:
        if standing.unproven is not None:
            say(console, f"{words(standing)}: unproven answers: {standing.unproven}")
    for standing in result.standings:
        for line in standing_lines(standing, goal):
            say(console, f"{words(standing)}: {line}")
    for standing in result.standings[1:]:
        said = comparison(standing, result.tie_margin, goal)
        say(console, f"{words(standing)}: {said} {first.contender.name}")
    for line in conditions_lines(result.conditions, result.tie_margin):
        say(console, line)


def terms_lines(named: Sequence[NamedContender], result: RaceResult, machine: Machine) -> list[str]:
    """What the numbers are numbers of; for each by name where they differ."""
    terms = {
        standing.contender.name: _terms(standing, one, machine)
        for one, standing in zip(named, result.standings, strict=True)
    }
    if len(set(terms.values())) == 1:
        return list(terms.values())[:1]
    return [f"{name}: {said}" for name, said in terms.items()]


def _terms(standing: Standing, one: NamedContender, machine: Machine) -> str:
    items = standing.contender.items_per_request
    return terms_in_words(items, one.model.fed, machine.budget_words)


def comparison(standing: Standing, margin: float, goal: Goal) -> str:
    """A contender against the first: faster, slower, equal, or not enough seen to say."""
    ratio, is_efficiency = standing.ratio, goal.objective is Objective.EFFICIENCY
    more, less = ("more efficient", "less efficient") if is_efficiency else ("faster", "slower")
    if ratio is None or ratio.low is None or ratio.high is None:
        return "not comparable with"
    if ratio.low > 1 / (1 - margin) or (ratio.low > 1 and ratio.mean > 1 + margin):
        return f"{ratio_text(ratio)}, {more} than"
    if ratio.high < 1 - margin or (ratio.high < 1 and ratio.mean < 1 - margin):
        return f"{ratio_text(ratio)}, {less} than"
    if ratio.low > 1 - margin and ratio.high < 1 / (1 - margin):
        return f"{ratio_text(ratio)}, equal to"
    return f"{ratio_text(ratio)}, not told apart from"


def comparison_json(
    named: Sequence[NamedContender], result: RaceResult, goal: Goal, machine: Machine
) -> dict[str, Any]:
    """A race without a study for JSON output."""
    return {
        "goal": goal_json(goal),
        "tie_margin": result.tie_margin,
        "launches": result.launches,
        "rounds": result.rounds,
        "duration_s": result.duration_s,
        "end": result.end,
        "machine": machine.to_dict(),
        "contenders": [
            {
                "name": standing.contender.name,
                "configuration": str(standing.contender.configuration),
                "model": str(one.model.path),
                "data": "random" if one.model.is_random else "real",
                "inputs": one.model.fed,
                "failed": standing.state is State.FAILED,
                "ratio_to_first": ratio_json(standing.ratio),
                **standing_json(standing),
            }
            for one, standing in zip(named, result.standings, strict=True)
        ],
    }


def standing_json(standing: Standing) -> dict[str, Any]:
    """What was measured of one contender, for JSON output."""
    seen, latency = standing.throughput, standing.latency
    return {
        "throughput_per_s": seen and seen.mean,
        "throughput_low_per_s": seen and seen.low,
        "throughput_high_per_s": seen and seen.high,
        "latency_ms": latency and latency.goal_ms,
        "latency_upper_ms": standing.latency_upper_ms,
        "items_per_request": standing.contender.items_per_request,
        "requests": standing.requests,
        "over_cap": standing.over_cap,
        "verdict": standing.verdict,
        "efficiency": standing.efficiency and standing.efficiency.mean,
        "limits": limits_json(standing.limits),
        "flags": sorted(standing.flags),
        "unproven": standing.unproven,
        "failure": standing.failure and f"{standing.failure.kind}: {standing.failure.message}",
    }


def ratio_json(ratio: Interval | None) -> dict[str, Any] | None:
    """A ratio with its interval, for JSON output."""
    found = best_ratio(ratio)
    return None if found is None else found.model_dump()


def _goal(
    shared: Goal, objective: str | None, max_latency: str | None, asked: float | None
) -> Goal:
    if objective not in {None, *_COMPARED}:
        raise UsageError(f"--objective: {objective!r:.80} is none of {', '.join(_COMPARED)}")
    if objective is not None:
        shared = replace(shared, objective=Objective(objective))
    if asked is not None and not 0 < asked < 100:
        raise UsageError(f"--percentile: must lie between 0 and 100, got {asked:g}")
    cap_ms = None if max_latency is None else 1000 * seconds_of("--max-latency", max_latency)
    return shared.asked(percentile=asked, cap_ms=cap_ms)
