"""Who enters a study's race, for how long, and what a certificate takes of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.domain.goal import Goal
from autotune.domain.race import LEAST_LAUNCHES, Contender
from autotune.domain.trial import Trial
from autotune.racing.nomination import contender, contenders, launch_s, load_s, seats
from autotune.racing.plan import LAUNCHES
from autotune.stats.tail_test import CERTIFICATE_ALPHA, requests_needed
from autotune.storage.races import StoredRace

UNTIMED_LAUNCHES = 12
"""Where a budget gives no time: with few, processes that differ by 2 % hide a gain of 4 %."""
_TYPICAL = 3
"""How many run beside the hints then, as a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """Who enters a race, and for how long."""

    contenders: Sequence[Contender]
    baseline: int | None
    seats: int
    """How many run in each launch beside the hints."""
    launches: int
    """Launches to aim at."""
    budget_s: float
    least_s: float
    """What the first launch needs."""
    earlier: StoredRace | None
    """The same race, cut off before."""

    @property
    def names(self) -> tuple[str, ...]:
        """Who has a seat in the first launch."""
        others = [c.name for c in self.contenders if not c.is_default]
        hints = [c.name for c in self.contenders if c.is_default]
        return (*others[: self.seats], *hints)


def line_up(
    trials: Sequence[Trial],
    goal: Goal,
    budget_s: float | None,
    earlier: StoredRace | None,
    items_per_request: int = 1,
) -> Lineup:
    """Who races after these trials, or goes on with a race that was cut off.

    Without a budget in time, the race may take what a dozen launches need.
    """
    if earlier is not None:
        entered, baseline = list(earlier.contenders), earlier.baseline
    else:
        entered, baseline = contenders(trials, goal, items_per_request)
    numbers = {trial.number: trial for trial in trials}
    costs = [0.0 if c.trial is None else launch_s(numbers[c.trial]) for c in entered]
    hints_s = sum(cost for c, cost in zip(entered, costs, strict=True) if c.is_default)
    others_s = [cost for c, cost in zip(entered, costs, strict=True) if not c.is_default]
    aim = LAUNCHES
    if budget_s is None:
        aim = UNTIMED_LAUNCHES
        budget_s = UNTIMED_LAUNCHES * (hints_s + sum(others_s[:_TYPICAL]))
    # After the first launch only the better hint is left of the hints, as a rule.
    kept_s = 0.0 if baseline is None else costs[baseline]
    launches = LEAST_LAUNCHES + 1  # one to spare: launches take longer than planned as a rule
    places = seats(others_s, budget_s - hints_s - (launches - 1) * kept_s, launches)
    return Lineup(
        contenders=entered,
        baseline=baseline,
        seats=places,
        launches=aim,
        budget_s=budget_s,
        least_s=hints_s + sum(others_s[:places]),
        earlier=earlier,
    )


def certificate_s(trials: Sequence[Trial], goal: Goal, items_per_request: int = 1) -> float:
    """Least time of a race in which the best of these trials and the better hint are certified.

    A launch of two others, three of those two, and the requests that their verdicts take; of one
    trial as if it were each of them.
    """
    entered, baseline = contenders(trials, goal)
    if goal.sla is None or not entered:
        return 0.0
    numbers = {trial.number: trial for trial in trials}
    pair = [numbers[c.trial] for c in (entered[0], entered[baseline or 0]) if c.trial is not None]
    needed = requests_needed(0, goal.sla.percentile, CERTIFICATE_ALPHA)
    loads_s = sum(load_s(trial, needed, items_per_request) for trial in pair)
    opening_s = sum(contender(trial).open_s for trial in pair)
    return 2 * launch_s(pair[-1]) + LEAST_LAUNCHES * opening_s + loads_s
