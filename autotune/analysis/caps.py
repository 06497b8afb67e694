"""Every cap at once: from which one on a measurement meets its SLA, and which it misses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from autotune.domain.goal import Verdict
from autotune.domain.trial import Trial
from autotune.stats.latency import Ticks, percentile_ticks
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
    trials: Iterable[Trial],
    percentiles: Iterable[float],
    latencies: Iterable[tuple[int, Sequence[bytes]]],
) -> dict[int, dict[float, CapRange]]:
    """What `sla_verdict` says of every measurement, percentile and cap.

    Args:
        trials: those that are asked for; they need not hold their blocks.
        percentiles: in percent.
        latencies: number and counted blocks of every trial with a measurement of its own, each
            block as little-endian uint32 ticks.

    Returns:
        By trial and percentile; a trial without blocks has none.
    """
    measured = {trial.number: trial.measurement for trial in trials if trial.measurement}
    places = {number: place for place, number in enumerate(measured)}
    requests = [one.latency.requests for one in measured.values()]
    tests = {percentile: _Test.of(requests, percentile) for percentile in percentiles}
    found = {}
    for number, packed in latencies:
        blocks = [np.frombuffer(block, dtype="<u4") for block in packed if block]
        if number not in measured or not blocks:
            continue
        ticks = np.sort(np.concatenate(blocks))
        # Over-cap requests in two blocks: the cap is below the second largest of their maxima.
        highest = sorted(int(block.max()) for block in blocks)
        spread = highest[-2] if len(highest) > 1 else 0
        enough, some = least_to_miss(measured[number].num_requests)
        place = places[number]
        found[number] = {
            percentile: CapRange(
                percentile=percentile_ticks(ticks, percentile),
                met_from=test.met_from(ticks, place),
                missed_below=max(
                    min(_largest(ticks, int(test.miss[place])), spread)
                    if ticks.size >= enough
                    else 0,
                    _largest(ticks, int(test.miss_by_median[place])) if ticks.size >= some else 0,
                ),
            )
            for percentile, test in tests.items()
        }
    return found


def latencies_of(trial: Trial) -> list[tuple[int, list[bytes]]]:
    """The latencies of one trial that has its blocks, as `cap_ranges` takes them."""
    measurement = trial.measurement
    return (
        []
        if measurement is None
        else [(trial.number, [block.latency_ticks for block in measurement.counted])]
    )


def lowest_met(
    ranges: Mapping[int, Mapping[float, CapRange]], percentile: float
) -> tuple[int, int] | None:
    """The lowest cap that any trial meets, in ticks, and that trial; None where none meets any."""
    found = [
        (one[percentile].met_from, number)
        for number, one in ranges.items()
        if percentile in one and one[percentile].met_from is not None
    ]
    return min(found, default=None)  # type: ignore[return-value]  # no None is left


@dataclass(frozen=True, slots=True)
class _Test:
    """For every measurement, how many requests over the cap decide a percentile."""

    meet: NDArray[np.int64]
    """At most so many."""
    miss: NDArray[np.int64]
    """At least so many."""
    miss_by_median: NDArray[np.int64]

    @classmethod
    def of(cls, requests: Sequence[int], percentile: float) -> Self:
        """The test of a percentile."""
        rate = 1 - percentile / 100
        return cls(
            most_over_to_meet(requests, rate),
            least_over_to_miss(requests, rate),
            least_over_to_miss(requests, max(0.5, rate)),
        )

    def met_from(self, ticks: Ticks, place: int) -> int | None:
        """The smallest cap with few enough requests above."""
        most = int(self.meet[place])
        return None if most < 0 else _largest(ticks, most + 1)


def _largest(ticks: Ticks, rank: int) -> int:
    """The largest tick but `rank` - 1, which exactly those caps are below that so many are over."""
    return int(ticks[ticks.size - rank]) if 1 <= rank <= ticks.size else 0
