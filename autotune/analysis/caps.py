"""Every cap at once: from which one on a measurement meets its SLA, and which it misses."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from autotune.domain.goal import Verdict
from autotune.domain.measurement import Block, Measurement
from autotune.stats.latency import percentile_ticks, ticks_of
from autotune.stats.tail_test import least_over_to_miss, least_to_miss, most_over_to_meet


@dataclass(frozen=True, slots=True)
class CapRange:
    """Verdicts of one measurement for a percentile, in ticks of 100 ns.

    The test sees a measurement through two numbers, requests and requests over the cap; the second
    falls as the cap rises, so that each verdict holds for one range of caps.
    """

    percentile: int
    """What was observed."""
    met_from: int | None
    """The smallest cap that is met; None where there are too few requests for this percentile."""
    missed_below: int
    """All caps below are missed; 0 where none is."""

    def verdict(self, cap: int) -> Verdict:
        """The verdict for a cap in ticks."""
        if self.met_from is not None and cap >= self.met_from:
            return Verdict.MET
        return Verdict.MISSED if cap < self.missed_below else Verdict.UNCLEAR


def cap_ranges(
    measured: Sequence[Measurement],
    percentiles: Iterable[float],
    counted: Callable[[int], Sequence[Block]],
) -> dict[float, list[CapRange]]:
    """What `sla_verdict` says of every measurement, percentile and cap.

    Args:
        measured: measurements, which need not hold their blocks.
        percentiles: in percent.
        counted: the counted blocks of the measurement at a position; called once for each.

    Returns:
        For each percentile one range for each measurement, in their order.
    """
    requests = np.array([one.latency.requests for one in measured], dtype=np.int64)
    rates = {percentile: 1 - percentile / 100 for percentile in percentiles}
    meets = {p: most_over_to_meet(requests, rate) for p, rate in rates.items()}
    misses = {p: least_over_to_miss(requests, rate) for p, rate in rates.items()}
    medians = {p: least_over_to_miss(requests, max(0.5, rate)) for p, rate in rates.items()}
    found: dict[float, list[CapRange]] = {percentile: [] for percentile in rates}
    for position, one in enumerate(measured):
        blocks = counted(position)
        ticks = ticks_of(blocks)
        # Over-cap requests in two blocks: the cap is below the second largest of their maxima.
        highest = sorted(np.frombuffer(b.latency_ticks, dtype="<u4").max() for b in blocks)
        spread = int(highest[-2]) if len(highest) > 1 else 0
        for percentile, ranges in found.items():
            most = int(meets[percentile][position])
            by_rate = _largest(ticks, int(misses[percentile][position]))
            by_median = _largest(ticks, int(medians[percentile][position]))
            enough, some = least_to_miss(one.num_requests)
            ranges.append(
                CapRange(
                    percentile=percentile_ticks(ticks, percentile),
                    met_from=None if most < 0 else _largest(ticks, most + 1),
                    missed_below=max(
                        min(by_rate, spread) if ticks.size >= enough else 0,
                        by_median if ticks.size >= some else 0,
                    ),
                )
            )
    return found


def _largest(ticks: np.ndarray[tuple[int], np.dtype[np.uint32]], rank: int) -> int:
    """The largest tick but `rank` - 1, which exactly those caps are below that so many are over."""
    return int(ticks[ticks.size - rank]) if rank <= ticks.size else 0
