"""The last stage of a study: who races, for how long, and where every slice is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autotune.domain.goal import Goal
from autotune.domain.measurement import Feed
from autotune.domain.race import LEAST_LAUNCHES, Contender, End, RaceResult
from autotune.domain.trial import Trial
from autotune.execution.calibration import Calibration, tie_margin
from autotune.execution.race import Race, RacePlan, Venue
from autotune.execution.runner import Runner
from autotune.search.finalists import contenders, launch_s, seats
from autotune.storage.races import RaceLog, StoredRace, last_race
from autotune.storage.study_store import StudyStore

_LAUNCHES = 5
_FINALISTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finals:
    """A race that is about to be held or to go on."""

    contenders: Sequence[Contender]
    baseline: int | None
    seats: int
    budget_s: float
    least_s: float
    """What its first launch needs."""
    earlier: StoredRace | None
    """The same race, cut off before."""

    @property
    def names(self) -> tuple[str, ...]:
        """Who has a seat in the first launch."""
        others = [c.name for c in self.contenders if not c.is_default]
        hints = [c.name for c in self.contenders if c.is_default]
        return (*others[: self.seats], *hints)


def finals(
    trials: Sequence[Trial], goal: Goal, budget_s: float | None, stored: StoredRace | None
) -> Finals:
    """Who races after these trials; a race over the same trials that was cut off goes on.

    Without a budget in time, the race may take what the launches aimed at need.
    """
    if stored is not None and stored.trials == len(trials) and not _is_whole(stored):
        entered, baseline = list(stored.field.contenders), stored.field.baseline
    else:
        entered, baseline = contenders(trials, goal)
        stored = None
    numbers = {trial.number: trial for trial in trials}
    costs = [(c.is_default, launch_s(numbers[c.trial])) for c in entered if c.trial in numbers]
    hints_s = sum(cost for is_hint, cost in costs if is_hint)
    finalists_s = [cost for is_hint, cost in costs if not is_hint]
    if budget_s is None:
        budget_s = _LAUNCHES * (hints_s + sum(finalists_s[:_FINALISTS]))
    places = seats(finalists_s, hints_s, budget_s, LEAST_LAUNCHES)
    return Finals(
        contenders=entered,
        baseline=baseline,
        seats=places,
        budget_s=budget_s,
        least_s=hints_s + sum(finalists_s[:places]),
        earlier=stored,
    )


def finished_race(store: StudyStore, goal: Goal, trials: Sequence[Trial]) -> StoredRace | None:
    """The stored race over just these trials, if it was held to its end."""
    stored = last_race(store, goal)
    if stored is None or stored.trials != len(trials) or not _is_whole(stored):
        return None
    return stored


def _is_whole(stored: StoredRace) -> bool:
    return stored.end not in {None, End.STOPPED}


def hold(  # noqa: PLR0913 - what a race is made of
    entered: Finals,
    goal: Goal,
    *,
    trials: int,
    calibration: Calibration | None,
    feed: Feed,
    seed: int,
    runner: Runner,
    store: StudyStore,
    elapsed_s: Callable[[], float],
    on_launch: Callable[[Race], None],
    is_stopped: Callable[[], bool],
) -> RaceResult:
    """Hold the race; every round is stored before the next begins."""
    plan = RacePlan(
        budget_s=entered.budget_s,
        launches=_LAUNCHES,
        seats=entered.seats,
        tie_margin=tie_margin(calibration),
        noise=None if calibration is None else calibration.noise,
        feed=feed,
        seed=seed,
    )
    earlier = entered.earlier
    log = (
        RaceLog(store, earlier.number)
        if earlier is not None
        else RaceLog.begin(
            store,
            entered.contenders,
            trials=trials,
            baseline=entered.baseline,
            feed=feed,
            tie_margin=plan.tie_margin,
            noise=plan.noise,
        )
    )

    def launched(race: Race) -> None:
        log.note(race.entries)
        on_launch(race)

    race = Race(
        entered.contenders,
        goal,
        plan,
        Venue(
            open_model=lambda contender: runner.open(contender.configuration.compile_key),
            clock=runner.clock,
            free_memory=runner.free_memory,
        ),
        baseline=entered.baseline,
        earlier=() if earlier is None else earlier.field.slices,
        entries={} if earlier is None else earlier.field.entries,
        keep=lambda slices: log.keep(slices, elapsed_s()),
        on_launch=launched,
        is_stopped=is_stopped,
    )
    result = race.hold()
    log.note(race.entries)
    log.end(result.end, result.duration_s)
    return result
