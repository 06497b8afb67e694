"""The policy: by itself, and in races on a simulated machine: seats, rounds, and ends."""

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from autotune.domain.failure import FailureKind, TrialFault
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Block
from autotune.domain.race import Contender, End, State, Status
from autotune.machines.ports import Load
from autotune.racing.judge import Field
from autotune.racing.plan import RacePlan
from autotune.racing.policy import (
    Pace,
    Prospects,
    Situation,
    TurnTimes,
    has_time,
    least_rounds,
    next_launch,
    rounds,
    why_end,
)
from autotune.testing import SimulatedCpu, SimulatedRunner, Weather
from tests.builders import make_failure
from tests.racing.stage import (
    EQUALS,
    GOAL,
    HINT,
    LATENCY_HINT,
    PLAN,
    QUIET,
    UNCAPPED,
    Stage,
    Watched,
    contenders,
    equals,
    seats,
    slowed,
)


def situation(plan: RacePlan = PLAN, **fields: Any) -> Situation:
    """Before the first launch of five who are alike: a second to open, half a second for a slice.

    The first is the baseline.
    """
    values: dict[str, Any] = {
        "contenders": equals(5),
        "launches": 0,
        "left_s": 600.0,
        "prospects": Prospects(baseline=0),
        "without_room": frozenset(),
        **fields,
    }
    pace = Pace(
        slice_s=plan.slice_s,
        open_s=dict.fromkeys(range(len(values["contenders"])), 1.0),
        turns={},
        lacking_s=values["prospects"].lacking_s,
    )
    return Situation(plan=plan, pace=pace, **values)


def nothing_seen(entered: Sequence[Contender]) -> Field:
    """Nobody ran."""
    return Field(contenders=entered, dossiers={}, slices=(), goal=GOAL, baseline=0, tie_margin=0.01)


# --- what is asked


def test_to_ask_changes_nothing() -> None:
    """Why it ends, who is next and how long that is are the same when they are asked again."""
    lacking = Prospects(baseline=0, lacking_s=dict.fromkeys(range(5), 20.0), promise=(3, 1))
    now = situation(left_s=100.0, launches=1, prospects=lacking)
    before = repr(now)
    following = next_launch(now)
    seen = nothing_seen(now.contenders)
    first = why_end(now, following, seen), rounds(now, following), has_time(now, 3, 5, [0, 1])
    again = why_end(now, following, seen), rounds(now, following), has_time(now, 3, 5, [0, 1])
    assert (first, next_launch(now), repr(now)) == (again, following, before)


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({}, None),
        ({"left_s": -1.0}, None),
        ({"left_s": 1.0, "launches": 1}, End.BUDGET),
        ({"launches": 40}, End.LAUNCHES),
        ({"prospects": Prospects(baseline=0, unfit=frozenset(range(5)))}, End.EMPTY),
        ({"prospects": Prospects(baseline=None, failed=frozenset(range(5)))}, End.EMPTY),
    ],
    ids=["begins", "one launch in any case", "budget", "launches", "only the baseline", "nobody"],
)
def test_why_a_race_ends(fields: dict[str, Any], end: End | None) -> None:
    """Before a launch; whatever the slices say."""
    now = situation(**fields)
    assert why_end(now, next_launch(now), nothing_seen(now.contenders)) is end


@pytest.mark.parametrize("launches", [0, 1, 2, 3, 7])
def test_a_launch_has_its_least_rounds_however_little_time_is_left(launches: int) -> None:
    """Three, but two until there are the launches of a certificate."""
    now = situation(left_s=0.0, launches=launches)
    expected = 2 if launches in {1, 2} else 3
    assert rounds(now, next_launch(now)) == least_rounds(launches) == expected


def test_the_rounds_fit_in_what_is_left() -> None:
    """Of three launches of five: two are still to be opened, and a round takes 2.75 s."""
    left_s = 2 * 5.0 + 3 * 4 * 2.75
    assert rounds(situation(left_s=left_s + 0.01), next_launch(situation())) == 4
    assert rounds(situation(left_s=left_s - 0.01), next_launch(situation())) == 3
    assert rounds(situation(left_s=600.0), next_launch(situation())) == PLAN.rounds


