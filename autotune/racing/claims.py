"""A file's claims against what was measured now: which hold, do not, or are not shown."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Interval
from autotune.domain.race import LEAST_LAUNCHES, LimitStanding, RaceResult, Standing, headroom
from autotune.export.best_file import BestFile

TOLERANCE = 0.02
"""A throughput within 2 % of the claim keeps it: MLPerf's bound for a material difference."""
_PRECISE = 0.05
"""An interval wider than this to each side reaches too much to show anything by its end."""


class Finding(StrEnum):
    """What became of one claim."""

    HOLDS = "holds"
    # A throughput holds against the hint, as the machine itself is slower now; an SLA was not shown
    # to hold, as the machine is slower than the certificate allows for.
    RELATIVE = "relative"
    BROKEN = "broken"
    UNSHOWN = "unshown"  # too little was seen to say


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One file's claims against what was measured now."""

    path: Path
    best: BestFile
    standing: Standing
    answers: Finding | None
    """Whether they are those of single requests; None where the file itself says that this could
    not be proven."""
    sla: Finding | None
    """None without a cap."""
    limits: tuple[tuple[LimitStanding, Finding], ...] = ()
    """What was seen of each limit beside latency, and what became of it."""
    efficiency: Finding | None = None
    """None where the file claims none."""
    latency: Finding | None = None
    """None but of a file that was made for the lowest latency."""
    throughput: Finding
    claim_per_s: float
    """Throughput lower bound that the file claims."""
    machine_speed: float | None
    """How fast this machine runs the hint now, against when the file was made; None where the
    file has no hint to compare with."""
    headroom: float | None
    """How much slower the file allows requests to become before its SLA is at risk."""
    machine_slowness: float | None
    """How much longer the hint's requests take now than then, by rate or by the percentile,
    whichever is more: 0.1 for 10 %; None as for `machine_speed`."""
    claim_ratio: Interval | None
    """Over the hint, in what the file was made for, that the file claims; above 1 is better."""
    ratio: Interval | None
    """The same now."""

    @property
    def holds(self) -> bool:
        """Whether every claim holds."""
        kept = {None, Finding.HOLDS, Finding.RELATIVE}
        others = {self.answers, self.sla, self.efficiency, *(found for _, found in self.limits)}
        return {self.throughput, self.latency} <= kept and others <= {None, Finding.HOLDS}

    @property
    def is_broken(self) -> bool:
        """Whether a claim does not hold: else too little was seen of one, or it never ran."""
        if self.sla is Finding.RELATIVE and self.standing.search_verdict is Verdict.MISSED:
            return True
        found = {self.answers, self.sla, self.efficiency, self.latency, self.throughput}
        return Finding.BROKEN in found | {one for _, one in self.limits}


def judge_claims(path: Path, best: BestFile, result: RaceResult, goal: Goal) -> Verification:
    """The file's claims against a race of its configuration (first) and its hint (last)."""
    standing = result.standings[0]
    hint = result.standings[-1] if len(result.standings) > 1 else None
    speed, slowness = _machine_speed(best, hint), _machine_slowness(best, hint)
    allowed = _headroom(best)
    claim, claim_ratio = _claim_per_s(best), _claim_ratio(best, hint)
    return Verification(
        path=path,
        best=best,
        standing=standing,
        answers=None if best.unproven is not None else _answers(standing),
        sla=None if goal.sla is None else _sla(standing.search_verdict, allowed, slowness),
        limits=tuple((seen, _limit(seen)) for seen in _limits(standing, goal)),
        efficiency=_efficiency(best, standing),
        latency=_latency(best, standing, slowness, claim_ratio),
        throughput=_throughput(best, standing, claim, speed, claim_ratio),
        claim_per_s=claim,
        machine_speed=speed,
        headroom=allowed,
        machine_slowness=slowness,
        claim_ratio=claim_ratio,
        ratio=standing.ratio,
    )


def _answers(standing: Standing) -> Finding:
    failure = standing.failure
    if failure is not None and failure.kind is FailureKind.WRONG_OUTPUT:
        return Finding.BROKEN
    return Finding.HOLDS if standing.unproven is None else Finding.UNSHOWN


def _sla(verdict: Verdict | None, allowed: float | None, slowness: float | None) -> Finding:
    if verdict is Verdict.MET:
        return Finding.HOLDS
    if allowed is not None and slowness is not None and slowness > allowed:
        return Finding.RELATIVE
    return Finding.BROKEN if verdict is Verdict.MISSED else Finding.UNSHOWN


def _limits(standing: Standing, goal: Goal) -> tuple[LimitStanding, ...]:
    """Of one that never ran, nothing is known of any limit, and that is said."""
    return standing.limits or tuple(LimitStanding(limit=limit) for limit in goal.limits)


def _limit(seen: LimitStanding) -> Finding:
    if seen.search_verdict is Verdict.MET:
        return Finding.HOLDS
    return Finding.BROKEN if seen.search_verdict is Verdict.MISSED else Finding.UNSHOWN


def claimed_efficiency(best: BestFile) -> float | None:
    """The least items for each CPU-second or joule that a file claims; None where it does not."""
    low = None if best.certificate is None else best.certificate.efficiency_low
    return best.measured.efficiency if low is None else low


