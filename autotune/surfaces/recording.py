"""Record a whole surface: groups of resident models whose cells take turns in random order."""

import itertools
import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from autotune.domain.failure import Failure, TrialFault
from autotune.domain.measurement import Block
from autotune.machines.ports import Load, OpenModel, Runner
from autotune.measuring.measure import arrival_of
from autotune.racing.residents import Residents
from autotune.space.configuration import CompileKey, Configuration
from autotune.stats.latency import ticks_of
from autotune.surfaces.surface import (
    LEVELS,
    RecordedLaunch,
    RecordedSlice,
    RecordPlan,
    cells_by_key,
)

_MOST_TRIES = 3
_ROOM = 4
_ROUNDS_OF_REQUESTS = 2


@dataclass(frozen=True, slots=True)
class Headway:
    """How far a recording is."""

    done: int
    """Launches of compile keys."""
    of: int
    elapsed_s: float
    """Of this run."""
    left_s: float
    """At the speed of this run so far."""


class Recording:
    """Every cell in slices; a group of models is kept as a whole or not at all."""

    def __init__(  # noqa: PLR0913 - what a recording is made of
        self,
        cells: Sequence[Configuration],
        plan: RecordPlan,
        runner: Runner,
        *,
        keep: Callable[[Sequence[RecordedLaunch]], None],
        done: Collection[tuple[CompileKey, int]] = (),
        before_s: float = 0.0,
        on_group: Callable[[Headway], None] = lambda _: None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare a recording, or the rest of one.

        Args:
            cells: what to measure.
            plan: how.
            runner: where.
            keep: is given the launches of every group, to store them together.
            done: compile keys and launches that are stored already.
            before_s: seconds of recording behind them.
            on_group: hears of every group.
            is_stopped: asked before every group.
        """
        self._cells = cells
        self._plan = plan
        self._runner = runner
        self._keep = keep
        self._by_key = cells_by_key(cells)
        self._done = set(done)
        self._before_s = before_s
        self._on_group = on_group
        self._is_stopped = is_stopped
        self._begun_s = runner.clock()
        self._begun_with = len(self._done)
        self._faults: Counter[tuple[CompileKey, int]] = Counter()
        self._peak_bytes = 0

    def run(self) -> bool:
        """Launch after launch; whether everything is recorded."""
        for launch in range(self._plan.launches):
            line = deque(key for key in self._order(launch) if (key, launch) not in self._done)
            while line:
                if self._is_stopped():
                    return False
                self._group(launch, line)
        return True

    @property
    def _now_s(self) -> float:
        return self._before_s + self._runner.clock() - self._begun_s

    def _order(self, launch: int) -> list[CompileKey]:
        return self._random("order", launch).sample(list(self._by_key), len(self._by_key))

    def _random(self, *what: object) -> random.Random:
        text = "/".join(map(str, (self._plan.seed, *what)))
        return random.Random(text)  # noqa: S311 - an order of turns

    def _group(self, launch: int, line: deque[CompileKey]) -> None:
        """Open the next models in line, give every cell its turns, and keep it all."""
        at_s = self._now_s
        failures: dict[CompileKey, Failure] = {}
        with Residents(self._runner.open, free_memory=self._runner.free_memory) as residents:
            while line and len(residents) < self._plan.residents and self._has_room(residents):
                key = line.popleft()
                try:
                    self._open(key, residents)
                except TrialFault as fault:
                    self._fail(key, launch, fault.failure, line, failures)
            slices, struck = self._rounds(launch, residents)
            for key, failure in struck.items():
                self._fail(key, launch, failure, line, failures)
            kept = [self._recorded(key, launch, at_s, residents[key], slices) for key in residents]
        kept += [
            RecordedLaunch(
                key=key,
                launch=launch,
                at_s=at_s,
                opening=None,
                failure=failure,
                peak_rss_bytes=None,
                slices=(),
            )
            for key, failure in failures.items()
        ]
        self._keep(kept)
        self._done.update((recorded.key, launch) for recorded in kept)
        self._on_group(self._progress())

    def _open(self, key: CompileKey, residents: Residents[CompileKey]) -> None:
        """Open, and warm up with the most requests that any of its cells has."""
        model = residents.enter(key)
        busiest = max(
            self._by_key[key], key=lambda i: model.opening.effective.requests(self._cells[i])
        )
        residents.warm_up(key, self._load(busiest, model), self._plan.warmup_s)
        self._peak_bytes = max(self._peak_bytes, model.peak_rss_bytes or 0)

    def _rounds(
        self, launch: int, residents: Residents[CompileKey]
    ) -> tuple[list[RecordedSlice], dict[CompileKey, Failure]]:
        """The slices of a group, and who failed meanwhile."""
        cells = list(itertools.chain.from_iterable(self._by_key[key] for key in residents))
        slices: list[RecordedSlice] = []
        failures: dict[CompileKey, Failure] = {}
        for number in range(self._plan.rounds):
            order = self._random("turns", launch, number, min(cells, default=0))
            for cell in order.sample(cells, len(cells)):
                key = self._cells[cell].compile_key
                if key in failures:
                    continue
                try:
                    block = residents.turn(key, self._load(cell, residents[key]))
                except TrialFault as fault:
                    failures[key] = fault.failure
                    continue
                peak = residents[key].load_peak_rss_bytes
                slices.append(recorded_slice(block, cell, launch, number, self._now_s, peak))
        return slices, failures

    def _load(self, cell: int, model: OpenModel) -> Load:
        return Load(
            arrival=arrival_of(model, self._cells[cell]),
            feed=self._plan.feed,
            block_s=self._plan.slice_s,
            block_rounds=_ROUNDS_OF_REQUESTS,
            limit_s=120.0,
        )

    def _has_room(self, residents: Residents[CompileKey]) -> bool:
        # More than that, so that there is no room where nothing is free and no peak is known.
        return not residents or residents.has_room(_ROOM * self._peak_bytes + 1)

    def _fail(
        self,
        key: CompileKey,
        launch: int,
        failure: Failure,
        line: deque[CompileKey],
        failures: dict[CompileKey, Failure],
    ) -> None:
        """A machine fault is tried again at the end of the line, three times in all."""
        self._faults[key, launch] += 1
        if failure.is_machine_fault and self._faults[key, launch] < _MOST_TRIES:
            line.append(key)
        else:
            failures[key] = failure

    def _recorded(
        self,
        key: CompileKey,
        launch: int,
        at_s: float,
        model: OpenModel,
        slices: Sequence[RecordedSlice],
    ) -> RecordedLaunch:
        peak = model.peak_rss_bytes
        self._peak_bytes = max(self._peak_bytes, peak or 0)
        return RecordedLaunch(
            key=key,
            launch=launch,
            at_s=at_s,
            opening=model.opening,
            failure=None,
            peak_rss_bytes=peak,
            slices=tuple(taken for taken in slices if taken.cell in self._by_key[key]),
        )

    def _progress(self) -> Headway:
        of = len(self._by_key) * self._plan.launches
        elapsed_s = self._runner.clock() - self._begun_s
        now = len(self._done) - self._begun_with
        left_s = elapsed_s * (of - len(self._done)) / max(1, now)
        return Headway(len(self._done), of, elapsed_s, left_s)


def recorded_slice(
    block: Block,
    cell: int,
    launch: int,
    number: int,
    at_s: float,
    peak_rss_bytes: int | None = None,
) -> RecordedSlice:
    """What is kept of a block, and of the memory that it took."""
    ticks = ticks_of([block])
    ranks = np.ceil(np.round(np.array(LEVELS) * ticks.size, 9)).astype(int)
    return RecordedSlice(
        cell=cell,
        launch=launch,
        round=number,
        at_s=at_s,
        duration_s=block.duration_s,
        completions=block.completions,
        occupancy=block.occupancy,
        latency_ticks=tuple(int(tick) for tick in ticks[np.maximum(ranks, 1) - 1]),
        cpu_s=block.work_cpu_s,
        rss_bytes=block.rss_bytes,
        peak_rss_bytes=peak_rss_bytes,
        energy_j=block.energy_j,
    )
