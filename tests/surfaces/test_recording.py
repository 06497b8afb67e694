"""Recording on a simulated machine: turns, groups, stops, faults, memory, and what is kept."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.domain.accuracy import Accuracy
from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.inspection import Inspection
from autotune.domain.measurement import TICK_MS, Block, Cached, Feed
from autotune.machines.fingerprint import Machine
from autotune.machines.ports import Load, OpenModel
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import Api, PerformanceHint
from autotune.space.rows.variant import GIVEN
from autotune.stats.latency import percentile_ms, ticks_of
from autotune.surfaces.recording import Headway, Recording, recorded_slice
from autotune.surfaces.surface import (
    LEVELS,
    RecordedLaunch,
    RecordedSlice,
    RecordPlan,
    cells_by_key,
)
from autotune.testing import SimulatedModel, SimulatedRunner
from tests.builders import make_block, make_configuration, make_failure

CELLS = [
    make_configuration(streams=streams, pinning=pinning, num_requests=streams * per_stream)
    for streams in (1, 2, 4)
    for pinning in (True, False)
    for per_stream in (1, 2, 3)
]
"""Six compile keys of three cells each."""
KEYS = list(cells_by_key(CELLS))
PLAN = RecordPlan(launches=2, rounds=3, residents=2)
"""Three groups of two in each launch."""
WHOLE = {(cell, launch, n) for cell in range(len(CELLS)) for launch in range(2) for n in range(3)}
"""Every slice that the plan asks for: cell, launch, round."""
PEAK = 103 * 2**20
"""What the simulated machine says of a model with three requests."""


def calm(key: CompileKey, number: int) -> None:
    """Nothing strikes."""


@dataclass(kw_only=True)
class Stage:
    """A simulated machine on which everything that a recording does is seen."""

    inner: SimulatedRunner = field(default_factory=SimulatedRunner)
    memory: int | None = None
    """Bytes for all resident models together; each takes `PEAK`."""
    strike: Callable[[CompileKey, int], None] = calm
    """Called before every slice with its compile key and its number among the key's slices."""
    models: list["Watched"] = field(default_factory=list)
    loads: list[tuple[CompileKey, Load]] = field(default_factory=list)
    slices: Counter[CompileKey] = field(default_factory=Counter)
    most_residents: int = 0

    def clock(self) -> float:
        """Virtual seconds."""
        return self.inner.clock()

    def inspect(
        self, devices: Sequence[str], *, try_batch: bool, variant: str = GIVEN
    ) -> Inspection:
        """As simulated."""
        return self.inner.inspect(devices, try_batch=try_batch, variant=variant)

    def accuracy(self, key: CompileKey) -> Accuracy | None:
        """As simulated."""
        return self.inner.accuracy(key)

    def machine(self, facts: Inspection) -> Machine:
        """As simulated."""
        return self.inner.machine(facts)

    def cached(self, key: CompileKey) -> Cached:
        """Nobody asks for it."""
        return self.inner.cached(key)

    def side_by_side(self, keys: Sequence[CompileKey]) -> AbstractContextManager[None]:
        """Nobody asks for it."""
        return self.inner.side_by_side(keys)

    def open(self, key: CompileKey) -> OpenModel:
        """By the simulated runner."""
        self.models.append(Watched(self, self.inner.open(key), key))
        self.most_residents = max(self.most_residents, self.residents)
        return self.models[-1]

    def free_memory(self) -> int | None:
        """What the resident ones have left."""
        return None if self.memory is None else self.memory - PEAK * self.residents

    @property
    def residents(self) -> int:
        """Models that are open now."""
        return sum(not model.is_closed for model in self.models)

    @property
    def turns(self) -> list[Load]:
        """The loads that were slices."""
        return [load for _, load in self.loads if load.block_s == PLAN.slice_s]


