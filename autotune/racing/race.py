"""Hold a race: for each launch fresh processes, resident side by side, in short turns.

Noise of a shared machine comes in bursts of seconds and hits whoever runs. Contenders that take
turns within a second are hit alike, so their ratio is known long before either of them is; random
order within each round keeps slow drift from favouring a place, and several launches show what
differs from process to process (Abedi and Brecht 2017; Kalibera and Jones 2013).
"""

import contextlib
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from autotune.domain.doubts import Doubts
from autotune.domain.failure import Failure, TrialFault
from autotune.domain.goal import Goal, Verdict
from autotune.domain.measurement import Feed, Opening
from autotune.domain.race import (
    LEAST_LAUNCHES,
    Contender,
    Dossier,
    Dropped,
    End,
    RaceResult,
    Slice,
)
from autotune.machines.ports import Load, OpenModel
from autotune.measuring.measure import take_slice
from autotune.racing.choice import fastest, is_hopeless, may_win
from autotune.racing.judge import Field, judge

LAUNCHES = 7
MOST_LAUNCHES = 40
_MOST_FAULTS = 2
_MOST_ROUNDS = 40
_SPARE_MEMORY = 1.25
_PRECISE = 0.02
_TURN = 1.1
"""Of a slice, with filling and draining, as long as nobody knows."""
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
    of_one_search: bool = False
    """Whether the contenders are what one search found: it is believed a little, and they are what
    they are for having looked fast."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Next:
    """The next launch."""

    wanted: Sequence[int]
    """Who would have a seat if there were time."""
    seated: Sequence[int]
    """Who has one."""
    lacking: int
    """Rounds until the verdicts of those whom it was given for have their requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """What a race needs of the machine."""

    open_model: Callable[[Contender], OpenModel]
    """A fresh process with the contender's model; raises `TrialFault`."""
    clock: Callable[[], float]
    """Monotonic seconds."""
    side_by_side: Callable[[Sequence[Contender]], contextlib.AbstractContextManager[None]] = (
        lambda _: contextlib.nullcontext()
    )
    """Inside, the models of these are opened side by side."""
    free_memory: Callable[[], int | None] = lambda: None
    """Bytes that may be taken without swapping; None where nobody knows."""


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
            doubts: what could not be shown of answers, whenever they were given.
            keep: is given the slices of every round, to store them.
            on_launch: hears of every finished launch.
            is_stopped: asked after every round; ends the race.
        """
        self.contenders = tuple(contenders)
        self.goal = goal
        self.plan = plan
        self.baseline = self._given_baseline = baseline
        self.slices: list[Slice] = list(earlier)
        self.launches = 1 + max((taken.launch for taken in earlier), default=-1)
        self._doubts = doubts or Doubts()
        self._venue = venue
        self._keep = keep
        self._on_launch = on_launch
        self._is_stopped = is_stopped
        self._begun_s = venue.clock()
        self._before_s = max((taken.at_s for taken in earlier), default=0.0)
        self._random = random.Random(f"{plan.seed}/{self.launches}")  # noqa: S311 - an order of turns
        known = dict(dossiers or {})
        self._unfit = {
            i for i, e in known.items() if e.failure is not None or e.dropped is Dropped.MISSED
        }
        self._slower: set[int] = set()
        self._without_room: set[int] = set()
        self._faults: Counter[int] = Counter()
        self.dossiers = known
        self._open_s = {i: contender.open_s for i, contender in enumerate(contenders)}
        self._turns = {
            taken.contender: (_TURN * taken.block.duration_s, taken.block.duration_s)
            for taken in earlier
        }
        """Seconds of a contender's last turn, and of the slice in it."""
        self._lacking_s: dict[int, float] = {}
        """Load that a contender's verdict lacks, if no request is over the cap; 0 of those who miss
        it."""
        self._promise: list[int] = []
        """Who may still be exported: first those who should hold, and the faster ones first."""
        self._end: End | None = None
        if earlier:
            self._drop()

    def hold(self) -> RaceResult:
        """Launch after launch, until there is a reason to end."""
        try:
            while self._end is None:
                following = self._next()
                self._end = self._why_end(following)
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
            duration_s=self._before_s + self.elapsed_s,
            noise=self.plan.noise,
        )

    @property
    def elapsed_s(self) -> float:
        """Seconds since this part of the race began."""
        return self._venue.clock() - self._begun_s

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return self.plan.budget_s - self.elapsed_s

    # --- who runs

    def _next(self) -> "_Next":
        """Who has a seat in the next launch, and who would have one if there were time.

        Whoever missed the SLA, failed or found no memory is replaced by the next in line. Whoever
        was slower is not: the next in line is unlikely to be faster, and the others need the time.
        """
        everyone = range(len(self.contenders))
        kept = [i for i in everyone if self._keeps_seat(i)]
        gone = self._unfit | self._without_room
        line = [i for i in everyone if not self._keeps_seat(i) and i not in gone]
        wanted = sorted(i for i in (*kept, *line[: self.plan.seats]) if i not in self._out)
        if not self.plan.drops or not any(self._lacking_s.get(i) for i in wanted):
            return _Next(wanted, wanted, 0)
        return self._affordable(wanted)

    def _affordable(self, wanted: Sequence[int]) -> "_Next":
        """Of these, those whose verdicts there is time for, the most promising first.

        Whoever has a seat has a turn in every round, and there are rounds until the verdict of each
        of them has its requests. The baseline stays in any case, and is the one where there is time
        for one verdict only. Where there is time for none, it goes to the most promising.
        """
        launches = max(1, LEAST_LAUNCHES - self.launches)
        line = [i for i in self._promise if i in wanted]
        line += [i for i in wanted if i not in self._promise]
        kept, rounds = {i for i in wanted if i == self.baseline}, 0
        for position in line:
            more = {*kept, position}
            needed = max(rounds, self._lacking_turns(position))
            opening_s = launches * sum(self._open_s[i] for i in more)
            if opening_s + needed * self._round_s(more) <= self.left_s:
                kept, rounds = more, needed
        if not rounds and kept <= {self.baseline}:
            kept |= set(line[:1])
        return _Next(wanted, sorted(kept), rounds)

    @property
    def _out(self) -> set[int]:
        """Who gets no more turns; the baseline stays in any case but a failure."""
        failed = {i for i, dossier in self.dossiers.items() if dossier.failure is not None}
        return failed | ((self._unfit | self._slower) - {self.baseline})

    @property
    def _least_rounds(self) -> int:
        """Three: fewer bound no ratio, and nobody could be dropped after the first launch.

        Two in the next launches, as a certificate needs three launches more than it needs rounds.
        """
        return 2 if 0 < self.launches < LEAST_LAUNCHES else 3

    def _keeps_seat(self, position: int) -> bool:
        return position == self.baseline or self.contenders[position].is_default

    def _why_end(self, following: "_Next") -> End | None:
        if self._is_stopped():
            return End.STOPPED
        seated = following.seated
        if not seated or (seated == [self.baseline] and self.baseline in self._unfit):
            return End.EMPTY
        if self.launches >= self.plan.most_launches:
            return End.LAUNCHES
        least = min(self.plan.launches, self.plan.least_launches)
        if self.launches >= least and self._is_settled(seated):
            # Nothing is settled for those who only gave up their seats for want of time.
            return End.DECIDED if self._is_settled(following.wanted) else End.BUDGET
        cost_s = sum(self._open_s[i] for i in seated) + self._least_rounds * self._round_s(seated)
        return End.BUDGET if self.launches and cost_s > self.left_s else None

    def _rounds(self, following: "_Next") -> int:
        """Rounds of the launch that was opened, so that the launches aimed at fit in the budget.

        Fewer launches where opening them would take the time for the requests that verdicts lack.
        """
        seated, lacking = following.seated, following.lacking
        opening_s, round_s = sum(self._open_s[i] for i in seated), self._round_s(seated)
        launches, most = max(1, self.plan.launches - self.launches), self.plan.rounds
        if lacking and self.launches < self.plan.launches:
            fitting = 1 + int((self.left_s - lacking * round_s) / max(opening_s, 1e-3))
            launches = max(1, LEAST_LAUNCHES - self.launches, min(launches, fitting))
            most = max(most, math.ceil(lacking / launches))
        share_s = (self.left_s - (launches - 1) * opening_s) / launches
        return max(self._least_rounds, min(most, int(share_s / round_s)))

    def _has_time(self, number: int, planned: int, residents: Collection[int]) -> bool:
        """Whether another round fits, and is planned or the best use of the time.

        What is left after the last launch that fits goes into its rounds.
        """
        round_s = self._round_s(residents)
        again_s = sum(self._open_s[i] for i in residents) + self._least_rounds * round_s
        is_last = self.left_s < again_s
        return round_s <= self.left_s and (number < planned or (is_last and number < _MOST_ROUNDS))

    def _round_s(self, seated: Collection[int]) -> float:
        return sum(self._turn_s(i) for i in seated)

    def _turn_s(self, position: int) -> float:
        """Of the next turn: a slice, filling and draining."""
        turn_s, slice_s = self._last_turn(position)
        return turn_s + max(0.0, self._slice_s(position) - slice_s)

    def _last_turn(self, position: int) -> tuple[float, float]:
        usual = _TURN * self.plan.slice_s, self.plan.slice_s
        return self._turns.get(position, usual)

    def _slice_s(self, position: int) -> float:
        """Of the next slice: longer where a verdict lacks requests."""
        if not self._lacking_s.get(position):
            return self.plan.slice_s
        turn_s, slice_s = self._last_turn(position)
        return longer_slice_s(self.plan.slice_s, turn_s - slice_s)

    def _lacking_turns(self, position: int) -> int:
        """Turns until the requests of a verdict are there: none of those who miss the SLA.

        One to spare, as the last one of them may be cut off. Of one that never ran, what those lack
        who lack most.
        """
        lacking_s = self._lacking_s.get(position, max(self._lacking_s.values(), default=0.0))
        slice_s = max(self._last_turn(position)[1], self._slice_s(position))
        return math.ceil(lacking_s / slice_s) + 1 if lacking_s else 0

    # --- one launch

    def _launch(self, following: "_Next") -> None:
        """Fresh processes for everyone, then rounds of turns."""
        seated = following.seated
        residents: dict[int, OpenModel] = {}
        try:
            self._open_all(seated, residents)
            if self._without_room.issuperset(seated):
                self._end = End.EMPTY
                return
            planned = self._rounds(following)
            for number in itertools.count():
                if self._is_stopped() or not residents:
                    break
                if number >= self._least_rounds and not self._has_time(number, planned, residents):
                    break
                self._round(number, residents)
        finally:
            with contextlib.ExitStack() as stack:  # one that cannot be closed keeps no other open
                for position, model in residents.items():
                    stack.callback(self._let_go, position, model)
        self.launches += 1
        self._drop()
        self._on_launch(self)

    def _open_all(self, seated: Sequence[int], residents: dict[int, OpenModel]) -> None:
        """Open, then warm up; what fails or finds no memory stays out of this launch.

        Side by side where memory is enough for all, in random order: processes opened first have
        been seen to be 0.7 % faster (docs/decisions/0008). Else one after another, first whoever
        keeps a seat, then in order of promise.
        """
        begun_s, free = self._venue.clock(), self._venue.free_memory()
        needs = [self.contenders[i].peak_rss_bytes or 0 for i in seated]
        is_tight = free is not None and sum(needs) * _SPARE_MEMORY > free
        if is_tight:
            order = sorted(seated, key=lambda i: (not self._keeps_seat(i), i))
        else:
            order = self._random.sample(seated, len(seated))
        at_once = [] if is_tight else [self.contenders[i] for i in order]
        self._without_room -= set(seated)
        with self._venue.side_by_side(at_once):
            for position in order:
                if self._is_stopped():
                    return
                if is_tight and not self._has_room(position):
                    self._without_room.add(position)
                else:
                    self._open(position, residents)
        for position in list(residents):
            self._warm_up(position, residents)
        if residents.keys() == set(seated) - self._without_room:  # what fails may take very long
            self._learn_opening(self._venue.clock() - begun_s, residents)

    def _learn_opening(self, took_s: float, opened: Collection[int]) -> None:
        """What opening these will take: of the time for all, a share as expected of each."""
        expected_s = sum(self._open_s[i] for i in opened)
        if expected_s:
            self._open_s |= {i: took_s / expected_s * self._open_s[i] for i in opened}

    def _has_room(self, position: int) -> bool:
        free, need = self._venue.free_memory(), self.contenders[position].peak_rss_bytes
        return free is None or need is None or need * _SPARE_MEMORY <= free

    def _open(self, position: int, residents: dict[int, OpenModel]) -> None:
        try:
            model = self._venue.open_model(self.contenders[position])
        except TrialFault as fault:
            self._fail(position, fault.failure, residents)
            return
        residents[position] = model
        self._note_opening(position, model.opening)

    def _warm_up(self, position: int, residents: dict[int, OpenModel]) -> None:
        model = residents[position]
        load = self._load(position, model)
        try:
            take_slice(model, replace(load, block_s=self.plan.warmup_s, block_rounds=WARM_ROUNDS))
        except TrialFault as fault:
            self._fail(position, fault.failure, residents)

    def _note_opening(self, position: int, opening: Opening) -> None:
        """Slices of all launches count together, so what one could not prove none has proved."""
        dossier = self._dossier(position)
        if opening.unproven is None and dossier.opening is not None:
            opening = replace(opening, unproven=dossier.opening.unproven)
        self.dossiers[position] = replace(dossier, opening=opening)

    def _round(self, number: int, residents: dict[int, OpenModel]) -> None:
        """One turn for each resident, in random order; a round that is cut off is kept as it is."""
        taken: list[Slice] = []
        try:
            for position in self._random.sample(list(residents), len(residents)):
                self._turn(number, position, residents, taken)
        finally:
            self.slices += taken
            self._keep(taken)

    def _turn(
        self, number: int, position: int, residents: dict[int, OpenModel], taken: list[Slice]
    ) -> None:
        begun_s, model = self._venue.clock(), residents[position]
        try:
            block = take_slice(model, self._load(position, model))
        except TrialFault as fault:
            self._fail(position, fault.failure, residents)
            return
        self._turns[position] = self._venue.clock() - begun_s, block.duration_s
        at_s = self._before_s + self.elapsed_s
        taken.append(Slice(self.launches, number, position, at_s, block))

    def _load(self, position: int, model: OpenModel) -> Load:
        configuration = self.contenders[position].configuration
        return Load(
            num_requests=model.opening.effective.requests(configuration),
            api=configuration.api,
            feed=self.plan.feed,
            block_s=self._slice_s(position),
            limit_s=60 * self._slice_s(position),
        )

    def _fail(self, position: int, failure: Failure, residents: dict[int, OpenModel]) -> None:
        """Out of this launch; and of the race, unless it is the first fault of the machine."""
        model = residents.pop(position, None)
        if model is not None:
            model.close()
        self._faults[position] += 1
        if not failure.is_machine_fault or self._faults[position] >= _MOST_FAULTS:
            self._unfit.add(position)
            self.dossiers[position] = replace(self._dossier(position), failure=failure)

    def _let_go(self, position: int, model: OpenModel) -> None:
        peak = model.peak_rss_bytes
        if peak is not None:
            self.dossiers[position] = replace(self._dossier(position), peak_rss_bytes=peak)
        model.close()

    def _dossier(self, position: int) -> Dossier:
        return self.dossiers.get(position, Dossier())

    # --- what the slices say

    def _field(self) -> Field:
        return Field(
            contenders=self.contenders,
            dossiers=self.dossiers,
            slices=self.slices,
            goal=self.goal,
            baseline=self._given_baseline,
            tie_margin=self.plan.tie_margin,
            feed=self.plan.feed,
            of_one_search=self.plan.of_one_search,
            doubts=self._doubts,
        )

    def _drop(self) -> None:
        """Out: who clearly misses the SLA, and who is slower than one that should keep it.

        One launch that clearly misses bars a certificate for good. Whoever has one goes as well, to
        give the time to those who may still get it, unless there is nobody.
        """
        field = self._field()
        records = field.records()
        ran = [i for i, record in enumerate(records) if record.slices and not field.has_failed(i)]
        self._lacking_s = {i: records[i].lacking_s for i in ran}
        if not self.plan.drops:
            return
        before = self._out
        self._unfit |= {i for i in ran if records[i].verdict() is Verdict.MISSED}
        barred = {i for i in ran if records[i].missed_launches}
        if any(i not in self._out and i not in barred for i in range(len(records))):
            self._unfit |= barred
        # Looked at anew each time: whoever was too slow beside one that has left may come back.
        able = [i for i in ran if i not in self._unfit]
        posterior = field.posterior(records)
        self.baseline = field.baseline_by(records, posterior)
        leader = fastest(posterior, [i for i in able if records[i].should_hold])
        self._slower = {
            i
            for i in ran
            if leader is not None and i != leader and is_hopeless(posterior, i, leader)
        }
        self._promise = sorted(able, key=lambda i: (not records[i].should_hold, -posterior.mean[i]))
        for position in ran:
            why = None
            if position in self._unfit:
                why = Dropped.MISSED
            elif position in self._slower:
                why = Dropped.SLOWER
            self.dossiers[position] = replace(self._dossier(position), dropped=why)
        if self._out - before:  # there is room now for one that found none
            self._without_room = {i for i in self._without_room if self._keeps_seat(i)}

    def _is_settled(self, seated: Sequence[int]) -> bool:
        """Whether more launches would change nothing.

        Nobody may still be faster than the leader by more than the tie margin, the better hint may
        not be faster at all unless it is equal, and the leader's throughput is known to 2 %.
        """
        field = self._field()
        records = field.records()
        posterior = field.posterior(records)
        leader = fastest(posterior, [i for i in seated if records[i].holds])
        half_width = None if leader is None else records[leader].throughput.half_width
        if leader is None or half_width is None or half_width > _PRECISE:
            return False
        rivals = [i for i in seated if i != leader and i not in self._without_room | self._unfit]
        margin = self.plan.tie_margin
        return not any(
            may_win(posterior, i, leader, margin, is_hint=i == self.baseline) for i in rivals
        )


def longer_slice_s(slice_s: float, idle_s: float) -> float:
    """Length of a slice where load is short: filling and draining take a fifth of its turn."""
    return min(max(slice_s, idle_s / _IDLE), _LONGEST_SLICE * slice_s)
