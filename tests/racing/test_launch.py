"""A launch on a simulated machine: openings, turns, faults, memory, and who is closed."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.measurement import Block, Feed
from autotune.domain.race import Contender, End, Slice, State, Status
from autotune.racing.plan import WARM_UP_S
from autotune.space.configuration import CompileKey
from autotune.testing import SimulatedModel, SimulatedRunner
from tests.builders import make_failure
from tests.racing.stage import (
    EQUALS,
    HINT,
    LATENCY_HINT,
    PLAN,
    QUIET,
    Stage,
    Watched,
    contenders,
    equals,
    seats,
    slowed,
    striking,
)

# --- turns


def test_everyone_has_one_turn_in_every_round_in_random_order() -> None:
    """Whoever is resident; the order differs from round to round."""
    stage = Stage(contenders=equals(4))
    race = stage.race()
    race.hold()
    rounds = defaultdict(list)
    for piece in race.slices:
        rounds[piece.launch, piece.round].append(piece.contender)
    assert len(rounds) == 15
    assert all(sorted(turn) == [0, 1, 2, 3] for turn in rounds.values())
    assert len({tuple(turn) for turn in rounds.values()}) > 5
    assert [piece.at_s for piece in race.slices] == sorted(p.at_s for p in race.slices)


def test_every_launch_is_a_fresh_process_for_everyone() -> None:
    """Opened once in each, in random order, and closed at its end."""
    stage = Stage(contenders=equals(3))
    race = stage.race(replace(PLAN, launches=6, least_launches=6))
    race.hold()
    opened = [model.position for model in stage.models]
    orders = [tuple(opened[n : n + 3]) for n in range(0, len(opened), 3)]
    assert race.launches == len(orders) == 6
    assert {tuple(sorted(order)) for order in orders} == {(0, 1, 2)}
    assert len(set(orders)) > 1
    assert stage.is_tidy


def test_a_launch_is_opened_side_by_side_and_then_warmed_up() -> None:
    """In the order in which the models are waited for; a warm-up has the machine for itself."""
    stage = Stage(contenders=equals(3))
    before: list[int] = []
    plain = stage.open_model

    def open_model(contender: Contender) -> Watched:
        before.append(len(stage.loads))
        return plain(contender)

    stage.open_model = open_model  # type: ignore[method-assign]
    stage.race(replace(PLAN, most_launches=1, least_launches=1, launches=1)).hold()
    assert stage.begun == [[model.position for model in stage.models]]
    assert before == [0, 0, 0]
    assert [load.block_s for load in stage.loads[:4]] == [*[WARM_UP_S] * 3, PLAN.slice_s]


@pytest.mark.parametrize(("memory", "begun"), [(375, 3), (374, 0)])
def test_where_memory_is_short_models_are_opened_one_by_one(memory: int, begun: int) -> None:
    """Each takes its own before the next one asks; a quarter is to spare."""
    stage = Stage(contenders=equals(3, peak_rss_bytes=100), memory=memory)
    stage.race(replace(PLAN, most_launches=1)).hold()
    assert [len(those) for those in stage.begun] == [begun]
    assert len(stage.models) == 3


def test_rounds_are_handed_over_one_by_one() -> None:
    """So that a race that is cut off has lost one round at most."""
    stage = Stage(contenders=equals(3))
    race = stage.race()
    race.hold()
    assert [piece for pieces in stage.kept for piece in pieces] == race.slices
    assert all(len({(p.launch, p.round) for p in pieces}) == 1 for pieces in stage.kept)
    assert len(stage.kept) == 15


@pytest.mark.parametrize("feed", Feed)
def test_the_load_of_a_turn(feed: Feed) -> None:
    """The plan's feed and slice, the requests that the model calls optimal; warm-up before it."""
    stage = Stage(contenders=contenders(HINT))
    stage.race(replace(PLAN, feed=feed, most_launches=1)).hold()
    assert {load.feed for load in stage.loads} == {feed}
    assert {load.num_requests for load in stage.loads} == {4}
    assert [load.block_s for load in stage.loads] == [WARM_UP_S, *(0.5,) * 5]


# --- faults


