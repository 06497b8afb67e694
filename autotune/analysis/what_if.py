"""Another cap or percentile, answered from stored blocks."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from autotune.domain.goal import Goal, Sla
from autotune.domain.measurement import Measurement
from autotune.domain.trial import Trial
from autotune.stats.latency import over_cap, summarise
from autotune.stats.tail_test import sla_verdict


def judge(measurement: Measurement, goal: Goal) -> Measurement:
    """A measurement (with blocks) under another goal: verdict, over-cap count, percentile."""
    latency = summarise(measurement.counted, goal.percentile)
    if goal.sla is None:
        return replace(measurement, latency=latency, verdict=None, over_cap=0)
    requests = [block.completions for block in measurement.counted]
    over = [over_cap(block, goal.sla.cap_ms) for block in measurement.counted]
    verdict = sla_verdict(requests, over, goal.sla, measurement.num_requests)
    return replace(measurement, latency=latency, verdict=verdict, over_cap=sum(over))


def under(
    trials: Iterable[Trial], goal: Goal, with_blocks: Callable[[Trial], Trial]
) -> tuple[Trial, ...]:
    """All trials judged by another goal; `with_blocks` brings back what the verdict is made of."""
    judged = []
    for trial in trials:
        if trial.measurement is None:
            judged.append(trial)
            continue
        whole = with_blocks(trial)
        assert whole.measurement is not None  # noqa: S101 - it had one
        measurement = replace(judge(whole.measurement, goal), blocks=())
        judged.append(replace(trial, measurement=measurement))
    return tuple(judged)


def needs_judging(stored: Goal, asked: Goal) -> bool:
    """Whether the stored verdicts answer another question."""
    return _question(stored.sla) != _question(asked.sla) or stored.percentile != asked.percentile


def _question(sla: Sla | None) -> tuple[float, float] | None:
    return None if sla is None else (sla.percentile, sla.cap_ms)
