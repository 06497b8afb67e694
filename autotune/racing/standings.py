"""What the slices of one contender say by themselves: throughput, latency, limits, verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from autotune.domain.goal import Verdict, together
from autotune.domain.measurement import TICK_MS
from autotune.domain.race import LaunchReadings, LimitStanding
from autotune.racing.counted import CountedSlices, goal_percentile_ms
from autotune.racing.limits import limit_standing
from autotune.stats.latency import (
    over_cap,
    percentile_bounds_ms,
    ticks_of,
)
from autotune.stats.launches import LaunchSpread, launch_upper_bound
from autotune.stats.tail_test import CERTIFICATE_ALPHA, SEARCH_ALPHA, requests_needed, sla_verdict

_COMFORTABLE = 0.75
_LAUNCH_SD, _CLUSTERING = 0.05, 1.4
"""Of the logarithm of a launch's percentile: what launches differ by, and how many times as much
chance there is in it as among independent requests, who do not come in bursts. Fitted to replays of
five recorded surfaces; 0.047 to 0.060 and 1.25 to 1.61 without one of them."""
_MOST_CHANCE = 0.3
"""Where the percentile lies in a gap of the latencies, it is the pooled bound that speaks of it."""


@dataclass(frozen=True)
class Record(CountedSlices):
    """The counted slices of one contender, and what they say under a goal."""

    processes: tuple[LaunchReadings, ...] = ()
    """What each of its fresh processes took beside the slices."""
    spreads: Mapping[str, LaunchSpread] = field(default_factory=dict)
    """By limit on a value of a process: what processes differ by, over all contenders."""

    @cached_property
    def limits(self) -> tuple[LimitStanding, ...]:
        """What is to be said of each limit beside latency."""
        return tuple(
            limit_standing(
                limit, self.launches, self.processes, self.items, self.spreads.get(limit.name)
            )
            for limit in self.goal.limits
        )

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
        return _verdict(self, list(self.launches), alpha)

    @cached_property
    def overall(self) -> Verdict | None:
        """Of the SLA and all limits at 1 %; None where the goal asks for nothing."""
        return together([self.verdict(), *(one.verdict for one in self.limits)])

    @cached_property
    def overall_in_search(self) -> Verdict | None:
        """The same at 5 %, as the search has it."""
        limits = (one.search_verdict for one in self.limits)
        return together([self.verdict(SEARCH_ALPHA), *limits])

    @cached_property
    def excess(self) -> float:
        """Logarithm of how many times over it is what it is most over, as far as was seen."""
        found = [one.excess for one in self.limits]
        if self.goal.cap_ms is not None:
            latency = self.latency
            over = math.inf
            if latency is not None:
                over = math.log(max(latency.goal_ms, TICK_MS) / self.goal.cap_ms)
            found.append(over)
        return max(found, default=0.0)

    @cached_property
    def missed_launches(self) -> int:
        """Launches that clearly miss the SLA by themselves."""
        verdicts = [_verdict(self, [launch], CERTIFICATE_ALPHA) for launch in self.launches]
        return verdicts.count(Verdict.MISSED)

    @cached_property
    def latency_upper_ms(self) -> float | None:
        """Upper bound of the goal's percentile at 99 %, None where it cannot be bounded.

        The larger of two: from the order statistics of all requests together, which takes requests
        for independent, and a moderated t bound of the geometric mean of the launches' percentiles,
        which takes launches for independent and so covers what varies from one to the next.
        """
        confidence = 1 - CERTIFICATE_ALPHA
        everything = ticks_of(taken.block for taken in self.slices)
        pooled = percentile_bounds_ms(everything, self.goal.percentile, confidence)[1]
        if pooled is None:
            return None
        pooled = max(pooled, TICK_MS)
        over_seen = math.log(pooled / goal_percentile_ms(everything, self.goal))
        chance = over_seen / float(ndtri(confidence))
        by_chance = min(_CLUSTERING * chance * math.sqrt(len(self.launches)), _MOST_CHANCE)
        logs = [
            math.log(goal_percentile_ms(ticks_of(blocks), self.goal))
            for blocks in self.launches.values()
        ]
        spread = launch_upper_bound(logs, confidence, math.hypot(_LAUNCH_SD, by_chance))
        return None if spread is None else max(pooled, math.exp(min(spread, 700.0)))

    @cached_property
    def holds(self) -> bool:
        """Whether the SLA and all limits may be certified: always true where there are none.

        All requests together meet it at 1 %, no launch clearly misses it, the upper bound of
        the percentile is within the cap, and so is the bound of whatever else is limited.
        """
        keeps = all(one.verdict is Verdict.MET and one.bound is not None for one in self.limits)
        return bool(self.slices) and self._keeps_cap and keeps

    @property
    def _keeps_cap(self) -> bool:
        cap_ms = self.goal.cap_ms
        if cap_ms is None:
            return True
        upper_ms = self.latency_upper_ms
        return (
            self.verdict() is Verdict.MET
            and self.missed_launches == 0
            and upper_ms is not None
            and upper_ms <= cap_ms
        )

    @cached_property
    def should_hold(self) -> bool:
        """Whether it holds, or would be a surprise if it did not: met, and well within all limits.

        Enough to drop slower ones by, as the bound of few launches is wide; not to certify.
        """
        cap_ms, latency = self.goal.cap_ms, self.latency
        if latency is None or self.holds:
            return self.holds
        if cap_ms is not None:
            met = self.verdict() is Verdict.MET and self.missed_launches == 0
            if not met or latency.goal_ms > _COMFORTABLE * cap_ms:
                return False
        return all(
            one.verdict is Verdict.MET
            or (one.verdict is Verdict.UNCLEAR and one.excess <= math.log1p(-one.limit.row.room))
            for one in self.limits
        )

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


def lacking_s(record: Record) -> float:
    """Load at the rate so far until a certificate has its requests, if none of them is late.

    0 without a cap, and of one that cannot be certified any more.
    """
    sla = record.goal.sla
    if sla is None or record.overall is Verdict.MISSED or record.missed_launches:
        return 0.0
    needed = requests_needed(record.over_cap, sla.percentile, CERTIFICATE_ALPHA)
    spent_s = sum(taken.block.duration_s for taken in record.slices)
    return max(0, needed - record.requests) * spent_s / max(1, record.requests)


def _verdict(record: Record, launches: Sequence[int], alpha: float) -> Verdict | None:
    """Of the slices of these launches together; None without a cap."""
    if record.goal.sla is None:
        return None
    blocks = [block.completions for n in launches for block in record.launches[n]]
    over = [count for n in launches for count in record.over[n]]
    return sla_verdict(blocks, over, record.goal.sla, record.num_requests, alpha)