class Watched:
    """A simulated model that counts its slices and knows whether it was closed."""

    def __init__(self, stage: Stage, inner: SimulatedModel, key: CompileKey) -> None:
        self._stage = stage
        self._inner = inner
        self._key = key
        self.opening = inner.opening
        self.is_closed = False

    @property
    def peak_rss_bytes(self) -> int | None:
        """The same for all."""
        return None if self._inner.peak_rss_bytes is None else PEAK

    @property
    def load_peak_rss_bytes(self) -> int | None:
        """As the simulation says."""
        return self._inner.load_peak_rss_bytes

    @property
    def is_open(self) -> bool:
        """As simulated."""
        return self._inner.is_open

    def load(self, load: Load) -> Generator[Block]:
        """Blocks; those as long as a slice are slices, shorter ones warm up."""
        self._stage.loads.append((self._key, load))
        if load.block_s == PLAN.slice_s:
            number = self._stage.slices[self._key]
            self._stage.slices[self._key] += 1
            self._stage.strike(self._key, number)
        yield from self._inner.load(load)

    def close(self) -> None:
        """For good."""
        self.is_closed = True
        self._inner.close()


@dataclass(kw_only=True)
class Kept:
    """What a recording stored, group by group, over any number of runs."""

    groups: list[list[RecordedLaunch]] = field(default_factory=list)

    def keep(self, launches: Sequence[RecordedLaunch]) -> None:
        """As a surface file does."""
        self.groups.append(list(launches))

    @property
    def launches(self) -> list[RecordedLaunch]:
        """Of all groups."""
        return [launch for group in self.groups for launch in group]

    @property
    def slices(self) -> list[RecordedSlice]:
        """Of all launches, in time."""
        found = [piece for launch in self.launches for piece in launch.slices]
        return sorted(found, key=lambda piece: piece.at_s)

    @property
    def names(self) -> list[tuple[int, int, int]]:
        """Cell, launch and round of every slice, ascending."""
        return sorted((piece.cell, piece.launch, piece.round) for piece in self.slices)

    @property
    def done(self) -> list[tuple[CompileKey, int]]:
        """What a further run need not record."""
        return [(launch.key, launch.launch) for launch in self.launches]

    def failures(self) -> dict[tuple[CompileKey, int], Failure]:
        """Launches without slices, and why."""
        return {(r.key, r.launch): r.failure for r in self.launches if r.failure is not None}


def recorded(
    stage: Stage | None = None, plan: RecordPlan = PLAN, kept: Kept | None = None, **fields: Any
) -> Kept:
    """What is stored after one run, or one more."""
    kept = Kept() if kept is None else kept
    runner = Stage() if stage is None else stage
    Recording(CELLS, plan, runner, keep=kept.keep, done=kept.done, **fields).run()
    return kept


def after(groups: int) -> Callable[[], bool]:
    """Says stop once so many groups were begun."""
    asked = count()
    return lambda: next(asked) >= groups


def striking(
    key: CompileKey, numbers: Sequence[int], error: BaseException
) -> Callable[[CompileKey, int], None]:
    """Raises the error in these slices of one compile key."""

    def strike(at: CompileKey, number: int) -> None:
        if at == key and number in numbers:
            raise error

    return strike


# --- turns


def test_every_cell_gets_its_slices_in_every_launch() -> None:
    """Launches times rounds of them, none twice, and all that is known of each launch."""
    kept = recorded()
    assert kept.names == sorted(WHOLE)
    assert sorted(kept.done, key=str) == sorted(((k, n) for k in KEYS for n in (0, 1)), key=str)
    for launch in kept.launches:
        assert launch.failure is None
        assert launch.opening is not None
        assert launch.peak_rss_bytes == PEAK
        assert {CELLS[piece.cell].compile_key for piece in launch.slices} == {launch.key}
        assert {piece.launch for piece in launch.slices} == {launch.launch}


