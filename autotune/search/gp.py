"""A Gaussian process over the enumerated space, for the likeliest improvement within all limits.

Two functions are learnt: the logarithm of the throughput, and that of the latency percentile over
the mean latency. The mean latency itself need not be learnt, as Little's law gives it: items in
flight = throughput x mean latency. Whatever makes a configuration faster also brings its latency
down, and the second function is nearly flat, so that a dozen trials say where the cap lies.
Efficiency, where the goal asks for it, and each limit beside latency have functions of their own;
a floor on the throughput follows from its function.

The next point maximises the expected improvement times the probability that an improvement would be
feasible (Gardner et al. 2014, with feasibility taken where the improvement lies, because both hang
on the same throughput; limits beside latency count as independent of it).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from scipy.special import erfcx, log_ndtr

from autotune.domain.arrival import log_rate_needed, log_tail
from autotune.domain.goal import Goal, Objective
from autotune.domain.limits import BY_NAME as LIMITS
from autotune.search.belief import Belief, Kept, Needed, most_over
from autotune.search.points import PointTable
from autotune.search.sampler import point_of
from autotune.search.score import CLIP, SPEED, constraint_of, is_failure
from autotune.space.dimension import Dimension, Kind
from autotune.space.dimensions import BY_NAME, DIMENSIONS
from autotune.stats.gaussian_process import (
    GaussianProcess,
    HyperPrior,
    Settings,
    fit_settings,
)

Reals = NDArray[np.float64]

MOST_OBSERVED = 150
"""The latest so many trials are learnt from: with more, a fit takes too long."""
_LEAST_OBSERVED = 3
_LEAST_VALUE = 1e-4
_LEAST_NOISE = 0.01
_MOST_CANDIDATES, _MOST_CENTRES, _MOST_STEPS = 20_000, 5, 2
_SPEED = HyperPrior()
_TAIL = HyperPrior(noise=0.05)
_WORKING = HyperPrior(noise=0.1)


@dataclass(frozen=True, slots=True)
class Observed:
    """Finished trials, in order."""

    tried: NDArray[np.int64]
    """Rows of all of them; shape (trials,)."""
    worked: NDArray[np.bool_]
    """Which of them have a measurement; shape (trials,)."""
    log_value: Reals
    """Log of the objective of those that worked: items per second, items for each CPU-second or
    joule, or milliseconds."""
    log_over: Reals
    """Log of their latency percentile over the cap."""
    log_speed: Reals = field(default_factory=lambda: np.empty(0))
    """Log of their items per second; the objective's where that is the throughput."""
    beside: Mapping[str, Reals] = field(default_factory=dict)
    """By limit: log of how many times over it they are."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of those that worked."""
        return self.tried[self.worked]

    @property
    def failed(self) -> NDArray[np.int64]:
        """Rows of those that failed."""
        return self.tried[~self.worked]


