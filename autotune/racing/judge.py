"""From the slices of a race to its result: what is chosen, why, and what may be claimed of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from autotune.domain.doubts import Doubts
from autotune.domain.goal import Goal, Verdict
from autotune.domain.measurement import NOISE, Feed, Interval, Opening
from autotune.domain.race import (
    LEAST_LAUNCHES,
    Choice,
    Conditions,
    Contender,
    Dossier,
    Dropped,
    End,
    LaunchReadings,
    RaceResult,
    Slice,
    Standing,
    State,
    Status,
)
from autotune.racing.choice import Chosen, choose, fastest, posterior_of
from autotune.racing.limits import spreads
from autotune.racing.readings import readings_over
from autotune.racing.standings import Record
from autotune.space.dimension import Bound
from autotune.space.dimensions import bound_to
from autotune.stats.posterior import Posterior
from autotune.stats.tail_test import SEARCH_ALPHA

_MOST_VOID = 0.2
_MARGIN_STEP = 0.1
"""Margins below the cap are compared in tenths of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """All contenders, what is known of them, and every slice so far."""

    contenders: Sequence[Contender]
    dossiers: Mapping[int, Dossier]
    """By position; a contender that was never opened may be missing."""
    slices: Sequence[Slice]
    goal: Goal
    baseline: int | None
    tie_margin: float
    feed: Feed = Feed.BIND
    of_one_search: bool = False
    """Whether the contenders are what one search found, so that what it saw of them counts."""
    doubts: Doubts = field(default_factory=Doubts)
    """What was found out since, or before anybody ran."""
    launches: Sequence[LaunchReadings] = ()
    """What fresh processes took beside their slices: one for each contender of each launch."""

    def records(self) -> list[Record]:
        """One for each contender, of the slices that count."""
        taken: dict[int, list[Slice]] = {i: [] for i in range(len(self.contenders))}
        for piece in self.slices:
            if not piece.is_void:
                taken[piece.contender].append(piece)
        processes: list[list[LaunchReadings]] = [[] for _ in self.contenders]
        for one in self.launches:
            processes[one.contender].append(one)
        common = spreads(processes, self.goal)
        return [
            Record(
                tuple(taken[position]),
                contender.items,
                self._num_requests(position),
                self.goal,
                tuple(processes[position]),
                common,
            )
            for position, contender in enumerate(self.contenders)
        ]

    def posterior(self, records: Sequence[Record]) -> Posterior:
        """What is believed of everybody's speed, after these records."""
        contenders = self.contenders if self.of_one_search else ()
        return posterior_of(len(self.contenders), contenders, records)

    def baseline_by(self, records: Sequence[Record], posterior: Posterior) -> int | None:
        """Position of the baseline: of one search's contenders, the better hint as the race has it.

        The fastest of the hints that may be certified, else of those that may keep the SLA, else of
        all that ran. What the search took for the better one is so only until then: it measured
        each of them once, at its own moment.
        """
        hints = [
            i
            for i, contender in enumerate(self.contenders)
            if contender.is_default and records[i].slices and not self.has_failed(i)
        ]
        if not self.of_one_search or self.baseline is None or not hints:
            return self.baseline
        able = [i for i in hints if records[i].holds]
        able = able or [i for i in hints if records[i].overall is not Verdict.MISSED]
        return fastest(posterior, able or hints)

    def has_failed(self, position: int) -> bool:
        """Whether it is out, for a failure."""
        return self.dossiers.get(position, Dossier()).failure is not None

    def opening(self, position: int) -> Opening | None:
        """Of its last launch."""
        return self.dossiers.get(position, Dossier()).opening

    def unproven(self, position: int) -> str | None:
        """Why its answers could not be shown to be those of single requests."""
        opening, configuration = self.opening(position), self.contenders[position].configuration
        if opening is not None and opening.unproven is not None:
            return opening.unproven
        return self.doubts.why(configuration, None if opening is None else opening.effective)

    def _num_requests(self, position: int) -> int:
        configuration, opening = self.contenders[position].configuration, self.opening(position)
        if opening is not None:
            return opening.effective.requests(configuration)
        return configuration.num_requests or 1


