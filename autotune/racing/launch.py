"""One launch of a race: fresh processes for everyone, then rounds of turns."""

import contextlib
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autotune.domain.failure import TrialFault
from autotune.domain.race import Contender, Slice
from autotune.machines.ports import Load, OpenModel
from autotune.measuring.measure import arrival_of
from autotune.racing.plan import WARM_ROUNDS, RacePlan
from autotune.racing.policy import (
    NextLaunch,
    Situation,
    TurnTimes,
    has_time,
    least_rounds,
    rounds,
)
from autotune.racing.residents import Residents
from autotune.racing.scorebook import Scorebook

_SPARE_MEMORY = 1.25


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


class Launch:
    """Held once: `hold` opens, takes turns, and lets everyone go."""

    def __init__(  # noqa: PLR0913 - what a race lends to each of its launches
        self,
        book: Scorebook,
        plan: RacePlan,
        venue: Venue,
        *,
        order: random.Random,
        situation: Callable[[], Situation],
        race_s: Callable[[], float],
        keep: Callable[[Sequence[Slice]], None],
        is_stopped: Callable[[], bool],
    ) -> None:
        """Prepare the next launch of a race.

        Args:
            book: where everything that is found out goes.
            plan: how long.
            venue: where.
            order: of openings and turns.
            situation: what is known, asked before every round.
            race_s: seconds since the race began, its earlier parts included.
            keep: is given the slices of every round, to store them.
            is_stopped: asked before every opening and every round.
        """
        self._book = book
        self._plan = plan
        self._venue = venue
        self._order = order
        self._situation = situation
        self._race_s = race_s
        self._keep = keep
        self._is_stopped = is_stopped
        contenders = book.contenders
        # By position: two contenders may be alike in everything.
        self._residents: Residents[int] = Residents(
            lambda position: venue.open_model(contenders[position]),
            free_memory=venue.free_memory,
            side_by_side=lambda those: venue.side_by_side([contenders[i] for i in those]),
        )

    def hold(self, following: NextLaunch) -> bool:
        """Whether there was memory for anybody."""
        with self._residents:
            try:
                self._open_all(following.seated)
                if self._book.without_room.issuperset(following.seated):
                    return False
                self._take_turns(rounds(self._situation(), following))
            finally:
                for position in self._residents:
                    self._book.note_process(position, self._residents[position])
        return True

    def _take_turns(self, planned: int) -> None:
        least = least_rounds(self._book.launches)
        for number in itertools.count():
            if self._is_stopped() or not self._residents:
                break
            if number >= least and not self._has_time(number, planned):
                break
            self._round(number)

    def _has_time(self, number: int, planned: int) -> bool:
        return has_time(self._situation(), number, planned, list(self._residents))

    def _open_all(self, seated: Sequence[int]) -> None:
        """Open, then warm up; what fails or finds no memory stays out of this launch.

        Side by side where memory is enough for all, in random order: processes opened first have
        been seen to be 0.7 % faster (docs/decisions/0008). Else one after another, first whoever
        keeps a seat, then in order of promise. Where a limit is on what opening takes, one after
        another, in random order.
        """
        book, begun_s = self._book, self._venue.clock()
        is_tight = not self._residents.has_room(sum(self._need_bytes(i) for i in seated))
        if is_tight:
            order = sorted(seated, key=lambda i: (not book.keeps_seat(i), i))
        else:
            order = self._order.sample(seated, len(seated))
        book.without_room -= set(seated)
        with self._residents.side_by_side([] if is_tight or self._plan.one_by_one else order):
            for position in order:
                if self._is_stopped():
                    return
                if is_tight and not self._has_room(position):
                    book.without_room.add(position)
                else:
                    self._open(position)
        for position in self._residents:
            self._warm_up(position)
        if set(self._residents) == set(seated) - book.without_room:  # a failure may take long
            book.note_opening_time(self._venue.clock() - begun_s, list(self._residents))

    def _need_bytes(self, position: int) -> float:
        """Of its memory, with a quarter to spare; 0 where nobody knows."""
        return _SPARE_MEMORY * (self._book.contenders[position].peak_rss_bytes or 0)

    def _has_room(self, position: int) -> bool:
        is_known = self._book.contenders[position].peak_rss_bytes is not None
        return not is_known or self._residents.has_room(self._need_bytes(position))

    def _open(self, position: int) -> None:
        try:
            model = self._residents.enter(position)
        except TrialFault as fault:
            self._book.note_failure(position, fault.failure)
            return
        self._book.note_opening(position, model.opening)

    def _warm_up(self, position: int) -> None:
        load = replace(self._load(position), block_s=self._plan.warmup_s, block_rounds=WARM_ROUNDS)
        try:
            self._residents.turn(position, load)
        except TrialFault as fault:
            self._book.note_failure(position, fault.failure)

    def _round(self, number: int) -> None:
        """One turn for each resident, in random order; a round that is cut off is kept as it is."""
        taken: list[Slice] = []
        try:
            for position in self._order.sample(list(self._residents), len(self._residents)):
                self._turn(number, position, taken)
        finally:
            self._book.slices += taken
            self._keep(taken)

    def _turn(self, number: int, position: int, taken: list[Slice]) -> None:
        begun_s = self._venue.clock()
        try:
            block = self._residents.turn(position, self._load(position))
        except TrialFault as fault:
            self._book.note_failure(position, fault.failure)
            return
        times = TurnTimes(self._venue.clock() - begun_s, block.duration_s)
        self._book.note_turn(position, times)
        taken.append(Slice(self._book.launches, number, position, self._race_s(), block))

    def _load(self, position: int) -> Load:
        configuration = self._book.contenders[position].configuration
        slice_s = self._situation().pace.next_slice_s(position)
        return Load(
            arrival=arrival_of(self._residents[position], configuration),
            feed=self._plan.feed,
            block_s=slice_s,
            limit_s=60 * slice_s,
        )