def test_the_last_launch_takes_all_the_time_there_is() -> None:
    """Where no other one fits, there are more rounds than were planned; else no more than those."""
    assert has_time(situation(left_s=10.0), 5, 5, range(5))
    assert not has_time(situation(left_s=100.0), 5, 5, range(5))
    assert not has_time(situation(left_s=2.0), 1, 5, range(5))


def test_who_is_out_has_no_seat_but_the_baseline() -> None:
    """The next in line has the seat of one that is unfit or without room; not of a slower one."""
    seated = replace(PLAN, seats=2)
    gone = Prospects(baseline=0, unfit=frozenset({0, 1}))
    assert next_launch(situation(seated)).seated == [0, 1, 2]
    assert next_launch(situation(seated, prospects=gone)).seated == [0, 2, 3]
    assert next_launch(situation(seated, without_room=frozenset({1}))).seated == [0, 2, 3]
    slower = Prospects(baseline=0, slower=frozenset({1}))
    assert next_launch(situation(seated, prospects=slower)).seated == [0, 2]
    failed = Prospects(baseline=0).without(0)
    assert next_launch(situation(seated, prospects=failed)).seated == [1, 2]


def test_a_slice_is_longer_where_a_verdict_lacks_requests() -> None:
    """And filling and draining take long: four times at most."""
    turns = {0: TurnTimes(1.1, 0.5), 1: TurnTimes(9.0, 0.5), 2: TurnTimes(1.1, 0.5)}
    lacking = {0: 10.0, 1: 10.0, 2: 0.0}
    pace = Pace(slice_s=0.5, open_s={}, turns=turns, lacking_s=lacking)
    assert [pace.next_slice_s(i) for i in range(4)] == [pytest.approx(2.0), 2.0, 0.5, 0.5]
    assert [pace.lacking_turns(i) for i in range(3)] == [6, 6, 0]
    assert pace.lacking_turns(3) == 21  # one that never ran lacks what those lack who lack most


# --- seats


def test_the_slower_leave() -> None:
    """After the first launch where it is clear; they are shown as slower."""
    stage = Stage(contenders=equals(3), runner=slowed({1: 1.2}))
    race = stage.race()
    result = race.hold()
    assert seats(race.slices)[0] == {0, 1, 2}
    assert all(who == {0, 2} for launch, who in seats(race.slices).items() if launch)
    assert result.standings[1].state is State.SLOWER
    assert (result.status, result.end) == (Status.CERTIFIED, End.DECIDED)


def test_the_slower_stay_where_everyone_is_to_be_compared() -> None:
    """`drops=False`: each has all launches."""
    race = Stage(contenders=equals(3), runner=slowed({1: 1.2})).race(replace(PLAN, drops=False))
    result = race.hold()
    assert seats(race.slices) == {launch: {0, 1, 2} for launch in range(3)}
    assert result.end is End.DECIDED
    assert result.standings[1].state is State.SLOWER


def test_the_baseline_stays_though_it_is_slower() -> None:
    """Ratios are taken to it."""
    race = Stage(contenders=equals(3), runner=slowed({0: 1.5, 1: 1.2})).race()
    result = race.hold()
    assert seats(race.slices)[0] == {0, 1, 2}
    assert all(who == {0, 2} for launch, who in seats(race.slices).items() if launch)
    ratio = result.standings[2].ratio
    assert ratio is not None
    assert ratio.mean == pytest.approx(1.5, rel=1e-3)


def test_the_baseline_is_the_hint_that_the_race_shows_to_be_better() -> None:
    """Whatever the search thought: the slower hint leaves, the better one stays to the end."""
    entered = contenders(LATENCY_HINT, HINT, EQUALS[0], EQUALS[1], search_per_s=400.0)
    factors = {LATENCY_HINT.compile_key: 3.0, HINT.compile_key: 1.3}
    stage = Stage(contenders=entered, runner=SimulatedRunner(noise=QUIET, slower=factors))
    race = stage.race(replace(PLAN, of_one_search=True, launches=4))
    result = race.hold()
    there = seats(race.slices)
    assert there[0] == {0, 1, 2, 3}
    assert all(0 not in there[launch] and 1 in there[launch] for launch in there if launch)
    assert result.better_hint is result.standings[1]