def test_the_cells_of_a_group_take_turns_across_compile_keys() -> None:
    """All of them once in each round, in random order: no model runs its cells in one go."""
    kept = recorded(plan=replace(PLAN, residents=3))
    orders, changes = [], []
    for group in kept.groups:
        mine = sorted((p for launch in group for p in launch.slices), key=lambda piece: piece.at_s)
        assert [piece.round for piece in mine] == sorted(piece.round for piece in mine)
        for number in range(PLAN.rounds):
            turns = [piece.cell for piece in mine if piece.round == number]
            keys = [CELLS[cell].compile_key for cell in turns]
            assert sorted(turns) == sorted(
                cell for cell, c in enumerate(CELLS) if c.compile_key in {r.key for r in group}
            )
            orders.append(tuple(turns))
            changes.append(sum(one != other for one, other in pairwise(keys)))
    assert len(set(orders)) == len(orders)
    assert np.mean(changes) > 4  # of 8: two would be one model after the other


def test_time_goes_on() -> None:
    """Each slice ends after the one before it, by its own duration at least."""
    pieces = recorded().slices
    assert all(b.at_s - a.at_s >= b.duration_s - 1e-9 for a, b in pairwise(pieces))
    assert pieces[0].at_s > 0


def test_every_launch_is_a_fresh_opening() -> None:
    """Of every key, once in each; in another order each time, and nothing stays open."""
    stage = Stage()
    recorded(stage)
    opened = stage.inner.opened
    first, second = opened[:6], opened[6:]
    assert set(first) == set(second) == set(KEYS)
    assert first != second
    assert stage.residents == 0


APIS = {True: Api.SYNC, False: Api.ASYNC}


def test_the_load_of_a_turn() -> None:
    """The plan's feed and length, two rounds of the cell's own requests, and its own API."""
    sync = make_configuration(streams=1, hint=PerformanceHint.LATENCY, api=Api.SYNC)
    optimal = make_configuration(streams=4, num_requests=None)
    stage, kept = Stage(), Kept()
    plan = RecordPlan(launches=1, rounds=1, feed=Feed.COPY)
    Recording([sync, optimal, CELLS[2]], plan, stage, keep=kept.keep).run()
    seen = [(turn.num_requests, APIS[turn.arrival.is_blocking]) for turn in stage.turns]
    assert Counter(seen) == {
        (1, Api.SYNC): 1,
        (4, Api.ASYNC): 1,
        (3, Api.ASYNC): 1,
    }
    assert {load.feed for _, load in stage.loads} == {Feed.COPY}
    assert {load.block_rounds for load in stage.turns} == {2}


def test_a_slice_with_long_requests_lasts_for_two_rounds_of_them() -> None:
    """However short the plan's slices are."""
    slow = make_configuration(streams=1, threads_per_stream=1, num_requests=4, batch_size=64)
    stage, kept = Stage(), Kept()
    Recording([slow], replace(PLAN, launches=1), stage, keep=kept.keep).run()
    usual = stage.inner.predict(slow).requests_per_s
    assert usual < 8 / PLAN.slice_s
    assert {piece.completions for piece in kept.slices} == {8}
    assert kept.slices[0].duration_s == pytest.approx(8 / usual)


def test_every_model_is_warmed_up_with_its_most_requests() -> None:
    """Before the first slice of its group."""
    stage = Stage()
    recorded(stage, replace(PLAN, launches=1))
    for key in KEYS:
        mine = [load for at, load in stage.loads if at == key]
        most = max(CELLS[cell].num_requests or 0 for cell in cells_by_key(CELLS)[key])
        assert mine[0].block_s < PLAN.slice_s
        assert mine[0].num_requests == most
        assert all(load.block_s == PLAN.slice_s for load in mine[1:])


