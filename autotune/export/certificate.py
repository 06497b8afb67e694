"""The certificate in best.json: what a race proved, field by field."""

from typing import TypedDict

from pydantic import Field

from autotune.domain.goal import Verdict
from autotune.domain.measurement import Flag, Interval, Latency
from autotune.domain.race import (
    Advantage,
    Choice,
    Conditions,
    End,
    LimitStanding,
    RaceResult,
    Standing,
    State,
)
from autotune.export.best_costs import BestCosts, best_costs
from autotune.export.section import Above, Count, FileSection, Finite, Text, not_below_zero
from autotune.space.configuration import Configuration


class BestLatency(FileSection):
    """Request latency in milliseconds, nearest-rank percentiles."""

    mean: Finite
    p50: Finite
    p90: Finite
    p95: Finite
    p99: Finite
    max: Finite
    goal: Finite = Field(description="The percentile of the SLA.")


class BestLimit(FileSection):
    """A limit beside latency, and what was seen of it."""

    name: Text = Field(description="Its key in study.toml.")
    limit: Above = Field(description="In bytes, seconds, joules or items per second.")
    value: Finite | None = Field(description="What was seen, likewise; null where unknown.")
    bound: Finite | None = Field(
        description="The claim: upper bound, or of a least throughput the lower one; of the mean "
        "over load, or of what the next process takes."
    )
    verdict: Verdict


class BestRatio(FileSection):
    """A ratio of throughputs, or of what else the objective is (latencies inverted)."""

    mean: Finite
    low: Finite | None = Field(description="Lower end of the 95 % interval.")
    high: Finite | None


class BestContender(FileSection):
    """Another contender of the race."""

    name: Text
    trial: Count | None
    state: State = Field(
        description="tied: not shown to be slower, by over the tie margin; slower, missed, failed, "
        "waiting; faster: without a certified SLA."
    )
    throughput_per_s: Finite | None
    latency_ms: Finite | None = Field(description="The percentile of the goal.")
    verdict: Verdict | None
    ratio_to_chosen: BestRatio | None


class BestConditions(FileSection):
    """What the machine did during the race."""

    steal_share: Finite | None = Field(
        description="Share of CPU time that the hypervisor took, mean; null where unknown."
    )
    most_steal_share: Finite | None = Field(description="The same in the worst slice.")
    throttled: Count | None = Field(description="Periods in which the CPU quota ran out.")
    major_faults: Count
    void_slices: Count = Field(description="Slices not counted, for a clock step or a suspend.")
    dispersion: Finite | None = Field(
        description="Spread of over-cap counts between slices against independence; above 2 they "
        "come in bursts."
    )
    aa_noise: Finite | None = Field(
        description="What this machine makes of two equal configurations (autotune doctor "
        "--calibrate), relative; null where never calibrated."
    )


class BestCertificate(FileSection):
    """What the race proved, in fresh processes, of the exported configuration."""

    throughput_per_s: Finite = Field(description="Items per second, mean over all slices.")
    throughput_low_per_s: Finite | None = Field(
        description="The claim: lower end of the 95 % interval over slices and launches."
    )
    latency_ms: BestLatency
    latency_upper_ms: Finite | None = Field(
        description="The claim: upper bound of the goal's percentile at 99 %."
    )
    headroom: Finite | None = Field(
        default=None,
        description="How much slower requests may become before that bound is at the cap: 0.12 for "
        "12 %; null without a cap, or where it is beyond it.",
    )
    hint_at_risk: Text | None = Field(
        default=None, description="The hint that shows how fast the machine is."
    )
    hint_at_risk_per_s: Finite | None = Field(
        default=None, description="Its throughput when the headroom is used up."
    )
    verdict: Verdict | None = Field(description="Sequential test of the SLA at 1 %.")
    limits: list[BestLimit] = Field(
        default=[], description="Each limit beside latency, with its bound at 99 %."
    )
    efficiency: Finite | None = Field(
        default=None,
        description="Items for each CPU-second, or joule, where the objective asks for that.",
    )
    efficiency_low: Finite | None = Field(
        default=None, description="The claim: lower end of its 95 % interval."
    )
    costs: BestCosts | None = Field(
        default=None, description="In the race's own processes; null before format 5."
    )
    requests: Count
    over_cap: Count
    launches: Count = Field(description="Sets of fresh processes.")
    rounds: Count = Field(description="Rounds in which it had its turn.")
    measured_s: Finite = Field(description="Its own time under load.")
    duration_s: Finite
    ratio_to_better_hint: BestRatio | None = Field(
        description="Paired by rounds; null where a hint is exported, or another hint was the "
        "better one when the race was held."
    )
    tie_margin: Finite = Field(description="Relative difference below which two are equal.")
    choice: Choice = Field(
        description="fastest: most likely so; default: the runtime's own hint, see advantage; "
        "portable, margin, threads, memory: what decided among equals; tied: nothing did."
    )
    advantage: Advantage | None = Field(
        default=None,
        description="Against the better hint: shown faster (the 95 % interval is beyond 1), likely "
        "faster, equal (shown to be within the margin; the hint is exported), not shown (too "
        "doubtful; the hint is exported). Null in files of older versions, and where no hint meets "
        "the SLA.",
    )
    chance: Finite | None = Field(
        default=None,
        description="Probability that the choice, or what comes nearest to an exported hint, is "
        "faster than the better hint.",
    )
    end: End = Field(description="Why the race ended.")
    search_throughput_per_s: Finite | None = Field(description="The search's own, optimistic.")
    search_latency_ms: Finite | None
    load: Text = Field(description="The load model in words.")
    conditions: BestConditions
    contenders: list[BestContender] = Field(description="Everyone else who raced.")
    flags: list[Flag]


