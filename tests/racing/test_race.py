"""The race on a simulated machine: turns, seats, faults, ends, and what it finds."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Block, Feed
from autotune.domain.race import Advantage, Choice, Contender, Dropped, End, Slice, State, Status
from autotune.machines.ports import Load
from autotune.racing.launch import Venue
from autotune.racing.plan import WARM_UP_S, RacePlan
from autotune.racing.race import Race
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.testing import SimulatedCpu, SimulatedModel, SimulatedRunner, Weather
from tests.builders import make_configuration, make_failure

GOAL = Goal(Objective.THROUGHPUT, 99.0, 20.0)
"""The contenders need 9.5 ms."""
UNCAPPED = Goal(Objective.THROUGHPUT, 99.0, None)
PLAN = RacePlan(budget_s=600.0, launches=3)
HINT = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
LATENCY_HINT = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
EQUALS = [
    make_configuration(pinning=pinning, precision=precision)
    for precision in ("f32", "bf16", None)
    for pinning in (True, False, None)
]
"""Nine compile keys that the simulated machine runs alike."""
QUIET = 0.001
"""Noise that leaves nothing open."""


def calm(number: int, load: int) -> None:
    """Nothing strikes."""


@dataclass(kw_only=True)
class Stage:
    """A simulated machine on which everything that a race does is seen."""

    contenders: Sequence[Contender]
    runner: SimulatedRunner = field(default_factory=lambda: SimulatedRunner(noise=QUIET))
    memory: int | None = None
    """Bytes for all resident models together."""
    strike: Callable[[int, int], None] = calm
    """Called before every slice with the contender's position and its number among its slices."""
    alter: Callable[[int, int, Block], Block] = lambda _, __, block: block
    """What becomes of every slice's block."""
    models: list["Watched"] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    kept: list[list[Slice]] = field(default_factory=list)
    slices: Counter[int] = field(default_factory=Counter)
    begun: list[list[int]] = field(default_factory=list)
    """Who was opened side by side, launch by launch."""

    @contextlib.contextmanager
    def side_by_side(self, entered: Sequence[Contender]) -> Iterator[None]:
        """Noted."""
        self.begun.append([self.contenders.index(contender) for contender in entered])
        yield

    def open_model(self, contender: Contender) -> "Watched":
        """By the simulated runner."""
        inner = self.runner.open(contender.configuration.compile_key)
        self.models.append(Watched(self, inner, self.contenders.index(contender)))
        return self.models[-1]

    def free_memory(self) -> int | None:
        """What the resident ones have left."""
        if self.memory is None:
            return None
        resident = [self.contenders[m.position] for m in self.models if not m.is_closed]
        return self.memory - sum(contender.peak_rss_bytes or 0 for contender in resident)

    def race(self, plan: RacePlan = PLAN, goal: Goal = GOAL, **fields: Any) -> Race:
        """A race on this stage; the first contender is the baseline."""
        venue = Venue(
            open_model=self.open_model,
            clock=self.runner.clock,
            side_by_side=self.side_by_side,
            free_memory=self.free_memory,
        )
        values: dict[str, Any] = {"baseline": 0, "keep": lambda s: self.kept.append(list(s))}
        return Race(self.contenders, goal, plan, venue, **{**values, **fields})

    @property
    def is_tidy(self) -> bool:
        """Whether every model that was opened is closed."""
        return all(model.is_closed for model in self.models)


class Watched:
    """A simulated model that counts its slices and knows whether it was closed."""

    def __init__(self, stage: Stage, inner: SimulatedModel, position: int) -> None:
        self._stage = stage
        self._inner = inner
        self.position = position
        self.opening = inner.opening
        self.is_closed = False

    @property
    def peak_rss_bytes(self) -> int | None:
        """As the simulation says."""
        return self._inner.peak_rss_bytes

    @property
    def is_open(self) -> bool:
        """Likewise."""
        return self._inner.is_open

    def load(self, load: Load) -> Generator[Block]:
        """Blocks; those of half a second are slices, shorter ones warm up."""
        self._stage.loads.append(load)
        if load.block_s < PLAN.slice_s:
            yield from self._inner.load(load)
            return
        number = self._stage.slices[self.position]
        self._stage.slices[self.position] += 1
        self._stage.strike(self.position, number)
        for block in self._inner.load(load):
            yield self._stage.alter(self.position, number, block)

    def close(self) -> None:
        """For good."""
        self.is_closed = True
        self._inner.close()


def contenders(*configurations: Configuration, **fields: Any) -> list[Contender]:
    """Named by their position."""
    return [
        Contender(name=f"c{n}", configuration=c, **fields) for n, c in enumerate(configurations)
    ]


def equals(count: int, **fields: Any) -> list[Contender]:
    """So many that are equally fast."""
    return contenders(*EQUALS[:count], **fields)


def slowed(factors: dict[int, float], **fields: Any) -> SimulatedRunner:
    """A machine on which requests of some of the equals take so many times longer."""
    slower = {EQUALS[n].compile_key: factor for n, factor in factors.items()}
    return SimulatedRunner(slower=slower, **{"noise": QUIET, **fields})


def seats(slices: Iterable[Slice]) -> dict[int, set[int]]:
    """Who had turns in each launch."""
    found: dict[int, set[int]] = defaultdict(set)
    for piece in slices:
        found[piece.launch].add(piece.contender)
    return dict(found)


def after(count: int) -> Callable[[], bool]:
    """Says stop from the so many-th question on."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= count


def striking(position: int, numbers: Sequence[int], error: BaseException) -> Callable[..., None]:
    """Raises the error in these slices of one contender."""

    def strike(at: int, number: int) -> None:
        if at == position and number in numbers:
            raise error

    return strike


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


def test_the_same_seed_is_the_same_race() -> None:
    """Another seed, another order of turns."""
    first, same, other = (
        Stage(contenders=equals(3)).race(replace(PLAN, seed=n)) for n in (1, 1, 2)
    )
    for race in (first, same, other):
        race.hold()
    assert first.slices == same.slices
    assert [p.contender for p in first.slices] != [p.contender for p in other.slices]


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


def test_a_race_that_had_ended_needs_no_more_launches() -> None:
    """What is settled stays settled."""
    whole = Stage(contenders=equals(2)).race()
    result = whole.hold()
    again = Stage(contenders=equals(2))
    repeated = again.race(earlier=whole.slices, dossiers=whole.dossiers).hold()
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


def test_without_any_noise_a_race_is_decided_too() -> None:
    """An interval of no width is precise; that equals are equal takes some launches to show."""
    race = Stage(contenders=equals(2), runner=SimulatedRunner()).race()
    assert race.hold().end is End.DECIDED
    assert 3 <= race.launches <= 8


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