def _efficiency(best: BestFile, standing: Standing) -> Finding | None:
    claimed = claimed_efficiency(best)
    if claimed is None:
        return None
    seen = standing.efficiency
    if seen is None:
        return Finding.UNSHOWN
    if _keeps(seen, claimed):
        return Finding.HOLDS
    is_broken = seen.high is not None and seen.high < (1 - TOLERANCE) * claimed
    return Finding.BROKEN if is_broken else Finding.UNSHOWN


def claimed_latency_ms(best: BestFile) -> float | None:
    """The percentile that a file claims at most; None but of one made for the lowest latency."""
    if best.goal.objective is not Objective.LATENCY:
        return None
    upper_ms = None if best.certificate is None else best.certificate.latency_upper_ms
    return best.measured.latency_ms.goal if upper_ms is None else upper_ms


def _latency(
    best: BestFile, standing: Standing, slowness: float | None, claim_ratio: Interval | None
) -> Finding | None:
    claimed_ms = claimed_latency_ms(best)
    if claimed_ms is None:
        return None
    if standing.latency is None:
        return Finding.UNSHOWN
    if standing.latency.goal_ms <= (1 + TOLERANCE) * claimed_ms:
        return Finding.HOLDS
    if slowness is not None and slowness > 0 and _keeps_ratio(standing.ratio, claim_ratio):
        return Finding.RELATIVE
    return Finding.BROKEN if standing.launches >= LEAST_LAUNCHES else Finding.UNSHOWN


def _keeps_ratio(ratio: Interval | None, claim: Interval | None) -> bool:
    """Whether the ratio to the hint reaches the one that is claimed."""
    if ratio is None or claim is None:
        return False
    return _keeps(ratio, claim.mean if claim.low is None else claim.low)


def _throughput(
    best: BestFile,
    standing: Standing,
    claim_per_s: float,
    speed: float | None,
    claim_ratio: Interval | None,
) -> Finding:
    seen, least = standing.throughput, (1 - TOLERANCE) * claim_per_s
    if seen is None:
        return Finding.UNSHOWN
    if _keeps(seen, claim_per_s):
        return Finding.HOLDS
    if speed is not None and 0 < speed < 1:
        # The race compares what the file was made for; where that is no rate, means have to do.
        is_kept = (
            _keeps_ratio(standing.ratio, claim_ratio)
            if best.goal.objective.is_rate
            else seen.mean / speed >= least
        )
        if is_kept:
            return Finding.RELATIVE
    return Finding.BROKEN if seen.high is not None and seen.high < least else Finding.UNSHOWN


def _keeps(seen: Interval, claim: float) -> bool:
    """Whether the interval reaches the claim, and not only because it is wide."""
    least = (1 - TOLERANCE) * claim
    if seen.high is None or seen.high < least:
        return False
    return seen.mean >= least or (seen.half_width or 0.0) <= _PRECISE


def hints_then(best: BestFile) -> dict[str, tuple[float, float]]:
    """Throughput and the goal's percentile of the hints by name when the file was made.

    Of the race, else of the search.
    """
    found = {f"{b.name} hint": (b.throughput_per_s, b.latency_goal_ms) for b in best.baselines}
    for raced in best.certificate.contenders if best.certificate else []:
        if raced.name in found:
            per_s, ms = found[raced.name]
            found[raced.name] = (raced.throughput_per_s or per_s, raced.latency_ms or ms)
    return found


def _machine_speed(best: BestFile, hint: Standing | None) -> float | None:
    if hint is None or hint.throughput is None:
        return None
    then, _ = hints_then(best).get(hint.contender.name, (0.0, 0.0))
    return None if not then else hint.throughput.mean / then


def _machine_slowness(best: BestFile, hint: Standing | None) -> float | None:
    """By rate, and by the percentile: what slows every request down a little may leave the rate."""
    found = []
    speed = _machine_speed(best, hint)
    if speed:
        found.append(1 / speed)
    if hint is not None and hint.latency is not None:
        _, then_ms = hints_then(best).get(hint.contender.name, (0.0, 0.0))
        found += [hint.latency.goal_ms / then_ms] if then_ms else []
    return max(found) - 1 if found else None


def _headroom(best: BestFile) -> float | None:
    """Of the certificate; files of older versions have what it follows from."""
    if best.certificate is None or best.sla is None:
        return None
    return headroom(best.sla.cap_ms, best.certificate.latency_upper_ms)


def _claim_per_s(best: BestFile) -> float:
    claim = best.certificate
    found = best.measured if claim is None else claim
    low = found.throughput_low_per_s
    return found.throughput_per_s if low is None else low


def _claim_ratio(best: BestFile, hint: Standing | None) -> Interval | None:
    """The file's figure over the hint's: paired by the race, else from the search's means.

    Of what the file was made for; None of items per CPU-second without a race.
    """
    if hint is None:
        return None
    if best.certificate is not None:
        for raced in best.certificate.contenders:
            seen = raced.ratio_to_chosen
            if raced.name == hint.contender.name and seen is not None and seen.mean > 0:
                low = None if not seen.high else 1 / seen.high
                return Interval(1 / seen.mean, low, None if not seen.low else 1 / seen.low)
    then_per_s, then_ms = hints_then(best).get(hint.contender.name, (0.0, 0.0))
    if best.goal.objective is Objective.EFFICIENCY or not then_per_s:
        return None
    if best.goal.objective is Objective.LATENCY:
        return Interval(then_ms / best.measured.latency_ms.goal, None, None)
    return Interval(best.measured.throughput_per_s / then_per_s, None, None)