@pytest.mark.parametrize("phase", ["open", "load"])
def test_a_contender_that_cannot_run_is_dropped_and_named(phase: str) -> None:
    """At its opening or in its warm-up; the next in line takes the seat in the next launch."""
    failure = make_failure(FailureKind.CRASH, phase=phase)
    runner = SimulatedRunner(noise=QUIET, faults={EQUALS[1].compile_key: [failure] * 9})
    stage = Stage(contenders=equals(4), runner=runner)
    race = stage.race(replace(PLAN, seats=2, most_launches=3))
    result = race.hold()
    assert seats(race.slices) == {0: {0, 2}, 1: {0, 2, 3}, 2: {0, 2, 3}}
    assert result.standings[1].state is State.FAILED
    assert result.standings[1].failure == failure
    assert runner.opened.count(EQUALS[1].compile_key) == 1
    assert stage.is_tidy


def test_a_crash_in_a_turn_costs_that_contender_only() -> None:
    """What it measured before is kept, and the round goes on with the others."""
    crash = TrialFault(make_failure(FailureKind.CRASH))
    stage = Stage(contenders=equals(3), strike=striking(1, [2], crash))
    race = stage.race()
    result = race.hold()
    taken = Counter((piece.launch, piece.contender) for piece in race.slices)
    assert taken[0, 1] == 2
    assert all(taken[launch, n] == 5 for launch in range(3) for n in (0, 2))
    assert taken[1, 1] == 0
    assert result.standings[1].state is State.FAILED
    assert result.chosen in {0, 2}
    assert stage.is_tidy


@pytest.mark.parametrize(
    "failure",
    [make_failure(FailureKind.LOST), make_failure(FailureKind.CRASH, phase="start")],
    ids=["lost", "did not start"],
)
def test_a_fault_of_the_machine_gets_one_more_chance(failure: Failure) -> None:
    """In the next launch; a second one is the end."""
    slower = slowed({1: 1.003})
    once = Stage(contenders=equals(3), runner=slower, strike=striking(1, [1], TrialFault(failure)))
    race = once.race()
    result = race.hold()
    assert seats(race.slices)[1] == {0, 1, 2}
    assert result.standings[1].state is State.TIED
    assert result.standings[1].failure is None

    twice = Stage(contenders=equals(3), strike=striking(1, [1, 4], TrialFault(failure)))
    race = twice.race()
    result = race.hold()
    assert seats(race.slices)[2] == {0, 2}
    assert result.standings[1].state is State.FAILED
    assert result.standings[1].failure == failure
    assert once.is_tidy
    assert twice.is_tidy


def test_a_race_is_empty_when_nobody_is_left() -> None:
    """All crash: nothing is chosen, and every reason is known."""
    failure = make_failure(FailureKind.CRASH, phase="open")
    runner = SimulatedRunner(noise=QUIET, faults={c.compile_key: [failure] * 9 for c in EQUALS})
    result = Stage(contenders=equals(3), runner=runner).race().hold()
    assert (result.end, result.chosen, result.status) == (End.EMPTY, None, Status.UNCONFIRMED)
    assert [standing.state for standing in result.standings] == [State.FAILED] * 3


def test_a_baseline_alone_that_misses_is_no_race() -> None:
    """The last other has failed, and the baseline is over the cap."""
    race = Stage(contenders=equals(2), runner=slowed({0: 3.0, 1: 3.0})).race()
    result = race.hold()
    assert (result.end, result.launches, result.chosen) == (End.EMPTY, 1, None)


def test_without_memory_there_is_no_turn() -> None:
    """For whoever would need more than is free, with a quarter to spare; it waits."""
    entered = [*equals(2, peak_rss_bytes=100), replace(equals(3)[2], peak_rss_bytes=1000)]
    stage = Stage(contenders=entered, memory=1200)
    race = stage.race(replace(PLAN, most_launches=3))
    result = race.hold()
    assert seats(race.slices) == {launch: {0, 1} for launch in range(3)}
    assert result.standings[2].state is State.WAITING


def test_a_lack_of_memory_does_not_hold_up_the_others() -> None:
    """The race is decided without it, and the next in line has its seat."""
    entered = [*equals(2, peak_rss_bytes=100), replace(equals(3)[2], peak_rss_bytes=1000)]
    entered.append(replace(equals(4)[3], peak_rss_bytes=100))
    stage = Stage(contenders=entered, memory=1200)
    race = stage.race(replace(PLAN, seats=2))
    result = race.hold()
    there = seats(race.slices)
    assert (there.pop(0), set(map(tuple, map(sorted, there.values())))) == ({0, 1}, {(0, 1, 3)})
    assert result.end is End.DECIDED


