"""Searches that other tools would do, on recorded surfaces and their virtual clock.

Every peer goes by single measurements of a fixed length, as its users do, and exports the fastest
configuration that met the cap when it was measured. Only opening and load take time: what a peer
needs to decide is free.
"""

import contextlib
import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import optuna
from optuna.samplers import TPESampler
from optuna.trial import Trial

from autotune.domain.failure import TrialFault
from autotune.domain.goal import Goal
from autotune.domain.measurement import Block
from autotune.machines.ports import Load
from autotune.measuring.measure import arrival_of
from autotune.search.derive import seeds
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import DIMENSIONS, Api, is_cpu
from autotune.space.space import Point, SearchSpace
from autotune.stats.latency import percentile_ms, ticks_of
from autotune.surfaces.runner import RecordedModel, RecordedRunner

MEASURE_S = 5.0
"""Counted load of one measurement. Generous to the peers: benchmark_app's own default is 60 s, and
Model Analyzer's is windows of 5 s until three of them agree."""
_WARMUP_S = 1.0
_BLOCK_S = 0.5
_LONGEST_LOAD_S = 600.0


@dataclass(frozen=True, slots=True)
class Step:
    """After one measurement of a search."""

    at_s: float
    """Virtual seconds since the search began."""
    trials: int
    """Measurements so far; repeats count."""
    export: Configuration | None
    """What its user would deploy now: the peer's own rule, from single measurements."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a search ends, if not by itself: no measurement begins after it."""

    trials: int | None = None
    duration_s: float | None = None

    def allows(self, trials: int, elapsed_s: float) -> bool:
        """Whether another measurement may begin after so many and so long."""
        if self.trials is not None and trials >= self.trials:
            return False
        return self.duration_s is None or elapsed_s <= self.duration_s


def hints_alone(
    runner: RecordedRunner, space: SearchSpace, goal: Goal, seed: int, limit: Limit
) -> list[Step]:
    """OpenVINO's LATENCY and THROUGHPUT hints, and nothing else."""
    session = _Session(runner, goal, limit)
    with contextlib.suppress(_LimitReachedError), contextlib.closing(session):
        for hint in seeds(space)[:2]:
            session.measure(hint)
    return session.steps


def plain_optuna(
    runner: RecordedRunner, space: SearchSpace, goal: Goal, seed: int, limit: Limit
) -> list[Step]:
    """What a user of Optuna writes in an afternoon: TPE with the cap as a constraint.

    A new process for every trial, no baselines first, and known configurations are measured again
    when they are suggested again.

    Raises:
        ValueError: there is no limit, and it would never end.
    """
    if limit == Limit():
        raise ValueError("this search does not end by itself: it needs a limit")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=seed))
    session = _Session(runner, goal, limit)
    with contextlib.suppress(_LimitReachedError), contextlib.closing(session):
        while True:
            trial = study.ask()
            result = session.measure(space.configuration(space.canonical(_suggested(trial, space))))
            trial.set_constraint("latency", result.excess)
            study.tell(trial, result.throughput_per_s)
    return session.steps


def model_analyzer_quick(
    runner: RecordedRunner, space: SearchSpace, goal: Goal, seed: int, limit: Limit
) -> list[Step]:
    """Triton Model Analyzer's quick search, with streams for instances.

    First the default, a single request in the smallest corner of the grid of batches and streams.
    Then it climbs in that grid with a client concurrency of 2 x batch x instances; as a request of
    OpenVINO carries the whole batch, these are 2 requests per stream. Last it sweeps the requests
    per stream of the best three and of the default.

    What quick search does not know stands at what the runtime would do by itself: as many threads
    per stream as fit, pinned, asynchronous, in the hint's precision. A server is restarted for
    another model configuration only, so that a sweep keeps its process, and what was measured
    before is taken from the checkpoint.
    """
    grid = _Grid.of(space, runner.recorded.default_precision)
    session = _Session(runner, goal, limit, keeps_open=True)
    variants = _Variants(session, grid)
    with contextlib.suppress(_LimitReachedError), contextlib.closing(session):
        variants.measure(_CORNER, grid.loads[0])
        usual = min(grid.loads, key=lambda load: abs(load - 2))
        _Climb(lambda at: variants.measure(at, usual), grid.shape).run()
        for at in variants.leaders():
            _sweep(functools.partial(variants.measure, at), grid.loads)
    return session.steps


