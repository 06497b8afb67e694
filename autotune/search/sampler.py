"""A sampler that never proposes what is known: TPE's wish, moved to the nearest free point."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from autotune.domain.space import DIMENSIONS, Point, SearchSpace

_STARTUP_TRIALS = 10


class DistinctSampler(BaseSampler):
    """Optuna's TPE over the flat space of indices, without repeats.

    TPE alone proposes known configurations again and again in a small space. Each proposal
    follows from the seed, the trial's number and the stored trials only, so that a study which is
    resumed does not replay the draws of its first run.
    """

    def __init__(self, space: SearchSpace, seed: int, is_taken: Callable[[Point], bool]) -> None:
        self._space = space
        self._seed = seed
        self._is_taken = is_taken
        self._points: NDArray[np.int32] = np.array(list(space.points()), dtype=np.int32)

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002 - the space is static: a trial without parameters must not shrink it
        trial: FrozenTrial,  # noqa: ARG002 - as above
    ) -> dict[str, BaseDistribution]:
        """The same for every trial."""
        return dict(distributions(self._space))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Parameters of a free configuration near to what TPE would try; one must be free."""
        if "fixed_params" in trial.system_attrs:  # a seed or a swept point: nothing to propose
            return {}
        random = np.random.default_rng([self._seed, trial.number])
        free = self._free()
        # A sampler made anew for each trial has no state that a restart could lose.
        inner = TPESampler(
            seed=int(random.integers(2**31)), multivariate=True, n_startup_trials=_STARTUP_TRIALS
        )
        wish = inner.sample_relative(study, trial, search_space) if search_space else {}
        chosen = self._nearest(free, wish, random) if wish else free[random.integers(len(free))]
        return parameters(self._space, tuple(int(index) for index in chosen))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Never needed: every parameter is in the relative space."""
        raise NotImplementedError

    def _free(self) -> NDArray[np.int32]:
        taken = np.fromiter(
            (self._is_taken(tuple(point)) for point in self._points.tolist()),
            dtype=bool,
            count=len(self._points),
        )
        free: NDArray[np.int32] = self._points[~taken]
        return free

    def _nearest(
        self, free: NDArray[np.int32], wish: Mapping[str, Any], random: np.random.Generator
    ) -> NDArray[np.int32]:
        """The free point with the fewest steps to the wish's canonical form; ties at random."""
        point = self._space.canonical(tuple(int(wish.get(name, 0)) for name in DIMENSIONS))
        steps = np.abs(free - np.array(point, dtype=np.int32)).sum(axis=1)
        nearest: NDArray[np.int32] = free[random.choice(np.flatnonzero(steps == steps.min()))]
        return nearest


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
