"""What a study tries next: what is waiting, then a sweep of the open model, then the sampler."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autotune.domain.goal import Goal
from autotune.domain.history import History, is_noisy
from autotune.domain.ranking import best
from autotune.domain.trial import Origin, Trial
from autotune.search import sweep
from autotune.search.derive import openers
from autotune.search.search import Proposal, Search
from autotune.space.configuration import Configuration
from autotune.space.space import Point, SearchSpace

_MOST_SWEPT = 2
_TRIALS_BETWEEN = 5
_IMPROVEMENT, _UNLIKELY, _CALM_PROPOSALS = 0.01, 0.002, 8
# Of one configuration: with hundreds of them, one in five hundred leaves 7 % for all together, as
# replays show (docs/samplers.md).


@dataclass(frozen=True, slots=True)
class Attempt:
    """A configuration whose turn has come."""

    configuration: Configuration
    origin: Origin
    proposal: Proposal | None
    """The sampler's; None for what is not its idea, and gets its trial when it begins."""


class Agenda:
    """Seeds and what was lost first; nothing that is known."""

    def __init__(self, space: SearchSpace, search: Search, goal: Goal, *, may_sweep: bool) -> None:
        self._space = space
        self._search = search
        self._goal = goal
        self._may_sweep = may_sweep
        self._queue: deque[tuple[Configuration, Origin]] = deque()
        self._later: deque[tuple[int, Configuration, Origin]] = deque()
        self._swept = 0
        self._calm = 0

    @property
    def is_waiting(self) -> bool:
        """Whether something is queued that must not wait for anything else."""
        return bool(self._queue)

    @property
    def seeds(self) -> int:
        """How many configurations every study of this space begins with."""
        return len(openers(self._space))

    @property
    def missing_seeds(self) -> int:
        """Seeds that were not tried yet."""
        return sum(origin is Origin.SEED for _, origin in self._queue)

    def resume(
        self,
        history: History,
        lost: Iterable[Configuration],
        warm: Iterable[Configuration],
        *,
        was_stable: bool,
    ) -> None:
        """Queue what every study begins with, as far as it was not tried, and what was lost.

        Args:
            history: of earlier sessions.
            lost: configurations that were in flight when the last one was cut off.
            warm: the best of another study.
            was_stable: whether the search had ended, because an improvement had become unlikely.
        """
        tried = {trial.configuration for trial in history.trials}
        for configurations, origin in (
            (openers(self._space), Origin.SEED),
            (warm, Origin.WARM),
            (lost, Origin.SAMPLED),
        ):
            for configuration in configurations:
                if configuration not in tried:
                    self.put(configuration, origin)
                    tried.add(configuration)
        for trial in history.open:
            self.again(trial)
        if was_stable:  # one more look is enough: the search is not begun again
            self._calm = _CALM_PROPOSALS - 1

    def put(self, configuration: Configuration, origin: Origin) -> None:
        """Queue a configuration."""
        self._queue.append((configuration, origin))

    def again(self, trial: Trial) -> None:
        """Queue a configuration that is to be tried again: after a while where others disturbed."""
        if is_noisy(trial):
            due = trial.number + _TRIALS_BETWEEN
            self._later.append((due, trial.configuration, trial.origin))
        else:
            self.put(trial.configuration, trial.origin)

    def next(self, trials: Sequence[Trial], *, is_open: bool) -> Attempt | None:
        """The next step; None when the space is exhausted.

        Args:
            trials: all so far.
            is_open: whether the model of the last trial is still there to be swept.
        """
        if self._queue:
            return Attempt(*self._queue.popleft(), None)
        if self._later and self._later[0][0] <= trials[-1].number:
            return Attempt(*self._later.popleft()[1:], None)
        point = self._sweep_point(trials) if is_open and trials else None
        if point is not None:
            self._swept += 1
            return Attempt(self._space.configuration(point), Origin.SWEEP, None)
        self._swept = 0
        proposal = self._search.ask()
        if proposal is not None:
            return Attempt(proposal.configuration, Origin.SAMPLED, proposal)
        return Attempt(*self._later.popleft()[1:], None) if self._later else None

    def look_ahead(self) -> None:
        """Before a proposal: count whether an improvement above 1 % is unlikely."""
        chance = self._search.chance_of_improvement(_IMPROVEMENT)
        self._calm = self._calm + 1 if chance < _UNLIKELY else 0

    @property
    def is_stable(self) -> bool:
        """Whether it was unlikely at each of the last few looks."""
        return self._calm >= _CALM_PROPOSALS

    def _sweep_point(self, trials: Sequence[Trial]) -> Point | None:
        """Another request count for the model that is open, if that is worth it."""
        last = trials[-1]
        point = self._space.locate(last.configuration)
        if (
            not self._may_sweep
            or self._swept >= _MOST_SWEPT
            or last.measurement is None
            or last.reused_from is not None
            or point is None
            or not sweep.is_worthwhile(last.measurement)
        ):
            return None
        leader = best(trials, self._goal)
        to_beat = leader.measurement.throughput_per_s if leader and leader.measurement else 0.0
        found = sweep.next_point(self._space, point, last.measurement, self._goal, to_beat)
        return None if found is None or self._search.is_taken(found) else found
