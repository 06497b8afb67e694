"""What each device of a study came to."""

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.domain.goal import Goal
from autotune.domain.ranking import best, better_hint, nearest_miss
from autotune.domain.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSummary:
    """One device's share of a study."""

    device: str
    trials: int
    best: Trial | None
    """Of the search, under the goal; None where nothing was shown to meet it."""
    hint: Trial | None
    """Its better hint; None where none was measured."""
    nearest: Trial | None
    """Where there is no best, what comes nearest to the cap and all limits; None where nothing was
    measured."""
    failure: Trial | None
    """The last trial that failed; None where none did."""

    @property
    def is_measured(self) -> bool:
        """Whether anything ran on it."""
        return self.best is not None or self.nearest is not None


def by_device(trials: Sequence[Trial], goal: Goal) -> tuple[DeviceSummary, ...]:
    """Every device that was tried, in the order in which they were.

    Args:
        trials: judged by the goal.
        goal: what the best is the best for.
    """
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.configuration.device, []).append(trial)
    return tuple(_summary(device, own, goal) for device, own in found.items())


def _summary(device: str, trials: Sequence[Trial], goal: Goal) -> DeviceSummary:
    leader = best(trials, goal)
    failed = [trial for trial in trials if trial.failure is not None]
    return DeviceSummary(
        device=device,
        trials=len(trials),
        best=leader,
        hint=better_hint(trials, goal),
        nearest=nearest_miss(trials, goal) if leader is None else None,
        failure=failed[-1] if failed else None,
    )
