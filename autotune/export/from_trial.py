"""best.json of one trial of a study."""

from datetime import UTC, datetime
from typing import Any

from autotune.domain.fed import Fed
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Measurement
from autotune.domain.race import RaceResult, Status
from autotune.domain.ranking import baselines, better_hint, ratio
from autotune.domain.trial import Trial
from autotune.domain.verdicts import Judged, judged, worth
from autotune.export.best_accuracy import BestAccuracy
from autotune.export.best_costs import best_trial_costs
from autotune.export.best_file import (
    BESIDE,
    FORMAT_VERSION,
    BestCoreBudget,
    BestFile,
    BestModel,
    BestSla,
)
from autotune.export.best_measured import BestBaseline, BestMeasured
from autotune.export.certificate import BestLimit, best_latency, certificate
from autotune.export.section import not_below_zero
from autotune.host.core_budget import budget_of
from autotune.space.dimensions import bound_to
from autotune.spec.fed_words import fed_of_file


def best_file(  # noqa: PLR0913 - the parts of the file
    *,
    trial: Trial,
    trials: tuple[Trial, ...],
    goal: Goal,
    model: BestModel,
    machine: dict[str, Any],
    versions: dict[str, str],
    study: str,
    race: RaceResult | None = None,
    fed: Fed | None = None,
    inputs: str | None = None,
    environment: dict[str, str] | None = None,
    accuracy: BestAccuracy | None = None,
) -> BestFile:
    """The file for one trial of a study, with what `race` proved if it chose that trial."""
    measurement = trial.measurement
    if measurement is None:
        raise ValueError("a failed trial cannot be exported")
    if race is not None and (race.winner is None or race.winner.contender.trial != trial.number):
        race = None
    winner = None if race is None else race.winner
    unproven = measurement.opening.unproven if winner is None else winner.unproven
    hint = better_hint(trials, goal, race)
    return BestFile(
        format_version=FORMAT_VERSION,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        model=model,
        device=trial.configuration.device,
        properties=trial.configuration.properties,
        effective=dict(measurement.opening.effective.properties),
        num_requests=measurement.num_requests,
        batch_size=trial.configuration.batch_size,
        **{one.column: one.of(trial.configuration) for one in BESIDE},
        status=_status(race, unproven),
        unproven=unproven,
        objective=goal.objective,
        resource=goal.resource if goal.objective is Objective.EFFICIENCY else None,
        limits={limit.name: limit.value for limit in goal.limits},
        portable=goal.portable,
        bound_to=bound_to(trial.configuration),
        sla=_sla(goal),
        measured=_measured(measurement, fed, inputs, goal),
        accuracy=accuracy,
        certificate=None
        if race is None
        else certificate(
            race,
            None if hint is None else hint.configuration,
            inputs or fed_of_file(model.inputs, measurement.feed),
            goal.given_cap_ms,
        ),
        baselines=[_baseline(name, known) for name, known in baselines(trials).items()],
        better_hint=None if hint is None else str(hint.configuration),
        ratio_to_better_hint=ratio(trial, hint, goal),
        machine=machine,
        versions=versions,
        environment=environment or {},
        core_budget=_core_budget(machine),
        study=study,
        trial=trial.number,
    )


def _sla(goal: Goal) -> BestSla | None:
    if goal.cap_ms is None:
        return None
    return BestSla(
        percentile=goal.percentile, cap_ms=goal.given_cap_ms or 0.0, headroom=goal.headroom
    )


def _core_budget(machine: dict[str, Any]) -> BestCoreBudget | None:
    budget = budget_of(machine)
    if budget is None:
        return None
    return BestCoreBudget(asked=str(budget.asked), count=len(budget.cpus), cpus=list(budget.cpus))


def _status(race: RaceResult | None, unproven: str | None) -> Status:
    if race is not None:
        return race.status
    return Status.UNCONFIRMED if unproven is None else Status.UNPROVEN


def _measured(
    measurement: Measurement, fed: Fed | None, inputs: str | None, goal: Goal
) -> BestMeasured:
    latency, throughput = measurement.latency, measurement.throughput
    efficiency = None
    if goal.objective is Objective.EFFICIENCY:
        efficiency = worth(measurement, goal)
    return BestMeasured(
        throughput_per_s=throughput.mean,
        throughput_low_per_s=throughput.low,
        throughput_high_per_s=throughput.high,
        latency_ms=best_latency(latency),
        requests=latency.requests,
        over_cap=measurement.over_cap,
        verdict=measurement.verdict,
        load="closed loop",
        feed=measurement.feed,
        flags=sorted(measurement.flags),
        peak_rss_bytes=measurement.peak_rss_bytes,
        costs=best_trial_costs(measurement.readings, measurement.opening),
        data=None if fed is None else fed.data,
        inputs=inputs,
        warnings=[] if fed is None else list(fed.warnings),
        limits=[_limit(one) for one in judged(measurement, goal)],
        efficiency=None if efficiency is None else efficiency.mean,
    )


def _limit(one: Judged) -> BestLimit:
    seen, row = one.reading, one.limit.row
    bound = None if seen is None else seen.low if row.is_floor else seen.high
    return BestLimit(
        name=one.limit.name,
        limit=one.limit.value,
        value=None if seen is None else seen.value,
        bound=not_below_zero(bound),
        verdict=one.verdict,
    )


def _baseline(name: str, trial: Trial) -> BestBaseline:
    measurement = trial.measurement
    assert measurement is not None  # noqa: S101 - baselines() returns measured trials only
    return BestBaseline(
        name=name,
        trial=trial.number,
        throughput_per_s=measurement.throughput_per_s,
        latency_goal_ms=measurement.latency.goal_ms,
        verdict=measurement.verdict,
    )
