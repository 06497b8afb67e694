"""The race on a simulated machine: stops, resumption, and what it finds."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind, TrialFault
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Block
from autotune.domain.race import Advantage, Choice, Dropped, End, State, Status
from autotune.testing import SimulatedRunner, Weather
from tests.builders import make_configuration, make_failure
from tests.racing.stage import (
    EQUALS,
    GOAL,
    HINT,
    LATENCY_HINT,
    PLAN,
    QUIET,
    UNCAPPED,
    Stage,
    after,
    contenders,
    equals,
    seats,
    slowed,
    striking,
)


def test_the_same_seed_is_the_same_race() -> None:
    """Another seed, another order of turns."""
    first, same, other = (
        Stage(contenders=equals(3)).race(replace(PLAN, seed=n)) for n in (1, 1, 2)
    )
    for race in (first, same, other):
        race.hold()
    assert first.slices == same.slices
    assert [p.contender for p in first.slices] != [p.contender for p in other.slices]


def test_the_result_may_be_asked_after_every_launch() -> None:
    """Whoever listens sees what is known by then."""
    heard = []
    race = Stage(contenders=equals(2)).race(
        replace(PLAN, most_launches=3),
        on_launch=lambda race: heard.append((race.launches, race.result())),
    )
    last = race.hold()
    assert [launches for launches, _ in heard] == [1, 2, 3]
    assert [result.launches for _, result in heard] == [1, 2, 3]
    assert heard[0][1].status is Status.PROVISIONAL
    assert heard[2][1].standings == last.standings


@pytest.mark.parametrize("questions", [1, 5, 13, 17])
def test_whoever_says_stop_gets_what_is_known(questions: int) -> None:
    """After the round under way; it is provisional at most."""
    stage = Stage(contenders=equals(2))
    race = stage.race(replace(PLAN, launches=9), is_stopped=after(questions))
    result = race.hold()
    assert result.end is End.STOPPED
    assert result.status in {Status.PROVISIONAL, Status.UNCONFIRMED}
    assert len(race.slices) == 2 * len(stage.kept)
    assert len(stage.kept) < questions  # asked before every round, and at the end of each launch
    assert stage.is_tidy


def test_stopped_before_it_began() -> None:
    """Nothing is opened, nothing is chosen."""
    stage = Stage(contenders=equals(2))
    result = stage.race(is_stopped=lambda: True).hold()
    assert (result.end, result.chosen, stage.models) == (End.STOPPED, None, [])


def test_an_interrupt_in_a_slice_keeps_what_is_known() -> None:
    """All slices before it, also of the round that it cut off; every resident is closed."""
    stage = Stage(contenders=equals(3), strike=striking(1, [17], KeyboardInterrupt()))
    race = stage.race(replace(PLAN, launches=9))
    result = race.hold()
    assert (result.end, result.status) == (End.STOPPED, Status.PROVISIONAL)
    assert result.chosen is not None
    counts = Counter(piece.contender for piece in race.slices)
    assert counts[1] == 17
    assert {counts[0], counts[2]} <= {17, 18}
    assert [piece for pieces in stage.kept for piece in pieces] == race.slices
    assert stage.is_tidy


# --- resumed


@pytest.mark.parametrize("questions", [7, 8, 10, 12])
def test_a_race_that_was_cut_off_goes_on(questions: int) -> None:
    """With the next launch; it ends as it would have, with everything that was seen before."""
    stage = Stage(contenders=equals(4), runner=slowed({1: 1.2}))
    cut = stage.race(is_stopped=after(questions))
    cut.hold()
    before = seats(cut.slices)
    assert 1 <= len(before) < 3

    again = Stage(contenders=equals(4), runner=slowed({1: 1.2}, seed=1))
    resumed = again.race(earlier=cut.slices, dossiers=cut.dossiers)
    result, whole = (
        resumed.hold(),
        Stage(contenders=equals(4), runner=slowed({1: 1.2})).race().hold(),
    )
    assert resumed.slices[: len(cut.slices)] == cut.slices
    assert [p for pieces in again.kept for p in pieces] == resumed.slices[len(cut.slices) :]
    assert sorted(seats(resumed.slices)) == [0, 1, 2]
    assert min(piece.launch for piece in resumed.slices[len(cut.slices) :]) == len(before)
    assert (result.end, result.status) == (whole.end, whole.status)
    assert {standing.state for standing in result.standings} == {
        State.CHOSEN,
        State.TIED,
        State.SLOWER,
    }
    assert result.standings[1].state is State.SLOWER


def on_tape(seed: int) -> Callable[[int, int, Block], Block]:
    """Slices that depend on their number alone, and not on when they are taken.

    Contenders differ by a few percent, launches of five slices and the slices themselves by less.
    """
    own = np.random.default_rng([seed, 0]).normal(0, 0.04, 9)

    def alter(position: int, number: int, block: Block) -> Block:
        launch = np.random.default_rng([seed, 1, position, number // 5]).normal(0, 0.01)
        rest = np.random.default_rng([seed, 2, position, number]).normal(0, 0.01)
        return replace(block, duration_s=0.5 * float(np.exp(own[position] + launch + rest)))

    return alter


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), held=st.integers(1, 4), count=st.integers(1, 4))
def test_cut_off_or_not_the_decision_is_the_same(seed: int, held: int, count: int) -> None:
    """Whatever the contenders do, and after whichever launch it is cut off."""
    plan = replace(PLAN, launches=5, most_launches=6)
    configurations = [HINT, *EQUALS[:count]]

    def stage() -> Stage:
        return Stage(
            contenders=contenders(*configurations),
            runner=SimulatedRunner(noise=0.0),  # the tape has it all
            alter=on_tape(seed),
        )

    whole = stage().race(plan).hold()
    cut = stage().race(plan)
    cut.plan = replace(plan, most_launches=held)
    cut.hold()
    again = stage()
    again.slices.update(piece.contender for piece in cut.slices)
    resumed = again.race(plan, earlier=cut.slices, dossiers=cut.dossiers).hold()

    assert (resumed.chosen, resumed.choice, resumed.advantage) == (
        whole.chosen,
        whole.choice,
        whole.advantage,
    )
    assert (resumed.end, resumed.launches, resumed.status) == (
        whole.end,
        whole.launches,
        whole.status,
    )
    assert [s.state for s in resumed.standings] == [s.state for s in whole.standings]


def clearly_apart(order: Sequence[int], seed: int) -> Callable[[int, int, Block], Block]:
    """Slices by which contenders differ by 6 %, in this order; launches and rounds by little."""
    random = np.random.default_rng(seed)

    def alter(position: int, _: int, block: Block) -> Block:
        log_speed = 0.06 * order[position] + random.normal(0, 0.004)
        return replace(block, duration_s=block.completions / (400 * float(np.exp(log_speed))))

    return alter


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(4)), cut_after=st.integers(1, 14), seed=st.integers(0, 999))
def test_after_whichever_round_it_is_cut_off_the_decision_is_the_same(
    order: Sequence[int], cut_after: int, seed: int
) -> None:
    """Where contenders differ clearly, the requests of a launch that was cut off count as well."""
    entered = contenders(HINT, *EQUALS[:3])

    def stage(seed: int) -> Stage:
        runner = SimulatedRunner(noise=0.0)
        return Stage(contenders=entered, runner=runner, alter=clearly_apart(order, seed))

    uncut, first, second = stage(seed), stage(seed), stage(seed + 1)
    whole = uncut.race().hold()
    cut = first.race(is_stopped=lambda: len(first.kept) >= cut_after)
    stopped = cut.hold()
    assert (stopped.end, stopped.rounds) == (End.STOPPED, cut_after)
    resumed = second.race(earlier=cut.slices, dossiers=cut.dossiers).hold()

    assert (resumed.chosen, resumed.choice, resumed.advantage) == (
        whole.chosen,
        whole.choice,
        whole.advantage,
    )
    assert (resumed.end, resumed.status) == (whole.end, whole.status)
    assert [s.state for s in resumed.standings] == [s.state for s in whole.standings]


def test_one_that_had_failed_is_not_opened_again() -> None:
    """Its reason is remembered."""
    failure = make_failure(FailureKind.CRASH, phase="open")
    runner = SimulatedRunner(noise=QUIET, faults={EQUALS[1].compile_key: [failure]})
    cut = Stage(contenders=equals(3), runner=runner).race(is_stopped=after(6))
    cut.hold()
    again = Stage(contenders=equals(3))
    result = again.race(earlier=cut.slices, dossiers=cut.dossiers).hold()
    assert EQUALS[1].compile_key not in again.runner.opened
    assert result.standings[1].failure == failure


def test_every_process_is_on_record_with_what_it_took() -> None:
    """Of each launch and contender once; a standing has the cost and the most memory of any."""
    stage = Stage(contenders=equals(2), runner=SimulatedRunner(noise=0.01))
    race = stage.race()
    result = race.hold()
    processes = [(found.launch, found.contender) for found in race.readings]
    assert sorted(processes) == [(n, i) for n in range(result.launches) for i in range(2)]
    for found in race.readings:
        cell = stage.contenders[found.contender].configuration
        effective = stage.runner.cpu.effective(cell.compile_key)
        rss = stage.runner.cpu.rss_bytes(effective, cell.batch_size, effective.requests(cell))
        assert (found.compile_s, found.load_peak_rss_bytes) == (stage.runner.compile_s, rss)
        assert found.steady_rss_bytes == rss
        assert found.open_peak_rss_bytes is not None
    for standing in result.standings:
        flow = stage.runner.predict(standing.contender.configuration)
        cost = standing.readings.cpu_s_per_item
        assert cost is not None
        assert cost.mean == pytest.approx(flow.cpu_s_per_item, rel=0.02)
        assert standing.readings.peak_rss_bytes is not None


def test_a_race_that_had_ended_needs_no_more_launches() -> None:
    """What is settled stays settled."""
    whole = Stage(contenders=equals(2)).race()
    result = whole.hold()
    again = Stage(contenders=equals(2))
    earlier: dict[str, Any] = {
        "earlier": whole.slices,
        "dossiers": whole.dossiers,
        "readings": whole.readings,
    }
    repeated = again.race(**earlier).hold()
    assert again.models == []
    assert (repeated.end, repeated.standings) == (End.DECIDED, result.standings)


def test_who_was_dropped_stays_out() -> None:
    """One that was slower gets no other launch, and times go on from where they were."""
    runner = slowed({2: 1.5})
    cut = Stage(contenders=equals(3), runner=runner).race(
        replace(PLAN, launches=9), is_stopped=after(16)
    )
    cut.hold()
    last = max(seats(cut.slices))
    assert seats(cut.slices)[last] == {0, 1}
    again = Stage(contenders=equals(3), runner=slowed({2: 1.5}))
    resumed = again.race(earlier=cut.slices, dossiers=cut.dossiers)
    result = resumed.hold()
    assert all(there == {0, 1} for n, there in seats(resumed.slices).items() if n > last)
    times = [piece.at_s for piece in resumed.slices]
    assert times == sorted(times)
    assert result.duration_s >= times[-1]


def test_who_missed_stays_out_whatever_later_slices_say() -> None:
    """Of equals, nothing in the slices would drop one again: that it was dropped is remembered."""
    why = Dropped.MISSED
    cut = Stage(contenders=equals(3)).race(is_stopped=after(6))
    cut.hold()
    assert all(dossier.dropped is None for dossier in cut.dossiers.values())
    known = {**cut.dossiers, 2: replace(cut.dossiers[2], dropped=why)}
    resumed = Stage(contenders=equals(3)).race(earlier=cut.slices, dossiers=known)
    resumed.hold()
    later = [piece for piece in resumed.slices if piece.launch > max(seats(cut.slices))]
    assert {piece.contender for piece in later} == {0, 1}
    assert resumed.dossiers[2].dropped is why


def test_the_baseline_stays_whatever_is_remembered_of_it() -> None:
    """Ratios are taken to it."""
    cut = Stage(contenders=equals(3)).race(is_stopped=after(6))
    cut.hold()
    known = {**cut.dossiers, 0: replace(cut.dossiers[0], dropped=Dropped.SLOWER)}
    resumed = Stage(contenders=equals(3)).race(earlier=cut.slices, dossiers=known)
    resumed.hold()
    assert 0 in seats(resumed.slices)[max(seats(resumed.slices))]


@pytest.mark.parametrize(
    ("slowness", "why"), [(1.5, Dropped.SLOWER), (4.0, Dropped.MISSED)], ids=["slower", "over cap"]
)
def test_why_one_was_dropped_is_known_after_the_launch(slowness: float, why: Dropped) -> None:
    """To be stored; the others have no such mark."""
    heard: list[dict[int, Dropped | None]] = []
    race = Stage(contenders=equals(3), runner=slowed({2: slowness})).race(
        on_launch=lambda race: heard.append({i: e.dropped for i, e in race.dossiers.items()})
    )
    race.hold()
    assert any(found == {0: None, 1: None, 2: why} for found in heard)
    assert heard[-1][2] is why


def test_without_any_noise_a_race_is_decided_too() -> None:
    """An interval of no width is precise; that equals are equal takes some launches to show."""
    race = Stage(contenders=equals(2), runner=SimulatedRunner()).race()
    assert race.hold().end is End.DECIDED
    assert 3 <= race.launches <= 8


# --- what it finds


def shared_weather(seed: int) -> Weather:
    """Noise of 5 % in bursts of about a second, as a machine has that others use as well."""
    random = np.random.default_rng(seed)
    logs = np.empty(3000)
    logs[0] = 0.0
    for n, step in enumerate(random.normal(0, 0.05, 2999)):
        logs[n + 1] = 0.9 * logs[n] + 0.44 * step
    spread = random.lognormal(0, 0.1, 2000)
    return Weather(bins=np.exp(logs), spread=spread / spread.mean())


def noisy(seed: int, factors: dict[int, float]) -> SimulatedRunner:
    """Shared bursts, and launches that differ by 0.5 %."""
    return slowed(factors, weather=shared_weather(seed), launch_noise=0.005, seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_a_twin_is_a_tie(seed: int) -> None:
    """The same configuration twice: neither is called slower, and nothing is gained."""
    stage = Stage(contenders=equals(2), runner=noisy(seed, {}))
    result = stage.race(replace(PLAN, budget_s=120.0, launches=5)).hold()
    assert {standing.state for standing in result.standings} == {State.CHOSEN, State.TIED}
    assert result.status is Status.CERTIFIED
    ratio = result.standings[1].ratio
    assert ratio is not None
    assert ratio.mean == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_a_twin_that_is_five_percent_slower_is_found(seed: int) -> None:
    """Within two minutes, and by about how much."""
    stage = Stage(contenders=equals(3), runner=noisy(seed, {1: 1 / 0.95, 2: 1.5}))
    result = stage.race(replace(PLAN, budget_s=120.0, launches=5)).hold()
    assert result.chosen == 0
    assert [s.state for s in result.standings[1:]] == [State.SLOWER, State.SLOWER]
    ratio = result.standings[1].ratio
    assert ratio is not None
    assert ratio.mean == pytest.approx(0.95, abs=0.03)
    assert (ratio.low or 0.0) <= 0.95 <= (ratio.high or 1.0)


@pytest.mark.parametrize("at_s", [7.0, 9.5, 12.0])
def test_a_machine_that_halves_its_speed_in_a_launch_halves_it_for_all(at_s: float) -> None:
    """Ratios stay what they are; what is claimed is no more than the slow half bears out."""
    bins = np.concatenate([np.ones(int(10 * at_s)), np.full(10_000, 2.0)])
    runner = slowed({1: 1 / 0.9}, weather=Weather(bins=bins, spread=np.ones(1)))
    stage = Stage(contenders=equals(2), runner=runner)
    result = stage.race(replace(PLAN, most_launches=5), replace(GOAL, cap_ms=40.0)).hold()
    assert result.chosen == 0
    ratio, winner = result.standings[1].ratio, result.winner
    assert ratio is not None
    assert (ratio.low or 0.0) <= 0.9 <= (ratio.high or 0.0)
    assert winner is not None
    assert winner.throughput is not None
    assert winner.latency_upper_ms is not None
    after_s = runner.predict(EQUALS[0])
    assert (winner.throughput.low or 0.0) <= 1.01 * after_s.throughput_per_s / 2
    assert winner.latency_upper_ms >= 0.99 * 2 * after_s.latency_ms


def test_a_hint_that_misses_the_cap_is_no_rival() -> None:
    """The best of the others is certified; there is no hint to be better than."""
    entered = contenders(HINT, make_configuration(streams=1, threads_per_stream=4, num_requests=1))
    result = Stage(contenders=entered).race(PLAN, replace(GOAL, cap_ms=4.0)).hold()
    assert result.standings[0].state is State.MISSED
    assert (result.chosen, result.status) == (1, Status.CERTIFIED)
    assert (result.advantage, result.chance) == (None, None)


def test_of_hints_alone_the_faster_is_exported() -> None:
    """Without a word about an advantage: nobody else was there."""
    result = Stage(contenders=contenders(HINT, LATENCY_HINT)).race().hold()
    assert (result.chosen, result.status) == (0, Status.CERTIFIED)
    assert (result.choice, result.advantage) == (Choice.DEFAULT, None)


def test_two_launches_prove_nothing_but_choose() -> None:
    """The faster one, with its word; provisional."""
    tuned = make_configuration(streams=4, threads_per_stream=1, num_requests=4)
    entered = contenders(HINT, tuned)
    runner = SimulatedRunner(noise=QUIET, launch_noise=0.005, slower={tuned.compile_key: 0.8})
    plan = replace(PLAN, most_launches=2)
    result = Stage(contenders=entered, runner=runner).race(plan).hold()
    assert (result.chosen, result.status, result.launches) == (1, Status.PROVISIONAL, 2)
    assert result.advantage in {Advantage.SHOWN, Advantage.LIKELY}


def test_a_hint_that_nothing_beats_is_kept() -> None:
    """Four streams against four streams in other words."""
    tuned = make_configuration(streams=4, threads_per_stream=1, num_requests=4)
    result = Stage(contenders=contenders(HINT, tuned)).race().hold()
    assert result.winner is not None
    assert result.winner.contender.is_default


def test_without_a_cap_the_lowest_latency_wins_where_it_is_the_goal() -> None:
    """One request on all threads against many."""
    goal = Goal(Objective.LATENCY, 99.0, None)
    result = Stage(contenders=contenders(HINT, LATENCY_HINT)).race(goal=goal).hold()
    assert result.winner is not None
    assert result.winner.contender.configuration == LATENCY_HINT
    assert Stage(contenders=contenders(HINT, LATENCY_HINT)).race(goal=UNCAPPED).hold().chosen == 0


# --- edges


def test_one_contender_alone_is_certified_by_itself() -> None:
    """Nobody is there to be compared with: no ratio, and no word about an advantage."""
    stage = Stage(contenders=equals(1))
    result = stage.race().hold()
    assert (result.end, result.chosen, result.status) == (End.DECIDED, 0, Status.CERTIFIED)
    assert (result.advantage, result.chance, result.ties) == (None, None, ())
    assert result.standings[0].ratio is None
    assert result.launches == PLAN.launches
    assert stage.is_tidy


def test_all_that_crash_in_their_turns_leave_nobody() -> None:
    """What they measured before stands beside the reasons; nothing is chosen by it."""

    def strike(position: int, number: int) -> None:
        if number == 1 + position:
            raise TrialFault(make_failure(FailureKind.CRASH))

    stage = Stage(contenders=equals(3), strike=strike)
    race = stage.race()
    result = race.hold()
    assert (result.end, result.chosen, result.status) == (End.EMPTY, None, Status.UNCONFIRMED)
    assert [standing.state for standing in result.standings] == [State.FAILED] * 3
    assert [standing.slices for standing in result.standings] == [1, 2, 3]
    assert (race.launches, len(stage.models)) == (1, 3)
    assert stage.is_tidy


def test_hints_that_all_miss_the_cap_leave_nothing_to_export() -> None:
    """Nobody else was there; the search goes without a certificate."""
    entered = contenders(HINT, LATENCY_HINT)
    result = Stage(contenders=entered).race(goal=replace(GOAL, cap_ms=0.5)).hold()
    assert (result.end, result.chosen, result.status) == (End.EMPTY, None, Status.UNCONFIRMED)
    assert {standing.state for standing in result.standings} == {State.MISSED}


def test_without_any_variance_the_faster_is_shown_to_be() -> None:
    """Slices that repeat to the last digit: intervals of no width, and no division by it."""
    tuned = make_configuration(streams=4, threads_per_stream=1, num_requests=4)
    runner = SimulatedRunner(noise=0.0, slower={tuned.compile_key: 0.8})
    result = Stage(contenders=contenders(HINT, tuned), runner=runner).race().hold()
    assert (result.end, result.status) == (End.DECIDED, Status.CERTIFIED)
    assert (result.chosen, result.advantage) == (1, Advantage.SHOWN)
    for standing in result.standings:
        assert standing.throughput is not None
        low, high = standing.throughput.low, standing.throughput.high
        assert low == pytest.approx(standing.throughput.mean)
        assert high == pytest.approx(standing.throughput.mean)
