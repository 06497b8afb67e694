"""A race in words: what is close, what was chosen and why, and what it may claim."""

from dataclasses import replace

from autotune.domain.goal import Goal, Objective, Verdict, together
from autotune.domain.measurement import Interval
from autotune.domain.race import (
    LEAST_LAUNCHES,
    Advantage,
    Choice,
    Conditions,
    End,
    RaceResult,
    Standing,
    State,
    Status,
)
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
    seconds,
    times,
)
from autotune.space.words import several

_IN_QUESTION = {State.TIED, State.FASTER}
_CHOICES = {
    Choice.FASTEST: "it is most likely the {most}",
    Choice.DEFAULT: "nothing is {more} than OpenVINO's own hint beyond the noise",
    Choice.PORTABLE: "equal to the {most}, and has fewer settings that hold here only",
    Choice.MARGIN: "equal to the {most}, and further below the cap",
    Choice.THREADS: "equal to the {most}, and takes fewer threads",
    Choice.MEMORY: "equal to the {most}, and takes less memory",
    Choice.TIED: "equal to others, and the {most} by its mean",
}
_ADVANTAGES = {
    Advantage.SHOWN: "shown to be {more} than the better hint",
    Advantage.LIKELY: "likely {more} than the better hint ({chance}), which is not shown",
    Advantage.EQUAL: "the best of the others is shown to be equal to it, within {margin}",
    Advantage.NOT_SHOWN: "no gain over it is shown: the best of the others is {more} with a "
    "probability of {chance}",
}
_ENDS = {
    End.DECIDED: "everything was settled",
    End.BUDGET: "its time was up",
    End.LAUNCHES: "the most launches were held",
    End.STOPPED: "stopped early",
    End.EMPTY: "nobody was left",
}
_BURSTY = 2.0
_LONG_S = 3 * 3600.0
_STEAL = 0.02


def race_lines(result: RaceResult, goal: Goal) -> list[str]:
    """What was chosen and why, what it may claim, and under which conditions."""
    head = (
        f"race of {several(result.rounds, 'round')} in "
        f"{several(result.launches, 'launch', 'launches')}, "
        f"{seconds(result.duration_s)}; {_ENDS[result.end]}"
    )
    winner = result.winner
    if winner is None:
        what = "the cap" if not goal.limits else "the cap and all limits"
        nothing = f"nothing was chosen: no contender can be said to meet {what}"
        return [head, nothing, *_nearest_lines(result, goal), *failure_lines(result)]
    return [
        head,
        f"chosen: {words(winner)}{_gain(winner, goal)}, because {_because(result, winner, goal)}",
        *advantage_lines(result, goal),
        *_ties(result),
        f"{result.status}: {_claim(winner, goal)}{_why_not(result, goal)}",
        *standing_lines(winner, goal),
        *_headroom(result, goal),
        *_search_said(winner),
        *failure_lines(result),
        *conditions_lines(result.conditions, result.tie_margin),
    ]


def _compared(goal: Goal | None) -> dict[str, str]:
    """What contenders are compared by, in words."""
    if goal is not None and goal.objective is Objective.EFFICIENCY:
        return {"more": "more efficient", "most": "most efficient"}
    return {"more": "faster", "most": "fastest"}


def _because(result: RaceResult, winner: Standing, goal: Goal) -> str:
    """Why it was chosen, also where somebody looks faster whose SLA is not certain enough."""
    reason = _CHOICES[result.choice or Choice.FASTEST].format(**_compared(goal))
    if together([winner.verdict, *(one.verdict for one in winner.limits)]) is Verdict.UNCLEAR:
        # Whoever is over something is chosen only where nobody is within all, whatever the speed.
        if winner.overall_in_search is Verdict.MET:
            return f"{reason}, of those shown to keep all that is asked for at 5 %; none is at 1 %"
        where = f"{reason}, of those within it as far as was seen"
        return "the race shows of nothing that it keeps all that is asked for; " + (
            where if _is_within(winner, goal) else "it comes nearest to it"
        )
    unsure = (s for s in result.standings if s.state in _IN_QUESTION and not s.holds)
    looks_faster = any(s.to_chosen is not None and s.to_chosen.mean > 1 for s in unsure)
    is_limited = winner.holds and looks_faster
    return f"{reason}, of those that can be certified" if is_limited else reason


def _is_within(standing: Standing, goal: Goal) -> bool:
    """Whether it keeps the cap and all limits by what was seen, shown or not."""
    seen = None if standing.latency is None else standing.latency.goal_ms
    is_soon = goal.cap_ms is None or (seen is not None and seen <= goal.cap_ms)
    return is_soon and all(one.excess <= 0 for one in standing.limits)


