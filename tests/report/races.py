"""Races as they ended, for whoever shows them."""

from typing import Any

from autotune.domain.goal import Verdict
from autotune.domain.measurement import Feed, Interval, Latency
from autotune.domain.race import (
    Choice,
    Conditions,
    Contender,
    End,
    RaceResult,
    Standing,
    State,
    Status,
)
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from tests.builders import make_configuration

QUIET = Conditions(
    steal_share=0.001,
    most_steal_share=0.01,
    throttled=0,
    major_faults=0,
    void_slices=0,
    dispersion=1.1,
    noise=0.0123,
)


def make_latency(goal_ms: float = 4.86) -> Latency:
    """Of many requests."""
    return Latency(
        requests=10_000,
        mean_ms=2.0,
        p50_ms=2.0,
        p90_ms=3.0,
        p95_ms=4.0,
        p99_ms=goal_ms,
        max_ms=20.0,
        goal_ms=goal_ms,
    )


def make_standing(name: str = "trial 12", state: State = State.CHOSEN, **fields: Any) -> Standing:
    """A contender that did well."""
    values: dict[str, Any] = {
        "contender": Contender(
            name=name,
            configuration=fields.pop("configuration", None) or make_configuration(),
            trial=12,
            search_per_s=1400.0,
            search_latency_ms=4.5,
        ),
        "state": state,
        "launches": 5,
        "slices": 25,
        "measured_s": 12.5,
        "requests": 10_000,
        "over_cap": 3,
        "verdict": Verdict.MET,
        "throughput": Interval(1374.2, 1361.0, 1388.0),
        "ratio": Interval(1.874, 1.841, 1.904),
        "latency": make_latency(),
        "latency_upper_ms": 5.12,
        "holds": True,
        **fields,
    }
    return Standing(**values)


def make_hint(state: State = State.SLOWER, **fields: Any) -> Standing:
    """The better hint."""
    configuration = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
    values: dict[str, Any] = {
        "configuration": configuration,
        "ratio": None,
        "to_chosen": Interval(0.534, 0.525, 0.543),
        **fields,
    }
    return make_standing(str(configuration), state, **values)


def make_result(*others: Standing, **fields: Any) -> RaceResult:
    """A certified race: the chosen one first, the better hint last."""
    winner = fields.pop("winner", None) or make_standing()
    standings = (winner, *others, make_hint())
    values: dict[str, Any] = {
        "standings": standings,
        "chosen": 0,
        "baseline": len(standings) - 1,
        "status": Status.CERTIFIED,
        "choice": Choice.FASTEST,
        "end": End.DECIDED,
        "launches": 5,
        "rounds": 25,
        "duration_s": 83.0,
        "tie_margin": 0.0123,
        "feed": Feed.BIND,
        "conditions": QUIET,
        **fields,
    }
    return RaceResult(**values)
