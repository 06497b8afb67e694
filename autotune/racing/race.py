"""Hold a race: for each launch fresh processes, resident side by side, in short turns.

Noise of a shared machine comes in bursts of seconds and hits whoever runs. Contenders that take
turns within a second are hit alike, so their ratio is known long before either of them is; random
order within each round keeps slow drift from favouring a place, and several launches show what
differs from process to process (Abedi and Brecht 2017; Kalibera and Jones 2013).
"""

import random
from collections.abc import Callable, Mapping, Sequence

from autotune.domain.doubts import Doubts
from autotune.domain.goal import Goal
from autotune.domain.race import Contender, Dossier, End, LaunchReadings, RaceResult, Slice
from autotune.racing.judge import Field, judge
from autotune.racing.launch import Launch, Venue
from autotune.racing.plan import RacePlan
from autotune.racing.policy import (
    NextLaunch,
    Situation,
    next_launch,
    prospects_after,
    why_end,
)
from autotune.racing.scorebook import Scorebook


class Race:
    """One race; `hold` is its life, `result` may be asked at any time."""

    def __init__(  # noqa: PLR0913 - what a race is made of
        self,
        contenders: Sequence[Contender],
        goal: Goal,
        plan: RacePlan,
        venue: Venue,
        *,
        baseline: int | None = None,
        earlier: Sequence[Slice] = (),
        dossiers: Mapping[int, Dossier] | None = None,
        readings: Sequence[LaunchReadings] = (),
        doubts: Doubts | None = None,
        keep: Callable[[Sequence[Slice]], None] = lambda _: None,
        on_launch: Callable[["Race"], None] = lambda _: None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare a race.

        Args:
            contenders: in order of promise; the baseline and the runtime's hints keep their seats.
            goal: decides the verdicts, and by what contenders are compared.
            plan: how long.
            venue: where.
            baseline: position of the contender that ratios are taken to, until the race knows of a
                better hint.
            earlier: slices of the same race before it was cut off.
            dossiers: what that part knew of the contenders, by position; who was dropped then stays
                out.
            readings: what its processes took beside their slices.
            doubts: what could not be shown of answers, whenever they were given.
            keep: is given the slices of every round, to store them.
            on_launch: hears of every finished launch.
            is_stopped: asked after every round; ends the race.
        """
        self.goal = goal
        self.plan = plan
        self._given_baseline = baseline
        self._doubts = doubts or Doubts()
        self._venue = venue
        self._keep = keep
        self._on_launch = on_launch
        self._is_stopped = is_stopped
        self._begun_s = venue.clock()
        self._before_s = max((taken.at_s for taken in earlier), default=0.0)
        self._book = Scorebook(contenders, baseline, earlier, dossiers or {}, readings)
        self.readings: Sequence[LaunchReadings] = self._book.readings
        """What every process took beside its slices, launch by launch."""
        seed = f"{plan.seed}/{self.launches}"
        self._order = random.Random(seed)  # noqa: S311 - an order of turns
        self._end: End | None = None
        if earlier:
            self._look()

    def hold(self) -> RaceResult:
        """Launch after launch, until there is a reason to end."""
        try:
            while self._end is None:
                following = self._next()
                if self._is_stopped():
                    self._end = End.STOPPED
                else:
                    self._end = why_end(self._situation(), following, self._field())
                if self._end is None:
                    self._launch(following)
        except KeyboardInterrupt:
            self._end = End.STOPPED
        return self.result()

    def result(self) -> RaceResult:
        """What is known now."""
        return judge(
            self._field(),
            end=self._end or End.BUDGET,
            duration_s=self._race_s(),
            noise=self.plan.noise,
        )

    @property
    def slices(self) -> Sequence[Slice]:
        """All so far, those of an earlier part first."""
        return self._book.slices

    @property
    def dossiers(self) -> Mapping[int, Dossier]:
        """What is known of the contenders beside their slices, by position."""
        return self._book.dossiers

    @property
    def launches(self) -> int:
        """Launches so far, those of an earlier part included."""
        return self._book.launches

    @property
    def baseline(self) -> int | None:
        """Position of the contender that ratios are taken to now."""
        return self._book.prospects.baseline

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return self.plan.budget_s - (self._venue.clock() - self._begun_s)

    def _race_s(self) -> float:
        """Seconds of the race, its earlier parts included."""
        return self._before_s + (self._venue.clock() - self._begun_s)

    def _situation(self) -> Situation:
        return self._book.situation(self.plan, self.left_s)

    def _next(self) -> NextLaunch:
        return next_launch(self._situation())

    def _launch(self, following: NextLaunch) -> None:
        launch = Launch(
            self._book,
            self.plan,
            self._venue,
            order=self._order,
            situation=self._situation,
            race_s=self._race_s,
            keep=self._keep,
            is_stopped=self._is_stopped,
        )
        if not launch.hold(following):
            self._end = End.EMPTY
            return
        self._book.launches += 1
        self._look()
        self._on_launch(self)

    def _look(self) -> None:
        """Who may still win, after a launch."""
        book = self._book
        book.note_prospects(prospects_after(self._field(), self.plan, book.prospects))

    def _field(self) -> Field:
        return Field(
            contenders=self._book.contenders,
            dossiers=self._book.dossiers,
            slices=self._book.slices,
            goal=self.goal,
            baseline=self._given_baseline,
            tie_margin=self.plan.tie_margin,
            feed=self.plan.feed,
            of_one_search=self.plan.of_one_search,
            doubts=self._doubts,
            launches=self._book.readings,
        )
