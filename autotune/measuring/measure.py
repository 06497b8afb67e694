"""Measure one configuration: warm up, then blocks until the answer is known or time is up.

Every decision here is a pure function of the blocks seen so far, so a simulated machine and a real
one are measured by the same rules.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autotune.domain.arrival import Arrival, Closed
from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.goal import Goal, Objective, Sla, Verdict
from autotune.domain.limits import BY_NAME as LIMITS
from autotune.domain.limits import LimitRow
from autotune.domain.measurement import (
    Block,
    Feed,
    Flag,
    Interval,
    Measurement,
    Opening,
    StopReason,
)
from autotune.domain.verdicts import judged_so_far, resource_limit
from autotune.machines.ports import Load, OpenModel
from autotune.measuring.readings import mean_over, readings_of
from autotune.space.configuration import Configuration
from autotune.stats.block_means import is_steady, mean_interval, sample_interval
from autotune.stats.latency import cap_ticks, over_cap, summarise, ticks_of
from autotune.stats.tail_test import sla_verdict

PROMISING_FACTOR = 4
"""How many times the limit a promising configuration may take whose verdict is still open."""
_LONGEST_WARM_UP = 4
"""How many times its least length the warm-up of a turn may take."""
_PRECISE = 0.02
_MIN_BLOCKS = 4
_HOPELESS_FACTOR = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long to look, in seconds.

    A measurement ends at the first of: the SLA is clearly missed, or a limit is, once the
    throughput has an interval; it is clearly slower than the best feasible configuration; the
    verdicts are reached and the half-width of the throughput (and of what an item takes, where that
    is asked for) is at most 2 %; `limit_s` is spent. A promising one, with a verdict that more load
    may decide and a throughput that may be the best, goes on to `longest_s`.
    """

    limit_s: float
    longest_s: float
    warmup_s: float = 1.0
    block_s: float = 0.5
    feed: Feed = Feed.BIND

    @property
    def longest_warmup_s(self) -> float:
        """Time after which the warm-up ends, steady or not."""
        return 3 * self.warmup_s


def arrival_of(model: OpenModel, configuration: Configuration) -> Arrival:
    """How requests come to an open model: as many as were asked for, or as it calls optimal."""
    requests = model.opening.effective.requests(configuration)
    return Closed(requests, is_blocking=configuration.is_blocking)


def measure(
    model: OpenModel,
    configuration: Configuration,
    goal: Goal,
    plan: Plan,
    to_beat_per_s: float = 0.0,
    items_per_request: int = 1,
) -> Measurement:
    """Put an open model under load until the plan says stop.

    Args:
        model: compiled for `configuration`.
        configuration: what was requested.
        goal: its cap and limits decide the verdicts.
        plan: how long to look.
        to_beat_per_s: throughput lower bound of the best feasible configuration so far.
        items_per_request: at batch 1.

    Raises:
        TrialFault: the worker failed.
    """
    arrival = arrival_of(model, configuration)
    load = Load(
        arrival=arrival,
        feed=plan.feed,
        block_s=plan.block_s,
        limit_s=plan.longest_warmup_s + plan.longest_s,
    )
    items = items_per_request * configuration.batch_size
    tally = Tally(items, arrival.num_requests, goal, plan, to_beat_per_s, model.opening)
    _fill(tally, model, load)
    if not tally.counted:
        message = "the load ended before anything was measured"
        raise TrialFault(Failure(FailureKind.LOST, message, "load"))
    counted = tally.counted
    return Measurement(
        configuration=configuration,
        opening=model.opening,
        num_requests=arrival.num_requests,
        blocks=(*tally.warmup, *counted),
        warmup_blocks=len(tally.warmup),
        verdict=tally.verdict,
        stop_reason=tally.stop_reason or StopReason.LIMIT,
        throughput=mean_interval(block_rates(counted, items)),
        latency=summarise(counted, goal.percentile),
        over_cap=sum(tally.over),
        occupancy=_per_time(counted, sum(b.occupancy * b.duration_s for b in counted)),
        loop_cpu_share=_per_time(counted, sum(b.loop_cpu_s / b.cpus for b in counted)),
        measure_s=sum(block.duration_s for block in (*tally.warmup, *counted)),
        peak_rss_bytes=model.peak_rss_bytes,
        feed=plan.feed,
        flags=common_flags(counted),
        readings=readings_of(model, counted, items),
    )


def _fill(tally: "Tally", model: OpenModel, load: Load) -> None:
    """Take in blocks until enough is known.

    Raises:
        TrialFault: the worker failed before.
    """
    try:
        with contextlib.closing(model.load(load)) as blocks:
            for block in blocks:
                tally.add(block)
                if tally.stop_reason is not None:
                    break
    except TrialFault:
        # A worker that fails to stop has been killed, but what it measured before stands.
        if tally.stop_reason is None:
            raise
    tally.end()