def test_without_any_hint_the_baseline_is_the_search_s_again() -> None:
    """As whoever reads the stored slices will find: each hint crashes in a launch of its own."""
    crash, last = TrialFault(make_failure(FailureKind.CRASH)), PLAN.rounds - 1

    def strike(position: int, number: int) -> None:
        if (position, number) in {(0, last), (1, last + 1)}:
            raise crash

    entered = contenders(LATENCY_HINT, HINT, EQUALS[0], EQUALS[1], search_per_s=400.0)
    during: list[int | None] = []
    race = Stage(contenders=entered, strike=strike).race(
        replace(PLAN, of_one_search=True),
        on_launch=lambda held: during.append(held.result().baseline),
    )
    assert race.hold().baseline == 0
    assert during[:2] == [1, 0]


def test_seats_are_for_those_beside_the_baseline_and_the_hints() -> None:
    """Two seats: the baseline, both hints, and the first two in line."""
    entered = contenders(EQUALS[0], EQUALS[1], HINT, EQUALS[2], LATENCY_HINT, EQUALS[3])
    race = Stage(contenders=entered).race(replace(PLAN, seats=2, most_launches=1))
    result = race.hold()
    assert seats(race.slices) == {0: {0, 1, 2, 3, 4}}
    assert result.standings[5].state is State.WAITING


def test_the_next_in_line_takes_the_seat_of_one_that_missed() -> None:
    """Who is over the cap is out; the slower one's seat stays empty."""
    runner = slowed({1: 3.0, 2: 1.2})
    race = Stage(contenders=equals(5), runner=runner).race(replace(PLAN, seats=2))
    result = race.hold()
    assert seats(race.slices)[0] == {0, 1, 2}
    assert all(who == {0, 3} for launch, who in seats(race.slices).items() if launch)
    assert [s.state for s in result.standings[1:3]] == [State.MISSED, State.SLOWER]
    assert result.standings[4].state is State.WAITING


def test_nobody_is_dropped_for_one_that_may_not_keep_the_cap() -> None:
    """A faster one whose SLA is open is no measure for others; in the end it is not chosen."""

    def late(position: int, _: int, block: Block) -> Block:
        ticks = np.frombuffer(block.latency_ticks, "<u4").copy()
        ticks[-2:] = 250_000  # two of 260 take 25 ms
        return replace(block, latency_ticks=ticks.tobytes()) if position == 1 else block

    stage = Stage(contenders=equals(2), runner=slowed({1: 0.8}), alter=late)
    race = stage.race(replace(PLAN, most_launches=3), baseline=None)
    result = race.hold()
    assert seats(race.slices) == {launch: {0, 1} for launch in range(3)}
    assert [standing.state for standing in result.standings] == [State.CHOSEN, State.FASTER]
    assert result.status is Status.CERTIFIED


# --- time for verdicts


def slow(item_ms: float, factors: dict[int, float]) -> SimulatedRunner:
    """Of few requests a second, which all but fill the time."""
    slower = {EQUALS[n].compile_key: factor for n, factor in factors.items()}
    cpu = SimulatedCpu(item_ms=item_ms, serial=0.0, contention=0.0)
    return SimulatedRunner(cpu=cpu, slower=slower, noise=QUIET)


NEARLY = {1: 1.01, 2: 1.02, 3: 1.03, 4: 1.01}
"""None of them is hopeless after a launch."""


@pytest.mark.parametrize(("item_ms", "budget_s"), [(100, 75.0), (160, 100.0), (300, 180.0)])
def test_a_slow_model_is_certified_where_there_is_time_for_two(
    item_ms: float, budget_s: float
) -> None:
    """608 requests each of the leader and the baseline: the others give up their seats for them."""
    stage = Stage(contenders=equals(5), runner=slow(item_ms, NEARLY))
    goal = Goal(Objective.THROUGHPUT, 99.0, 4 * item_ms)
    result = stage.race(replace(PLAN, budget_s=budget_s, launches=7), goal).hold()
    assert result.status is Status.CERTIFIED
    assert result.duration_s <= budget_s + 2.0
    requests = [standing.requests for standing in result.standings]
    assert max(requests[1:]) < 608 <= requests[0]


@pytest.mark.parametrize("drops", [True, False])
def test_no_time_is_given_to_the_verdict_of_one_that_misses(*, drops: bool) -> None:
    """However many requests it would take to show that it does not: launches go on as planned."""
    stage = Stage(contenders=equals(2), runner=slowed({1: 3.0}))
    result = stage.race(replace(PLAN, drops=drops, most_launches=4)).hold()
    assert result.standings[1].verdict is Verdict.MISSED
    assert result.rounds == 5 * result.launches
    assert result.duration_s < 60.0


