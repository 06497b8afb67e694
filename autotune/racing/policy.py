"""How a race goes on: who has a seat, how many rounds, who leaves, and why it ends.

Functions of what is known between two turns: no clock, no runner, nothing that is changed. To ask
twice is to hear the same twice.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from autotune.domain.goal import Verdict
from autotune.domain.measurement import Interval
from autotune.domain.race import LEAST_LAUNCHES, Contender, Dropped, End
from autotune.racing.choice import fastest, is_hopeless, may_win
from autotune.racing.judge import Field
from autotune.racing.plan import RacePlan, longer_slice_s
from autotune.racing.standings import lacking_s

_MOST_ROUNDS = 40
_PRECISE = 0.02
_TURN = 1.1
"""Of a slice, with filling and draining, as long as nobody knows."""


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """How long the last turn of a contender took."""

    turn_s: float
    """With filling and draining."""
    slice_s: float

    @classmethod
    def usual(cls, slice_s: float) -> "TurnTimes":
        """What is expected of a slice of this length."""
        return cls(_TURN * slice_s, slice_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long openings and turns take, as far as was seen; contenders are named by position."""

    slice_s: float
    """Of a slice, unless it is made longer."""
    open_s: Mapping[int, float]
    """What opening each of them is expected to take."""
    turns: Mapping[int, TurnTimes]
    """The last one of each that had any."""
    lacking_s: Mapping[int, float]
    """Load that a verdict lacks, if no request is over the cap; 0 of those who miss it."""

    def opening_s(self, seated: Collection[int]) -> float:
        """Of these together."""
        return sum(self.open_s[i] for i in seated)

    def round_s(self, seated: Collection[int]) -> float:
        """One turn for each of these."""
        return sum(self.turn_s(i) for i in seated)

    def turn_s(self, position: int) -> float:
        """Of the next turn: a slice, filling and draining."""
        last = self._last(position)
        return last.turn_s + max(0.0, self.next_slice_s(position) - last.slice_s)

    def next_slice_s(self, position: int) -> float:
        """Of the next slice: longer where a verdict lacks requests."""
        if not self.lacking_s.get(position):
            return self.slice_s
        last = self._last(position)
        return longer_slice_s(self.slice_s, last.turn_s - last.slice_s)

    def lacking_turns(self, position: int) -> int:
        """Turns until the requests of a verdict are there: none of those who miss the SLA.

        One to spare, as the last one of them may be cut off. Of one that never ran, what those lack
        who lack most.
        """
        most_s = max(self.lacking_s.values(), default=0.0)
        load_s = self.lacking_s.get(position, most_s)
        slice_s = max(self._last(position).slice_s, self.next_slice_s(position))
        return math.ceil(load_s / slice_s) + 1 if load_s else 0

    def _last(self, position: int) -> TurnTimes:
        return self.turns.get(position) or TurnTimes.usual(self.slice_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospects:
    """Who may still win, by position: what the slices say, and who failed since."""

    baseline: int | None
    """Whom ratios are taken to."""
    failed: frozenset[int] = frozenset()
    unfit: frozenset[int] = frozenset()
    """Who failed, clearly misses the SLA, or can get no certificate any more."""
    slower: frozenset[int] = frozenset()
    """Who is all but certain to be slower than one that should keep the SLA."""
    lacking_s: Mapping[int, float] = field(default_factory=dict)
    """See `Pace`."""
    promise: tuple[int, ...] = ()
    """Who may still be exported: first those who should hold, and the faster ones first."""

    @property
    def out(self) -> frozenset[int]:
        """Who gets no more turns; the baseline stays in any case but a failure."""
        return self.failed | ((self.unfit | self.slower) - {self.baseline})

    def dropped(self, position: int) -> Dropped | None:
        """Why one that ran is out."""
        if position in self.unfit:
            return Dropped.MISSED
        return Dropped.SLOWER if position in self.slower else None

    def without(self, position: int) -> "Prospects":
        """After a failure of one."""
        return replace(self, failed=self.failed | {position}, unfit=self.unfit | {position})


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that decides how a race goes on."""

    contenders: Sequence[Contender]
    plan: RacePlan
    launches: int
    """Held so far."""
    left_s: float
    """Of the budget."""
    prospects: Prospects
    without_room: frozenset[int]
    """Who found no memory in the last launch that they had a seat in."""
    pace: Pace


@dataclass(frozen=True, slots=True)
class NextLaunch:
    """The next launch."""

    wanted: Sequence[int]
    """Who would have a seat if there were time."""
    seated: Sequence[int]
    """Who has one."""
    lacking: int
    """Rounds until the verdicts of those whom it was given for have their requests."""


def keeps_seat(contenders: Sequence[Contender], baseline: int | None, position: int) -> bool:
    """Whether one is the baseline or one of the runtime's hints, who do not wait in line."""
    return position == baseline or contenders[position].is_default


def least_rounds(launches: int) -> int:
    """Fewest rounds of the next launch after so many.

    Three: fewer bound no ratio, and nobody could be dropped after the first launch. Two in the
    next launches, as a certificate needs three launches more than it needs rounds.
    """
    return 2 if 0 < launches < LEAST_LAUNCHES else 3


def next_launch(now: Situation) -> NextLaunch:
    """Who has a seat in the next launch, and who would have one if there were time.

    Whoever missed the SLA, failed or found no memory is replaced by the next in line. Whoever was
    slower is not: the next in line is unlikely to be faster, and the others need the time.
    """
    prospects, plan = now.prospects, now.plan
    gone = prospects.unfit | now.without_room
    kept, line = [], []
    for i in range(len(now.contenders)):
        if keeps_seat(now.contenders, prospects.baseline, i):
            kept.append(i)
        elif i not in gone:
            line.append(i)
    wanted = sorted(i for i in (*kept, *line[: plan.seats]) if i not in prospects.out)
    if not plan.drops or not any(prospects.lacking_s.get(i) for i in wanted):
        return NextLaunch(wanted, wanted, 0)
    return _affordable(now, wanted)


def _affordable(now: Situation, wanted: Sequence[int]) -> NextLaunch:
    """Of these, those whose verdicts there is time for, the most promising first.

    Whoever has a seat has a turn in every round, and there are rounds until the verdict of each
    of them has its requests. The baseline stays in any case, and is the one where there is time
    for one verdict only. Where there is time for none, it goes to the most promising.
    """
    baseline, promise, pace = now.prospects.baseline, now.prospects.promise, now.pace
    launches = max(1, LEAST_LAUNCHES - now.launches)
    line = [i for i in promise if i in wanted]
    line += [i for i in wanted if i not in promise]
    kept, rounds = {i for i in wanted if i == baseline}, 0
    for position in line:
        more = {*kept, position}
        needed = max(rounds, pace.lacking_turns(position))
        if launches * pace.opening_s(more) + needed * pace.round_s(more) <= now.left_s:
            kept, rounds = more, needed
    if not rounds and kept <= {baseline}:
        kept |= set(line[:1])
    return NextLaunch(wanted, sorted(kept), rounds)


def why_end(now: Situation, following: NextLaunch, seen: Field) -> End | None:
    """Why the next launch is not held; None if it is."""
    seated, plan = following.seated, now.plan
    baseline = now.prospects.baseline
    if not seated or (seated == [baseline] and baseline in now.prospects.unfit):
        return End.EMPTY
    if now.launches >= plan.most_launches:
        return End.LAUNCHES
    if now.launches >= min(plan.launches, plan.least_launches) and is_settled(now, seated, seen):
        # Nothing is settled for those who only gave up their seats for want of time.
        return End.DECIDED if is_settled(now, following.wanted, seen) else End.BUDGET
    return End.BUDGET if now.launches and _least_s(now, seated) > now.left_s else None


def _least_s(now: Situation, seated: Collection[int]) -> float:
    """What a launch of these takes at least."""
    return now.pace.opening_s(seated) + least_rounds(now.launches) * now.pace.round_s(seated)


def is_settled(now: Situation, seated: Sequence[int], seen: Field) -> bool:
    """Whether more launches of these would change nothing.

    Nobody may still be faster than the leader by more than the tie margin, the better hint may
    not be faster at all unless it is equal, and what is claimed of the leader is known to 2 %: its
    throughput, and its efficiency where that is asked for.
    """
    records = seen.records()
    posterior = seen.posterior(records)
    leader = fastest(posterior, [i for i in seated if records[i].holds])
    if leader is None or not all(map(_is_precise, records[leader].claimed)):
        return False
    gone, baseline = now.without_room | now.prospects.unfit, now.prospects.baseline
    return not any(
        may_win(posterior, i, leader, now.plan.tie_margin, is_hint=i == baseline)
        for i in seated
        if i != leader and i not in gone
    )


def _is_precise(claim: Interval | None) -> bool:
    half_width = None if claim is None else claim.half_width
    return half_width is not None and half_width <= _PRECISE


def rounds(now: Situation, following: NextLaunch) -> int:
    """Rounds of the launch that was opened, so that the launches aimed at fit in the budget.

    Fewer launches where opening them would take the time for the requests that verdicts lack.
    """
    plan, lacking = now.plan, following.lacking
    opening_s = now.pace.opening_s(following.seated)
    round_s = now.pace.round_s(following.seated)
    launches, most = max(1, plan.launches - now.launches), plan.rounds
    if lacking and now.launches < plan.launches:
        fitting = 1 + int((now.left_s - lacking * round_s) / max(opening_s, 1e-3))
        launches = max(1, LEAST_LAUNCHES - now.launches, min(launches, fitting))
        most = max(most, math.ceil(lacking / launches))
    share_s = (now.left_s - (launches - 1) * opening_s) / launches
    return max(least_rounds(now.launches), min(most, int(share_s / round_s)))


def has_time(now: Situation, number: int, planned: int, residents: Collection[int]) -> bool:
    """Whether another round fits, and is planned or the best use of the time.

    What is left after the last launch that fits goes into its rounds.

    Args:
        now: what is known.
        number: of the round, from 0.
        planned: rounds of this launch.
        residents: who would have a turn.
    """
    is_last = now.left_s < _least_s(now, residents)
    fits = now.pace.round_s(residents) <= now.left_s
    return fits and (number < planned or (is_last and number < _MOST_ROUNDS))


def prospects_after(seen: Field, plan: RacePlan, before: Prospects) -> Prospects:
    """Who may still win after a launch.

    Out is who clearly misses the SLA or a limit, and who is slower than one that should keep all
    of them. One launch
    that clearly misses bars a certificate for good: whoever has one goes as well, to give the time
    to those who may still get it, unless there is nobody.
    """
    records = seen.records()
    ran = [i for i, record in enumerate(records) if record.slices and not seen.has_failed(i)]
    found = replace(before, lacking_s={i: lacking_s(records[i]) for i in ran})
    if not plan.drops:
        return found
    missed = {i for i in ran if records[i].overall is Verdict.MISSED}
    found = replace(found, unfit=found.unfit | missed)
    barred = {i for i in ran if records[i].missed_launches}
    if any(i not in found.out and i not in barred for i in range(len(records))):
        found = replace(found, unfit=found.unfit | barred)
    # Looked at anew each time: whoever was too slow beside one that has left may come back.
    able = [i for i in ran if i not in found.unfit]
    posterior = seen.posterior(records)
    leader = fastest(posterior, [i for i in able if records[i].should_hold])
    slower = {
        i for i in ran if leader is not None and i != leader and is_hopeless(posterior, i, leader)
    }
    promise = sorted(able, key=lambda i: (not records[i].should_hold, -posterior.mean[i]))
    return replace(
        found,
        baseline=seen.baseline_by(records, posterior),
        slower=frozenset(slower),
        promise=tuple(promise),
    )
