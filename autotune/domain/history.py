"""What the trials of a study so far say about the next one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from autotune.domain.measurement import NOISE, Flag
from autotune.domain.trial import Trial
from autotune.space.configuration import Configuration, Effective

MOST_REFUSALS = 5
"""How many models a device may refuse before it is ruled out."""
_NOISY_TRIES = 3
_NOISY_SHARE = 0.1
"""Of all trials: where the machine is never quiet, trying again would take the night."""


def is_machine_fault(trial: Trial) -> bool:
    """Whether the configuration is not to blame for the failure."""
    return trial.failure is not None and trial.failure.is_machine_fault


def is_noisy(trial: Trial) -> bool:
    """Whether others took the machine for more than a fifth of a trial's own measurement."""
    measured = trial.measurement
    return measured is not None and trial.reused_from is None and bool(measured.flags & NOISE)


def rules_out_its_model(trial: Trial) -> bool:
    """Whether no request count can help: the model could not even be opened."""
    failure = trial.failure
    return failure is not None and failure.phase != "load" and not failure.is_machine_fault


class History:
    """The trials of a study, in order; the last word on a configuration, or one to be tried again.

    Nothing is its configuration's doing until it had its tries: a crash happens twice, a lost
    worker three times, and a measurement that others disturbed is repeated, while such repetitions
    are a tenth of all trials at most.
    """

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self.trials: list[Trial] = []
        self.finished = 0
        """Trials with a result: those count against a budget."""
        self.refusals: list[Trial] = []
        """Those that rule out their model."""
        self._tries: Counter[Configuration] = Counter()
        self._open: dict[Configuration, Trial] = {}
        self._noisy = 0
        self._by_effective_key: dict[str, Trial] = {}
        self._effective: dict[tuple[object, int], Effective] = {}
        self._flags: dict[frozenset[Flag], frozenset[Flag]] = {}
        for trial in trials:
            self.add(trial)

    def add(self, trial: Trial) -> None:
        """Take in the next trial."""
        trial = self._lean(trial)
        is_final, configuration = self.is_final(trial), trial.configuration
        self.trials.append(trial)
        self._tries[configuration] += 1
        self._open.pop(configuration, None)
        if not is_final:
            self._open[configuration] = trial
            self._noisy += is_noisy(trial)
            return
        self.finished += not is_machine_fault(trial)
        if rules_out_its_model(trial):
            self.refusals.append(trial)
        if trial.measurement is not None and trial.reused_from is None:
            key = trial.measurement.opening.effective.key(configuration)
            self._by_effective_key[key] = trial

    def _lean(self, trial: Trial) -> Trial:
        """What many have in common is kept once: a night has thousands of trials and few models."""
        measured = trial.measurement
        if measured is None:
            return trial
        opening = measured.opening
        content = tuple(sorted(opening.effective.properties.items()))
        effective = self._effective.setdefault(
            (content, opening.effective.optimal_requests), opening.effective
        )
        lean = replace(
            measured,
            opening=replace(opening, effective=effective),
            flags=self._flags.setdefault(measured.flags, measured.flags),
        )
        return replace(trial, measurement=lean)

    def is_final(self, trial: Trial) -> bool:
        """Whether a trial that is not in it yet will be its configuration's last word."""
        if trial.failure is not None:
            most = trial.failure.tries
        elif is_noisy(trial) and self._noisy + 1 <= _NOISY_SHARE * len(self.trials):
            most = _NOISY_TRIES
        else:
            most = 1
        return self._tries[trial.configuration] + 1 >= most

    def is_open(self, trial: Trial) -> bool:
        """Whether a trial is the latest of a configuration that is to be tried again."""
        latest = self._open.get(trial.configuration)
        return latest is not None and latest.number == trial.number

    @property
    def open(self) -> list[Trial]:
        """The latest trials of the configurations that are to be tried again."""
        return list(self._open.values())

    def known(self, effective: Effective, configuration: Configuration) -> Trial | None:
        """The trial that measured what a configuration comes to, whatever it was asked for as."""
        return self._by_effective_key.get(effective.key(configuration))

    def is_hopeless(self, device: str) -> bool:
        """Whether a device has refused five models and never ran one: it is not tried any more."""
        if any(t.measurement and t.configuration.device == device for t in self.trials):
            return False
        refused = {
            trial.configuration.compile_key
            for trial in self.refusals
            if trial.configuration.device == device
        }
        return len(refused) >= MOST_REFUSALS

    def ruled_out(self) -> tuple[Sequence[Trial], Sequence[str]]:
        """One trial for each model that was ruled out, and the devices that were."""
        models = {trial.configuration.compile_key: trial for trial in self.refusals}
        devices = dict.fromkeys(trial.configuration.device for trial in models.values())
        return list(models.values()), [name for name in devices if self.is_hopeless(name)]
