"""A race in words: every state and every reason is a word."""

import json
from dataclasses import replace
from typing import Any

import pytest

from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Flag, Interval
from autotune.domain.race import (
    Advantage,
    Choice,
    End,
    LimitStanding,
    RaceResult,
    Standing,
    State,
    Status,
)
from autotune.report.race import (
    advantage_lines,
    conditions_lines,
    held_lines,
    race_lines,
    ratio_text,
    words,
)
from autotune.report.race_json import race_json
from tests.builders import GOAL, make_configuration, make_failure
from tests.report.races import QUIET, make_hint, make_latency, make_result, make_standing


def said(result: RaceResult, goal: Goal = GOAL) -> str:
    """The lines below it."""
    return "\n".join(race_lines(result, goal))


# --- the words


def test_a_certified_race_in_words() -> None:
    """What was chosen, why, what it claims, on which evidence, and the search's own number."""
    text = said(make_result())
    certified = (
        "certified: at least 1361/s and p99 at most 5.12 ms "
        "(10000 requests, 3 of them over the cap, 5 launches)"
    )
    chosen = (
        f"chosen: trial 12, {make_configuration()}, 1.87x (1.84-1.90) the better hint, "
        "because it is most likely the fastest"
    )
    assert text.splitlines()[:3] == [
        "race of 25 rounds in 5 launches, 1 min 23 s; everything was settled",
        chosen,
        certified,
    ]
    assert "the search itself had seen 1400/s at 4.5 ms" in text
    assert "equal is a difference below 1.2 %; this machine: A/A noise 1.2 %" in text
    assert "not certified" not in text


@pytest.mark.parametrize("choice", list(Choice))
def test_a_faster_one_that_cannot_be_certified_is_no_contradiction(choice: Choice) -> None:
    """The table shows it above the choice, which is the best of the others."""
    limited = "of those that can be certified"
    faster = make_standing("trial 3", State.TIED, holds=False, to_chosen=Interval(1.01, 0.99, 1.03))
    winner = make_standing(holds=True)

    def line(other: Standing, winner: Standing = winner) -> str:
        return race_lines(make_result(other, winner=winner, choice=choice), GOAL)[1]

    assert line(faster).endswith(f", {limited}")
    assert limited not in line(replace(faster, holds=True))
    assert limited not in line(replace(faster, to_chosen=Interval(0.99, 0.98, 1.0)))
    assert limited not in line(replace(faster, to_chosen=None))
    assert limited not in line(replace(faster, state=State.MISSED))
    assert limited not in line(faster, replace(winner, holds=False))


@pytest.mark.parametrize("end", list(End))
def test_every_end_is_a_reason(end: End) -> None:
    """In words of its own."""
    heads = {race_lines(make_result(end=other), GOAL)[0] for other in End}
    assert len(heads) == len(End)
    assert race_lines(make_result(end=end), GOAL)[0].split("; ")[1]


@pytest.mark.parametrize("advantage", list(Advantage))
@pytest.mark.parametrize("more_s", [None, 90.0, 1e6])
def test_every_advantage_is_a_sentence(advantage: Advantage, more_s: float | None) -> None:
    """With its probability where it is one, and with the time that would decide."""
    result = make_result(advantage=advantage, chance=0.934, undecided_s=more_s)
    (line,) = advantage_lines(result)
    assert line in race_lines(result, GOAL)
    assert ("93.4 %" in line) == (advantage in {Advantage.LIKELY, Advantage.NOT_SHOWN})
    said = {None: "", 90.0: "about 1 min 30 s more", 1e6: "hours more"}[more_s]
    assert said in line
    assert ("would decide" in line) == bool(said)


@pytest.mark.parametrize(("chance", "said"), [(1.0, "99.9 %"), (0.0, "0.1 %"), (0.5, "50 %")])
def test_no_probability_is_a_certainty(chance: float, said: str) -> None:
    """However sure the model is of itself."""
    result = make_result(advantage=Advantage.LIKELY, chance=chance)
    assert said in advantage_lines(result)[0]


def test_without_a_hint_to_beat_nothing_is_said() -> None:
    """None meets the cap, or there is nothing else."""
    assert advantage_lines(make_result(advantage=None)) == []


@pytest.mark.parametrize("choice", list(Choice))
def test_every_choice_has_its_because(choice: Choice) -> None:
    """No two rules sound alike."""
    lines = {race_lines(make_result(choice=other), GOAL)[1] for other in Choice}
    assert len(lines) == len(Choice)
    assert "because" in race_lines(make_result(choice=choice), GOAL)[1]


