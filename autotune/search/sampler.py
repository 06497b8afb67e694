"""Optuna samplers that never propose what is known: a strategy chooses among the free points."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from autotune.search.points import PointTable
from autotune.space.dimensions import DIMENSIONS
from autotune.space.space import Point, SearchSpace

_STARTUP_TRIALS = 10


class Strategy(Protocol):
    """How to choose the next point."""

    def choose(
        self, study: Study, trial: FrozenTrial, table: PointTable, random: np.random.Generator
    ) -> int:
        """The row of a free point; at least one is free.

        What it chooses follows from its arguments alone, so that a resumed study goes on as if it
        had never stopped.
        """


class DistinctSampler(BaseSampler):
    """A strategy over the flat space of indices, without repeats.

    Optuna's own samplers propose known configurations again and again in a small space. Each
    proposal follows from the seed, the trial's number and the stored trials only, so that a study
    which is resumed does not replay the draws of its first run.
    """

    def __init__(self, table: PointTable, strategy: Strategy, seed: int) -> None:
        self._table = table
        self._strategy = strategy
        self._seed = seed

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002 - the space is static: a trial without parameters must not shrink it
        trial: FrozenTrial,  # noqa: ARG002 - as above
    ) -> dict[str, BaseDistribution]:
        """The same for every trial."""
        return dict(distributions(self._table.space))

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - it is ours
    ) -> dict[str, Any]:
        """Parameters of a free point."""
        if "fixed_params" in trial.system_attrs:  # a seed or a swept point: nothing to propose
            return {}
        random = np.random.default_rng([self._seed, trial.number])
        row = self._strategy.choose(study, trial, self._table, random)
        return parameters(self._table.space, self._table[row])

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Never needed: every parameter is in the relative space."""
        raise NotImplementedError


class Tpe:
    """What Optuna's tree-structured Parzen estimator wishes for, or the nearest free point."""

    def choose(
        self, study: Study, trial: FrozenTrial, table: PointTable, random: np.random.Generator
    ) -> int:
        """The free point with the fewest steps to the wish's canonical form; ties at random."""
        space, free = table.space, table.free
        # A sampler made anew for each trial has no state that a restart could lose.
        inner = TPESampler(
            seed=int(random.integers(2**31)), multivariate=True, n_startup_trials=_STARTUP_TRIALS
        )
        dimensions = distributions(space)
        wish = inner.sample_relative(study, trial, dimensions) if dimensions else {}
        if not wish:
            return int(random.choice(free))
        point = space.canonical(tuple(int(wish.get(name, 0)) for name in DIMENSIONS))
        steps = np.abs(table.indices[free] - np.array(point, dtype=np.int32)).sum(axis=1)
        return int(random.choice(free[steps == steps.min()]))


class Uniform:
    """Any free point."""

    def choose(
        self,
        study: Study,  # noqa: ARG002 - it learns nothing
        trial: FrozenTrial,  # noqa: ARG002
        table: PointTable,
        random: np.random.Generator,
    ) -> int:
        """Each with the same probability."""
        return int(random.choice(table.free))


class InOrder:
    """Whatever is free, in an order that is fixed before the first trial."""

    def __init__(self, turns: NDArray[np.int64]) -> None:
        """Take an order.

        Args:
            turns: when each row has its turn, ties in the order of the rows; shape (points,).
        """
        self._turns = turns

    def choose(
        self,
        study: Study,  # noqa: ARG002 - it learns nothing
        trial: FrozenTrial,  # noqa: ARG002
        table: PointTable,
        random: np.random.Generator,  # noqa: ARG002 - and draws nothing
    ) -> int:
        """The free row that comes first."""
        free = table.free
        return int(free[np.argmin(self._turns[free])])


class Grid(InOrder):
    """An evenly spread part of the space, the finer the longer it goes on.

    Van der Corput's order of the rows: halves, quarters, eighths; but in a base that has no divisor
    in common with their number, as otherwise the dimension that varies fastest would stand still
    for most of the time.
    """

    def __init__(self, table: PointTable) -> None:
        super().__init__(_van_der_corput_turns(len(table)))


class Exhaustive(InOrder):
    """Every point, one compiled model after the other, the models in random order."""

    def __init__(self, table: PointTable, seed: int) -> None:
        axis = DIMENSIONS.index("requests_per_stream")
        others = np.delete(table.indices, axis, axis=1)
        _, model = np.unique(others, axis=0, return_inverse=True)
        super().__init__(np.random.default_rng(seed).permutation(int(model.max()) + 1)[model])


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Every sampled dimension as an index: ordered knobs as categories triple the regret."""
    return {name: IntDistribution(0, len(space.choices[name]) - 1) for name in space.sampled}


def parameters(space: SearchSpace, point: Point) -> dict[str, int]:
    """A point as Optuna's parameters."""
    return {
        name: index for name, index in zip(DIMENSIONS, point, strict=True) if name in space.sampled
    }


def point_of(space: SearchSpace, params: Mapping[str, Any]) -> Point | None:
    """The point in Optuna's parameters, or None if they are of no point (a hint outside)."""
    if set(params) != set(space.sampled):
        return None
    return tuple(int(params.get(name, 0)) for name in DIMENSIONS)


def _van_der_corput_turns(count: int) -> NDArray[np.int64]:
    """When each of so many rows has its turn; shape (count,)."""
    base = next(base for base in range(2, count + 3) if math.gcd(base, count) == 1)
    digits = np.array(sorted(range(base), key=lambda digit: _mirrored(digit, base)))
    places = max(1, math.ceil(math.log(count + 1, base)))
    turn, inverse = np.arange(base**places), np.zeros(base**places)
    for place in range(places):
        inverse += digits[turn // base**place % base] / base ** (place + 1)
    rows = np.floor(count * inverse + 1e-9).astype(int)
    return np.unique(rows, return_index=True)[1]


def _mirrored(digit: int, base: int) -> int:
    """The bits of a digit in reverse, so that the digits themselves come in an even order."""
    return int(f"{digit:0{base.bit_length()}b}"[::-1], 2)