def judge(field: Field, *, end: End, duration_s: float, noise: float | None = None) -> RaceResult:
    """The result of a race, or of the part of it that is known.

    Args:
        field: who ran, and what was seen.
        end: why it ended.
        duration_s: how long it took.
        noise: the machine's calibrated A/A noise, for the record.
    """
    records = field.records()
    posterior = field.posterior(records)
    field = replace(field, baseline=field.baseline_by(records, posterior))
    choice = _choose(field, records, posterior)
    chosen = choice.position
    standings = tuple(
        _standing(field, records, posterior, position, chosen) for position in range(len(records))
    )
    launches = {piece.launch for piece in field.slices}
    rounds = {(piece.launch, piece.round) for piece in field.slices}
    return RaceResult(
        standings=standings,
        chosen=chosen,
        baseline=field.baseline,
        status=_status(field, records, chosen, end),
        choice=choice.choice,
        advantage=choice.advantage,
        chance=choice.chance,
        undecided_s=choice.undecided_after(duration_s),
        end=end,
        launches=len(launches),
        rounds=len(rounds),
        duration_s=duration_s,
        tie_margin=field.tie_margin,
        feed=field.feed,
        conditions=_conditions(field, None if chosen is None else records[chosen], noise),
    )


def _void_share(field: Field) -> float:
    """Share of all slices that were not counted."""
    return sum(piece.is_void for piece in field.slices) / max(1, len(field.slices))


def _status(field: Field, records: Sequence[Record], chosen: int | None, end: End) -> Status:
    if chosen is None:
        return Status.UNCONFIRMED
    if field.unproven(chosen) is not None:  # however fast, and however sure of its latency
        return Status.UNPROVEN
    record, void_share = records[chosen], _void_share(field)
    if (
        record.holds
        and len(record.launches) >= LEAST_LAUNCHES
        and end is not End.STOPPED
        and not record.flags & NOISE
        and void_share <= _MOST_VOID
    ):
        return Status.CERTIFIED
    passes = record.overall in {None, Verdict.MET}
    return Status.PROVISIONAL if passes else Status.UNCONFIRMED


def _choose(field: Field, records: Sequence[Record], posterior: Posterior) -> Chosen:
    """The best by the rules, and which rule decided.

    Among those whose SLA and limits may be certified, else those that meet them, at 1 % or else at
    the 5 % of the search, else those that are within them as far as was seen; else the one that is
    nearest to all, unless it clearly misses one. Of those that are equal, first fewer settings that
    hold here only, where the goal prefers that, then more room below the cap, then fewer threads,
    then less memory.
    """
    able = [i for i, record in enumerate(records) if record.slices and not field.has_failed(i)]
    unclear = [i for i in able if records[i].overall is Verdict.UNCLEAR]
    over = {i: records[i].excess for i in unclear}
    pool = (
        [i for i in able if records[i].holds and len(records[i].launches) >= LEAST_LAUNCHES]
        or [i for i in able if records[i].overall in {None, Verdict.MET}]
        or [i for i in unclear if records[i].overall_in_search is Verdict.MET]
        or [i for i in unclear if over[i] <= 0]
        or sorted(unclear, key=over.__getitem__)[:1]
    )
    portable = ((Choice.PORTABLE, lambda i: float(_settings(field, i))),)
    return choose(
        pool,
        lambda i: field.contenders[i].is_default,
        posterior,
        field.tie_margin,
        (
            *(portable if field.goal.portable else ()),
            (Choice.MARGIN, lambda i: _margin_steps(field, records[i])),
            (Choice.THREADS, lambda i: _threads(field, i)),
            (Choice.MEMORY, lambda i: _memory(field, i)),
        ),
        is_portable=field.goal.portable,
    )


def _settings(field: Field, position: int) -> int:
    """How many of its settings hold for this model or machine only."""
    configuration = field.contenders[position].configuration
    return sum(bound is not Bound.NEITHER for bound in bound_to(configuration).values())


def _margin_steps(field: Field, record: Record) -> float:
    """The latency bound in tenths of the cap, rounded up; the same for all without a cap."""
    if field.goal.cap_ms is None:
        return 0.0
    upper_ms = record.latency_upper_ms
    if upper_ms is None:
        return math.inf
    return math.ceil(upper_ms / field.goal.cap_ms / _MARGIN_STEP)


