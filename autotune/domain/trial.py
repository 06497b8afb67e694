"""A trial: one configuration, tried once, with a measurement or a failure to show for it."""

from dataclasses import dataclass
from enum import StrEnum

from autotune.domain.failure import Failure
from autotune.domain.measurement import Measurement
from autotune.space.configuration import Configuration


class Origin(StrEnum):
    """Who proposed a configuration."""

    SEED = "seed"  # a hint or another baseline that every study measures first
    WARM = "warm"  # one of the best of another study
    SAMPLED = "sampled"  # the sampler
    SWEEP = "sweep"  # another request count on a model that was open anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A finished trial; exactly one of `measurement` and `failure` is set."""

    number: int
    """Number of the Optuna trial, from 0."""
    configuration: Configuration
    origin: Origin
    measurement: Measurement | None = None
    failure: Failure | None = None
    reused_from: int | None = None
    """The trial whose effective configuration is the same, so that nothing was measured."""

    def __post_init__(self) -> None:
        if (self.measurement is None) == (self.failure is None):
            message = "a trial has either a measurement or a failure"
            raise ValueError(message)
