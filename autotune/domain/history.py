"""What the trials of a study so far say about the next one."""

from collections import Counter
from collections.abc import Sequence

from autotune.domain.configuration import Configuration
from autotune.domain.trial import Origin, Trial

MOST_REFUSALS = 5
"""How many models a device may refuse before it is ruled out."""
MOST_TRIES = 3
"""How often a configuration is tried that meets nothing but machine faults."""


def is_machine_fault(trial: Trial) -> bool:
    """Whether the configuration is not to blame for the failure."""
    return trial.failure is not None and trial.failure.is_machine_fault


def rules_out_its_model(trial: Trial) -> bool:
    """Whether no request count can help: the model could not even be opened."""
    failure = trial.failure
    return failure is not None and failure.phase != "load" and not failure.is_machine_fault


def is_hopeless(device: str, trials: Sequence[Trial]) -> bool:
    """Whether a device has refused five models and never ran one: it is not tried any more."""
    mine = [trial for trial in trials if trial.configuration.device == device]
    if any(trial.measurement for trial in mine):
        return False
    refused = {t.configuration.compile_key for t in mine if rules_out_its_model(t)}
    return len(refused) >= MOST_REFUSALS


def finished(trials: Sequence[Trial]) -> int:
    """Trials with a result: machine faults do not count against a budget."""
    return sum(not is_machine_fault(trial) for trial in trials)


def unlucky(trials: Sequence[Trial]) -> dict[Configuration, Origin]:
    """What has met nothing but machine faults, and fewer than the most tries: to be tried again."""
    settled = {trial.configuration for trial in trials if not is_machine_fault(trial)}
    faults = Counter(trial.configuration for trial in trials if is_machine_fault(trial))
    origins = {trial.configuration: trial.origin for trial in trials}
    return {
        configuration: origins[configuration]
        for configuration, count in faults.items()
        if configuration not in settled and count < MOST_TRIES
    }
