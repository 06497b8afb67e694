"""What a race finds out about its contenders, turn by turn."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from autotune.domain.failure import Failure
from autotune.domain.measurement import Opening
from autotune.domain.race import Contender, Dossier, Dropped, LaunchReadings, Slice
from autotune.machines.ports import OpenModel
from autotune.measuring.readings import steady_rss_bytes
from autotune.racing.judge import Field
from autotune.racing.plan import RacePlan
from autotune.racing.policy import (
    Pace,
    Prospects,
    Situation,
    TurnTimes,
    keeps_seat,
    prospects_after,
)

_MOST_FAULTS = 2


class Scorebook:
    """Slices, dossiers, times and prospects; the policy is asked with what it says."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        baseline: int | None,
        earlier: Sequence[Slice],
        dossiers: Mapping[int, Dossier],
        readings: Sequence[LaunchReadings] = (),
    ) -> None:
        """Before the first turn, or after the slices of an earlier part of the same race."""
        self.contenders = tuple(contenders)
        self.slices: list[Slice] = list(earlier)
        self.launches = 1 + max((taken.launch for taken in earlier), default=-1)
        self.dossiers = dict(dossiers)
        self.readings: list[LaunchReadings] = list(readings)
        """Of every launch, what its processes took beside their slices."""
        failed = {i for i, known in dossiers.items() if known.failure is not None}
        missed = {i for i, known in dossiers.items() if known.dropped is Dropped.MISSED}
        self.prospects = Prospects(
            baseline=baseline, failed=frozenset(failed), unfit=frozenset(failed | missed)
        )
        self.without_room: set[int] = set()
        self._faults: Counter[int] = Counter()
        self._open_s = {i: contender.open_s for i, contender in enumerate(contenders)}
        self._turns = {
            taken.contender: TurnTimes.usual(taken.block.duration_s) for taken in earlier
        }

    def situation(self, plan: RacePlan, left_s: float) -> Situation:
        """What is known now, with so much of the budget left."""
        return Situation(
            contenders=self.contenders,
            plan=plan,
            launches=self.launches,
            left_s=left_s,
            prospects=self.prospects,
            without_room=frozenset(self.without_room),
            pace=Pace(
                slice_s=plan.slice_s,
                open_s=dict(self._open_s),
                turns=dict(self._turns),
                lacking_s=self.prospects.lacking_s,
            ),
        )

    def keeps_seat(self, position: int) -> bool:
        """Whether one does not wait in line."""
        return keeps_seat(self.contenders, self.prospects.baseline, position)

    def note_opening(self, position: int, opening: Opening) -> None:
        """Slices of all launches count together, so what one could not prove none has proved."""
        dossier = self._dossier(position)
        if opening.unproven is None and dossier.opening is not None:
            opening = replace(opening, unproven=dossier.opening.unproven)
        self.dossiers[position] = replace(dossier, opening=opening)

    def note_opening_time(self, took_s: float, opened: Collection[int]) -> None:
        """What opening these will take: of the time for all, a share as expected of each."""
        expected_s = sum(self._open_s[i] for i in opened)
        if expected_s:
            self._open_s |= {i: took_s / expected_s * self._open_s[i] for i in opened}

    def note_turn(self, position: int, times: TurnTimes) -> None:
        """How long it took."""
        self._turns[position] = times

    def note_failure(self, position: int, failure: Failure) -> None:
        """Out of the race, unless it is the first fault of the machine."""
        self._faults[position] += 1
        if not failure.is_machine_fault or self._faults[position] >= _MOST_FAULTS:
            self.prospects = self.prospects.without(position)
            self.dossiers[position] = replace(self._dossier(position), failure=failure)

    def note_process(self, position: int, model: OpenModel) -> None:
        """What a process took, at the end of this launch."""
        opening, here = model.opening, (self.launches, position)
        blocks = [s.block for s in self.slices if (s.launch, s.contender) == here]
        self.readings.append(
            LaunchReadings(
                launch=self.launches,
                contender=position,
                read_s=opening.read_s,
                compile_s=opening.compile_s,
                first_inference_ms=opening.first_inference_ms,
                open_peak_rss_bytes=opening.peak_rss_bytes,
                load_peak_rss_bytes=model.load_peak_rss_bytes,
                steady_rss_bytes=steady_rss_bytes(blocks),
            )
        )
        if model.peak_rss_bytes is not None:
            known = replace(self._dossier(position), peak_rss_bytes=model.peak_rss_bytes)
            self.dossiers[position] = known

    def note_prospects(self, seen: Field, plan: RacePlan) -> None:
        """Who may still win after a launch, as the policy has it, and why somebody is out."""
        found = prospects_after(seen, plan, self.prospects)
        before, self.prospects = self.prospects.out, found
        for position in found.lacking_s:
            known = replace(self._dossier(position), dropped=found.dropped(position))
            self.dossiers[position] = known
        if found.out - before:  # there is room now for one that found none
            self.without_room = {i for i in self.without_room if self.keeps_seat(i)}

    def _dossier(self, position: int) -> Dossier:
        return self.dossiers.get(position, Dossier())
