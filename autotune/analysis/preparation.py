"""What preparing inputs takes of a request, and what overlapping it with inference brings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autotune.domain.goal import Goal
from autotune.domain.measurement import Interval, Latency, Measurement
from autotune.domain.race import RaceResult, Standing, State
from autotune.domain.ranking import best
from autotune.domain.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationTime:
    """What preparing the inputs of a request takes, where that is a part of its latency."""

    prepare_ms: float
    """Mean over requests."""
    share: float | None
    """Of the mean latency; None where that is 0."""
    busy: float | None
    """Share of the time in which the feeding thread prepared; None where items are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """The best rate where inputs are prepared while others are inferred, and where they wait."""

    ratio: Interval
    """Asynchronous to synchronous; without bounds where only their means are known."""
    asynchronous: str
    synchronous: str
    """What they are called: a trial, a hint."""


def preparation(measurement: Measurement, items: int | None) -> PreparationTime | None:
    """Of a trial; None where nothing was prepared.

    Args:
        measurement: the trial's.
        items: in each of its requests, the batch included; None where that is not known.
    """
    prepare_ms = measurement.readings.prepare_ms
    return _preparation(prepare_ms, measurement.latency, measurement.throughput_per_s, items)


def raced_preparation(standing: Standing) -> PreparationTime | None:
    """Of a contender, in the race's own processes; None where nothing was prepared or measured."""
    if standing.latency is None or standing.throughput is None:
        return None
    prepare_ms, rate_per_s = standing.readings.prepare_ms, standing.throughput.mean
    return _preparation(prepare_ms, standing.latency, rate_per_s, standing.contender.items)


def _preparation(
    prepare_ms: float | None, latency: Latency, rate_per_s: float, items: int | None
) -> PreparationTime | None:
    if prepare_ms is None:
        return None
    return PreparationTime(
        prepare_ms=prepare_ms,
        share=prepare_ms / latency.mean_ms if latency.mean_ms > 0 else None,
        busy=None if items is None else prepare_ms / 1000 * rate_per_s / items,
    )


def overlap(trials: Iterable[Trial], goal: Goal) -> Overlap | None:
    """Of the search: the best that meets the goal of either kind; None where one has none.

    Both are the best of many in one process each, so the ratio is optimistic.
    """
    prepared = [t for t in trials if _prepares(t.measurement)]
    first = best((t for t in prepared if not t.configuration.is_blocking), goal)
    second = best((t for t in prepared if t.configuration.is_blocking), goal)
    if first is None or second is None or not first.measurement or not second.measurement:
        return None
    rate, other = first.measurement.throughput_per_s, second.measurement.throughput_per_s
    if other <= 0:
        return None
    return Overlap(
        ratio=Interval(rate / other, None, None),
        asynchronous=f"trial {first.number}",
        synchronous=f"trial {second.number}",
    )


def raced_overlap(race: RaceResult, goal: Goal) -> Overlap | None:
    """Of the race: the fastest of either kind that is not out; None where one has none.

    With an interval where ratios are of rates and one of both was chosen, to which they are taken.
    """
    first = _fastest([s for s in race.standings if not s.contender.configuration.is_blocking])
    second = _fastest([s for s in race.standings if s.contender.configuration.is_blocking])
    if first is None or second is None:
        return None
    ratio = _ratio(first, second, race.winner if goal.objective.is_rate else None)
    if ratio is None:
        return None
    return Overlap(
        ratio=ratio, asynchronous=first.contender.name, synchronous=second.contender.name
    )


def _prepares(measurement: Measurement | None) -> bool:
    return measurement is not None and measurement.readings.prepare_ms is not None


def _fastest(standings: Sequence[Standing]) -> Standing | None:
    """By its mean, of those that prepare and are neither over the cap nor failed."""
    out = {State.MISSED, State.FAILED, State.WAITING}
    rates = [
        (one.throughput.mean, one)
        for one in standings
        if one.throughput and one.state not in out and one.readings.prepare_ms is not None
    ]
    return max(rates, key=lambda pair: pair[0], default=(0.0, None))[1]


def _ratio(first: Standing, second: Standing, winner: Standing | None) -> Interval | None:
    """Of the first to the second."""
    if second is winner and first.to_chosen is not None:
        return first.to_chosen
    if first is winner and second.to_chosen is not None and second.to_chosen.mean > 0:
        return _inverse(second.to_chosen)
    rate, other = first.throughput, second.throughput
    if rate is None or other is None or other.mean <= 0:
        return None
    return Interval(rate.mean / other.mean, None, None)


def _inverse(ratio: Interval) -> Interval:
    is_bounded = ratio.low is not None and ratio.high is not None and ratio.low > 0
    low, high = (ratio.low, ratio.high) if is_bounded else (None, None)
    return Interval(1 / ratio.mean, high and 1 / high, low and 1 / low)
