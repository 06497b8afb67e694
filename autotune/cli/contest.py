"""`verify` and `compare`: races without a study, shown and turned into an exit code."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from autotune.cli.output import (
    announce,
    goal_json,
    patience_of,
    print_json,
    say,
    say_what_is_not_passed_on,
    seconds_of,
    teller,
)
from autotune.cli.stop import Signals
from autotune.cli.streams import optional_output
from autotune.domain.goal import Goal, Verdict
from autotune.domain.measurement import Feed, Interval
from autotune.domain.model_file import located
from autotune.domain.race import RaceResult, Standing, State
from autotune.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_VERIFICATION, UsageError
from autotune.export.certificate import best_ratio
from autotune.machines.fingerprint import Machine
from autotune.machines.locks import Patience
from autotune.racing.contest import common_goal, contest
from autotune.racing.named import NamedContender, RacedModel, contender_of_file, named_contenders
from autotune.racing.verify import Finding, Verification, verify
from autotune.report.format import (
    cap_in_words,
    goal_in_words,
    milliseconds,
    per_second,
    percent,
)
from autotune.report.race import conditions_lines, failure_lines, race_table, ratio_text, words
from autotune.report.words import terms_in_words
from autotune.spec import parse_shapes


def run_verify(
    files: Sequence[Path],
    budget: str,
    model: Path | None,
    *,
    anyway: bool,
    wait: str | None,
    as_json: bool,
) -> int:
    """Verify each file in turn, and race several against each other; the exit code."""
    budget_s = seconds_of("--budget", budget)
    console, found = Console(stderr=as_json), []
    patience = patience_of(wait, partial(say, console))
    # The exit code is an answer, too: lines may get lost.
    with optional_output():
        say_what_is_not_passed_on(console)
        with Signals(partial(announce, console), patience=patience) as stop:
            for path in files:
                checked = verify(
                    path,
                    budget_s,
                    model=model,
                    anyway=anyway,
                    on_launch=teller(console, str(path)),
                    is_stopped=stop,
                    patience=patience,
                )
                found.append(checked)
                if not as_json:
                    _show_verification(console, *checked)
                if stop():
                    break
            compared = None
            if len(files) > 1 and not stop():
                named = [contender_of_file(path, model) for path in files]
                goal = common_goal(named)
                compared = _compared(
                    named, goal, budget_s, stop, console, anyway=anyway, patience=patience
                )
        if compared is not None and not as_json:
            _show_race(console, *compared[:3])
    if as_json:
        comparison = None if compared is None else _race_json(*compared)
        files_json = [_verification_json(*one) for one in found]
        print_json({"files": files_json, "comparison": comparison})
    if stop():
        return EXIT_INTERRUPTED
    return EXIT_OK if all(v.holds for v, _, _ in found) else EXIT_VERIFICATION


def run_compare(
    names: Sequence[str],
    budget: str,
    *,
    model: Path | None,
    shape: str | None,
    device: str,
    max_latency: str | None,
    asked_percentile: float | None,
    anyway: bool,
    wait: str | None,
    as_json: bool,
) -> int:
    """Race everything that was named; the exit code."""
    if len(names) < 2:
        raise UsageError("compare takes two or more: best.json, STUDY:TRIAL, LATENCY, streams=2,…")
    given = None if model is None else RacedModel(path=located(model), shapes=parse_shapes(shape))
    named = named_contenders(names, given, device)
    goal = _goal(common_goal(named), max_latency, asked_percentile)
    budget_s, console = seconds_of("--budget", budget), Console(stderr=as_json)
    say_what_is_not_passed_on(console)
    patience = patience_of(wait, partial(say, console))
    with Signals(partial(announce, console), patience=patience) as stop:
        compared = _compared(named, goal, budget_s, stop, console, anyway=anyway, patience=patience)
    if as_json:
        print_json(_race_json(*compared))
    else:
        _show_race(console, *compared[:3])
    return EXIT_INTERRUPTED if stop() else EXIT_OK


def _feed(named: Sequence[NamedContender]) -> Feed:
    """How all files were fed; one race has one way.

    Raises:
        UsageError: they were fed in different ways.
    """
    feeds = {one.best.measured.feed for one in named if one.best is not None}
    if len(feeds) > 1:
        raise UsageError("these files were tuned with different [measure] feed: tune one anew")
    return feeds.pop() if feeds else Feed.BIND


Compared = tuple[Sequence[NamedContender], RaceResult, Goal, Machine]


def _compared(
    named: Sequence[NamedContender],
    goal: Goal,
    budget_s: float,
    stop: Signals,
    console: Console,
    *,
    anyway: bool,
    patience: Patience,
) -> Compared:
    race, machine = contest(
        named,
        goal,
        budget_s,
        anyway=anyway,
        feed=_feed(named),
        on_launch=teller(console, "race"),
        is_stopped=stop,
        patience=patience,
    )
    return named, race.result(), goal, machine


def _show_verification(
    console: Console, found: Verification, result: RaceResult, machine: Machine
) -> None:
    best, standing = found.best, found.standing
    goal = _goal_of(found)
    differences = machine.differences(best.machine)
    if differences:
        say(console, f"another machine or runtime than the file's: {'; '.join(differences)}")
    console.print(race_table(result, goal, states=False))
    say(console, terms_in_words(standing.contender.items_per_request, best.model.inputs))
    if standing.failure is not None:
        say(console, f"{found.path}: {standing.failure.kind}: {standing.failure.message}")
    if found.answers is not Finding.HOLDS:
        say(console, f"answers: {_answers_words(found)}")
    if found.sla is not None:
        say(console, f"SLA {cap_in_words(goal)}: {_sla_words(found)}")
    say(console, f"throughput: {_throughput_words(found)}")
    verdict = "holds" if found.holds else "does not hold"
    status = f"({best.status} when it was made)"
    say(console, f"{found.path} {verdict} {status}")


def _answers_words(found: Verification) -> str:
    if found.answers is Finding.BROKEN:
        return "not those of single requests"
    why = found.standing.unproven or found.best.unproven
    said = "" if found.answers else ", as the file says"
    return f"could not be shown to be those of single requests{said}: {why}"


def _sla_words(found: Verification) -> str:
    standing = found.standing
    seen = milliseconds(standing.latency.goal_ms if standing.latency else None)
    counts = f"{standing.over_cap} of {standing.requests} requests over the cap, {seen}"
    if found.sla is Finding.HOLDS:
        return f"holds: {counts}"
    if found.sla is Finding.RELATIVE:
        is_missed = standing.search_verdict is Verdict.MISSED
        said = "does not hold" if is_missed else "not shown to hold"
        return f"{said}: {counts}; {_slower_than_allowed(found)}"
    if found.sla is Finding.BROKEN:
        return f"does not hold: {counts}; {_within_the_headroom(found)}"
    return f"not shown either way: {counts}; give a longer --budget"


def _slower_than_allowed(found: Verification) -> str:
    return (
        f"the machine is {percent(found.machine_slowness or 0.0)} slower than when the file was "
        f"made, by the hint, and the certificate has room for {percent(found.headroom or 0.0)}"
    )


def _within_the_headroom(found: Verification) -> str:
    """Why it is the claim, and not the machine, as far as the hint can tell."""
    if found.machine_slowness is None:
        return "whether the machine is slower cannot be said, without a hint to compare with"
    if found.machine_slowness <= 0:
        return "the machine is no slower than then, by the hint: the claim was wrong"
    if found.headroom is None:
        slower = percent(found.machine_slowness)
        return (
            f"the machine is {slower} slower than then, by the hint, and the file has no headroom"
        )
    return (
        f"the machine is {percent(found.machine_slowness)} slower than then, by the hint, and the "
        f"certificate has room for {percent(found.headroom)}: the claim was wrong"
    )


def _throughput_words(found: Verification) -> str:
    seen = found.standing.throughput
    if seen is None:
        return "not measured"
    now = f"{per_second(seen.mean)} now, at least {per_second(found.claim_per_s)} claimed"
    speed = found.machine_speed
    machine = "" if speed is None else f"; the hint runs at {percent(speed)} of its speed then"
    ratio = ""
    if found.ratio is not None and found.claim_ratio is not None:
        ratio = f"; {ratio_text(found.ratio)} of the hint, {ratio_text(found.claim_ratio)} then"
    state = {
        Finding.HOLDS: "holds",
        Finding.RELATIVE: "holds relative to the hint, as the machine itself is slower now",
        Finding.BROKEN: "does not hold",
        Finding.UNSHOWN: "too little was seen to say; give a longer --budget",
    }
    return f"{state[found.throughput]}: {now}{machine}{ratio}"


def _show_race(
    console: Console, named: Sequence[NamedContender], result: RaceResult, goal: Goal
) -> None:
    say(console, f"judged by: {goal_in_words(goal)}")
    console.print(race_table(result, goal, baseline="first", states=False))
    for line in terms_lines(named, result):
        say(console, line)
    for line in failure_lines(result):
        say(console, line)
    first = result.standings[0]
    for standing in result.standings:
        if standing.unproven is not None:
            say(console, f"{words(standing)}: unproven answers: {standing.unproven}")
    for standing in result.standings[1:]:
        said = comparison(standing, result.tie_margin)
        say(console, f"{words(standing)}: {said} {first.contender.name}")
    for line in conditions_lines(result.conditions, result.tie_margin):
        say(console, line)


def terms_lines(named: Sequence[NamedContender], result: RaceResult) -> list[str]:
    """What the numbers are numbers of; for each by name where they differ."""
    terms = {
        standing.contender.name: _terms(standing, one)
        for one, standing in zip(named, result.standings, strict=True)
    }
    if len(set(terms.values())) == 1:
        return list(terms.values())[:1]
    return [f"{name}: {said}" for name, said in terms.items()]


def _terms(standing: Standing, one: NamedContender) -> str:
    inputs = one.model.inputs
    return terms_in_words(
        standing.contender.items_per_request, None if inputs is None else str(inputs)
    )


def comparison(standing: Standing, margin: float) -> str:
    """A contender against the first: faster, slower, equal, or not enough seen to say."""
    ratio = standing.ratio
    if ratio is None or ratio.low is None or ratio.high is None:
        return "not comparable with"
    if ratio.low > 1 / (1 - margin) or (ratio.low > 1 and ratio.mean > 1 + margin):
        return f"{ratio_text(ratio)}, faster than"
    if ratio.high < 1 - margin or (ratio.high < 1 and ratio.mean < 1 - margin):
        return f"{ratio_text(ratio)}, slower than"
    if ratio.low > 1 - margin and ratio.high < 1 / (1 - margin):
        return f"{ratio_text(ratio)}, equal to"
    return f"{ratio_text(ratio)}, not told apart from"


def _verification_json(found: Verification, result: RaceResult, machine: Machine) -> dict[str, Any]:
    standing = found.standing
    return {
        "file": str(found.path),
        "holds": found.holds,
        "answers": found.answers,
        "sla": found.sla,
        "throughput": found.throughput,
        "claim_per_s": found.claim_per_s,
        "machine_speed": found.machine_speed,
        "machine_slowness": found.machine_slowness,
        "headroom": found.headroom,
        "ratio_to_hint": _ratio_json(found.ratio),
        "claimed_ratio_to_hint": _ratio_json(found.claim_ratio),
        "data": "random" if found.best.model.inputs is None else "real",
        **_standing_json(standing),
        "launches": result.launches,
        "rounds": result.rounds,
        "duration_s": result.duration_s,
        "end": result.end,
        "machine": machine.to_dict(),
        "differences": machine.differences(found.best.machine),
    }


def _race_json(
    named: Sequence[NamedContender], result: RaceResult, goal: Goal, machine: Machine
) -> dict[str, Any]:
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
                "data": "random" if one.model.inputs is None else "real",
                "failed": standing.state is State.FAILED,
                "ratio_to_first": _ratio_json(standing.ratio),
                **_standing_json(standing),
            }
            for one, standing in zip(named, result.standings, strict=True)
        ],
    }


def _standing_json(standing: Standing) -> dict[str, Any]:
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
        "flags": sorted(standing.flags),
        "unproven": standing.unproven,
        "failure": standing.failure and f"{standing.failure.kind}: {standing.failure.message}",
    }


def _ratio_json(ratio: Interval | None) -> dict[str, Any] | None:
    found = best_ratio(ratio)
    return None if found is None else found.model_dump()


def _goal_of(found: Verification) -> Goal:
    sla = found.best.sla
    return Goal(found.best.objective, sla.percentile if sla else 99.0, sla.cap_ms if sla else None)


def _goal(shared: Goal, max_latency: str | None, asked: float | None) -> Goal:
    if asked is not None and not 0 < asked < 100:
        raise UsageError(f"--percentile: must lie between 0 and 100, got {asked:g}")
    cap_ms = None if max_latency is None else 1000 * seconds_of("--max-latency", max_latency)
    return shared.asked(percentile=asked, cap_ms=cap_ms)
