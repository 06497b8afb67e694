"""The last stage of a study: who races, for how long, and where every slice is kept."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autotune.domain.budget import Budget
from autotune.domain.events import Event, LaunchFinished, Noted, RaceFinished, RaceStarted
from autotune.domain.goal import Goal, Sla
from autotune.domain.race import LEAST_LAUNCHES, Contender, End, RaceResult
from autotune.domain.trial import Trial
from autotune.machines.ports import Runner
from autotune.measuring.measure import PROMISING_FACTOR
from autotune.racing.calibration import Calibration, tie_margin
from autotune.racing.nomination import (
    contender,
    contenders,
    launch_s,
    load_s,
    may_race,
    requests_per_s,
    seats,
)
from autotune.racing.race import LAUNCHES, MOST_LAUNCHES, Race, RacePlan, Venue
from autotune.spec import StudySpec
from autotune.stats.tail_test import CERTIFICATE_ALPHA, requests_needed
from autotune.storage.races import RaceLog, StoredRace, last_race
from autotune.storage.study_store import StudyStore

_UNTIMED_LAUNCHES = 12
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


class Finals:
    """The race of one study; every round is stored before the next begins."""

    def __init__(  # noqa: PLR0913 - the collaborators of the tuner
        self,
        spec: StudySpec,
        *,
        store: StudyStore,
        runner: Runner,
        calibration: Calibration | None,
        on_event: Callable[[Event], None],
        elapsed_s: Callable[[], float],
        is_stopped: Callable[[], bool],
        items_per_request: int = 1,
    ) -> None:
        self._items_per_request = items_per_request
        self._spec = spec
        self._goal = spec.goal.goal
        self._store = store
        self._runner = runner
        self._calibration = calibration
        self._on_event = on_event
        self._elapsed_s = elapsed_s
        self._is_stopped = is_stopped
        self._has_advised = False
        self._wanted: tuple[int, float] | None = None

    def reserve_s(self, budget: Budget, trials: Sequence[Trial]) -> float:
        """What the search must leave to the race of these trials.

        The study's share of the budget; more of a short one, as few launches cannot tell 4 % from
        a tie, and slow models need long for a certificate; and less of a long one, when even the
        most launches do not need it.
        """
        length_s, race = budget.length_s or 0.0, self._spec.race
        share_s = race.share * length_s
        if not share_s or not any(may_race(trial, self._goal) for trial in trials):
            return share_s
        if self._wanted is None or self._wanted[0] != len(trials):  # asked twice for each trial
            dozen_s = line_up(trials, self._goal, None, None).budget_s
            certified_s = certificate_s(trials, self._goal, self._items_per_request)
            self._wanted = len(trials), max(dozen_s, certified_s)
        wanted_s = self._wanted[1]
        most_s = wanted_s * MOST_LAUNCHES / _UNTIMED_LAUNCHES
        return min(max(share_s, wanted_s), race.most_share * length_s, most_s)

    def advise(self, trial: Trial, budget: Budget) -> None:
        """Say once, at the first trial that may race, if the time cannot show the SLA."""
        sla = self._goal.sla
        if self._has_advised or sla is None or not may_race(trial, self._goal):
            return
        self._has_advised = True
        rate = requests_per_s(trial, self._items_per_request)
        advice = [_advice_for_trials(rate, sla, PROMISING_FACTOR * self._spec.limit_s)]
        if budget.length_s is not None and self._spec.race.share:
            most_s = self._spec.race.most_share * budget.length_s
            needed_s = certificate_s([trial], self._goal, self._items_per_request)
            if needed_s > most_s:
                length_s = needed_s / self._spec.race.most_share
                advice.append(_advice_for_race(rate, sla, needed_s, most_s, length_s))
        for text in filter(None, advice):
            self._on_event(Noted(text=text))

    def race(self, trials: Sequence[Trial], budget: Budget) -> RaceResult | None:
        """The race over these trials; None where none is wanted, possible or affordable.

        One that was held over just these trials is not held again; one that was cut off goes on,
        unless its slices would be pooled with those of another machine or runtime.

        Raises:
            KeyboardInterrupt: it was cut off before there was anything to say.
        """
        goal = self._goal
        if self._spec.race.share == 0 or not any(may_race(trial, goal) for trial in trials):
            return None
        stored = last_race(self._store, goal)
        if stored is not None and stored.trials != len(trials):
            stored = None
        if stored is not None and self._is_over(stored, trials, budget):
            return stored.result()
        earlier = stored if stored is not None and self._may_go_on(stored) else None
        raced_s = 0.0 if earlier is None else earlier.duration_s
        budget_s = self._budget_s(trials, budget, raced_s)
        lineup = line_up(trials, goal, budget_s, earlier, self._items_per_request)
        if lineup.budget_s < lineup.least_s:
            self._on_event(Noted(text=_no_time(lineup)))
            return None if stored is None else self._ended(stored)
        if stored is not None and earlier is None:
            self._on_event(Noted(text=f"a new race begins: {_why_new(stored, self._spec)}"))
        noise = None if self._calibration is None else str(self._calibration)
        self._on_event(RaceStarted(names=lineup.names, budget_s=lineup.budget_s, calibration=noise))
        result = self._hold(lineup, len(trials))
        if not result.launches:  # stopped before anybody ran, or memory for nobody
            if result.end is End.STOPPED and not self._is_stopped():
                raise KeyboardInterrupt  # what ended the race ends the study
            return None
        self._on_event(RaceFinished(goal=goal, result=result))
        return result

    def _may_go_on(self, stored: StoredRace) -> bool:
        """Whether slices of now may be counted together with those of a race that was cut off."""
        if stored.field.feed is not self._spec.measure.feed:
            return False  # slices that were fed in another way are slices of another race
        place = self._store.place
        return place is not None and stored.places == {place.digest}

    def held(self, trials: Sequence[Trial]) -> RaceResult | None:
        """What a stored race over just these trials says, if there is one."""
        stored = last_race(self._store, self._goal)
        return None if stored is None or stored.trials != len(trials) else stored.result()

    def _is_over(self, stored: StoredRace, trials: Sequence[Trial], budget: Budget) -> bool:
        """Whether more time would add nothing to a race, or there is none."""
        if stored.end is not End.BUDGET:
            return stored.is_whole
        left_s = budget.left_s(self._elapsed_s())
        return left_s is None or left_s < line_up(trials, self._goal, left_s, stored).least_s

    def _ended(self, stored: StoredRace) -> RaceResult | None:
        """A race that was cut off, and for which there is no more time: it stands as it is."""
        if not stored.field.slices:
            return None
        RaceLog(self._store, stored.number).end(End.BUDGET, stored.duration_s)
        return replace(stored, end=End.BUDGET).result()

    def _budget_s(self, trials: Sequence[Trial], budget: Budget, raced_s: float) -> float | None:
        """What is left, and at least what was kept for the race; None when only trials count."""
        left_s = budget.left_s(self._elapsed_s())
        if left_s is None or budget.until_s is not None:
            return left_s
        return max(left_s, self.reserve_s(budget, trials) - raced_s)

    def _hold(self, lineup: Lineup, trials: int) -> RaceResult:
        margin = tie_margin(self._calibration)
        noise = None if self._calibration is None else self._calibration.noise
        if lineup.earlier is not None:  # a race keeps the rules that it began with
            margin, noise = lineup.earlier.field.tie_margin, lineup.earlier.noise
        plan = RacePlan(
            budget_s=lineup.budget_s,
            launches=lineup.launches,
            seats=lineup.seats,
            tie_margin=margin,
            noise=noise,
            feed=self._spec.measure.feed,
            of_one_search=True,
            seed=self._spec.search.seed,
        )
        log = self._log(lineup, plan, trials)

        def launched(race: Race) -> None:
            log.note(race.dossiers)
            left_s = max(0.0, race.left_s)
            self._on_event(LaunchFinished(goal=self._goal, result=race.result(), left_s=left_s))

        runner, earlier = self._runner, lineup.earlier
        race = Race(
            lineup.contenders,
            self._goal,
            plan,
            Venue(
                open_model=lambda contender: runner.open(contender.configuration.compile_key),
                clock=runner.clock,
                side_by_side=lambda contenders: runner.side_by_side(
                    [contender.configuration.compile_key for contender in contenders]
                ),
                free_memory=runner.free_memory,
            ),
            baseline=lineup.baseline,
            earlier=() if earlier is None else earlier.field.slices,
            dossiers={} if earlier is None else earlier.field.dossiers,
            doubts=self._store.doubts(),
            keep=lambda slices: log.keep(slices, self._elapsed_s()),
            on_launch=launched,
            is_stopped=self._is_stopped,
        )
        result = race.hold()
        log.note(race.dossiers)
        log.end(result.end, result.duration_s)
        return result

    def _log(self, lineup: Lineup, plan: RacePlan, trials: int) -> RaceLog:
        if lineup.earlier is not None:
            return RaceLog.resume(self._store, lineup.earlier.number)
        return RaceLog.begin(
            self._store,
            lineup.contenders,
            trials=trials,
            baseline=lineup.baseline,
            feed=plan.feed,
            tie_margin=plan.tie_margin,
            noise=plan.noise,
        )


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
        entered, baseline = list(earlier.field.contenders), earlier.field.baseline
    else:
        entered, baseline = contenders(trials, goal, items_per_request)
    numbers = {trial.number: trial for trial in trials}
    costs = [0.0 if c.trial is None else launch_s(numbers[c.trial]) for c in entered]
    hints_s = sum(cost for c, cost in zip(entered, costs, strict=True) if c.is_default)
    others_s = [cost for c, cost in zip(entered, costs, strict=True) if not c.is_default]
    aim = LAUNCHES
    if budget_s is None:
        aim = _UNTIMED_LAUNCHES
        budget_s = _UNTIMED_LAUNCHES * (hints_s + sum(others_s[:_TYPICAL]))
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


def _advice_for_trials(rate: float, sla: Sla, longest_s: float) -> str | None:
    """What to change where a trial cannot show the SLA even with no request over the cap."""
    needed = requests_needed(0, sla.percentile)
    if needed <= rate * longest_s:
        return None
    return (
        f"p{sla.percentile:g} needs at least {needed} requests for a verdict, "
        f"{_span(needed / rate)} at {rate:.3g} requests/s, but a trial may take "
        f"{_span(longest_s)}: give a longer [measure] limit or budget, or a lower percentile"
    )


def _advice_for_race(rate: float, sla: Sla, needed_s: float, most_s: float, length_s: float) -> str:
    """What to change where the race cannot."""
    needed = requests_needed(0, sla.percentile, CERTIFICATE_ALPHA)
    return (
        f"a certificate of p{sla.percentile:g} takes at least {needed} requests each of the best "
        f"and of the hint: at {rate:.3g} requests/s a race of "
        f"{_span(needed_s)}, and this budget has {_span(most_s)} for it; give at least "
        f"{_span(length_s)}, or the result stays provisional"
    )


def _span(seconds: float) -> str:
    """At least so long, in seconds or minutes."""
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"


def _why_new(stored: StoredRace, spec: StudySpec) -> str:
    if stored.field.feed is not spec.measure.feed:
        return "inputs were fed in another way in the one before"
    return "the one before was held on another machine or runtime"


def _no_time(lineup: Lineup) -> str:
    return (
        f"no race: {max(0.0, lineup.budget_s):.0f} s are left for it and its first launch needs "
        f"{lineup.least_s:.0f} s; give a longer budget to have the result confirmed"
    )
