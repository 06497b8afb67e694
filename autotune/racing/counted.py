"""The slices of one contender that count: speeds, latencies and flags, before any verdict."""

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from autotune.domain.goal import Goal, Objective
from autotune.domain.limits import BY_NAME, LimitRow
from autotune.domain.measurement import TICK_MS, Block, Flag, Interval, Latency
from autotune.domain.race import Slice
from autotune.domain.verdicts import inverse, resource_limit
from autotune.stats.latency import Ticks, percentile_ms, summarise, ticks_of
from autotune.stats.launches import launch_interval

_RATE = BY_NAME["min_throughput"]


@dataclass(frozen=True)
class CountedSlices:
    """What was seen of one contender."""

    slices: tuple[Slice, ...]
    items: int
    """In a request."""
    num_requests: int
    goal: Goal

    @cached_property
    def launches(self) -> dict[int, list[Block]]:
        """Blocks by launch, in order."""
        found: dict[int, list[Block]] = defaultdict(list)
        for taken in self.slices:
            found[taken.launch].append(taken.block)
        return dict(found)

    @cached_property
    def speeds(self) -> dict[tuple[int, int], float]:
        """What contenders are compared by, for each launch and round; larger is better."""
        found = {(s.launch, s.round): _speed(s.block, self.items, self.goal) for s in self.slices}
        return {key: speed for key, speed in found.items() if speed is not None}

    @cached_property
    def efficiency(self) -> Interval | None:
        """Items for each CPU-second or joule, where the goal asks for that and it was measured."""
        if self.goal.objective is not Objective.EFFICIENCY:
            return None
        found = self.mean_of(BY_NAME[resource_limit(self.goal)])
        return inverse(found) if found is not None and found.mean > 0 else None

    @cached_property
    def throughput(self) -> Interval:
        """Items per second; without an interval where two launches differ too much for one."""
        found = self.mean_of(_RATE)
        if found is None:
            return Interval(math.nan, None, None)
        is_bounded = found.low is not None and found.low > 0
        return found if is_bounded else Interval(found.mean, None, None)

    @property
    def claimed(self) -> tuple[Interval | None, ...]:
        """What a certificate claims of it beside limits."""
        if self.goal.objective is Objective.EFFICIENCY:
            return self.throughput, self.efficiency
        return (self.throughput,)

    def mean_of(self, row: LimitRow) -> Interval | None:
        """The mean of a limited quantity, 95 % over slices and launches; None if no slice has it.

        A slice in which nothing was completed has none of what is counted for each item.
        """
        each = [
            [found for block in blocks if (found := row.of_block(block, self.items)) is not None]
            for blocks in self.launches.values()
        ]
        return launch_interval(each) if any(each) else None

    @cached_property
    def requests(self) -> int:
        """Completed requests."""
        return sum(taken.block.completions for taken in self.slices)

    @cached_property
    def latency(self) -> Latency | None:
        """Of all requests; None without any."""
        blocks = [taken.block for taken in self.slices]
        return summarise(blocks, self.goal.percentile) if self.requests else None

    @cached_property
    def flags(self) -> frozenset[Flag]:
        """Flags on more than a fifth of the slices."""
        marks = [taken.block.flags for taken in self.slices]
        return frozenset(f for f in Flag if 5 * sum(f in found for found in marks) > len(marks))


def _speed(block: Block, items: int, goal: Goal) -> float | None:
    """What the goal compares by; None where it was not measured."""
    if goal.objective is Objective.LATENCY:
        return 1000 / goal_percentile_ms(ticks_of([block]), goal)
    if goal.objective is Objective.EFFICIENCY:
        used = BY_NAME[resource_limit(goal)].of_block(block, items)
        return 1 / used if used else None
    return _RATE.of_block(block, items)


def goal_percentile_ms(ticks: Ticks, goal: Goal) -> float:
    """The goal's percentile, of a tick at least: its logarithm is taken."""
    return max(percentile_ms(ticks, goal.percentile), TICK_MS)
