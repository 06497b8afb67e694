"""A race in a table, as its reader sees it."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from autotune.domain.goal import Goal, Objective, Resource, Verdict
from autotune.domain.measurement import Flag, Interval
from autotune.domain.race import (
    LimitStanding,
    RaceResult,
    State,
)
from autotune.report.format import milliseconds
from autotune.report.race_table import race_table
from tests.builders import GOAL
from tests.report.races import make_latency, make_result, make_standing

STATE_WORDS = {
    State.CHOSEN: "chosen",
    State.TIED: "close",
    State.FASTER: "unsure",
    State.SLOWER: "slower",
    State.MISSED: "missed",
    State.FAILED: "failed",
}


SLOWER_IN_EFFICIENCY = (State.SLOWER, Objective.EFFICIENCY)


def shown(result: RaceResult, goal: Goal = GOAL, *, width: int = 100, **options: Any) -> str:
    """The table on a plain terminal."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(race_table(result, goal, **options))
    return console.export_text()


def test_eighty_columns_hold_a_comparison() -> None:
    """Also of an unclear verdict, which is the widest word, and a fast configuration."""
    other = make_standing(
        "trial 1234",
        throughput=Interval(12345.6, 1.0, 2.0),
        latency=make_latency(123.4),
        latency_upper_ms=130.2,
        ratio=Interval(2.345, 2.301, 2.391),
        verdict=Verdict.UNCLEAR,
    )
    goal = Goal(Objective.THROUGHPUT, 99.9, 2000.0)
    text = shown(make_result(other), goal, width=80, states=False)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    for figure in ("1374/s", "4.86 ms", "5.12 ms", "+ met", "1.87x (1.84-1.90)"):
        assert figure in text
    for figure in ("12346/s", "123 ms", "130 ms", "? unclear", "2.35x (2.30-2.39)"):
        assert figure in text


@pytest.mark.parametrize("state", [s for s in State if s is not State.WAITING])
def test_every_state_is_a_word(state: State) -> None:
    """Not by colour alone."""
    other = make_standing("other", state)
    assert STATE_WORDS[state] in shown(make_result(other))


def test_states_are_left_out_where_nothing_is_chosen() -> None:
    """As for a comparison of configurations that somebody named."""
    text = shown(make_result(), baseline="first", states=False)
    assert "vs first" in text
    assert not set(STATE_WORDS.values()) & {
        line.rstrip().split()[-1] for line in text.splitlines() if line.strip()
    }


def test_the_chosen_one_comes_first_and_then_by_speed() -> None:
    """Whoever failed has no speed and comes last; the hint's own ratio is one."""
    fast = make_standing("fast one", State.FASTER, throughput=Interval(9000.0, 1.0, 2.0))
    broken = make_standing(
        "broken", State.FAILED, throughput=None, latency=None, latency_upper_ms=None, ratio=None
    )
    text = shown(make_result(broken, fast))
    places = [text.index(name) for name in ("trial 12", "fast one", "THROUGHPUT", "broken")]
    assert places == sorted(places)
    assert "1.00x" in text
    assert "-" in text[text.index("broken") :]


def test_who_had_no_turn_is_counted() -> None:
    """They have no figures."""
    waiting = [
        make_standing(f"late {n}", State.WAITING, throughput=None, latency=None) for n in range(2)
    ]
    text = shown(make_result(*waiting))
    assert "2 more had no turn" in text
    assert "late 0" not in text


def test_flags_stand_below_with_their_contenders() -> None:
    """A reader sees what to doubt, and whose."""
    doubtful = make_standing("other", State.TIED, flags=frozenset({Flag.STEAL}))
    assert "taken by the hypervisor (other)" in shown(make_result(doubtful))
    unproven = make_standing("other", State.TIED, unproven="outputs are empty")
    assert "unproven answers (other)" in shown(make_result(unproven))