def _threads(field: Field, position: int) -> float:
    opening = field.opening(position)
    text = opening.effective.properties.get("INFERENCE_NUM_THREADS") if opening else None
    return int(text) if text is not None and text.isdigit() else math.inf


def _memory(field: Field, position: int) -> float:
    peak = field.dossiers.get(position, Dossier()).peak_rss_bytes
    return math.inf if peak is None else round(peak / 2**20, -1)


def _standing(
    field: Field,
    records: Sequence[Record],
    posterior: Posterior,
    position: int,
    chosen: int | None,
) -> Standing:
    record, dossier = records[position], field.dossiers.get(position, Dossier())

    def ratio_to(other: int | None) -> Interval | None:
        if other is None or other == position or not _ran_together(records, position, other):
            return None
        return _ratio(posterior, position, other)

    has_slices = bool(record.slices)
    return Standing(
        contender=field.contenders[position],
        state=_state(field, records, position, chosen, ratio_to(chosen)),
        launches=len(record.launches),
        slices=len(record.slices),
        measured_s=sum(piece.block.duration_s for piece in record.slices),
        requests=record.requests,
        over_cap=record.over_cap,
        verdict=record.verdict() if has_slices else None,
        search_verdict=record.verdict(SEARCH_ALPHA) if has_slices else None,
        missed_launches=record.missed_launches,
        throughput=record.throughput if has_slices else None,
        ratio=ratio_to(field.baseline),
        to_chosen=ratio_to(chosen),
        latency=record.latency,
        latency_upper_ms=record.latency_upper_ms if has_slices else None,
        limits=record.limits if has_slices else (),
        efficiency=record.efficiency if has_slices else None,
        holds=record.holds,
        effective=dossier.opening.effective if dossier.opening else None,
        unproven=field.unproven(position),
        peak_rss_bytes=dossier.peak_rss_bytes,
        readings=readings_over(
            record, [one for one in field.launches if one.contender == position]
        ),
        flags=record.flags,
        failure=dossier.failure,
    )


def _ran_together(records: Sequence[Record], one: int, other: int) -> bool:
    """Whether both ran in some launch: else only the search has compared them."""
    return not records[one].launches.keys().isdisjoint(records[other].launches)


def _ratio(posterior: Posterior, one: int, other: int) -> Interval:
    low, high = posterior.interval(one, other)
    mean = posterior.difference(one, other)
    return Interval(*(math.exp(min(value, 700.0)) for value in (mean, low, high)))


def _state(
    field: Field,
    records: Sequence[Record],
    position: int,
    chosen: int | None,
    to_chosen: Interval | None,
) -> State:
    record, dossier = records[position], field.dossiers.get(position, Dossier())
    if position == chosen:
        return State.CHOSEN
    if dossier.failure is not None:
        return State.FAILED
    if not record.slices:
        return State.WAITING
    if record.overall is Verdict.MISSED:
        return State.MISSED
    return _against_chosen(record, dossier, to_chosen, field.tie_margin)


def _against_chosen(
    record: Record, dossier: Dossier, to_chosen: Interval | None, margin: float
) -> State:
    """Who never ran beside the chosen one cannot be compared with it, but may have left before."""
    if to_chosen is None or to_chosen.low is None or to_chosen.high is None:
        return State.SLOWER if dossier.dropped is Dropped.SLOWER else State.WAITING
    has_left = dossier.dropped is Dropped.SLOWER and to_chosen.mean < 1
    if has_left or to_chosen.high < 1 - margin:
        return State.SLOWER
    is_certain = record.holds and len(record.launches) >= LEAST_LAUNCHES
    return State.FASTER if to_chosen.low > 1 and not is_certain else State.TIED


def _conditions(field: Field, record: Record | None, noise: float | None) -> Conditions:
    blocks = [piece.block for piece in field.slices if not piece.is_void]
    shares = [b.steal_s / (b.duration_s * b.cpus) for b in blocks if b.steal_s is not None]
    throttled = [b.throttled for b in blocks if b.throttled is not None]
    return Conditions(
        steal_share=sum(shares) / len(shares) if shares else None,
        most_steal_share=max(shares, default=None),
        throttled=sum(throttled) if throttled else None,
        major_faults=sum(block.major_faults for block in blocks),
        void_slices=len(field.slices) - len(blocks),
        dispersion=None if record is None else record.dispersion,
        noise=noise,
    )