def test_without_noise_slices_are_what_the_machine_does() -> None:
    """Rate, latency at every level, occupancy."""
    stage = Stage()
    for piece in recorded(stage).slices:
        flow = stage.inner.predict(CELLS[piece.cell])
        assert piece.completions / piece.duration_s == pytest.approx(flow.requests_per_s)
        assert np.array(piece.latency_ticks) * TICK_MS == pytest.approx(flow.latency_ms, abs=2e-4)
        assert piece.occupancy == 1.0


def test_the_same_seed_is_the_same_recording() -> None:
    """Another seed, another order of keys and of turns."""
    first, same, other = (recorded(plan=replace(PLAN, seed=seed)) for seed in (1, 1, 2))
    assert first.launches == same.launches
    assert [p.cell for p in first.slices] != [p.cell for p in other.slices]
    assert [launch.key for launch in first.launches] != [launch.key for launch in other.launches]


# --- groups, stops and going on


def test_a_group_is_kept_as_a_whole() -> None:
    """As many models as may be resident, with all their slices, in one call."""
    kept = recorded()
    assert [len(group) for group in kept.groups] == [2] * 6
    for group in kept.groups:
        assert len({launch.launch for launch in group}) == 1
        assert len({launch.at_s for launch in group}) == 1
        assert all(len(launch.slices) == 9 for launch in group)
    assert [group[0].launch for group in kept.groups] == [0, 0, 0, 1, 1, 1]


def test_a_launch_is_ended_before_the_next_begins() -> None:
    """Its last group may be smaller: groups do not reach over."""
    sizes = [len(group) for group in recorded(plan=replace(PLAN, residents=4)).groups]
    assert sizes == [4, 2, 4, 2]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3), max_size=4), st.integers(1, 7))
def test_stopping_and_going_on_leaves_the_same_slices(stops: list[int], residents: int) -> None:
    """Wherever it was stopped between groups, and however often: nothing is missing or twice."""
    plan, kept = replace(PLAN, residents=residents), Kept()
    for groups in stops:
        recorded(plan=plan, kept=kept, is_stopped=after(groups))
    recorded(plan=plan, kept=kept)
    assert kept.names == sorted(WHOLE)
    assert len(set(kept.done)) == len(kept.done)
    assert [group[0].launch for group in kept.groups] == sorted(g[0].launch for g in kept.groups)


def test_it_says_whether_everything_is_recorded() -> None:
    """Asked before every group; one that may not begin opens nothing."""
    stage, kept = Stage(), Kept()
    run = Recording(CELLS, PLAN, stage, keep=kept.keep, is_stopped=after(0)).run
    assert not run()
    assert (stage.models, kept.groups) == ([], [])
    run = Recording(CELLS, PLAN, stage, keep=kept.keep, is_stopped=after(5)).run
    assert not run()
    assert len(kept.groups) == 5
    assert Recording(CELLS, PLAN, stage, keep=kept.keep, done=kept.done).run()
    assert len(kept.groups) == 6


def test_a_whole_recording_has_nothing_to_go_on_with() -> None:
    """It is said to be whole, and no model is opened."""
    kept, stage = recorded(), Stage()
    assert Recording(CELLS, PLAN, stage, keep=kept.keep, done=kept.done).run()
    assert stage.models == []
    assert len(kept.groups) == 6


def test_going_on_continues_the_clock() -> None:
    """Seconds of recording add up over the runs; pauses between them do not count."""
    kept = recorded(is_stopped=after(2))
    last_s = kept.slices[-1].at_s
    stage = Stage()
    stage.inner.advance(3600.0)
    recorded(stage, kept=kept, before_s=last_s)
    later = [piece.at_s for group in kept.groups[2:] for r in group for piece in r.slices]
    assert min(later) > last_s
    assert kept.groups[2][0].at_s == pytest.approx(last_s)
    assert max(later) < 3600.0