def advantage_lines(result: RaceResult, goal: Goal | None = None) -> list[str]:
    """What may be said of the choice against the better hint, and how long more would take."""
    if result.advantage is None:
        return []
    chance = "an unknown probability" if result.chance is None else _chance(result.chance)
    margin = percent(result.tie_margin)
    said = _ADVANTAGES[result.advantage].format(chance=chance, margin=margin, **_compared(goal))
    more_s = result.undecided_s
    if more_s is None:
        return [said]
    length = "hours" if more_s > _LONG_S else f"about {seconds(max(1.0, more_s))}"
    return [f"{said}; {length} more of such a race would decide"]


def _chance(chance: float) -> str:
    """A probability that is never said to be certain."""
    return f"{100 * min(max(chance, 0.001), 0.999):.3g} %"


def failure_lines(result: RaceResult) -> list[str]:
    """Who was dropped for a failure, and what it was."""
    return [
        f"{standing.contender.name} dropped: {standing.failure.kind}: {standing.failure.message}"
        for standing in result.standings
        if standing.failure is not None
    ]


def words(standing: Standing) -> str:
    """A contender by name and configuration."""
    contender = standing.contender
    configuration = str(contender.configuration)
    return (
        configuration if contender.name == configuration else f"{contender.name}, {configuration}"
    )


def ratio_text(ratio: Interval | None) -> str:
    """``1.87x (1.84-1.90)``."""
    if ratio is None:
        return "-"
    if ratio.low is None or ratio.high is None:
        return times(ratio.mean)
    return f"{times(ratio.mean)} ({ratio.low:.2f}-{ratio.high:.2f})"


def conditions_lines(seen: Conditions, tie_margin: float) -> list[str]:
    """What speaks against the numbers, and what counts as equal."""
    found = []
    if seen.most_steal_share is not None and seen.most_steal_share > _STEAL:
        mean = percent(seen.steal_share or 0.0)
        found.append(f"steal {mean} (worst slice {percent(seen.most_steal_share)})")
    if seen.throttled:
        found.append(f"CPU quota ran out in {seen.throttled} periods")
    if seen.major_faults:
        found.append(f"{seen.major_faults} pages read from disk")
    if seen.void_slices:
        found.append(f"{seen.void_slices} slices void: a clock step or a suspended machine")
    if seen.dispersion is not None and seen.dispersion > _BURSTY:
        found.append(
            f"requests over the cap come in bursts (dispersion {seen.dispersion:.1f}): "
            "the claim is conditional on bursts as seen"
        )
    noise = (
        "never calibrated (autotune doctor --calibrate)"
        if seen.noise is None
        else f"A/A noise {percent(seen.noise)}"
    )
    return [
        *([f"seen meanwhile: {'; '.join(found)}"] if found else []),
        f"equal is a difference below {percent(tie_margin)}; this machine: {noise}",
    ]


def _gain(winner: Standing, goal: Goal) -> str:
    if winner.ratio is None:
        return ""
    return f", {ratio_text(winner.ratio)} the better hint{gained(goal)}"


def standing_lines(standing: Standing, goal: Goal) -> list[str]:
    """What a race says of a contender beside throughput and latency: a line for each limit."""
    found = []
    if standing.efficiency is not None:
        mean, low = standing.efficiency.mean, standing.efficiency.low
        found.append(f"efficiency: {efficiency(mean, goal)}, at least {efficiency(low, goal)}")
    for one in standing.limits:
        row = one.limit.row
        seen = row.unknown if one.value is None else limited(row, one.value)
        side = "at least" if row.is_floor else "at most"
        bound = "" if one.bound is None else f", {side} {limited(row, one.bound)} at 99 %"
        found.append(f"{limit_in_words(one.limit)}: {one.verdict}, {seen}{bound}")
    return found


def _nearest_lines(result: RaceResult, goal: Goal) -> list[str]:
    """For each limit, who came nearest to it in the race."""
    found = []
    for place, limit in enumerate(goal.limits):
        seen = [(s.limits[place], s) for s in result.standings if s.limits]
        one, standing = min(seen, key=lambda pair: pair[0].excess, default=(None, None))
        if one is not None and standing is not None and one.value is not None:
            value = limited(limit.row, one.value)
            name = standing.contender.name
            found.append(f"{limit_in_words(limit)}: the nearest is {name} with {value}")
    return found