# --- measurements


@dataclass(frozen=True, slots=True)
class _Result:
    """One measurement; a failed one has throughput 0 and an infinite latency."""

    configuration: Configuration
    throughput_per_s: float
    latency_ms: float
    cap_ms: float
    """Infinite without a cap."""

    @property
    def is_measured(self) -> bool:
        """Whether there is anything to go by."""
        return self.throughput_per_s > 0

    @property
    def excess(self) -> float:
        """How far the percentile is beyond the cap, as a share of it; 0 or less where it is met."""
        return self.latency_ms / self.cap_ms - 1 if self.is_measured else math.inf

    @property
    def is_feasible(self) -> bool:
        """Whether this measurement meets the cap."""
        return self.excess <= 0

    @property
    def rank(self) -> tuple[bool, float]:
        """The higher the better: the faster of those that meet the cap, or the nearer to it."""
        return self.is_feasible, self.throughput_per_s if self.is_feasible else -self.excess


class _LimitReachedError(Exception):
    """The next measurement would begin after the limit."""


class _Session:
    """The measurements of one search, one after the other."""

    def __init__(
        self, runner: RecordedRunner, goal: Goal, limit: Limit, *, keeps_open: bool = False
    ) -> None:
        self.steps: list[Step] = []
        self._runner = runner
        self._goal = goal
        self._limit = limit
        self._keeps_open = keeps_open
        self._begun_s = runner.clock()
        self._best: _Result | None = None
        self._resident: tuple[CompileKey, RecordedModel] | None = None

    def measure(self, configuration: Configuration) -> _Result:
        """Measure once, and note what the user would deploy now.

        Raises:
            _LimitReachedError: the search is over.
        """
        if not self._limit.allows(len(self.steps), self._elapsed_s):
            raise _LimitReachedError
        result = self._result(configuration)
        if result.is_feasible and (self._best is None or result.rank > self._best.rank):
            self._best = result
        export = None if self._best is None else self._best.configuration
        self.steps.append(Step(self._elapsed_s, len(self.steps) + 1, export))
        return result

    def close(self) -> None:
        """End the process, if one was kept."""
        if self._resident is not None:
            self._resident[1].close()
            self._resident = None

    @property
    def _elapsed_s(self) -> float:
        return self._runner.clock() - self._begun_s

    def _result(self, configuration: Configuration) -> _Result:
        blocks: list[Block] = []
        is_over = not self._keeps_open
        try:
            blocks = _counted(self._model(configuration.compile_key), configuration)
        except TrialFault:
            is_over = True
        if is_over:
            self.close()
        cap_ms = math.inf if self._goal.cap_ms is None else self._goal.cap_ms
        if not blocks:
            return _Result(configuration, 0.0, math.inf, cap_ms)
        items = configuration.batch_size * sum(block.completions for block in blocks)
        return _Result(
            configuration,
            items / sum(block.duration_s for block in blocks),
            percentile_ms(ticks_of(blocks), self._goal.percentile),
            cap_ms,
        )

    def _model(self, key: CompileKey) -> RecordedModel:
        if self._resident is None or self._resident[0] != key:
            self.close()
            self._resident = key, self._runner.open(key)
        return self._resident[1]


