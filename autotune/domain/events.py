"""What the tuner says while it works; whoever listens decides what to print."""

from dataclasses import dataclass

from autotune.domain.goal import Goal
from autotune.domain.race import RaceResult
from autotune.domain.trial import Origin, Trial
from autotune.space.configuration import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOpened:
    """The study is locked, checked and ready."""

    name: str
    goal: Goal
    machine: str
    space_size: int
    trials_before: int
    spent_s: float
    budget_s: float | None
    budget_trials: int | None
    notes: tuple[str, ...]
    items_per_request: int = 1
    """At batch 1."""
    inputs: str = "random data"
    """What requests are fed with, and how, in words."""
    core_budget: str | None = None
    """What of the machine is used, in words; None for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A configuration's turn has begun."""

    configuration: Configuration
    origin: Origin
    left_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFinished:
    """A trial was recorded and told."""

    goal: Goal
    trial: Trial
    best: Trial | None
    better_hint: Trial | None
    trials: int
    """Trials with a result so far, this one included."""
    left_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """A step of what takes long before the first trial."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something that the user should know now."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceStarted:
    """The search is over; these compete."""

    names: tuple[str, ...]
    budget_s: float
    calibration: str | None
    """The machine's A/A noise in words; None where it was never calibrated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFinished:
    """One set of fresh processes has had its rounds."""

    goal: Goal
    result: RaceResult
    """What is known so far."""
    left_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceFinished:
    """The race is over."""

    goal: Goal
    result: RaceResult


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFinished:
    """The tuner stops, for one of: budget, trials, exhausted, stopped, interrupted."""

    reason: str


Event = (
    StudyOpened
    | TrialStarted
    | TrialFinished
    | Preparing
    | Noted
    | RaceStarted
    | LaunchFinished
    | RaceFinished
    | StudyFinished
)
