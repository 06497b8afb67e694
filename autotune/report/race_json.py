"""A race for JSON output."""

from collections.abc import Sequence

from autotune.domain.race import LimitStanding, RaceResult


def limits_json(limits: Sequence[LimitStanding]) -> list[dict[str, object]]:
    """What a race says of each limit, for JSON output."""
    return [
        {
            "name": one.limit.name,
            "limit": one.limit.value,
            "value": one.value,
            "bound": one.bound,
            "verdict": one.verdict,
        }
        for one in limits
    ]


def race_json(result: RaceResult) -> dict[str, object]:
    """A race for JSON output."""
    winner = result.winner
    return {
        "status": result.status,
        "end": result.end,
        "launches": result.launches,
        "rounds": result.rounds,
        "duration_s": result.duration_s,
        "chosen": winner and winner.contender.name,
        "choice": result.choice,
        "advantage": result.advantage,
        "chance_faster_than_better_hint": result.chance,
        "undecided_s": result.undecided_s,
        "contenders": [
            {
                "name": s.contender.name,
                "trial": s.contender.trial,
                "state": s.state,
                "throughput_per_s": s.throughput and s.throughput.mean,
                "latency_ms": s.latency and s.latency.goal_ms,
                "latency_upper_ms": s.latency_upper_ms,
                "verdict": s.verdict,
                "efficiency": s.efficiency and s.efficiency.mean,
                "limits": limits_json(s.limits),
                "unproven": s.unproven,
                "ratio_to_better_hint": s.ratio and [s.ratio.low, s.ratio.mean, s.ratio.high],
            }
            for s in result.standings
        ],
    }
