"""How long a race may be: launches, rounds, slices, seats."""

from dataclasses import dataclass

from autotune.domain.goal import Goal
from autotune.domain.measurement import Feed

LAUNCHES = 7
MOST_LAUNCHES = 40
WARM_UP_S = 0.25
WARM_ROUNDS = 3
"""Of all requests, at least, where that takes longer."""
SLICE_S = 0.5
_IDLE, _LONGEST_SLICE = 0.25, 4
"""Filling and draining over a slice, and how many times longer slices may become for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RacePlan:
    """How long to race.

    It ends at the first of: everything is settled; the next launch would not fit in `budget_s`;
    `most_launches` were held; the user says stop.
    """

    budget_s: float
    launches: int = LAUNCHES
    """Launches to aim at: rounds are cut for them where the budget is short, but not so far that
    the requests of a verdict are not reached: then it is launches that are cut."""
    least_launches: int = LAUNCHES
    """Nothing counts as settled before so many, or those aimed at if they are fewer."""
    most_launches: int = MOST_LAUNCHES
    rounds: int = 5
    """Most rounds of a launch, unless verdicts lack requests: another launch tells more. The best
    number is sqrt(launch cost / slice cost x slice variance / launch variance) (Kalibera and
    Jones 2013), measured as 3.5 with 1.6 s, 0.5 s, 2.5 % and 1.3 %."""
    seats: int = 4
    """Most contenders in one launch beside the baseline and the hints, who always have a seat."""
    drops: bool = True
    """Whether those leave who clearly miss the SLA or are shown to be slower, so that the others
    get their time; else only a failure ends a contender's turns."""
    slice_s: float = SLICE_S
    warmup_s: float = WARM_UP_S
    """Fresh processes of the five example models were 2 to 9 % slower in their first 0.2 s, and
    within 1 % of what they did later from then on."""
    tie_margin: float = 0.01
    noise: float | None = None
    """The machine's calibrated A/A noise, for the record; `tie_margin` is what counts."""
    feed: Feed = Feed.BIND
    one_by_one: bool = False
    """Whether models are opened one after another, as a limit is on what opening takes."""
    of_one_search: bool = False
    """Whether the contenders are what one search found: it is believed a little, and they are what
    they are for having looked fast."""
    seed: int = 0


def opens_one_by_one(goal: Goal) -> bool:
    """Whether a limit is on what opening takes: side by side, each model waits for the others."""
    return any(limit.row.of_opening is not None for limit in goal.limits)


def longer_slice_s(slice_s: float, idle_s: float) -> float:
    """Length of a slice where load is short: filling and draining take a fifth of its turn."""
    return min(max(slice_s, idle_s / _IDLE), _LONGEST_SLICE * slice_s)