@pytest.mark.parametrize(
    ("winner", "end", "why"),
    [
        ({}, End.STOPPED, "the race was stopped"),
        ({"launches": 2}, End.BUDGET, "three launches: give a longer budget"),
        ({"missed_launches": 1, "holds": False}, End.BUDGET, "1 launch(es) clearly missed the cap"),
        ({"latency_upper_ms": 10.5, "holds": False}, End.BUDGET, "not within p99 <= 10ms"),
        ({"latency_upper_ms": None, "holds": False}, End.BUDGET, "not within p99 <= 10ms"),
        ({"holds": False}, End.BUDGET, "too few requests for a verdict at 1 %"),
        ({"flags": frozenset({Flag.STEAL})}, End.BUDGET, "the machine was noisy"),
    ],
)
def test_what_is_missing_to_a_certificate_is_said(
    winner: dict[str, Any], end: End, why: str
) -> None:
    """The one reason that comes first."""
    result = make_result(winner=make_standing(**winner), status=Status.PROVISIONAL, end=end)
    text = said(result)
    assert "provisional: " in text
    assert "; not certified, as " in text
    assert why in text


def test_what_could_not_be_proven_is_said() -> None:
    """Before any other reason, for people and for programs."""
    winner = make_standing(unproven="the outputs are all zero", launches=1)
    result = make_result(winner=winner, status=Status.UNPROVEN)
    text = said(result)
    assert "unproven: at least" in text
    assert "not certified, as its answers could not be proven: the outputs are all zero" in text
    stored = json.loads(json.dumps(race_json(result)))
    assert stored["status"] == "unproven"
    assert stored["contenders"][0]["unproven"] == "the outputs are all zero"


def test_nothing_chosen_is_said() -> None:
    """And nothing is claimed."""
    result = make_result(chosen=None, choice=None, status=Status.UNCONFIRMED, end=End.EMPTY)
    assert race_lines(result, GOAL) == [
        "race of 25 rounds in 5 launches, 1 min 23 s; nobody was left",
        "nothing was chosen: no contender can be said to meet the cap",
    ]


def test_ties_are_named_with_their_ratio() -> None:
    """To the chosen one."""
    tied = make_standing("trial 9", State.TIED, to_chosen=Interval(0.997, 0.985, 1.009))
    assert "close to it: trial 9 1.00x (0.98-1.01)" in said(make_result(tied))


def test_without_a_cap_nothing_is_over_it() -> None:
    """And what could not be bounded is not claimed."""
    goal = Goal(Objective.THROUGHPUT, 99.0, None)
    few = make_standing(
        throughput=Interval(1374.2, None, None), latency_upper_ms=None, verdict=None, launches=1
    )
    text = said(make_result(winner=few, status=Status.PROVISIONAL), goal)
    assert "over the cap" not in text
    assert "throughput not bounded (10000 requests, 1 launch)" in text


def test_a_name_is_not_said_twice() -> None:
    """A hint's name is its configuration."""
    assert words(make_hint()) == "CPU THROUGHPUT hint"
    assert words(make_standing()) == f"trial 12, {make_configuration()}"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "-"),
        (Interval(1.874, 1.841, 1.904), "1.87x (1.84-1.90)"),
        (Interval(1.874, None, None), "1.87x"),
    ],
)
def test_ratios_carry_their_interval(ratio: Interval | None, text: str) -> None:
    """Where there is one."""
    assert ratio_text(ratio) == text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"steal_share": 0.03, "most_steal_share": 0.21}, "steal 3 % (worst slice 21 %)"),
        ({"steal_share": None, "most_steal_share": 0.5}, "steal 0 % (worst slice 50 %)"),
        ({"throttled": 7}, "CPU quota ran out in 7 periods"),
        ({"major_faults": 12}, "12 pages read from disk"),
        ({"void_slices": 2}, "2 slices void: a clock step or a suspended machine"),
        ({"dispersion": 3.27}, "come in bursts (dispersion 3.3)"),
        ({"noise": None}, "never calibrated (autotune doctor --calibrate)"),
    ],
)
def test_every_condition_is_told(fields: dict[str, Any], says: str) -> None:
    """What speaks against the numbers stands beside them."""
    lines = conditions_lines(replace(QUIET, **fields), 0.01)
    assert says in "\n".join(lines)


def test_a_quiet_machine_has_one_line() -> None:
    """Unknown readings are no bad news."""
    unknown = replace(QUIET, steal_share=None, most_steal_share=None, throttled=None)
    for seen in (QUIET, unknown, replace(QUIET, dispersion=None)):
        assert len(conditions_lines(seen, 0.01)) == 1


