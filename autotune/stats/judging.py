"""From the slices of a race to its result: what is chosen, why, and what may be claimed of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autotune.domain.doubts import Doubts
from autotune.domain.goal import Goal, Verdict
from autotune.domain.measurement import NOISE, Feed, Interval, Opening
from autotune.domain.race import (
    LEAST_LAUNCHES,
    Choice,
    Conditions,
    Contender,
    End,
    Entry,
    RaceResult,
    Slice,
    Standing,
    State,
    Status,
)
from autotune.stats.standings import Record, fastest
from autotune.stats.tail_test import SEARCH_ALPHA

_MOST_VOID = 0.2
_MARGIN_STEP = 0.1
"""Margins below the cap are compared in tenths of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """All contenders, what is known of them, and every slice so far."""

    contenders: Sequence[Contender]
    entries: Mapping[int, Entry]
    """By position; a contender that was never opened may be missing."""
    slices: Sequence[Slice]
    goal: Goal
    baseline: int | None
    tie_margin: float
    feed: Feed = Feed.BIND
    doubts: Doubts = field(default_factory=Doubts)
    """What was found out since, or before anybody ran."""

    def records(self) -> list[Record]:
        """One for each contender, of the slices that count."""
        taken: dict[int, list[Slice]] = {i: [] for i in range(len(self.contenders))}
        for piece in self.slices:
            if not piece.is_void:
                taken[piece.contender].append(piece)
        return [
            Record(
                tuple(taken[position]),
                contender.items,
                self._num_requests(position),
                self.goal,
            )
            for position, contender in enumerate(self.contenders)
        ]

    def opening(self, position: int) -> Opening | None:
        """Of its last launch."""
        return self.entries.get(position, Entry()).opening

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
    chosen, choice = _choose(field, records)
    standings = tuple(
        _standing(field, records, position, chosen) for position in range(len(records))
    )
    launches = {piece.launch for piece in field.slices}
    rounds = {(piece.launch, piece.round) for piece in field.slices}
    return RaceResult(
        standings=standings,
        chosen=chosen,
        baseline=field.baseline,
        status=_status(field, records, chosen, end),
        choice=choice,
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
    passes = record.verdict() in {None, Verdict.MET}
    return Status.PROVISIONAL if passes else Status.UNCONFIRMED


def _choose(field: Field, records: Sequence[Record]) -> tuple[int | None, Choice | None]:
    """The best by the rules, and which rule decided.

    Among those whose SLA may be certified, else those that meet it, else those that do not clearly
    miss it: the fastest; and of all that are tied with it, first the runtime's own hint, then more
    room below the cap, then fewer threads, then less memory.
    """
    able = [
        i
        for i, record in enumerate(records)
        if record.slices and field.entries.get(i, Entry()).failure is None
    ]
    pool = (
        [i for i in able if records[i].holds and len(records[i].launches) >= LEAST_LAUNCHES]
        or [i for i in able if records[i].verdict() in {None, Verdict.MET}]
        or [i for i in able if records[i].verdict() is Verdict.UNCLEAR]
    )
    leader = fastest(records, pool, field.baseline)
    if leader is None:
        return None, None
    tied = [i for i in pool if i == leader or not _is_behind(field, records[i], records[leader])]
    if len(tied) == 1:
        return leader, Choice.FASTEST
    return _break_tie(field, records, tied, leader)


def _is_behind(field: Field, record: Record, leader: Record) -> bool:
    """Whether it is no tie: the interval of the ratio excludes one, or there is no interval.

    Nor is it where one left the race before the other: it was shown to be slower than somebody, and
    the few launches that it shares with this one are no reason to doubt that.
    """
    ratio = record.ratio_to(leader)
    if ratio is None or ratio.high is None or _left_before(record, leader):
        return True
    return ratio.high < 1 - field.tie_margin


def _left_before(record: Record, leader: Record) -> bool:
    """Whether it had no turn in the leader's last two launches; the last may have been cut off."""
    return max(record.launches) < max(leader.launches) - 1


def _break_tie(
    field: Field, records: Sequence[Record], tied: Sequence[int], leader: int
) -> tuple[int, Choice]:
    hints = [i for i in tied if field.contenders[i].is_default]
    if hints:
        best = fastest(records, hints, field.baseline)
        assert best is not None  # noqa: S101 - who is tied has slices
        return best, Choice.DEFAULT
    # Only those that look as fast as the leader, as a wide interval is no reason to give up speed;
    # and that beat every hint that meets the cap by themselves, as the leader does.
    beaten = [
        records[i]
        for i, contender in enumerate(field.contenders)
        if contender.is_default and records[i].verdict() is not Verdict.MISSED
    ]
    near = [
        i
        for i in tied
        if i == leader
        or (
            _looks_equal(field, records[i], records[leader])
            and all(_is_behind(field, hint, records[i]) for hint in beaten)
        )
    ]
    rules = (
        (Choice.MARGIN, _margin_steps),
        (Choice.THREADS, _threads),
        (Choice.MEMORY, _memory),
    )
    for choice, cost in rules:
        costs = {i: cost(field, records[i], i) for i in near}
        least = min(costs.values())
        near = [i for i in near if costs[i] == least]
        if len(near) == 1:
            return near[0], Choice.TIED if near[0] == leader else choice
    best = fastest(records, near, field.baseline)
    return leader if best is None else best, Choice.TIED


def _looks_equal(field: Field, record: Record, leader: Record) -> bool:
    ratio = record.ratio_to(leader)
    return ratio is not None and ratio.mean >= 1 - field.tie_margin


def _margin_steps(field: Field, record: Record, _: int) -> float:
    """The latency bound in tenths of the cap, rounded up; the same for all without a cap."""
    if field.goal.cap_ms is None:
        return 0.0
    upper_ms = record.latency_upper_ms
    if upper_ms is None:
        return math.inf
    return math.ceil(upper_ms / field.goal.cap_ms / _MARGIN_STEP)


def _threads(field: Field, _: Record, position: int) -> float:
    opening = field.opening(position)
    text = opening.effective.properties.get("INFERENCE_NUM_THREADS") if opening else None
    return int(text) if text is not None and text.isdigit() else math.inf


def _memory(field: Field, _: Record, position: int) -> float:
    peak = field.entries.get(position, Entry()).peak_rss_bytes
    return math.inf if peak is None else round(peak / 2**20, -1)


def _standing(
    field: Field, records: Sequence[Record], position: int, chosen: int | None
) -> Standing:
    record, entry = records[position], field.entries.get(position, Entry())
    baseline = None if field.baseline is None else records[field.baseline]
    leader = None if chosen is None else records[chosen]
    has_slices = bool(record.slices)
    return Standing(
        contender=field.contenders[position],
        state=_state(field, records, position, chosen),
        launches=len(record.launches),
        slices=len(record.slices),
        measured_s=sum(piece.block.duration_s for piece in record.slices),
        requests=record.requests,
        over_cap=record.over_cap,
        verdict=record.verdict() if has_slices else None,
        search_verdict=record.verdict(SEARCH_ALPHA) if has_slices else None,
        missed_launches=record.missed_launches,
        throughput=record.throughput if has_slices else None,
        ratio=record.ratio_to(baseline) if baseline and position != field.baseline else None,
        to_chosen=record.ratio_to(leader) if leader and position != chosen else None,
        latency=record.latency,
        latency_upper_ms=record.latency_upper_ms if has_slices else None,
        holds=record.holds,
        effective=entry.opening.effective if entry.opening else None,
        unproven=field.unproven(position),
        peak_rss_bytes=entry.peak_rss_bytes,
        flags=record.flags,
        failure=entry.failure,
    )


def _state(field: Field, records: Sequence[Record], position: int, chosen: int | None) -> State:
    record = records[position]
    if position == chosen:
        return State.CHOSEN
    if field.entries.get(position, Entry()).failure is not None:
        return State.FAILED
    if not record.slices:
        return State.WAITING
    if record.verdict() is Verdict.MISSED:
        return State.MISSED
    ratio = None if chosen is None else record.ratio_to(records[chosen])
    # Who never ran beside the chosen one cannot be compared with it.
    if ratio is None or chosen is None:
        return State.WAITING
    return _against_chosen(ratio, record, records[chosen], field.tie_margin)


def _against_chosen(ratio: Interval, record: Record, chosen: Record, margin: float) -> State:
    has_left = ratio.mean < 1 and _left_before(record, chosen)
    if has_left or (ratio.high is not None and ratio.high < 1 - margin):
        return State.SLOWER
    is_certain = record.holds and len(record.launches) >= LEAST_LAUNCHES
    is_faster = ratio.low is not None and ratio.low > 1 and not is_certain
    return State.FASTER if is_faster else State.TIED


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