def _counted(model: RecordedModel, configuration: Configuration) -> list[Block]:
    """The counted blocks of a load of fixed length.

    Raises:
        TrialFault: it cannot be put under this load.
    """
    load = Load(
        arrival=arrival_of(model, configuration),
        block_s=_BLOCK_S,
        block_rounds=1,  # the length is fixed: slow requests are not given more of it
        limit_s=_LONGEST_LOAD_S,
    )
    warmup_s = counted_s = 0.0
    counted: list[Block] = []
    with contextlib.closing(model.load(load)) as blocks:
        for block in blocks:
            if warmup_s < _WARMUP_S:
                warmup_s += block.duration_s
                continue
            counted.append(block)
            counted_s += block.duration_s
            if counted_s >= MEASURE_S:
                break
    return counted


# --- plain Optuna

_CATEGORICAL = frozenset({"device", "pinning", "precision", "api"})


def _suggested(trial: Trial, space: SearchSpace) -> Point:
    """A point with every sampled dimension as the trial suggests it."""
    point = dict.fromkeys(DIMENSIONS, 0)
    for name in space.sampled:
        choices = space.choices[name]
        if name in _CATEGORICAL:
            point[name] = choices.index(trial.suggest_categorical(name, choices))
        else:
            point[name] = trial.suggest_int(name, 0, len(choices) - 1)
    return tuple(point.values())


# --- quick search of Model Analyzer

Coordinate = tuple[int, int]
"""An index of the grid's batches and one of its streams."""
_CORNER: Coordinate = (0, 0)
_RADIUS = 3
_REACH = range(-_RADIUS, _RADIUS + 1)
_OFFSETS = sorted(
    ((i, j) for i in _REACH for j in _REACH if 0 < math.hypot(i, j) <= _RADIUS),
    key=lambda offset: (abs(offset[0]), abs(offset[1]), offset[0] < 0, offset[1] < 0),
)
"""From a coordinate to its neighbours."""
_LEAST_NEIGHBOURS = 3
_STRIDE_BOUNDS = (0.09, 0.3, 1.0)
"""Slopes beyond which a step is one, two and three coordinates long."""
_MOST_VISITS = 2
_LEADERS = 3
_SWEEP_TRIES = 4
_SWEEP_GAIN = 0.05
_BISECTIONS = 5


@dataclass(frozen=True, slots=True)
class _Grid:
    """The space as quick search sees it: batches in powers of two, streams, and loads."""

    space: SearchSpace
    batches: tuple[int, ...]
    streams: tuple[int, ...]
    loads: tuple[int, ...]
    """Requests per stream, ascending."""
    precision: str | None

    @classmethod
    def of(cls, space: SearchSpace, precision: str | None) -> Self:
        """The grid of a space: what it has of powers of two (all without any), and what fits."""
        choices = space.choices
        batches = sorted(choices["batch"])
        exponential = [batch for batch in batches if _is_power_of_two(batch)]
        streams = sorted(choices["streams"])
        if is_cpu(choices["device"][0]):
            fewest = min(choices["threads_per_stream"])
            streams = [count for count in streams if count * fewest <= space.cpus]
        loads = sorted(choices["requests_per_stream"])
        return cls(space, tuple(exponential or batches), tuple(streams), tuple(loads), precision)

    @property
    def shape(self) -> Coordinate:
        """Number of batches, number of streams."""
        return len(self.batches), len(self.streams)

    def configuration(self, at: Coordinate, load: int) -> Configuration:
        """The configuration at a coordinate with so many requests per stream."""
        streams = self.streams[at[1]]
        wanted: dict[str, Any] = {
            "threads_per_stream": self._threads(streams),
            "streams": streams,
            "requests_per_stream": load,
            "batch": self.batches[at[0]],
            "pinning": True,
            "precision": self.precision,
            "api": Api.ASYNC,
        }
        choices = self.space.choices
        point = tuple(_index(choices[name], wanted.get(name)) for name in DIMENSIONS)
        return self.space.configuration(self.space.canonical(point))

    def _threads(self, streams: int) -> int | None:
        """As many threads per stream as fit; None where even the fewest are too many."""
        choices: tuple[int, ...] = self.space.choices["threads_per_stream"]
        return max((n for n in choices if n * streams <= self.space.cpus), default=None)