def _ties(result: RaceResult) -> list[str]:
    names = [f"{s.contender.name} {ratio_text(s.to_chosen)}" for s in result.ties]
    return [f"close to it: {', '.join(names)}"] if names else []


def _claim(winner: Standing, goal: Goal) -> str:
    low = None if winner.throughput is None else winner.throughput.low
    parts = [f"at least {per_second(low)}" if low is not None else "throughput not bounded"]
    if winner.latency_upper_ms is not None:
        parts.append(
            f"{percentile(goal.percentile)} at most {milliseconds(winner.latency_upper_ms)}"
        )
    over = f", {winner.over_cap} of them over the cap" if goal.cap_ms is not None else ""
    launches = several(winner.launches, "launch", "launches")
    evidence = f"{several(winner.requests, 'request')}{over}, {launches}"
    return f"{' and '.join(parts)} ({evidence})"


def _headroom(result: RaceResult, goal: Goal) -> list[str]:
    """How much slower the machine may become, and how that would show."""
    winner, hint = result.winner, result.better_hint
    room = None if winner is None else winner.headroom(goal.given_cap_ms)
    if room is None or result.status is not Status.CERTIFIED:
        return []
    cap = cap_in_words(replace(goal, cap_ms=goal.given_cap_ms, headroom=0.0))
    said = f"headroom: requests may take {percent(room)} longer before {cap} is at risk"
    if hint is None or hint.throughput is None:
        return [said]
    at_risk = per_second(hint.throughput.mean / (1 + room))
    return [f"{said}, as when the {hint.contender.name} falls to {at_risk}"]


def _why_not(result: RaceResult, goal: Goal) -> str:
    """What is missing to a certificate."""
    winner = result.winner
    if winner is None or result.status is Status.CERTIFIED:
        return ""
    cap, upper = goal.cap_ms, winner.latency_upper_ms
    reasons = (
        (winner.unproven is not None, f"its answers could not be proven: {winner.unproven}"),
        (result.end is End.STOPPED, "the race was stopped"),
        (winner.launches < LEAST_LAUNCHES, "that takes three launches: give a longer budget"),
        (winner.missed_launches > 0, f"{winner.missed_launches} launch(es) clearly missed the cap"),
        (
            cap is not None and (upper is None or upper > cap),
            f"the bound is not within {cap_in_words(goal)}",
        ),
        *(
            (one.verdict is not Verdict.MET, f"{limit_in_words(one.limit)} is not shown to hold")
            for one in winner.limits
        ),
        (not winner.holds, "there were too few requests for a verdict at 1 %"),
    )
    why = next((words for is_so, words in reasons if is_so), "the machine was noisy")
    return f"; not certified, as {why}"


def _search_said(winner: Standing) -> list[str]:
    contender = winner.contender
    if contender.search_per_s is None:
        return []
    latency = milliseconds(contender.search_latency_ms)
    return [f"the search itself had seen {per_second(contender.search_per_s)} at {latency}"]


def held_lines(held: RaceResult | None, best: int, goal: Goal) -> list[str]:
    """What a race over these trials saw under a goal for which it does not choose.

    Args:
        held: judged by the goal.
        best: the trial that the search's figures make the best.
        goal: what is asked for.
    """
    if held is None:
        return []
    found = [
        f"in the race, held for another goal, trial {best} had {per_second(one.throughput.mean)} "
        f"at {percentile(goal.percentile)} {milliseconds(one.latency.goal_ms)}{_at_most(one)}"
        for one in held.standings
        if one.contender.trial == best and one.latency is not None and one.throughput is not None
    ]
    winner = held.winner
    is_certified = winner is not None and held.status is Status.CERTIFIED
    if winner is not None and is_certified and winner.contender.trial != best:
        found.append(
            f"that race certifies {winner.contender.name} for this goal too: {_claim(winner, goal)}"
        )
    elif winner is not None and found and held.status is Status.PROVISIONAL:
        found += _ahead(held, winner, best, goal)
    return found


def _ahead(held: RaceResult, winner: Standing, best: int, goal: Goal) -> list[str]:
    """That a race which proves nothing yet speaks for another trial than the search does."""
    behind = [s.to_chosen for s in held.standings if s.contender.trial == best]
    if winner.contender.trial == best or not behind or behind[0] is None:
        return []
    said = f"that race, {held.status}, is for {winner.contender.name} under this goal too"
    return [f"{said}: {_claim(winner, goal)}; trial {best} is {ratio_text(behind[0])} of it"]


def _at_most(standing: Standing) -> str:
    upper_ms = standing.latency_upper_ms
    return "" if upper_ms is None else f", at most {milliseconds(upper_ms)}"
