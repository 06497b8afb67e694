"""Who leads, who is tied, who is out: pure functions of the slices that a race has seen so far."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Block, Flag, Interval, Latency
from autotune.domain.race import Slice
from autotune.stats.latency import (
    over_cap,
    percentile_bounds_ms,
    percentile_ms,
    summarise,
    ticks_of,
)
from autotune.stats.paired import launch_interval, launch_upper_bound, ratio_interval
from autotune.stats.tail_test import CERTIFICATE_ALPHA, sla_verdict

DROP_ALPHA = 0.05
"""Chance, over a whole race, that anybody is dropped who is no slower than the tie margin."""
_COMFORTABLE = 0.75


@dataclass(frozen=True)
class Record:
    """The counted slices of one contender, and what they say under a goal."""

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
        return {(s.launch, s.round): self._speed(s.block) for s in self.slices}

    def _speed(self, block: Block) -> float:
        if self.goal.objective is Objective.LATENCY:
            return 1000 / max(percentile_ms(ticks_of([block]), self.goal.percentile), 1e-4)
        return self._rate(block)

    def _rate(self, block: Block) -> float:
        return self.items * block.completions / block.duration_s

    @cached_property
    def throughput(self) -> Interval:
        """Items per second."""
        return launch_interval(
            [[self._rate(block) for block in blocks] for blocks in self.launches.values()]
        )

    @cached_property
    def requests(self) -> int:
        """Completed requests."""
        return sum(taken.block.completions for taken in self.slices)

    @cached_property
    def over(self) -> dict[int, list[int]]:
        """Over-cap requests of each slice, by launch; empty without a cap."""
        cap_ms = self.goal.cap_ms
        if cap_ms is None:
            return {}
        return {n: [over_cap(b, cap_ms) for b in blocks] for n, blocks in self.launches.items()}

    @cached_property
    def over_cap(self) -> int:
        """Over-cap requests of all slices."""
        return sum(sum(counts) for counts in self.over.values())

    def verdict(self, alpha: float = CERTIFICATE_ALPHA) -> Verdict | None:
        """Of all slices together; None without a cap."""
        return self._verdict(list(self.launches), alpha)

    @cached_property
    def missed_launches(self) -> int:
        """Launches that clearly miss the SLA by themselves."""
        verdicts = [self._verdict([launch], CERTIFICATE_ALPHA) for launch in self.launches]
        return verdicts.count(Verdict.MISSED)

    def _verdict(self, launches: Sequence[int], alpha: float) -> Verdict | None:
        if self.goal.sla is None:
            return None
        blocks = [block.completions for n in launches for block in self.launches[n]]
        over = [count for n in launches for count in self.over[n]]
        return sla_verdict(blocks, over, self.goal.sla, self.num_requests, alpha)

    @cached_property
    def latency(self) -> Latency | None:
        """Of all requests; None without any."""
        blocks = [taken.block for taken in self.slices]
        return summarise(blocks, self.goal.percentile) if self.requests else None

    @cached_property
    def latency_upper_ms(self) -> float | None:
        """Upper bound of the goal's percentile at 99 %, None where it cannot be bounded.

        The larger of two: from the order statistics of all requests together, which takes requests
        for independent, and a t bound of the geometric mean of the launches' percentiles, which
        takes launches for independent and so covers what varies from one launch to the next.
        """
        confidence = 1 - CERTIFICATE_ALPHA
        everything = ticks_of(taken.block for taken in self.slices)
        pooled = percentile_bounds_ms(everything, self.goal.percentile, confidence)[1]
        logs = [
            math.log(max(percentile_ms(ticks_of(blocks), self.goal.percentile), 1e-4))
            for blocks in self.launches.values()
        ]
        spread = launch_upper_bound(logs, confidence)
        if pooled is None or spread is None:
            return None
        return max(pooled, math.exp(min(spread, 700.0)))

    @cached_property
    def holds(self) -> bool:
        """Whether the SLA may be certified: always true without a cap.

        All requests together meet it at 1 %, no launch clearly misses it, and the upper bound of
        the percentile is within the cap.
        """
        cap_ms = self.goal.cap_ms
        if cap_ms is None:
            return bool(self.slices)
        upper_ms = self.latency_upper_ms
        return (
            self.verdict() is Verdict.MET
            and self.missed_launches == 0
            and upper_ms is not None
            and upper_ms <= cap_ms
        )

    @cached_property
    def should_hold(self) -> bool:
        """Whether it holds, or would be a surprise if it did not: met, and well below the cap.

        Enough to drop slower ones by, as the bound of few launches is wide; not to certify.
        """
        cap_ms, latency = self.goal.cap_ms, self.latency
        if cap_ms is None or latency is None or self.holds:
            return self.holds
        met = self.verdict() is Verdict.MET and self.missed_launches == 0
        return met and latency.goal_ms <= _COMFORTABLE * cap_ms

    @cached_property
    def flags(self) -> frozenset[Flag]:
        """Flags on more than a fifth of the slices."""
        marks = [taken.block.flags for taken in self.slices]
        return frozenset(f for f in Flag if 5 * sum(f in found for found in marks) > len(marks))

    @cached_property
    def dispersion(self) -> float | None:
        """Variance of over-cap counts between slices against that of independent requests."""
        cap_ms = self.goal.cap_ms
        if cap_ms is None:
            return None
        counts = [over_cap(taken.block, cap_ms) for taken in self.slices]
        if len(counts) < 2 or not 0 < self.over_cap < self.requests:
            return None
        sizes = np.array([taken.block.completions for taken in self.slices], dtype=float)
        rate = self.over_cap / self.requests
        excess = (np.array(counts) - sizes * rate) ** 2 / (sizes * rate * (1 - rate))
        return float(excess.sum()) / (len(counts) - 1)

    def ratio_to(self, other: "Record", confidence: float = 0.95) -> Interval | None:
        """This contender's speed over the other's, from rounds in which both had a turn."""
        logs: dict[int, list[float]] = defaultdict(list)
        for key, speed in self.speeds.items():
            if key in other.speeds:
                logs[key[0]].append(math.log(speed / other.speeds[key]))
        return ratio_interval(list(logs.values()), confidence) if logs else None


def is_slower(record: Record, leader: Record, margin: float, confidence: float) -> bool:
    """Whether a tie with the leader is excluded: the whole interval is below 1 - margin."""
    ratio = record.ratio_to(leader, confidence)
    return ratio is not None and ratio.high is not None and ratio.high < 1 - margin


def is_tied(record: Record, leader: Record, margin: float) -> bool:
    """Whether a difference beyond the margin is excluded in both directions."""
    ratio = record.ratio_to(leader)
    if ratio is None or ratio.low is None or ratio.high is None:
        return False
    return ratio.low > 1 - margin and ratio.high < 1 / (1 - margin)


def fastest(
    records: Sequence[Record], among: Sequence[int], baseline: int | None = None
) -> int | None:
    """Position of the fastest: by the paired ratio to the baseline, where all ran beside it.

    Means over rounds of one's own would favour whoever ran when the machine was fast. They are all
    there is where somebody never ran beside the baseline.
    """
    able = [i for i in among if records[i].speeds]
    paired = {i: _merit(records[i], records, baseline) for i in able}
    if all(value is not None for value in paired.values()):
        return max(able, key=lambda i: paired[i] or 0.0, default=None)
    return max(able, key=lambda i: _mean_log(records[i]), default=None)


def _merit(record: Record, records: Sequence[Record], baseline: int | None) -> float | None:
    if baseline is None:
        return None
    ratio = record.ratio_to(records[baseline])
    return None if ratio is None else ratio.mean


def _mean_log(record: Record) -> float:
    speeds = list(record.speeds.values())
    return math.fsum(map(math.log, speeds)) / len(speeds)


def drop_confidence(look: int, contenders: int) -> float:
    """Confidence of one comparison so that all of a race err together with at most 5 %.

    Bonferroni over the contenders beside the leader, and over looks without a planned end: the
    k-th look, after the k-th launch, may spend 1 / (k (k + 1)) of the 5 %, which adds up to all
    of it.
    """
    return 1 - DROP_ALPHA / (look * (look + 1) * max(1, contenders - 1))
