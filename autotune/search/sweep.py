"""Another request count on a model that is open anyway: cheap when compiling is not."""

from autotune.domain.arrival import most_requests, saturated
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.limits import Eased
from autotune.domain.measurement import Measurement
from autotune.domain.verdicts import judged
from autotune.space.dimensions import DIMENSIONS
from autotune.space.space import Point, SearchSpace

_WORTHWHILE = 0.3
_PROMISING = 0.5


def is_worthwhile(measurement: Measurement) -> bool:
    """Whether opening the model cost enough, beside measuring it, to make more of it."""
    opening = measurement.opening
    cost = opening.start_s + opening.read_s + opening.compile_s
    return cost > _WORTHWHILE * measurement.measure_s


def next_point(
    space: SearchSpace, point: Point, measurement: Measurement, goal: Goal, best_per_s: float
) -> Point | None:
    """The neighbour in requests per stream that is most worth measuring, or None.

    In a saturated closed loop latency grows in proportion to the requests, so one measurement says
    which count would just meet the cap: above it, the largest smaller count that should; below it,
    the next larger one while it should and there is throughput to gain.
    """
    if goal.objective is Objective.LATENCY:  # more requests in flight only wait longer
        return None
    axis = DIMENSIONS.index("requests_per_stream")
    choices = space.choices["requests_per_stream"]
    here = choices[point[axis]]
    ratio = measurement.latency.goal_ms / goal.cap_ms if goal.cap_ms else 0.0
    if ratio > 1:
        fitting = [i for i in range(point[axis]) if choices[i] <= most_requests(ratio, here)]
        wanted = fitting[-1] if fitting else None
    else:
        larger = point[axis] + 1
        promising = measurement.throughput_per_s >= _PROMISING * best_per_s
        fits = larger < len(choices) and saturated(ratio, here, choices[larger]) <= 1
        wanted = larger if promising and fits else None
    if wanted is None or not _may_meet(measurement, goal, is_more=wanted > point[axis]):
        return None
    moved = (*point[:axis], wanted, *point[axis + 1 :])
    return moved if space.canonical(moved) == moved else None


def _may_meet(measurement: Measurement, goal: Goal, *, is_more: bool) -> bool:
    """Whether another request count may mend every limit that is missed."""
    mends = Eased.MORE if is_more else Eased.FEWER
    missed = [one.limit.row for one in judged(measurement, goal) if one.verdict is Verdict.MISSED]
    return all(row.eased is mends for row in missed)