class Gp:
    """Throughput under a cap and limits, throughput alone, efficiency, or latency."""

    def __init__(self, table: PointTable, goal: Goal) -> None:
        self._goal = goal
        # A floor on the throughput needs no function of its own where that is learnt anyway.
        floor = goal.limit("min_throughput")
        self._log_floor = None if floor is None or self._is_latency else math.log(floor)
        self._limits = tuple(
            limit.name
            for limit in goal.limits
            if self._log_floor is None or limit.name != "min_throughput"
        )
        self._features = features(table)
        self._log_in_flight = np.log(items_in_flight(table))
        self._settings: dict[tuple[str, int], Settings] = {}

    def choose(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002 - it follows from the others
        table: PointTable,
        random: np.random.Generator,
    ) -> int:
        """The free point with the largest expected feasible improvement; ties at random."""
        seen, free = observed(study, table, self._names), table.free
        if seen.rows.size < _LEAST_OBSERVED:
            return int(random.choice(free))
        rows = candidates(table, seen, self._goal, random)
        gains = self.log_gains(seen, rows)
        if seen.failed.size:
            gains = gains + self._log_working(seen, rows)
        return int(random.choice(rows[gains >= gains.max() - 1e-9]))

    def log_gains(self, seen: Observed, rows: NDArray[np.int64]) -> Reals:
        """Logarithm of the expected improvement within the cap, for each row."""
        belief = self._belief(seen, rows)
        if belief.best is None:  # first of all, find the inner side of all limits
            return belief.log_feasible(belief.mean)
        mean, sd, u = belief.mean, belief.sd, (belief.best - belief.mean) / belief.sd
        # The mean of f where it is above the best; the inverse Mills ratio.
        improved = mean + sd * np.exp(-0.5 * u**2 - 0.5 * math.log(2 * math.pi) - log_ndtr(-u))
        return log_expected_improvement(mean, sd, belief.best) + belief.log_feasible(improved)

    def chance_of_improvement(self, study: Study, table: PointTable, by: float) -> float:
        """Largest probability that a free point is feasible and better than the best by a share.

        0 when nothing is free; 1 while nothing feasible is known, or too little of anything.
        """
        seen, free = observed(study, table, self._names), table.free
        if not free.size:
            return 0.0
        if seen.rows.size < _LEAST_OBSERVED:
            return 1.0
        random = np.random.default_rng(seen.tried.size)
        belief = self._belief(seen, candidates(table, seen, self._goal, random))
        if belief.best is None:
            return 1.0
        return float(belief.chance_above(belief.best + math.log1p(by)).max())

    @property
    def _is_latency(self) -> bool:
        return self._goal.objective is Objective.LATENCY

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(limit.name for limit in self._goal.limits)

    def _belief(self, seen: Observed, rows: NDArray[np.int64]) -> Belief:
        x, points = self._features[seen.rows], self._features[rows]
        sign = -1.0 if self._is_latency else 1.0
        wanted = self._fitted("wanted", x, sign * seen.log_value, _SPEED)
        mean, sd = wanted.predict(points)
        known, _ = wanted.predict(x)
        is_likely = np.ones(len(x), dtype=bool)
        needed, speed = None, None
        if not self._is_latency:
            is_other = self._goal.objective is Objective.EFFICIENCY
            fast = self._fitted("speed", x, seen.log_speed, _SPEED) if is_other else wanted
            needed, at_trials = self._needed(seen, x, points, rows)
            if needed is not None and at_trials is not None:
                is_likely &= fast.predict(x)[0] > at_trials
                speed = fast.predict(points) if is_other else None
        kept = []
        for name in self._limits:
            one, at_x = self._kept(name, seen, x, points)
            kept.append(one)
            is_likely &= at_x < -one.margin
        return Belief(
            mean=mean,
            sd=sd,
            best=float(known[is_likely].max()) if is_likely.any() else None,
            needed=needed,
            speed=speed,
            kept=kept,
        )

    def _needed(
        self, seen: Observed, x: Reals, points: Reals, rows: NDArray[np.int64]
    ) -> tuple[Needed | None, Reals | None]:
        """The speed that cap and floor ask of each point, and of each trial; None without any."""
        cap_ms, floor = self._goal.cap_ms, self._log_floor
        if cap_ms is None:
            if floor is None:
                return None, None
            nothing = Needed(speed=np.full(len(rows), -np.inf), sd=np.ones(len(rows)))
            return nothing.at_least(floor), np.full(len(x), floor)
        in_flight = self._log_in_flight + math.log(1000 / cap_ms)
        over_mean = log_tail(seen.log_over, in_flight[seen.rows], seen.log_speed)
        tail = self._fitted("tail", x, over_mean, _TAIL)
        known_tail, _ = tail.predict(x)
        tail_mean, tail_sd = tail.predict(points)
        found = Needed(speed=log_rate_needed(in_flight[rows], tail_mean), sd=tail_sd)
        at_trials = log_rate_needed(in_flight[seen.rows], known_tail)
        return found.at_least(floor), np.maximum(at_trials, -np.inf if floor is None else floor)

    def _kept(self, name: str, seen: Observed, x: Reals, points: Reals) -> tuple[Kept, Reals]:
        """What a limit's own function says of the points, and its mean at the trials."""
        row = LIMITS[name]
        prior = HyperPrior(noise=max(row.launch_sd, _LEAST_NOISE))
        function = self._fitted(name, x, seen.beside[name], prior)
        mean, sd = function.predict(points)
        return Kept(mean=mean, sd=sd, margin=row.margin), function.predict(x)[0]

    def _fitted(self, what: str, x: Reals, y: Reals, prior: HyperPrior) -> GaussianProcess:
        """With settings from the first so many observations, renewed when a fifth has come on top.

        Finding settings is what takes time; and what is made of a prefix is made again, the same,
        in a study that is resumed.
        """
        count = _LEAST_OBSERVED
        while math.ceil(1.2 * count) <= min(len(y), MOST_OBSERVED):
            count = math.ceil(1.2 * count)
        if (what, count) not in self._settings:
            self._settings[what, count] = fit_settings(x[:count], y[:count], prior)
        latest = slice(-MOST_OBSERVED, None)
        return GaussianProcess(x[latest], y[latest], self._settings[what, count])

    def _log_working(self, seen: Observed, rows: NDArray[np.int64]) -> Reals:
        """Log of the probability that each row works at all, by a third function: 1 or -1."""
        labels = np.where(seen.worked, 1.0, -1.0)
        working = self._fitted("working", self._features[seen.tried], labels, _WORKING)
        mean, sd = working.predict(self._features[rows])
        found: Reals = log_ndtr(mean / np.hypot(sd, _WORKING.noise))
        return found


