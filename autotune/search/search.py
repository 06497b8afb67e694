"""Ask, begin, tell: the study as the tuner sees it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import optuna
from optuna.trial import Trial as OptunaTrial
from optuna.trial import TrialState

from autotune.domain.goal import Goal
from autotune.domain.history import History, is_machine_fault
from autotune.domain.trial import Trial
from autotune.search.gp import Gp
from autotune.search.points import PointTable
from autotune.search.sampler import (
    DistinctSampler,
    Strategy,
    distributions,
    parameters,
    point_of,
)
from autotune.search.score import SPEED, score
from autotune.space.configuration import Configuration
from autotune.space.space import Point
from autotune.storage.optuna_study import make_lean, optuna_faults_explained

_WORDS = "configuration"
"""User attribute of every Optuna trial: the configuration in words."""
_BETWEEN = 50


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration to try, and the running trial that it belongs to."""

    number: int
    configuration: Configuration


class Search:
    """The Optuna study, its sampler, and what need not be tried."""

    def __init__(
        self,
        study: optuna.Study,
        table: PointTable,
        strategy: Strategy,
        goal: Goal,
        *,
        seed: int,
        name: object,
    ) -> None:
        self._study = study
        self._table = table
        self._space = table.space
        self._goal = goal
        self._name = name
        self._running: dict[int, OptunaTrial] = {}
        self._distributions = distributions(table.space)
        self._lean = 0
        study.sampler = DistinctSampler(table, strategy, seed)

    def ask(self) -> Proposal | None:
        """The next configuration, none of the known; None when the space is exhausted."""
        if self._table.is_exhausted:
            return None
        with optuna_faults_explained(self._name):
            trial = self._study.ask(self._distributions)
            point = point_of(self._space, trial.params)
        assert point is not None  # noqa: S101 - the sampler fills the whole space
        return self._begun(trial, point, self._space.configuration(point))

    def begin(self, configuration: Configuration, point: Point | None) -> Proposal:
        """A running trial for a configuration that is not the sampler's own idea.

        `point` is where it lies in the space, so that the sampler can learn from it; None if it
        lies outside.
        """
        with optuna_faults_explained(self._name):
            params = {} if point is None else parameters(self._space, point)
            self._study.enqueue_trial(params)
            trial = self._study.ask(None if point is None else self._distributions)
        return self._begun(trial, point, configuration)

    def tell(self, trial: Trial, *, is_final: bool = True) -> None:
        """Tell a finished trial, whose evidence is stored already.

        The sampler learns nothing from machine faults, and nothing from a trial that is not the
        last word on its configuration.
        """
        running = self._running.pop(trial.number, None) or self._revived(trial.number)
        with optuna_faults_explained(self._name):
            if is_machine_fault(trial) or not is_final:
                self._study.tell(running, state=TrialState.FAIL)
            else:
                told = score(trial, self._goal)
                for key, value in told.constraints.items():
                    running.set_constraint(key, value)
                if told.speed_per_s is not None:
                    running.set_user_attr(SPEED, told.speed_per_s)
                self._study.tell(running, list(told.values))
            if trial.number >= self._lean + _BETWEEN:
                self._make_lean()

    def forget(self, number: int) -> None:
        """End a trial that has nothing to show: it was interrupted."""
        with optuna_faults_explained(self._name):
            self._study.tell(number, state=TrialState.FAIL)
        self._running.pop(number, None)

    def take(self, points: Iterable[Point]) -> None:
        """Never propose these."""
        self._table.take(points)

    def is_taken(self, point: Point) -> bool:
        """Whether a point is known, running or ruled out."""
        return self._table.is_taken(point)

    def chance_of_improvement(self, by: float) -> float:
        """Largest probability, over all free points, of being feasible and better by this share.

        0 when nothing is free; 1 while too little is known to say.
        """
        with optuna_faults_explained(self._name):
            return self._model.chance_of_improvement(self._study, self._table, by)

    def reconcile(self, history: History) -> tuple[list[int], list[Configuration]]:
        """Bring Optuna's side up to date after a crash.

        A trial that is still running was cut off: if its evidence was stored it is told now, else
        it failed, and its configuration is to be tried again.

        Returns:
            Numbers of the trials that were told, and configurations that were lost in flight.
        """
        told, lost = [], []
        recorded = {trial.number: trial for trial in history.trials}
        with optuna_faults_explained(self._name):
            for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                self._study.ask()
                self._study.tell(frozen.number, state=TrialState.FAIL)
            running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for frozen in running:
            if frozen.number in recorded:
                trial = recorded[frozen.number]
                self.tell(trial, is_final=not history.is_open(trial))
                told.append(frozen.number)
                continue
            point = point_of(self._space, frozen.params)
            self.forget(frozen.number)
            if point is None:
                continue
            configuration = self._space.configuration(point)
            # A hint's trial lies at the point that the hint resolves to; it is a seed, and seeds
            # without evidence are tried again anyway.
            if frozen.user_attrs.get(_WORDS, str(configuration)) == str(configuration):
                lost.append(configuration)
        return told, lost

    def _make_lean(self) -> None:
        """Every now and then, as a look at all trials takes a moment."""
        for trial in self._study.get_trials(deepcopy=False)[self._lean :]:
            if not trial.state.is_finished():
                return
            make_lean(trial, self._distributions, kept=SPEED)
            self._lean += 1

    @cached_property
    def _model(self) -> Gp:
        """What is asked for the chance of an improvement, whatever the sampler; keeps its fits."""
        return Gp(self._table, self._goal)

    def _begun(
        self, trial: OptunaTrial, point: Point | None, configuration: Configuration
    ) -> Proposal:
        self._running[trial.number] = trial
        if point is not None:
            self._table.take([point])
        with optuna_faults_explained(self._name):
            # Parameters are indices; this is for people who look with other tools.
            trial.set_user_attr(_WORDS, str(configuration))
        return Proposal(trial.number, configuration)

    def _revived(self, number: int) -> OptunaTrial:
        frozen = self._study.get_trials(deepcopy=False)[number]
        return OptunaTrial(self._study, frozen._trial_id)  # noqa: SLF001 - no public way to a running trial