def test_no_launch_grows_for_a_verdict_that_does_not_come() -> None:
    """One in a hundred requests is over the cap: more of them decide nothing."""

    def late(position: int, number: int, block: Block) -> Block:
        ticks = np.frombuffer(block.latency_ticks, "<u4").copy()
        ticks[-max(1, ticks.size // 100) :] = 300_000
        return replace(block, latency_ticks=ticks.tobytes()) if position == 1 else block

    runner = SimulatedRunner(noise=0.05, seed=2)  # one that is not decided early
    stage = Stage(contenders=equals(2), alter=late, runner=runner)
    race = stage.race(replace(PLAN, launches=5, budget_s=200.0))
    race.hold()
    rounds = Counter(launch for launch, _ in {(p.launch, p.round) for p in race.slices})
    assert len(rounds) >= 8
    assert all(count <= 12 for launch, count in rounds.items() if launch < len(rounds) - 1)


def test_a_slow_one_makes_only_its_own_turns_longer() -> None:
    """Filling and draining take most of its turns of half a second; the other has its verdict."""

    @dataclass
    class Draining(Stage):
        def open_model(self, contender: Contender) -> Watched:
            model = super().open_model(contender)
            plain = model.load

            def load(load: Load) -> Generator[Block]:
                try:
                    yield from plain(load)
                finally:
                    if model.position == 1:
                        self.runner.advance(0.6)

            model.load = load  # type: ignore[method-assign]
            return model

    def few(position: int, _: int, block: Block) -> Block:
        ticks = np.frombuffer(block.latency_ticks, "<u4")
        some = ticks[: ticks.size // 10].tobytes()
        return replace(block, latency_ticks=some) if position == 1 else block

    one, other = equals(2)
    stage = Draining(contenders=[one, replace(other, items_per_request=10)], alter=few)
    stage.race(replace(PLAN, launches=4, budget_s=120.0)).hold()
    lengths = {load.block_s for load in stage.loads if load.block_s >= PLAN.slice_s}
    assert len(lengths) > 1
    assert max(lengths) <= 4 * PLAN.slice_s
    assert Counter(load.block_s for load in stage.loads)[0.5] > stage.slices[0]


def test_one_without_time_has_no_seat_though_the_others_lack_nothing() -> None:
    """The fastest has few requests to its rate; the other two have theirs after a launch."""

    def few(position: int, _: int, block: Block) -> Block:
        some = block.latency_ticks[: 4 * (block.completions // 50)]
        return replace(block, latency_ticks=some) if position == 2 else block

    one, other, fast = equals(3)
    entered = [one, other, replace(fast, items_per_request=60)]
    runner = slowed({0: 1.02, 1: 1.01}, noise=0.02)
    race = Stage(contenders=entered, runner=runner, alter=few).race(
        replace(PLAN, budget_s=40.0, launches=5),
        replace(GOAL, cap_ms=12.0),  # near enough for speed to decide who is promising
    )
    race.hold()
    there = seats(race.slices)
    assert there[0] == {0, 1, 2}
    assert all(2 not in there[launch] for launch in there if launch)


def test_nothing_is_decided_for_those_who_had_no_time() -> None:
    """They gave up their seats, and a longer budget would have them back."""
    stage = Stage(contenders=equals(5), runner=slow(300, NEARLY))
    goal = Goal(Objective.THROUGHPUT, 99.0, 1200.0)
    result = stage.race(replace(PLAN, budget_s=200.0, launches=3), goal).hold()
    assert result.status is Status.CERTIFIED
    assert result.end is End.BUDGET


def test_with_time_for_everybody_nobody_gives_up_a_seat() -> None:
    """As before: who is not shown to be slower stays."""
    stage = Stage(contenders=equals(5), runner=slow(100, NEARLY))
    race = stage.race(
        replace(PLAN, budget_s=2000.0, most_launches=3), Goal(Objective.THROUGHPUT, 99.0, 400.0)
    )
    race.hold()
    assert seats(race.slices) == {launch: {0, 1, 2, 3, 4} for launch in range(3)}


def test_a_fast_model_loses_no_seat_to_verdicts() -> None:
    """Its requests are there after the first launch, however short the budget."""
    stage = Stage(contenders=equals(5), runner=slowed(NEARLY, noise=0.05))
    race = stage.race(replace(PLAN, budget_s=60.0, most_launches=3))
    race.hold()
    assert seats(race.slices) == {launch: {0, 1, 2, 3, 4} for launch in range(3)}


def test_launches_are_cut_before_the_requests_of_a_verdict() -> None:
    """Of twelve launches aimed at, as many as leave time for 608 requests beside opening."""
    runner = slow(100, {})
    runner.compile_s = 5.0
    stage = Stage(contenders=equals(1), runner=runner)
    goal = Goal(Objective.THROUGHPUT, 99.0, 400.0)
    result = stage.race(replace(PLAN, budget_s=60.0, launches=12), goal).hold()
    assert result.status is Status.CERTIFIED
    assert 3 <= result.launches < 9


# --- ends


@pytest.mark.parametrize(("launches", "held"), [(1, 3), (3, 3), (5, 5)])
def test_a_race_is_decided_after_the_launches_aimed_at(launches: int, held: int) -> None:
    """Not before, however clear it is; and not before the three that a certificate needs."""
    stage = Stage(contenders=equals(2), runner=slowed({1: 1.2}))
    result = stage.race(replace(PLAN, launches=launches)).hold()
    assert (result.end, result.launches, result.status) == (End.DECIDED, held, Status.CERTIFIED)


def test_without_a_cap_there_is_nothing_to_wait_for() -> None:
    """One launch decides where one was asked for, but does not certify."""
    stage = Stage(contenders=equals(2), runner=slowed({1: 1.2}))
    race = stage.race(replace(PLAN, launches=1), UNCAPPED)
    result = race.hold()
    assert (result.end, result.launches) == (End.DECIDED, 1)
    assert result.status is Status.PROVISIONAL


def test_what_cannot_be_decided_ends_after_the_most_launches() -> None:
    """Noise of 20 % leaves the throughput unknown."""
    stage = Stage(contenders=equals(2), runner=SimulatedRunner(noise=0.2))
    result = stage.race(replace(PLAN, most_launches=4)).hold()
    assert (result.end, result.launches) == (End.LAUNCHES, 4)


@pytest.mark.parametrize("budget_s", [20.0, 45.0, 90.0, 200.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_budget_is_kept(budget_s: float, seed: int) -> None:
    """On the virtual clock; rounds are cut so that the launches aimed at fit in."""
    runner = SimulatedRunner(noise=0.1, launch_noise=0.15, seed=seed)
    race = Stage(contenders=equals(3), runner=runner).race(
        replace(PLAN, budget_s=budget_s, most_launches=100)
    )
    result = race.hold()
    assert result.end is End.BUDGET
    assert result.launches >= min(3, budget_s // 15)
    assert result.duration_s == runner.clock()
    assert 0.6 * budget_s < runner.clock() <= budget_s + 1.0


def test_what_takes_long_to_fail_is_not_what_the_others_take() -> None:
    """Two thirds of the time went into one that does not open: the rest is for launches."""
    failure = make_failure(FailureKind.CRASH, phase="open")
    faults = {EQUALS[1].compile_key: [failure]}
    runner = SimulatedRunner(noise=QUIET, faults=faults, fault_s=200.0)
    race = Stage(contenders=equals(3), runner=runner).race(replace(PLAN, budget_s=300.0))
    race.hold()
    assert race.launches >= 3


def test_turns_that_grow_longer_are_fewer() -> None:
    """A launch of forty rounds was planned when the machine becomes sixty times slower."""
    bins = np.concatenate([np.ones(80), np.full(10_000, 60.0)])
    runner = SimulatedRunner(weather=Weather(bins=bins, spread=np.ones(1)))
    race = Stage(contenders=equals(2), runner=runner).race(
        replace(PLAN, budget_s=60.0, launches=1, rounds=40), UNCAPPED
    )
    result = race.hold()
    assert result.rounds >= 5
    assert 50.0 < runner.clock() <= 66.0


def test_one_launch_is_held_however_short_the_budget() -> None:
    """Three rounds are better than nothing; they are provisional at most."""
    race = Stage(contenders=equals(2)).race(replace(PLAN, budget_s=0.1))
    result = race.hold()
    assert (result.end, result.launches, result.rounds) == (End.BUDGET, 1, 3)
    assert result.status is not Status.CERTIFIED