class Tally:
    """What is known after each block."""

    def __init__(
        self,
        items: int,
        num_requests: int,
        goal: Goal,
        plan: Plan,
        to_beat_per_s: float,
        opening: Opening | None = None,
    ) -> None:
        self._items = items
        self._opening = opening
        self._num_requests = num_requests
        self._goal = goal
        self._plan = plan
        self._to_beat_per_s = to_beat_per_s
        self.warmup: list[Block] = []
        self.counted: list[Block] = []
        self.over: list[int] = []
        self.verdict: Verdict | None = None
        """Of the SLA."""
        self.limits: dict[str, Verdict] = {}
        """Of what else is asked for, but for memory, which is known at the end."""
        self.seen = Interval(0.0, None, None)
        """Items per second, as these blocks have it."""
        self.stop_reason: StopReason | None = None

    def add(self, block: Block) -> None:
        """Take in one block, as warm-up or as evidence."""
        if self.counted or self._is_warm():
            self._count(block)
        elif self._goal.sla is not None and _is_hopeless(block, self._goal.sla, self._num_requests):
            # The fastest of many requests is far beyond the cap: warming up will not mend that.
            self._count(block)
        else:
            self.warmup.append(block)

    def end(self) -> None:
        """No more blocks: what came before any steady state is better than nothing."""
        if not self.counted and self.warmup:
            self._count(self.warmup.pop())

    def _is_warm(self) -> bool:
        plan = self._plan
        return is_warm(self.warmup, self._num_requests, plan.warmup_s, plan.longest_warmup_s)

    def _count(self, block: Block) -> None:
        self.counted.append(block)
        self.seen = sample_interval(block_rates(self.counted, self._items))
        sla = self._goal.sla
        if sla is not None:
            self.over.append(over_cap(block, sla.cap_ms))
            requests = [counted.completions for counted in self.counted]
            self.verdict = sla_verdict(requests, self.over, sla, self._num_requests)
        if self._goal.limits and self._opening is not None:
            self.limits = judged_so_far(self._opening, self._goal, self._seen_of)
        self.stop_reason = self._reason()

    def _seen_of(self, row: LimitRow) -> Interval | None:
        if row.is_floor:
            return mean_interval(block_rates(self.counted, self._items))
        return mean_over(self.counted, self._items, row)

    def _reason(self) -> StopReason | None:
        spent = sum(block.duration_s for block in self.counted)
        if self.verdict is Verdict.MISSED:
            return StopReason.MISSED
        if Verdict.MISSED in self.limits.values() and len(self.counted) >= _MIN_BLOCKS:
            return StopReason.MISSED
        if self.seen.high is not None and self.seen.high < self._to_beat_per_s:
            return StopReason.DOMINATED
        verdicts = {self.verdict, *(self.limits.get(name) for name in _of_load(self._goal))}
        if self._is_precise and verdicts <= {None, Verdict.MET}:
            return StopReason.DECIDED
        contends = Verdict.UNCLEAR in verdicts and self.seen.mean >= self._to_beat_per_s
        limit = self._plan.longest_s if contends else self._plan.limit_s
        return StopReason.LIMIT if spent >= limit else None

    @property
    def _is_precise(self) -> bool:
        """Whether throughput, and what an item takes where that is asked for, are known to 2 %."""
        if len(self.counted) < _MIN_BLOCKS:
            return False
        seen = [self.seen]
        if self._goal.objective is Objective.EFFICIENCY:
            used = LIMITS[resource_limit(self._goal)].of_block
            each = [used(block, self._items) or 0.0 for block in self.counted]
            seen.append(sample_interval(each))
        widths = [one.half_width for one in seen]
        return all(width is not None and width <= _PRECISE for width in widths)


def _of_load(goal: Goal) -> list[str]:
    """Names of the limits of which more load tells more."""
    return [limit.name for limit in goal.limits if limit.row.sums_of_block is not None]


def warm_up(model: OpenModel, load: Load, least_s: float) -> None:
    """Load that is not counted, until it is steady, for `_LONGEST_WARM_UP` times `least_s` at most.

    Raises:
        TrialFault: the worker failed.
    """
    done: list[Block] = []
    load = replace(load, block_s=least_s / 2)  # two blocks that agree end it
    with contextlib.closing(model.load(load)) as blocks:
        for block in blocks:
            done.append(block)
            if is_warm(done, load.num_requests, least_s, _LONGEST_WARM_UP * least_s):
                return


def take_slice(model: OpenModel, load: Load) -> Block:
    """One block: the turn of a resident model among others.

    Raises:
        TrialFault: the worker failed, or ended its load before the block.
    """
    with contextlib.closing(model.load(load)) as blocks:
        for block in blocks:
            return block
    raise TrialFault(Failure(FailureKind.LOST, "the load ended without a block", "load"))


def is_warm(blocks: Sequence[Block], num_requests: int, least_s: float, longest_s: float) -> bool:
    """Whether a warm-up of these blocks may end.

    Every request had its turns, `least_s` has passed, and the last two blocks agree or four of them
    show no trend; or `longest_s` has passed, because some programs never settle.
    """
    spent_s = sum(block.duration_s for block in blocks)
    if spent_s >= longest_s:
        return True
    done = sum(block.completions for block in blocks)
    enough = spent_s >= least_s and done >= max(30, 3 * num_requests)
    rates = [block.completions / block.duration_s for block in blocks]
    return enough and (is_steady(rates, window=2) or is_steady(rates))


def block_rates(blocks: Sequence[Block], items: int) -> list[float]:
    """Items per second of every block, with so many in a request."""
    return [items * block.completions / block.duration_s for block in blocks]


def _per_time(blocks: Sequence[Block], total: float) -> float:
    return total / sum(block.duration_s for block in blocks)


def common_flags(blocks: Sequence[Block]) -> frozenset[Flag]:
    """Flags on more than a fifth of the blocks."""
    counts = {flag: sum(flag in block.flags for block in blocks) for flag in Flag}
    return frozenset(flag for flag, count in counts.items() if 5 * count > len(blocks))


def _is_hopeless(block: Block, sla: Sla, num_requests: int) -> bool:
    """Whether even the fastest of two rounds of requests is far beyond the cap."""
    ticks = ticks_of([block])
    enough = ticks.size >= 2 * num_requests
    return enough and bool(ticks[0] > _HOPELESS_FACTOR * cap_ticks(sla.cap_ms))
