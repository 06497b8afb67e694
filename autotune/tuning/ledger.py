"""What was tried: evidence first, then what the sampler is told, then what later trials know."""

from dataclasses import replace

from autotune.domain.history import History, rules_out_its_model
from autotune.domain.measurement import Opening
from autotune.domain.trial import Origin, Trial
from autotune.search.search import Proposal, Search
from autotune.space.configuration import Configuration, Effective
from autotune.space.space import SearchSpace
from autotune.storage.writer import StudyWriter
from autotune.tuning import heap


class Ledger:
    """The trials of a study in its database, in the sampler's mind and in memory, kept in step."""

    def __init__(self, store: StudyWriter, search: Search, space: SearchSpace) -> None:
        self._store = store
        self._search = search
        self._space = space
        self._elsewhere: frozenset[int] = frozenset()
        self.history = History()
        self.before = 0
        """Trials of earlier sessions."""

    def take_up(self) -> tuple[list[int], list[Configuration]]:
        """Remember what is stored, and mend what a crash left between evidence and sampler.

        Returns:
            Numbers of the trials that were told now, and configurations that were lost in flight.
        """
        for trial in self._store.trials():
            self._remember(trial)
        self.before = len(self.history.trials)
        self._elsewhere = self._store.measured_elsewhere()
        return self._search.reconcile(self.history)

    def begin(self, configuration: Configuration, effective: Effective | None = None) -> Proposal:
        """A trial of a configuration that is not the sampler's idea, where it is known to lie."""
        return self._search.begin(configuration, self._space.locate(configuration, effective))

    def forget(self, proposal: Proposal) -> None:
        """End a trial that has nothing to show: it was interrupted."""
        self._search.forget(proposal.number)

    def reused(
        self, number: int, configuration: Configuration, origin: Origin, opening: Opening
    ) -> Trial | None:
        """The trial, where what it was opened as was measured before on this machine."""
        known = self.history.known(opening.effective, configuration)
        if known is None or known.measurement is None or known.number in self._elsewhere:
            return None
        then = known.measurement.opening
        # Unproven if it was, or if what was opened now could not be proven.
        doubted = replace(then, unproven=then.unproven or opening.unproven)
        return Trial(
            number=number,
            configuration=configuration,
            origin=origin,
            measurement=replace(known.measurement, opening=doubted),
            reused_from=known.number,
        )

    def keep(self, trial: Trial, elapsed_s: float) -> None:
        """Evidence first, then tell: a crash in between is mended at the next start."""
        self._store.record(trial, elapsed_s)
        self._search.tell(trial, is_final=self.history.is_final(trial))
        self._remember(trial)
        heap.give_back()  # what the sampler took for its proposal

    def end(self, elapsed_s: float, reason: str) -> None:
        """Note the time spent, and why the session ended."""
        self._store.end_session(elapsed_s, reason)

    def ruled_out(self, trial: Trial) -> str | None:
        """The device that is not tried any more after this trial, if there is one."""
        device = trial.configuration.device
        is_over = rules_out_its_model(trial) and self.history.is_hopeless(device)
        return device if is_over else None

    def _remember(self, trial: Trial) -> None:
        """Keep what later trials need to know; a night's blocks stay in the database only."""
        if trial.measurement is not None:
            trial = replace(trial, measurement=replace(trial.measurement, blocks=()))
        self.history.add(trial)
        effective = trial.measurement.opening.effective if trial.measurement else None
        if rules_out_its_model(trial) and not self.history.is_open(trial):
            self._search.take(self._space.same_model(trial.configuration))
            if self.history.is_hopeless(trial.configuration.device):
                self._search.take(self._space.on_device(trial.configuration.device))
        point = self._space.locate(trial.configuration, effective)
        if point is not None:
            self._search.take([point])