def test_eighty_columns_hold_every_figure() -> None:
    """Also of an unclear verdict, which is the widest word, and a fast configuration."""
    other = make_standing(
        "trial 1234",
        State.MISSED,
        throughput=Interval(12345.6, 1.0, 2.0),
        latency=make_latency(123.4),
        latency_upper_ms=130.2,
        ratio=Interval(2.345, 2.301, 2.391),
        verdict=Verdict.UNCLEAR,
    )
    text = shown(make_result(other), Goal(Objective.THROUGHPUT, 99.9, 2000.0), width=80)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    for figure in ("1374/s", "4.86 ms", "5.12 ms", "+ met", "1.87x (1.84-1.90)", "chosen"):
        assert figure in text
    for figure in ("12346/s", "123 ms", "130 ms", "? unclear", "2.35x (2.30-2.39)", "missed"):
        assert figure in text


@pytest.mark.parametrize(
    ("resource", "unit"), [(Resource.CPU, "CPU-s"), (Resource.ENERGY, "joule")]
)
def test_a_race_for_efficiency_shows_it_and_goes_by_it(resource: Resource, unit: str) -> None:
    """Within eighty columns; whoever was not measured comes last, however fast it is."""
    frugal = make_standing("frugal", State.SLOWER, efficiency=Interval(2812.3, 2800.0, 2820.0))
    unknown = make_standing("unknown", State.TIED, throughput=Interval(12345.6, 1.0, 2.0))
    winner = make_standing(efficiency=Interval(123.4, 120.0, 130.0), verdict=Verdict.UNCLEAR)
    goal = Goal(Objective.EFFICIENCY, 99.9, 2000.0, resource=resource)
    text = shown(make_result(unknown, frugal, winner=winner), goal, width=80)
    assert unit in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    for figure in ("2812", "123.4", "12346/s", "? unclear", "1.87x (1.84-1.90)", "chosen"):
        assert figure in text
    assert "behind" in text  # and not slower, which it may not be
    assert "slower" not in text
    places = [text.index(name) for name in ("trial 12", "frugal", "unknown")]
    assert places == sorted(places)


def test_a_race_for_latency_goes_by_it() -> None:
    """Not by throughput, which is beside the point."""
    slow = make_standing("fast, late", State.SLOWER, latency=make_latency(9.0))
    quick = make_standing(
        "slow, soon", State.SLOWER, latency=make_latency(2.0), throughput=Interval(9.0, 8.0, 10.0)
    )
    text = shown(make_result(slow, quick), Goal(Objective.LATENCY, 99.0, None))
    assert text.index("slow, soon") < text.index("fast, late")


@pytest.mark.parametrize("objective", Objective)
@pytest.mark.parametrize("ms", [0.823, 8.23, 823.0, 8234.0])
@pytest.mark.parametrize("verdict", [*Verdict, "limit"])
@pytest.mark.parametrize("state", [s for s in State if s is not State.WAITING])
def test_eighty_columns_cut_nothing_off(
    state: State, verdict: Verdict | str, ms: float, objective: Objective
) -> None:
    """Of ratios below ten, latencies from 0.1 ms on: each word and number is there to its end."""
    goal = Goal(objective, 99.9, 20_000.0).within({"max_compile_time": 0.16})
    (limit,) = goal.limits
    of_limit = Verdict.MISSED if verdict == "limit" else Verdict.MET
    other = make_standing(
        "trial 1234",
        state,
        throughput=Interval(12345.6, 1.0, 2.0),
        efficiency=Interval(12345.6, 1.0, 2.0),
        latency=make_latency(ms),
        latency_upper_ms=ms,
        ratio=Interval(9.41, 9.38, 9.44),
        verdict=Verdict.MET if verdict == "limit" else verdict,
        limits=(LimitStanding(limit=limit, value=1.0, verdict=of_limit),),
    )
    text = shown(make_result(other), goal, width=80)
    lines = text.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "…" not in text
    word = "behind" if (state, objective) == SLOWER_IN_EFFICIENCY else STATE_WORDS[state]
    assert len(re.findall(rf"\b{word}\b", text)) >= 1
    of_verdict = "compile" if verdict == "limit" else str(verdict)
    for figure in ("12346/s", milliseconds(ms), of_verdict, "9.41x (9.38-9.44)"):
        assert figure in text