def certificate(
    race: RaceResult,
    hint: Configuration | None = None,
    inputs: str = "random data, bound once",
    cap_ms: float | None = None,
) -> BestCertificate:
    """What a race proved of the contender that it chose.

    `hint` is the better hint for the goal in question; the race's own without one. `inputs` says
    what was fed, and how, and `cap_ms` what latency the goal allows.

    Raises:
        ValueError: it chose none.
    """
    winner = race.winner
    if winner is None or winner.latency is None or winner.throughput is None or race.choice is None:
        raise ValueError("a race without a choice proves nothing")
    return BestCertificate(
        throughput_per_s=winner.throughput.mean,
        throughput_low_per_s=not_below_zero(winner.throughput.low),
        latency_ms=best_latency(winner.latency),
        latency_upper_ms=winner.latency_upper_ms,
        **_headroom(race, winner, cap_ms),
        verdict=winner.verdict,
        limits=[_limit(one) for one in winner.limits],
        efficiency=None if winner.efficiency is None else winner.efficiency.mean,
        efficiency_low=None if winner.efficiency is None else winner.efficiency.low,
        costs=best_costs(winner.readings),
        requests=winner.requests,
        over_cap=winner.over_cap,
        launches=winner.launches,
        rounds=winner.slices,
        measured_s=winner.measured_s,
        duration_s=race.duration_s,
        ratio_to_better_hint=best_ratio(_ratio_to(race, winner, hint)),
        tie_margin=race.tie_margin,
        choice=race.choice,
        advantage=race.advantage,
        chance=race.chance,
        end=race.end,
        search_throughput_per_s=winner.contender.search_per_s,
        search_latency_ms=winner.contender.search_latency_ms,
        load=load_in_words(winner, inputs),
        conditions=_conditions(race.conditions),
        contenders=[_contender(s) for s in race.standings if s.state is not State.CHOSEN],
        flags=sorted(winner.flags),
    )


class _Headroom(TypedDict):
    headroom: float | None
    hint_at_risk: str | None
    hint_at_risk_per_s: float | None


def _headroom(race: RaceResult, winner: Standing, cap_ms: float | None) -> _Headroom:
    room, hint = winner.headroom(cap_ms), race.better_hint
    seen = None if room is None or hint is None else hint.throughput
    return _Headroom(
        headroom=room,
        hint_at_risk=None if seen is None or hint is None else hint.contender.name,
        hint_at_risk_per_s=None if seen is None or room is None else seen.mean / (1 + room),
    )


def _ratio_to(race: RaceResult, winner: Standing, hint: Configuration | None) -> Interval | None:
    """The ratio to the hint, where the race took its ratios to that one; none of a hint."""
    baseline = race.better_hint
    if winner.contender.is_default or baseline is None:
        return None
    return winner.ratio if hint in {None, baseline.contender.configuration} else None


def best_latency(latency: Latency) -> BestLatency:
    """Latencies as the file has them."""
    return BestLatency(
        mean=latency.mean_ms,
        p50=latency.p50_ms,
        p90=latency.p90_ms,
        p95=latency.p95_ms,
        p99=latency.p99_ms,
        max=latency.max_ms,
        goal=latency.goal_ms,
    )


def _limit(seen: LimitStanding) -> BestLimit:
    return BestLimit(
        name=seen.limit.name,
        limit=seen.limit.value,
        value=seen.value,
        bound=seen.bound,
        verdict=seen.verdict,
    )


def best_ratio(ratio: Interval | None) -> BestRatio | None:
    """A ratio as the file has it."""
    if ratio is None:
        return None
    return BestRatio(mean=ratio.mean, low=ratio.low, high=ratio.high)


def load_in_words(standing: Standing, inputs: str) -> str:
    """The load model: what the numbers are numbers of; `inputs` is what was fed, and how."""
    effective, configuration = standing.effective, standing.contender.configuration
    requests = effective.requests(configuration) if effective else configuration.num_requests
    how = "sync" if configuration.is_blocking else "async"
    return (
        f"closed loop: {requests} request(s) of {standing.contender.items} item(s) always in "
        f"flight, {how} API, inputs: {inputs}; "
        "not the rate that independent callers may send"
    )


def _contender(standing: Standing) -> BestContender:
    return BestContender(
        name=standing.contender.name,
        trial=standing.contender.trial,
        state=standing.state,
        throughput_per_s=standing.throughput.mean if standing.throughput else None,
        latency_ms=standing.latency.goal_ms if standing.latency else None,
        verdict=standing.verdict,
        ratio_to_chosen=best_ratio(standing.to_chosen),
    )


def _conditions(seen: Conditions) -> BestConditions:
    return BestConditions(
        steal_share=seen.steal_share,
        most_steal_share=seen.most_steal_share,
        throttled=seen.throttled,
        major_faults=seen.major_faults,
        void_slices=seen.void_slices,
        dispersion=seen.dispersion,
        aa_noise=seen.noise,
    )
