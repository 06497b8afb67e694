"""`verify`: files raced again, what became of their claims in words, and the exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from autotune.cli.compare import comparison_json, head_to_head, ratio_json, show_race, standing_json
from autotune.cli.output import (
    announce,
    cpus_of,
    patience_of,
    print_json,
    say,
    say_what_is_not_passed_on,
    seconds_of,
    teller,
)
from autotune.cli.questions import within_limits
from autotune.cli.stop import Signals
from autotune.cli.streams import optional_output
from autotune.domain.goal import Goal, Verdict
from autotune.domain.race import LimitStanding, RaceResult
from autotune.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_VERIFICATION
from autotune.export.best_file import best_at
from autotune.machines.fingerprint import Machine
from autotune.racing.claims import (
    Finding,
    Verification,
    claimed_efficiency,
    claimed_latency_ms,
)
from autotune.racing.contest import check_budgets, common_goal
from autotune.racing.named import contender_of_file, data_of_file, inputs_of_file
from autotune.racing.verify import verify
from autotune.report.format import (
    cap_in_words,
    efficiency,
    gained,
    limit_in_words,
    limited,
    milliseconds,
    per_second,
    percent,
    percentile,
)
from autotune.report.race import ratio_text
from autotune.report.race_json import limits_json
from autotune.report.race_table import race_table
from autotune.report.words import terms_in_words


def run_verify(
    files: Sequence[Path],
    budget: str,
    model: Path | None,
    *,
    limits: Mapping[str, str | None] | None = None,
    anyway: bool,
    cpus: str | None = None,
    wait: str | None,
    trust: bool = False,
    as_json: bool,
) -> int:
    """Verify each file in turn, and race several against each other; the exit code."""
    budget_s, asked = seconds_of("--budget", budget), cpus_of(cpus)
    files = [best_at(path) for path in files]
    # Several race in the end, on the same CPUs.
    named = []
    if len(files) > 1:
        named = [contender_of_file(path, model, trust=trust) for path in files]
    if named:
        check_budgets(named, asked)
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
                    limits=lambda goal: within_limits(goal, limits or {}),
                    anyway=anyway,
                    cpus=asked,
                    on_launch=teller(console, str(path)),
                    is_stopped=stop,
                    patience=patience,
                    trust=trust,
                )
                found.append(checked)
                if not as_json:
                    _show_verification(console, *checked)
                if stop():
                    break
            compared = None
            if named and not stop():
                goal = within_limits(common_goal(named), limits or {})
                compared = head_to_head(
                    named,
                    goal,
                    budget_s,
                    stop,
                    console,
                    anyway=anyway,
                    cpus=asked,
                    patience=patience,
                )
        if compared is not None and not as_json:
            show_race(console, *compared)
    if as_json:
        comparison = None if compared is None else comparison_json(*compared)
        files_json = [_verification_json(*one) for one in found]
        print_json({"files": files_json, "comparison": comparison})
    if stop():
        return EXIT_INTERRUPTED
    return EXIT_OK if all(v.holds for v, _, _ in found) else EXIT_VERIFICATION


def _show_verification(
    console: Console, found: Verification, result: RaceResult, machine: Machine
) -> None:
    best, standing = found.best, found.standing
    goal = _goal_of(found)
    differences = machine.differences(best.machine)
    if differences:
        say(console, f"another machine or runtime than the file's: {'; '.join(differences)}")
    console.print(race_table(result, goal, states=False))
    if len(result.standings) > 1 and str(standing.contender.configuration) == best.better_hint:
        other = result.standings[-1].contender.name
        say(console, f"the file has the better hint itself: ratios are to the other, {other}")
    items = standing.contender.items_per_request
    say(console, terms_in_words(items, inputs_of_file(best), machine.budget_words))
    if standing.failure is not None:
        say(console, f"{found.path}: {standing.failure.kind}: {standing.failure.message}")
    if found.answers is not Finding.HOLDS:
        say(console, f"answers: {_answers_words(found)}")
    if found.sla is not None:
        say(console, f"SLA {cap_in_words(goal)}: {_sla_words(found)}")
    for seen, finding in found.limits:
        say(console, f"{limit_in_words(seen.limit)}: {_limit_words(found, seen, finding)}")
    if found.efficiency is not None:
        say(console, f"efficiency: {_efficiency_words(found)}")
    if found.latency is not None:
        say(console, f"{percentile(goal.percentile)}: {_latency_words(found)}")
    say(console, f"throughput: {_throughput_words(found)}")
    missed = "does not hold" if found.is_broken else "is not shown to hold"
    verdict = "holds" if found.holds else missed
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


def _limit_words(found: Verification, seen: LimitStanding, finding: Finding) -> str:
    row = seen.limit.row
    if seen.value is None:
        why = row.unknown if found.standing.requests else "nothing was measured"
        return f"not shown either way: {why}"
    side = "at least" if row.is_floor else "at most"
    bound = "" if seen.bound is None else f", {side} {limited(row, seen.bound)} at 99 %"
    figures = f"{limited(row, seen.value)}{bound}"
    if finding is Finding.UNSHOWN:
        return f"not shown either way: {figures}; give a longer --budget"
    if finding is Finding.BROKEN:
        return f"does not hold: {figures}"
    is_beyond = seen.bound is not None and row.excess(seen.bound, seen.limit.value) > 0
    return f"{'holds at 95 %' if is_beyond else 'holds'}: {figures}"


def _efficiency_words(found: Verification) -> str:
    goal, seen = found.best.goal, found.standing.efficiency
    if seen is None or found.efficiency is None:
        return "not measured"
    claimed = efficiency(claimed_efficiency(found.best), goal)
    now = f"{efficiency(seen.mean, goal)} now, at least {claimed} claimed"
    return f"{_STATES[found.efficiency]}: {now}{_ratio_words(found)}"


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


_STATES = {
    Finding.HOLDS: "holds",
    Finding.RELATIVE: "holds relative to the hint, as the machine itself is slower now",
    Finding.BROKEN: "does not hold",
    Finding.UNSHOWN: "too little was seen to say; give a longer --budget",
}


def _latency_words(found: Verification) -> str:
    seen = found.standing.latency
    if seen is None or found.latency is None:
        return "not measured"
    claimed = milliseconds(claimed_latency_ms(found.best))
    now = f"{milliseconds(seen.goal_ms)} now, at most {claimed} claimed"
    return f"{_STATES[found.latency]}: {now}{_ratio_words(found)}"


def _throughput_words(found: Verification) -> str:
    seen = found.standing.throughput
    if seen is None:
        return "not measured"
    now = f"{per_second(seen.mean)} now, at least {per_second(found.claim_per_s)} claimed"
    speed = found.machine_speed
    machine = "" if speed is None else f"; the hint runs at {percent(speed)} of its speed then"
    ratio = _ratio_words(found) if found.best.goal.objective.is_rate else ""
    state = _STATES[found.throughput]
    if found.throughput is Finding.HOLDS and seen.mean < found.claim_per_s:
        state += ", within 2 % or its own noise"
    return f"{state}: {now}{machine}{ratio}"


def _ratio_words(found: Verification) -> str:
    """What it is of the hint, in what the file was made for, now and then."""
    if found.ratio is None or found.claim_ratio is None:
        return ""
    now, then = ratio_text(found.ratio), ratio_text(found.claim_ratio)
    return f"; {now} of the hint{gained(found.best.goal)}, {then} then"


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
        "ratio_to_hint": ratio_json(found.ratio),
        "claimed_ratio_to_hint": ratio_json(found.claim_ratio),
        "data": data_of_file(found.best),
        "inputs": inputs_of_file(found.best),
        **standing_json(standing),
        "limits": [
            {**one, "finding": finding.value}
            for one, (_, finding) in zip(
                limits_json([seen for seen, _ in found.limits]), found.limits, strict=True
            )
        ],
        "efficiency_finding": found.efficiency and found.efficiency.value,
        "latency_finding": found.latency and found.latency.value,
        "claimed_latency_ms": claimed_latency_ms(found.best),
        "launches": result.launches,
        "rounds": result.rounds,
        "duration_s": result.duration_s,
        "end": result.end,
        "machine": machine.to_dict(),
        "differences": machine.differences(found.best.machine),
    }


def _goal_of(found: Verification) -> Goal:
    """The file's own, with the limits that were looked at."""
    return replace(found.best.goal, limits=tuple(seen.limit for seen, _ in found.limits))
