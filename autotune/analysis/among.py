"""Which trials a question is about, beside the goal that they are judged by."""

from dataclasses import dataclass

from autotune.domain.accuracy import Accuracy
from autotune.domain.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """Trials that ran on a device, and whose answers are near enough."""

    device: str | None = None
    """None for any."""
    max_drop: float | None = None
    """What an accuracy may lose, absolute; None for what the study's guard let through."""

    def has(self, trial: Trial) -> bool:
        """Whether a trial is one of them; of one without a measurement the device alone counts."""
        if self.device not in {None, trial.configuration.device}:
            return False
        if self.max_drop is None or trial.measurement is None:
            return True
        return is_near(trial.measurement.opening.accuracy, self.max_drop)


def is_near(found: Accuracy | None, max_drop: float) -> bool:
    """Whether an accuracy was shown to lose no more; of what nobody looked at it was not."""
    bounds = None if found is None else found.bounds
    return bounds is not None and bounds.high <= max_drop


ALL = Among()
"""Whatever was measured."""