def _is_power_of_two(number: int) -> bool:
    return number.bit_count() == 1


def _index(choices: Sequence[Any], wanted: object) -> int:
    """Where a choice stands; the first where there is no such choice."""
    return choices.index(wanted) if wanted in choices else 0


class _Variants:
    """Model Analyzer's checkpoint: nothing is measured twice, and the best of every variant."""

    def __init__(self, session: _Session, grid: _Grid) -> None:
        self._session = session
        self._grid = grid
        self._known: dict[Configuration, _Result] = {}
        self._best: dict[Coordinate, _Result] = {}

    def measure(self, at: Coordinate, load: int) -> _Result:
        """The result of the variant at a coordinate with so many requests per stream."""
        configuration = self._grid.configuration(at, load)
        if configuration not in self._known:
            self._known[configuration] = self._session.measure(configuration)
        result = self._known[configuration]
        if at not in self._best or result.rank > self._best[at].rank:
            self._best[at] = result
        return result

    def leaders(self) -> list[Coordinate]:
        """The best variants, of those that meet the cap if any does; and the default."""
        measured = [at for at, result in self._best.items() if result.is_measured]
        passing = [at for at in measured if self._best[at].is_feasible]
        ranked = sorted(passing or measured, key=lambda at: self._best[at].rank, reverse=True)
        return list(dict.fromkeys([*ranked[:_LEADERS], _CORNER]))


class _Climb:
    """Quick search's hill climbing.

    A neighbourhood is what lies within the radius of a home. Where all of it is on the same side of
    the cap, three neighbours give a slope, and the next home lies along it. Where it is not, every
    adjacent neighbour is measured, and the best that meets the cap is the next home. From a home
    that fails after another has passed, it goes back towards the best so far.
    """

    def __init__(self, measure: Callable[[Coordinate], _Result], shape: Coordinate) -> None:
        self._measure = measure
        self._shape = shape
        self._results: dict[Coordinate, _Result] = {}

    def run(self) -> None:
        """Climb until a step leads nowhere, or to where it was often enough."""
        home, is_slow, has_passed = _CORNER, False, False
        visits: Counter[Coordinate] = Counter()
        while True:
            here = self._result(home)
            has_passed = has_passed or here.is_feasible
            is_lost = not here.is_measured or (has_passed and not here.is_feasible)
            following = self._back(home) if is_lost else self._ahead(home, is_slow)
            if following == home or (not is_lost and visits[following] >= _MOST_VISITS):
                return
            visits[following] += 1
            home, is_slow = following, is_lost

    def _result(self, at: Coordinate) -> _Result:
        if at not in self._results:
            self._results[at] = self._measure(at)
        return self._results[at]

    def _back(self, home: Coordinate) -> Coordinate:
        """Towards the best so far, as far as the neighbourhood goes."""
        best = max(self._results, key=lambda at: self._results[at].rank)
        return min([home, *self._neighbours(home)], key=lambda at: math.dist(at, best))

    def _ahead(self, home: Coordinate, is_slow: bool) -> Coordinate:
        """The next home, once enough neighbours are measured; this one where that cannot be."""
        here = self._results[home]
        while True:
            near = self._near(home)
            is_edge = is_slow or any(n.is_feasible != here.is_feasible for n in near.values())
            if not is_edge and len(near) >= _LEAST_NEIGHBOURS:
                return self._along_slope(home, near)
            unknown = self._unknown(home, near, is_edge)
            if not unknown:
                return self._best(home, near) if is_edge else home
            self._result(unknown[0])

    def _neighbours(self, home: Coordinate) -> list[Coordinate]:
        """All of the grid within the radius, without home."""
        found = [(home[0] + i, home[1] + j) for i, j in _OFFSETS]
        return [
            (batch, streams)
            for batch, streams in found
            if 0 <= batch < self._shape[0] and 0 <= streams < self._shape[1]
        ]

    def _near(self, home: Coordinate) -> dict[Coordinate, _Result]:
        """The neighbours that were measured."""
        known = {at: self._results[at] for at in self._neighbours(home) if at in self._results}
        return {at: result for at, result in known.items() if result.is_measured}

    def _unknown(
        self, home: Coordinate, near: Mapping[Coordinate, _Result], is_edge: bool
    ) -> list[Coordinate]:
        """Neighbours to try next: the adjacent, or those first that share least with the known."""
        untried = [at for at in self._neighbours(home) if at not in self._results]
        if is_edge:
            return [at for at in untried if math.dist(at, home) <= 1]
        return sorted(untried, key=lambda at: _novelty(at, near), reverse=True)

    def _best(self, home: Coordinate, near: Mapping[Coordinate, _Result]) -> Coordinate:
        """The fastest that meets the cap; home if none does."""
        passing = [
            at for at, result in {home: self._results[home], **near}.items() if result.is_feasible
        ]
        return max(passing, key=lambda at: self._results[at].throughput_per_s, default=home)

    def _along_slope(self, home: Coordinate, near: Mapping[Coordinate, _Result]) -> Coordinate:
        """Where the slope leads, within the grid."""
        here = self._results[home]
        gains = {at: _gain(here, result) for at, result in near.items()}
        batch, streams = (
            home[axis] + _stride([(at[axis] - home[axis], gain) for at, gain in gains.items()])
            for axis in (0, 1)
        )
        return (
            min(max(batch, 0), self._shape[0] - 1),
            min(max(streams, 0), self._shape[1] - 1),
        )


