"""What the sampler is told of a trial: values and one constraint, always the same keys."""

import math
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import TICK_MS
from autotune.domain.trial import Trial

CONSTRAINT = "latency"
"""The one constraint's key; at most zero is feasible."""
CLIP = 3.0
_FAILED_LATENCY_MS = 1e6


@dataclass(frozen=True, slots=True)
class Score:
    """Values in the order of the study's directions."""

    values: tuple[float, ...]
    constraint: float


def score(trial: Trial, goal: Goal) -> Score:
    """The score of a finished trial.

    The constraint is ln(latency percentile / cap), clipped to [-3, 3], so that violations of
    different size compare; a failure of the configuration's own making stands at the clip, with
    the worst values, because samplers do not see failed trials and would try it again.
    """
    measurement = trial.measurement
    throughput, latency, constraint = 0.0, _FAILED_LATENCY_MS, CLIP
    if measurement is not None:
        throughput, latency = measurement.throughput_per_s, measurement.latency.goal_ms
        constraint = -CLIP
        if goal.cap_ms is not None:
            ratio = max(latency, TICK_MS) / goal.cap_ms  # a latency may be below one tick
            constraint = min(CLIP, max(-CLIP, math.log(ratio)))
    values = {
        Objective.THROUGHPUT: (throughput,),
        Objective.LATENCY: (latency,),
        Objective.PARETO: (throughput, latency),
    }
    return Score(values[goal.objective], constraint)


def constraint_of(told: FrozenTrial) -> float:
    """The constraint that a finished trial was told with."""
    return told.constraints[CONSTRAINT]


def is_failure(told: FrozenTrial) -> bool:
    """Whether a finished trial stands for a failure: nothing measured is that bad."""
    return constraint_of(told) >= CLIP and told.values[0] in {0.0, _FAILED_LATENCY_MS}
