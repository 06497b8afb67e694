"""What the sampler is told of a trial: values and a constraint for each limit, always the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from autotune.domain.goal import Goal, Objective
from autotune.domain.trial import Trial
from autotune.domain.verdicts import LATENCY, excesses, worth

CONSTRAINT = LATENCY
"""Key of the constraint that every study has; at most zero is feasible."""
SPEED = "throughput_per_s"
"""User attribute of a trial whose value is neither throughput nor latency: items per second."""
CLIP = 3.0
_FAILED_LATENCY_MS = 1e6


@dataclass(frozen=True, slots=True)
class Score:
    """Values in the order of the study's directions."""

    values: tuple[float, ...]
    constraints: Mapping[str, float]
    """By key: that of the latency, then those of the goal's limits."""
    speed_per_s: float | None = None
    """Items per second, where the values do not say and a limit may hang on it."""


def score(trial: Trial, goal: Goal) -> Score:
    """The score of a finished trial.

    A constraint is ln(reading / limit), or ln(limit / reading) of a floor, clipped to [-3, 3], so
    that violations of different kind and size compare; without a cap the latency's is at its best.
    A failure of the configuration's own making stands at the clip in all of them, with the worst
    values, because samplers do not see failed trials and would try it again. So does a reading
    that could not be taken: what cannot be seen to be kept is not.
    """
    measurement = trial.measurement
    if measurement is None:
        keys = (CONSTRAINT, *(limit.name for limit in goal.limits))
        return Score(_values(goal, 0.0, _FAILED_LATENCY_MS, 0.0), dict.fromkeys(keys, CLIP))
    over = {CONSTRAINT: -CLIP, **excesses(measurement, goal)}
    constraints = {key: CLIP if one is None else _clipped(one) for key, one in over.items()}
    seen = worth(measurement, goal)
    speed = measurement.throughput_per_s
    values = _values(goal, speed, measurement.latency.goal_ms, 0.0 if seen is None else seen.mean)
    return Score(values, constraints, speed if goal.objective is Objective.EFFICIENCY else None)


def _values(
    goal: Goal, throughput: float, latency_ms: float, efficiency: float
) -> tuple[float, ...]:
    match goal.objective:
        case Objective.THROUGHPUT:
            return (throughput,)
        case Objective.LATENCY:
            return (latency_ms,)
        case Objective.EFFICIENCY:
            return (efficiency,)
        case Objective.PARETO:
            return (throughput, latency_ms)


def _clipped(value: float) -> float:
    return min(CLIP, max(-CLIP, value))


def constraint_of(told: FrozenTrial, key: str = CONSTRAINT) -> float:
    """A constraint that a finished trial was told with."""
    return told.constraints[key]


def is_failure(told: FrozenTrial) -> bool:
    """Whether a finished trial stands for a failure: nothing measured is that bad."""
    return constraint_of(told) >= CLIP and told.values[0] in {0.0, _FAILED_LATENCY_MS}