@pytest.mark.parametrize("group", range(6))
def test_an_interrupt_loses_only_its_group(group: int) -> None:
    """In the middle of it: what came before is kept, nothing stays open, and it can go on."""
    strikes = iter(range(10**6))

    def strike(key: CompileKey, number: int) -> None:
        if next(strikes) == 18 * group + 11:
            raise KeyboardInterrupt

    stage, kept = Stage(strike=strike), Kept()
    with pytest.raises(KeyboardInterrupt):
        recorded(stage, kept=kept)
    assert len(kept.groups) == group
    assert all(len(launch.slices) == 9 for launch in kept.launches)
    assert stage.residents == 0
    recorded(kept=kept)
    assert kept.names == sorted(WHOLE)


def test_an_interrupt_while_opening_leaves_nothing_open() -> None:
    """The models that were there before are closed."""

    class Impatient(Stage):
        def open(self, key: CompileKey) -> OpenModel:
            if len(self.models) == 3:
                raise KeyboardInterrupt
            return super().open(key)

    stage, kept = Impatient(), Kept()
    with pytest.raises(KeyboardInterrupt):
        recorded(stage, kept=kept)
    assert (len(kept.groups), stage.residents) == (1, 0)


def test_a_group_that_cannot_be_stored_ends_it() -> None:
    """A full disk is no fault of a configuration; nothing stays open."""

    def keep(launches: Sequence[RecordedLaunch]) -> None:
        raise OSError

    stage = Stage()
    with pytest.raises(OSError):  # noqa: PT011 - the very one
        Recording(CELLS, PLAN, stage, keep=keep).run()
    assert (stage.residents, len(stage.models)) == (0, 2)


# --- faults


@pytest.mark.parametrize("phase", ["open", "load"])
def test_a_key_that_cannot_run_is_kept_as_a_failure(phase: str) -> None:
    """At its opening or in its warm-up; in every launch, once each, and the others are whole."""
    failure = make_failure(FailureKind.COMPILE_ERROR, phase=phase)
    stage = Stage(inner=SimulatedRunner(faults={KEYS[2]: [failure] * 9}))
    kept = recorded(stage)
    assert kept.failures() == {(KEYS[2], 0): failure, (KEYS[2], 1): failure}
    assert stage.inner.opened.count(KEYS[2]) == 2
    lost = set(cells_by_key(CELLS)[KEYS[2]])
    assert kept.names == sorted(name for name in WHOLE if name[0] not in lost)
    assert stage.residents == 0
    for launch in kept.launches:
        if launch.key == KEYS[2]:
            assert (launch.opening, launch.peak_rss_bytes, launch.slices) == (None, None, ())


@pytest.mark.parametrize("number", [0, 4, 8])
def test_a_crash_in_a_turn_loses_that_launch_of_that_key(number: int) -> None:
    """What it had measured is not kept; the others of its group are, and its next launch."""
    crash = make_failure(FailureKind.CRASH)
    stage = Stage(strike=striking(KEYS[1], [number], TrialFault(crash)))
    kept = recorded(stage)
    assert kept.failures() == {(KEYS[1], 0): crash}
    lost = {(cell, 0) for cell in cells_by_key(CELLS)[KEYS[1]]}
    assert kept.names == sorted(name for name in WHOLE if name[:2] not in lost)
    assert stage.slices[KEYS[1]] == number + 1 + 9
    assert stage.residents == 0


def test_a_failure_is_not_tried_again_when_going_on() -> None:
    """It is stored like everything else."""
    failure = make_failure(FailureKind.CRASH, phase="open")
    faults = {KEYS[0]: [failure] * 9}
    kept = recorded(Stage(inner=SimulatedRunner(faults=faults)), is_stopped=after(3))
    stage = Stage(inner=SimulatedRunner(faults=faults))
    recorded(stage, kept=kept)
    assert stage.inner.opened.count(KEYS[0]) == 1
    assert len(kept.launches) == 12


MACHINE_FAULTS = [
    make_failure(FailureKind.LOST, phase="open"),
    make_failure(FailureKind.CRASH, phase="start"),
    make_failure(FailureKind.LOST, phase="load"),
]


