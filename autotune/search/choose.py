"""Which strategy a study's sampler stands for."""

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial

from autotune.domain.goal import Goal, Objective
from autotune.domain.sampler import Sampler
from autotune.search.gp import MOST_OBSERVED, Gp
from autotune.search.points import PointTable
from autotune.search.sampler import Exhaustive, Grid, Strategy, Tpe, Uniform
from autotune.search.search import Search
from autotune.space.space import SearchSpace


class GpThenTpe:
    """The Gaussian process while a fit takes a moment, Optuna's TPE in long studies."""

    def __init__(self, table: PointTable, goal: Goal) -> None:
        self._gp = Gp(table, goal)
        self._tpe = Tpe()

    def choose(
        self, study: Study, trial: FrozenTrial, table: PointTable, random: np.random.Generator
    ) -> int:
        """By the trial's number."""
        strategy: Strategy = self._gp if trial.number < MOST_OBSERVED else self._tpe
        return strategy.choose(study, trial, table, random)


def search_of(
    sampler: Sampler,
    study: Study,
    space: SearchSpace,
    goal: Goal,
    *,
    seed: int,
    name: object,
) -> Search:
    """A search over a space by the strategy of a name."""
    table = PointTable(space)
    strategy = strategy_of(sampler, table, goal, seed)
    return Search(study, table, strategy, goal, seed=seed, name=name)


def strategy_of(sampler: Sampler, table: PointTable, goal: Goal, seed: int) -> Strategy:
    """The strategy of a name; docs/samplers.md says which is for what.

    `auto` is the Gaussian process for the first 150 trials and TPE after them; TPE alone where
    there are two objectives.
    """
    match sampler:
        case Sampler.TPE:
            return Tpe()
        case Sampler.GP:
            return Gp(table, goal)
        case Sampler.RANDOM:
            return Uniform()
        case Sampler.GRID:
            return Grid(table)
        case Sampler.EXHAUSTIVE:
            return Exhaustive(table, seed)
        case _:
            return Tpe() if goal.objective is Objective.PARETO else GpThenTpe(table, goal)
