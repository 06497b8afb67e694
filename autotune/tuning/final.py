"""The last stage of a study: the race, held once, gone on with, or begun anew."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from autotune.domain.events import Event, LaunchFinished, Noted, RaceFinished, RaceStarted
from autotune.domain.race import End, RaceResult
from autotune.domain.trial import Trial
from autotune.machines.ports import Runner
from autotune.racing.calibration import Calibration, tie_margin
from autotune.racing.launch import Venue
from autotune.racing.nomination import may_race
from autotune.racing.plan import MOST_LAUNCHES, RacePlan, opens_one_by_one
from autotune.racing.race import Race
from autotune.racing.stored import result_of
from autotune.spec import StudySpec
from autotune.storage.races import RaceLog, StoredRace, last_race
from autotune.storage.writer import StudyWriter
from autotune.tuning.allowance import Allowance
from autotune.tuning.lineup import UNTIMED_LAUNCHES, Lineup, certificate_s, line_up


class Finals:
    """The race of one study; every round is stored before the next begins."""

    def __init__(  # noqa: PLR0913 - the collaborators of the tuner
        self,
        spec: StudySpec,
        allowance: Allowance,
        *,
        store: StudyWriter,
        runner: Runner,
        calibration: Calibration | None,
        on_event: Callable[[Event], None],
        items_per_request: int = 1,
    ) -> None:
        self._items_per_request = items_per_request
        self._spec = spec
        self._goal = spec.goal.goal
        self._allowance = allowance
        self._store = store
        self._runner = runner
        self._calibration = calibration
        self._on_event = on_event
        self._wanted: tuple[int, float] | None = None

    def reserve_s(self, trials: Sequence[Trial]) -> float:
        """What the search must leave to the race of these trials.

        The study's share of the budget; more of a short one, as few launches cannot tell 4 % from
        a tie, and slow models need long for a certificate; and less of a long one, when even the
        most launches do not need it.
        """
        length_s, race = self._allowance.budget.length_s or 0.0, self._spec.race
        share_s = race.share * length_s
        if not share_s or not any(may_race(trial, self._goal) for trial in trials):
            return share_s
        if self._wanted is None or self._wanted[0] != len(trials):  # asked often for each trial
            dozen_s = line_up(trials, self._goal, None, None).budget_s
            certified_s = certificate_s(trials, self._goal, self._items_per_request)
            self._wanted = len(trials), max(dozen_s, certified_s)
        wanted_s = self._wanted[1]
        most_s = wanted_s * MOST_LAUNCHES / UNTIMED_LAUNCHES
        return min(max(share_s, wanted_s), race.most_share * length_s, most_s)

    def race(self, trials: Sequence[Trial]) -> RaceResult | None:
        """The race over these trials; None where none is wanted, possible or affordable.

        One that was held over just these trials is not held again; one that was cut off goes on,
        unless its slices would be pooled with those of another machine or runtime.

        Raises:
            KeyboardInterrupt: it was cut off before there was anything to say.
        """
        goal = self._goal
        if self._spec.race.share == 0 or not any(may_race(trial, goal) for trial in trials):
            return None
        stored = self._stored(trials)
        if stored is not None and self._is_over(stored, trials):
            return result_of(stored, self._goal)
        earlier = stored if stored is not None and self._may_go_on(stored) else None
        budget_s = self._budget_s(trials, 0.0 if earlier is None else earlier.duration_s)
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
            if result.end is End.STOPPED and not self._allowance.is_stopped:
                raise KeyboardInterrupt  # what ended the race ends the study
            return None
        self._on_event(RaceFinished(goal=goal, result=result))
        return result

    def held(self, trials: Sequence[Trial]) -> RaceResult | None:
        """What a stored race over just these trials says, if there is one."""
        stored = self._stored(trials)
        return None if stored is None else result_of(stored, self._goal)

    def _stored(self, trials: Sequence[Trial]) -> StoredRace | None:
        """The last race, if it was over just these trials."""
        stored = last_race(self._store)
        return None if stored is None or stored.trials != len(trials) else stored

    def _may_go_on(self, stored: StoredRace) -> bool:
        """Whether slices of now may be counted together with those of a race that was cut off."""
        if stored.feed is not self._spec.measure.feed:
            return False  # slices that were fed in another way are slices of another race
        place = self._store.place
        return place is not None and stored.places == {place.digest}

    def _is_over(self, stored: StoredRace, trials: Sequence[Trial]) -> bool:
        """Whether more time would add nothing to a race, or there is none."""
        if stored.end is not End.BUDGET:
            return stored.is_whole
        left_s = self._allowance.left_s()
        return left_s is None or left_s < line_up(trials, self._goal, left_s, stored).least_s

    def _ended(self, stored: StoredRace) -> RaceResult | None:
        """A race that was cut off, and for which there is no more time: it stands as it is."""
        if not stored.slices:
            return None
        RaceLog(self._store, stored.number).end(End.BUDGET, stored.duration_s)
        return result_of(replace(stored, end=End.BUDGET), self._goal)

    def _budget_s(self, trials: Sequence[Trial], raced_s: float) -> float | None:
        """What is left, and at least what was kept for the race; None when only trials count."""
        left_s = self._allowance.left_s()
        if left_s is None or self._allowance.budget.until_s is not None:
            return left_s
        return max(left_s, self.reserve_s(trials) - raced_s)

    def _hold(self, lineup: Lineup, trials: int) -> RaceResult:
        plan, earlier = self._plan(lineup), lineup.earlier
        log = self._log(lineup, plan, trials)

        def launched(race: Race) -> None:
            log.note(race.dossiers, race.readings)
            left_s = max(0.0, race.left_s)
            self._on_event(LaunchFinished(goal=self._goal, result=race.result(), left_s=left_s))

        race = Race(
            lineup.contenders,
            self._goal,
            plan,
            self._venue(),
            baseline=lineup.baseline,
            earlier=() if earlier is None else earlier.slices,
            dossiers={} if earlier is None else earlier.dossiers,
            readings=() if earlier is None else earlier.readings,
            doubts=self._store.doubts(),
            keep=lambda slices: log.keep(slices, self._allowance.elapsed_s()),
            on_launch=launched,
            is_stopped=lambda: self._allowance.is_stopped,
        )
        result = race.hold()
        log.note(race.dossiers, race.readings)
        log.end(result.end, result.duration_s)
        return result

    def _plan(self, lineup: Lineup) -> RacePlan:
        margin = tie_margin(self._calibration)
        noise = None if self._calibration is None else self._calibration.noise
        if lineup.earlier is not None:  # a race keeps the rules that it began with
            margin, noise = lineup.earlier.tie_margin, lineup.earlier.noise
        return RacePlan(
            budget_s=lineup.budget_s,
            launches=lineup.launches,
            seats=lineup.seats,
            tie_margin=margin,
            noise=noise,
            feed=self._spec.measure.feed,
            one_by_one=opens_one_by_one(self._goal),
            of_one_search=True,
            seed=self._spec.search.seed,
        )

    def _venue(self) -> Venue:
        runner = self._runner
        return Venue(
            open_model=lambda contender: runner.open(contender.configuration.compile_key),
            clock=runner.clock,
            side_by_side=lambda contenders: runner.side_by_side(
                [contender.configuration.compile_key for contender in contenders]
            ),
            free_memory=runner.free_memory,
        )

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


def _why_new(stored: StoredRace, spec: StudySpec) -> str:
    if stored.feed is not spec.measure.feed:
        return "inputs were fed in another way in the one before"
    return "the one before was held on another machine or runtime"


def _no_time(lineup: Lineup) -> str:
    return (
        f"no race: {max(0.0, lineup.budget_s):.0f} s are left for it and its first launch needs "
        f"{lineup.least_s:.0f} s; give a longer budget to have the result confirmed"
    )