@pytest.mark.parametrize("failure", MACHINE_FAULTS, ids=["lost", "did not start", "under load"])
@pytest.mark.parametrize("faults", [1, 2])
def test_a_fault_of_the_machine_is_tried_again(failure: Failure, faults: int) -> None:
    """At the end of the line, three times in all; the surface does not show it."""
    stage = Stage(inner=SimulatedRunner(faults={KEYS[3]: [failure] * faults}))
    kept = recorded(stage)
    assert kept.failures() == {}
    assert kept.names == sorted(WHOLE)
    assert stage.inner.opened.count(KEYS[3]) == 2 + faults
    assert stage.residents == 0


@pytest.mark.parametrize("failure", MACHINE_FAULTS, ids=["lost", "did not start", "under load"])
def test_three_faults_of_the_machine_are_a_failure(failure: Failure) -> None:
    """Of that launch; the next one has three tries of its own."""
    stage = Stage(inner=SimulatedRunner(faults={KEYS[3]: [failure] * 5}))
    kept = recorded(stage)
    assert kept.failures() == {(KEYS[3], 0): failure}
    assert stage.inner.opened.count(KEYS[3]) == 6
    lost = {(cell, 0) for cell in cells_by_key(CELLS)[KEYS[3]]}
    assert kept.names == sorted(name for name in WHOLE if name[:2] not in lost)


@pytest.mark.parametrize(("strikes", "fails"), [((4,), False), ((4, 9), False), ((4, 9, 14), True)])
def test_a_worker_that_is_lost_in_a_turn_is_tried_again(
    strikes: tuple[int, ...], fails: bool
) -> None:
    """Its slices so far are not kept, so that none is twice; three times in all."""
    lost = TrialFault(make_failure(FailureKind.LOST))
    stage = Stage(strike=striking(KEYS[1], strikes, lost))
    kept = recorded(stage)
    assert kept.failures() == ({(KEYS[1], 0): lost.failure} if fails else {})
    cells = cells_by_key(CELLS)[KEYS[1]] if fails else ()
    assert kept.names == sorted(n for n in WHOLE if n[0] not in cells or n[1] == 1)
    assert stage.residents == 0


def test_a_lost_worker_waits_at_the_end_of_the_line() -> None:
    """The others of its launch come first: a moment of the machine's must pass."""
    lost = make_failure(FailureKind.LOST, phase="open")
    first = recorded(is_stopped=after(1)).groups[0][0].key
    stage = Stage(inner=SimulatedRunner(faults={first: [lost]}))
    kept = recorded(stage)
    assert stage.inner.opened[0] == first
    assert stage.inner.opened[1:7].index(first) == 5
    assert [len(group) for group in kept.groups] == [2] * 6


def test_a_recording_in_which_all_fails_ends() -> None:
    """With every reason; nothing is measured."""
    failure = make_failure(FailureKind.CRASH, phase="open")
    stage = Stage(inner=SimulatedRunner(faults={key: [failure] * 9 for key in KEYS}))
    kept = recorded(stage)
    assert len(kept.failures()) == len(kept.launches) == 12
    assert kept.slices == []


# --- memory


def test_no_more_are_resident_than_the_plan_says() -> None:
    """Whatever memory there is."""
    stage = Stage(memory=100 * PEAK)
    recorded(stage, replace(PLAN, residents=4))
    assert stage.most_residents == 4


def test_no_more_are_resident_than_memory_allows() -> None:
    """Room for four of the largest so far must stay; once one is known, groups become smaller."""
    stage = Stage(memory=7 * PEAK)
    kept = recorded(stage, replace(PLAN, residents=5))
    assert all(len(group) <= 3 for group in kept.groups[1:])
    assert kept.names == sorted(WHOLE)