def test_without_memory_for_anybody_there_is_no_race() -> None:
    """Nor forty empty launches."""
    race = Stage(contenders=equals(2, peak_rss_bytes=100), memory=10).race()
    assert race.hold().end is End.EMPTY
    assert race.launches == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_baseline_and_the_hints_have_memory_first(seed: int) -> None:
    """Memory for three of five."""
    entered = contenders(*EQUALS[:3], HINT, LATENCY_HINT, peak_rss_bytes=100)
    race = Stage(contenders=entered, memory=330).race(
        replace(PLAN, most_launches=1, seed=seed), baseline=2
    )
    race.hold()
    assert seats(race.slices) == {0: {2, 3, 4}}


def test_a_need_that_nobody_knows_is_no_hindrance() -> None:
    """Nor is free memory that nobody knows."""
    race = Stage(contenders=equals(2), memory=1).race()
    race.hold()
    assert seats(race.slices)[0] == {0, 1}


def test_what_is_learned_of_a_contender_is_kept() -> None:
    """Its opening and the peak of its memory."""
    result = Stage(contenders=equals(2)).race().hold()
    for standing in result.standings:
        assert standing.effective is not None
        assert standing.effective.properties["NUM_STREAMS"] == "2"
        assert (standing.peak_rss_bytes or 0) > 2**20


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_an_error_at_an_opening_closes_those_that_were_opened(error: BaseException) -> None:
    """An interrupt ends the race, a bug the program."""
    stage = Stage(contenders=equals(3))
    plain = stage.open_model
    failing = iter([False, False, True])

    def open_model(contender: Contender) -> Watched:
        if next(failing):
            raise error
        return plain(contender)

    stage.open_model = open_model  # type: ignore[method-assign]
    race = stage.race()
    if isinstance(error, KeyboardInterrupt):
        assert race.hold().end is End.STOPPED
    else:
        with pytest.raises(RuntimeError, match="a bug"):
            race.hold()
    assert len(stage.models) == 2
    assert stage.is_tidy


def test_an_error_in_a_slice_or_in_keeping_it_closes_everyone() -> None:
    """The race is over, but no process is left behind."""
    stage = Stage(contenders=equals(3), strike=striking(2, [4], RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        stage.race().hold()
    assert stage.is_tidy

    def full(_: Sequence[Slice]) -> None:
        raise OSError("disk full")

    stage = Stage(contenders=equals(3))
    with pytest.raises(OSError, match="disk full"):
        stage.race(keep=full).hold()
    assert len(stage.models) == 3
    assert stage.is_tidy


def test_what_one_launch_could_not_prove_none_has_proved() -> None:
    """Its slices count together with those of the others."""

    class Doubtful(SimulatedRunner):
        def open(self, key: CompileKey) -> SimulatedModel:
            """The first launch of the second contender cannot prove its answers."""
            model = super().open(key)
            if key == EQUALS[1].compile_key and self.opened.count(key) == 1:
                model.opening = replace(model.opening, unproven="outputs are all zero")
            return model

    race = Stage(contenders=equals(2), runner=Doubtful(noise=QUIET)).race()
    result = race.hold()
    assert result.launches > 1
    assert [s.unproven for s in result.standings] == [None, "outputs are all zero"]


def test_one_that_cannot_be_closed_keeps_no_other_open() -> None:
    """The error is passed on when all others are gone."""
    stage = Stage(contenders=equals(3))

    def kept(_: Sequence[Slice]) -> None:
        closing = stage.models[1].close

        def close() -> None:
            closing()
            raise KeyboardInterrupt

        stage.models[1].close = close  # type: ignore[method-assign]

    assert stage.race(keep=kept).hold().end is End.STOPPED
    assert stage.is_tidy


# --- a clock step


def test_a_slice_in_which_the_clock_was_stepped_is_void() -> None:
    """It is kept and handed over, but no number is made of it."""

    def stepped(position: int, number: int, block: Block) -> Block:
        if (position, number) != (1, 3):
            return block
        return replace(block, clock_drift_s=-3600.0, duration_s=block.duration_s / 1000)

    stage = Stage(contenders=equals(2), alter=stepped)
    race = stage.race(replace(PLAN, most_launches=3))
    result = race.hold()
    assert [piece.is_void for piece in race.slices].count(True) == 1
    assert sum(piece.is_void for pieces in stage.kept for piece in pieces) == 1
    assert result.conditions.void_slices == 1
    assert [standing.slices for standing in result.standings] == [15, 14]
    ratio = result.standings[1].ratio
    assert ratio is not None
    assert ratio.mean == pytest.approx(1.0, abs=0.01)
    assert result.status is Status.CERTIFIED
