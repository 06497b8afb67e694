"""What to change where a budget cannot show the SLA, said while there is time to."""

import math
from collections.abc import Callable

from autotune.domain.budget import Budget
from autotune.domain.goal import Sla
from autotune.domain.trial import Trial
from autotune.domain.units import number
from autotune.measuring.measure import PROMISING_FACTOR
from autotune.racing.nomination import may_race, requests_per_s
from autotune.spec import StudySpec
from autotune.stats.tail_test import CERTIFICATE_ALPHA, requests_needed
from autotune.tuning.lineup import certificate_s


class Adviser:
    """Says once, at the first trial that may race, if the time cannot show the SLA."""

    def __init__(self, spec: StudySpec, items_per_request: int, say: Callable[[str], None]) -> None:
        self._spec = spec
        self._items_per_request = items_per_request
        self._say = say
        self._has_advised = False
        self._unread: set[tuple[str, str]] = set()

    def hear(self, trial: Trial, budget: Budget) -> None:
        """Take in the next trial, and the budget as it is by now."""
        self._tell_unread(trial)
        goal = self._spec.goal.goal
        if self._has_advised or goal.sla is None or not may_race(trial, goal):
            return
        self._has_advised = True
        for text in advice(self._spec, goal.sla, trial, budget, self._items_per_request):
            self._say(text)

    def _tell_unread(self, trial: Trial) -> None:
        """Once for each device and property."""
        if trial.measurement is None:
            return
        device = trial.configuration.device
        unread = trial.measurement.opening.effective.unread(trial.configuration)
        new = [name for name in unread if (device, name) not in self._unread]
        self._unread |= {(device, name) for name in new}
        if new:
            self._say(f"{device}: {', '.join(new)} cannot be read back: taken as requested")


def advice(
    spec: StudySpec, sla: Sla, trial: Trial, budget: Budget, items_per_request: int = 1
) -> list[str]:
    """What the speed of a trial says of the time for trials, and of the race's; nothing if enough.

    Args:
        spec: the study.
        sla: its own.
        trial: a measured one.
        budget: of the whole study.
        items_per_request: at batch 1.
    """
    rate, race = requests_per_s(trial, items_per_request), spec.race
    found = [_for_trials(rate, sla, PROMISING_FACTOR * spec.limit_s)]
    if budget.length_s is not None and race.share:
        most_s = race.most_share * budget.length_s
        needed_s = certificate_s([trial], spec.goal.goal, items_per_request)
        if needed_s > most_s:
            found.append(_for_race(rate, sla, needed_s, most_s, needed_s / race.most_share))
    return [text for text in found if text is not None]


def _for_trials(rate: float, sla: Sla, longest_s: float) -> str | None:
    """What to change where a trial cannot show the SLA even with no request over the cap."""
    needed = requests_needed(0, sla.percentile)
    if needed <= rate * longest_s:
        return None
    return (
        f"p{sla.percentile:g} needs at least {needed} requests for a verdict, "
        f"{_span(needed / rate)} at {number(rate, 3)} requests/s, but a trial may take "
        f"{_span(longest_s)}: give a longer [measure] limit or budget, or a lower percentile"
    )


def _for_race(rate: float, sla: Sla, needed_s: float, most_s: float, length_s: float) -> str:
    """What to change where the race cannot."""
    needed = requests_needed(0, sla.percentile, CERTIFICATE_ALPHA)
    return (
        f"a certificate of p{sla.percentile:g} takes at least {needed} requests each of the best "
        f"and of the hint: at {number(rate, 3)} requests/s a race of "
        f"{_span(needed_s)}, and this budget has {_span(most_s)} for it; give at least "
        f"{_span(length_s)}, or the result stays provisional"
    )


def _span(seconds: float) -> str:
    """At least so long, in seconds or minutes."""
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"