def _novelty(at: Coordinate, near: Mapping[Coordinate, _Result]) -> int:
    """How many of a coordinate's two indices no known neighbour has."""
    return sum(all(at[axis] != other[axis] for other in near) for axis in (0, 1))


def _gain(here: _Result, there: _Result) -> float:
    """What there is to gain: speed, relative to the mean; or nearness to a cap that both miss."""
    if not here.is_feasible:
        return here.excess - there.excess
    return _relative_gain(here.throughput_per_s, there.throughput_per_s)


def _relative_gain(before: float, after: float) -> float:
    """Difference over mean; 0 if both are 0."""
    return 2 * (after - before) / (before + after) if before + after else 0.0


def _stride(gains: Sequence[tuple[int, float]]) -> int:
    """Length and direction of a step along one axis, from neighbours' offsets and their gains."""
    distance = sum(abs(offset) for offset, _ in gains)
    if not distance:
        return 0
    pull = sum(gain if offset > 0 else -gain for offset, gain in gains if offset)
    length = sum(abs(pull / distance) > bound for bound in _STRIDE_BOUNDS)
    return length if pull > 0 else -length


def _sweep(measure: Callable[[int], _Result], loads: Sequence[int]) -> None:
    """Loads in powers of two until they gain too little; then around where the cap is crossed."""
    doubled = [load for load in loads if _is_power_of_two(load)] or loads
    seen: dict[int, _Result] = {}
    for load in doubled:
        rates = [result.throughput_per_s for result in seen.values()][-_SWEEP_TRIES:]
        if len(rates) == _SWEEP_TRIES and _relative_gain(rates[0], max(rates)) < _SWEEP_GAIN:
            break
        seen[load] = measure(load)
    crossings = [
        (low, high)
        for (low, before), (high, after) in pairwise(seen.items())
        if before.is_feasible and not after.is_feasible
    ]
    if crossings:
        _bisect(measure, loads, *crossings[-1])


def _bisect(
    measure: Callable[[int], _Result], loads: Sequence[int], passing: int, failing: int
) -> None:
    """Halve the loads between one that meets the cap and one that does not."""
    for _ in range(_BISECTIONS):
        middle = (passing + failing) / 2
        between = [load for load in loads if passing < load < failing]
        if not between:
            return
        load = min(between, key=lambda one: abs(one - middle))
        if measure(load).is_feasible:
            passing = load
        else:
            failing = load