def test_the_first_group_minds_memory_as_well() -> None:
    """What a model takes is known as soon as the first one is warm."""
    stage = Stage(memory=7 * PEAK)
    kept = recorded(stage, replace(PLAN, residents=6))
    assert stage.most_residents <= 3
    assert kept.names == sorted(WHOLE)


def test_one_at_a_time_where_there_is_no_room() -> None:
    """It goes on all the same: a single model was opened in less memory than that before."""
    stage = Stage(memory=PEAK)
    kept = recorded(stage)
    assert all(len(group) == 1 for group in kept.groups[1:])
    assert kept.names == sorted(WHOLE)


# --- progress


def test_progress_is_told_after_every_group() -> None:
    """How many launches of how many, the time so far, and what is left at this speed."""
    heard: list[Headway] = []
    stage = Stage()
    begun_s = stage.clock()
    kept = recorded(stage, on_group=heard.append)
    assert [told.done for told in heard] == [2, 4, 6, 8, 10, 12]
    assert {told.of for told in heard} == {12}
    assert [told.elapsed_s for told in heard] == sorted(told.elapsed_s for told in heard)
    assert heard[2].left_s == pytest.approx(heard[2].elapsed_s)
    assert heard[-1].left_s == 0
    assert heard[-1].elapsed_s == stage.clock() - begun_s
    assert len(kept.groups) == len(heard)


def test_progress_of_a_recording_that_goes_on() -> None:
    """What was stored counts as done; the time left goes by the speed of this run."""
    kept, heard = recorded(is_stopped=after(4)), list[Headway]()
    recorded(kept=kept, on_group=heard.append)
    assert [told.done for told in heard] == [10, 12]
    assert heard[0].left_s == pytest.approx(heard[0].elapsed_s)


# --- what is kept of a block


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=300))
def test_latencies_at_the_levels_were_really_observed(ticks: list[int]) -> None:
    """By nearest rank, as everywhere: the first is the fastest, the last the slowest."""
    block = make_block([tick * TICK_MS for tick in ticks])
    piece = recorded_slice(block, 3, 1, 2, 4.5)
    found = ticks_of([block])
    assert len(piece.latency_ticks) == len(LEVELS)
    assert list(piece.latency_ticks) == sorted(piece.latency_ticks)
    assert set(piece.latency_ticks) <= set(found.tolist())
    assert (piece.latency_ticks[0], piece.latency_ticks[-1]) == (found[0], found[-1])
    for level, tick in zip(LEVELS, piece.latency_ticks, strict=True):
        assert tick * TICK_MS == pytest.approx(percentile_ms(found, 100 * level))


def test_the_rest_of_a_block_is_kept_as_it_is() -> None:
    """Where it belongs, when it ended, how long it took, how many requests, how busy."""
    block = make_block((1.0,) * 30, duration_s=0.25, occupancy=0.98)
    piece = recorded_slice(block, 3, 1, 2, 4.5)
    assert (piece.cell, piece.launch, piece.round, piece.at_s) == (3, 1, 2, 4.5)
    assert (piece.duration_s, piece.completions, piece.occupancy) == (0.25, 30, 0.98)


def test_levels_ascend_from_the_fastest_to_the_slowest() -> None:
    """And are dense where caps are: above the ninth tenth."""
    assert list(LEVELS) == sorted(set(LEVELS))
    assert (LEVELS[0], LEVELS[-1]) == (0.0, 1.0)
    assert {0.5, 0.9, 0.95, 0.99, 0.999} <= set(LEVELS)
    assert sum(level > 0.9 for level in LEVELS) >= 12


def test_cells_are_found_by_their_compile_key() -> None:
    """Every position once, ascending."""
    found = cells_by_key([Configuration(device="CPU"), *CELLS, CELLS[0]])
    assert sorted(cell for cells in found.values() for cell in cells) == list(range(20))
    assert found[KEYS[0]] == (1, 2, 3, 19)