# --- JSON


def test_json_holds_what_the_table_holds() -> None:
    """Without NaN, and with None for what was not measured."""
    broken = make_standing(
        "broken",
        State.FAILED,
        throughput=None,
        latency=None,
        latency_upper_ms=None,
        ratio=None,
        verdict=None,
        failure=make_failure(),
    )
    result = make_result(broken)
    found = json.loads(json.dumps(race_json(result), allow_nan=False))
    assert (found["status"], found["end"], found["choice"]) == ("certified", "decided", "fastest")
    assert (found["chosen"], found["launches"], found["rounds"]) == ("trial 12", 5, 25)
    chosen, failed, hint = found["contenders"]
    assert chosen["ratio_to_better_hint"] == [1.841, 1.874, 1.904]
    assert (chosen["throughput_per_s"], chosen["latency_upper_ms"]) == (1374.2, 5.12)
    assert (failed["state"], failed["throughput_per_s"], failed["verdict"]) == (
        "failed",
        None,
        None,
    )
    assert hint["ratio_to_better_hint"] is None
    nothing = race_json(make_result(chosen=None, choice=None))
    assert (nothing["chosen"], nothing["choice"]) == (None, None)


def test_a_race_for_another_goal_says_what_it_saw() -> None:
    """Of the trial that the search's figures put first, and of the one that it certifies itself."""
    seen = make_standing("trial 18", State.TIED, latency=make_latency(8.54), latency_upper_ms=9.63)
    other = replace(seen, contender=replace(seen.contender, trial=18))
    lines = held_lines(make_result(other), 18, GOAL)

    assert "trial 18 had 1374/s at p99 8.54 ms, at most 9.63 ms" in lines[0]
    assert lines[1].startswith("that race certifies trial 12 for this goal too: at least 1361/s")


def test_a_race_that_proves_nothing_yet_says_whom_it_is_for() -> None:
    """A limit that everything meets is no reason to believe the search more than the race."""
    seen = make_standing("trial 18", State.SLOWER, to_chosen=Interval(0.9, 0.81, 0.98))
    other = replace(seen, contender=replace(seen.contender, trial=18))
    lines = held_lines(make_result(other, status=Status.PROVISIONAL), 18, GOAL)
    assert lines[1].startswith("that race, provisional, is for trial 12 under this goal too")
    assert lines[1].endswith("; trial 18 is 0.90x (0.81-0.98) of it")


def test_what_the_race_cannot_bound_is_left_out() -> None:
    """Instead of a dash in a sentence."""
    seen = make_standing("trial 18", State.SLOWER, latency_upper_ms=None)
    other = replace(seen, contender=replace(seen.contender, trial=18))
    (line, *_) = held_lines(make_result(other), 18, GOAL)
    assert line.endswith("at p99 4.86 ms")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1e8, "it is most likely the fastest, of those within it as far as was seen"),
        (1.6e8, "it comes nearest to it"),
    ],
)
def test_nothing_that_is_shown_to_hold_is_no_choice_of_the_fastest(value: float, why: str) -> None:
    """Somebody faster may be further from what is asked for: that is why."""
    limited = GOAL.within({"max_memory": 1.5e8})
    (limit,) = limited.limits
    unclear = LimitStanding(limit=limit, value=value, bound=2e8, verdict=Verdict.UNCLEAR)
    winner = make_standing(limits=(unclear,), holds=False, ratio=Interval(0.49, 0.37, 0.66))
    lines = race_lines(make_result(winner=winner, status=Status.UNCONFIRMED), limited)
    (chosen,) = [line for line in lines if line.startswith("chosen: ")]
    assert f"because the race shows of nothing that it keeps all that is asked for; {why}" in chosen


def test_what_is_shown_at_5_percent_only_is_said_so() -> None:
    """It is what the search asks for, and too little for a certificate."""
    winner = make_standing(verdict=Verdict.UNCLEAR, search_verdict=Verdict.MET, holds=False)
    lines = race_lines(make_result(winner=winner, status=Status.UNCONFIRMED), GOAL)
    (chosen,) = [line for line in lines if line.startswith("chosen: ")]
    assert "of those shown to keep all that is asked for at 5 %; none is at 1 %" in chosen


def test_a_race_that_saw_nothing_of_it_says_nothing() -> None:
    """Nor one that was never held."""
    assert held_lines(None, 18, GOAL) == []
    assert held_lines(make_result(status=Status.PROVISIONAL), 18, GOAL) == []