def observed(study: Study, table: PointTable, limits: Sequence[str] = ()) -> Observed:
    """What a study's finished trials say, of the cap and these other limits."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    tried, worked, values, speeds, over = [], [], [], [], []
    beside: dict[str, list[float]] = {name: [] for name in limits}
    for trial in trials:
        point = point_of(table.space, trial.params)
        row = None if point is None else table.row(point)
        if row is None:
            continue
        tried.append(row)
        worked.append(not is_failure(trial))
        if worked[-1]:
            values.append(math.log(max(trial.values[0], _LEAST_VALUE)))
            speed = trial.user_attrs.get(SPEED)
            speeds.append(values[-1] if speed is None else math.log(max(speed, _LEAST_VALUE)))
            over.append(constraint_of(trial))
            for name in limits:
                beside[name].append(trial.constraints.get(name, CLIP))
    return Observed(
        tried=np.array(tried, dtype=np.int64),
        worked=np.array(worked, dtype=bool),
        log_value=np.array(values),
        log_over=np.array(over),
        log_speed=np.array(speeds),
        beside={name: np.array(found) for name, found in beside.items()},
    )


def candidates(
    table: PointTable, seen: Observed, goal: Goal, random: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of the free points to choose from, ascending.

    All of them, as a rule. Of a large space a random part, other ones at each trial, and whatever
    is two steps at most from one of the best trials: a prediction takes as long as there are
    points.
    """
    free = table.free
    if free.size <= _MOST_CANDIDATES:
        return free
    value = -seen.log_value if goal.objective is Objective.LATENCY else seen.log_value
    if goal.is_constrained:  # what is within all limits, then what is nearest to them
        over = most_over(seen.log_over, seen.beside)
        value = np.where(over <= 0, value, value.min() - over)
    is_chosen = np.zeros(free.size, dtype=bool)
    is_chosen[random.choice(free.size, _MOST_CANDIDATES, replace=False)] = True
    for row in seen.rows[np.argsort(value)[-_MOST_CENTRES:]].tolist():
        steps = np.abs(table.indices[free] - table.indices[row]).sum(axis=1)
        is_chosen |= steps <= _MOST_STEPS
    return free[is_chosen]


def log_expected_improvement(mean: Reals, sd: Reals, best: float) -> Reals:
    """Logarithm of E[max(f - best, 0)] for f ~ N(mean, sd²), also where it underflows.

    Ament et al. 2023, "Unexpected Improvements to Expected Improvement", equation 9.
    """
    z = (mean - best) / sd
    # log(phi(z) + z Phi(z)), for negative z by the scaled complementary error function.
    safe = np.minimum(z, -1.0)
    by_tail = (
        -0.5 * safe**2
        - 0.5 * math.log(2 * math.pi)
        + np.log1p(
            np.maximum(safe * math.sqrt(math.pi / 2) * erfcx(-safe / math.sqrt(2)), -1 + 1e-15)
        )
    )
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    direct = np.log(np.maximum(density + z * np.exp(log_ndtr(z)), 1e-300))
    found: Reals = np.log(sd) + np.where(z > -1.0, direct, by_tail)
    return found


def features(table: PointTable) -> Reals:
    """What decides a configuration's speed, in doublings; shape (points, features).

    Beside the dimensions themselves: all threads, and all items in flight. Ordered dimensions by
    their logarithms, each other choice but the first by itself.
    """
    space = table.space
    ordered = [name for name in DIMENSIONS if BY_NAME[name].kind is Kind.ORDERED]
    columns = [np.log2(_numbers(table, name)) for name in ordered]
    threads = [np.log2(_numbers(table, name)) for name in ("threads_per_stream", "streams")]
    columns += [threads[0] + threads[1], np.log2(items_in_flight(table))]
    for axis, name in enumerate(DIMENSIONS):
        if name in ordered:
            continue
        chosen = table.indices[:, axis]
        if BY_NAME[name].spread is not None:
            columns += _properties(space.choices[name], BY_NAME[name], chosen)
            continue
        columns += [(chosen == index).astype(float) for index in range(1, len(space.choices[name]))]
    kept = [column for column in columns if np.ptp(column) > 0]
    return np.stack(kept, axis=1) if kept else np.zeros((len(table), 1))


def _properties(choices: Sequence[str], one: Dimension, chosen: NDArray[np.int32]) -> list[Reals]:
    """Columns for each property that the choices set: each value but the first by itself.

    Args:
        choices: of the dimension.
        one: it.
        chosen: the choice of every point; shape (points,).
    """
    each = [dict(one.spread(choice)) for choice in choices] if one.spread else []
    columns = []
    for name in sorted({name for properties in each for name in properties}):
        texts = [properties.get(name, "") for properties in each]
        for value in list(dict.fromkeys(texts))[1:]:
            is_it = np.array([text == value for text in texts], dtype=float)
            columns.append(is_it[chosen])
    return columns


def items_in_flight(table: PointTable) -> Reals:
    """Requests in flight x batch of every point; shape (points,)."""
    requests = _numbers(table, "streams") * _numbers(table, "requests_per_stream")
    loads = requests * table.gathered
    found: Reals = np.where(table.is_blocking, 1.0, loads) * _numbers(table, "batch")
    return found


def _numbers(table: PointTable, name: str) -> Reals:
    choices = np.array(table.space.choices[name], dtype=float)
    found: Reals = choices[table.indices[:, DIMENSIONS.index(name)]]
    return found
