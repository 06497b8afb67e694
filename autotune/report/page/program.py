"""What the page's program gets: columns of all trials, verdicts for every cap, the figures."""

from collections.abc import Sequence
from typing import Any

from autotune.analysis.evidence import Evidence
from autotune.analysis.mixture import mix_fed, padding_of
from autotune.analysis.pareto import NOISE
from autotune.domain.goal import Goal
from autotune.domain.measurement import Measurement
from autotune.domain.ranking import latest
from autotune.domain.trial import Trial
from autotune.report.columns import ON_THE_PAGE
from autotune.report.format import per_resource
from autotune.report.page.drawing import Figure
from autotune.report.page.limits import (
    MAX_DROP,
    drop_column,
    limit_columns,
    needed_bytes,
    worths,
)
from autotune.report.tables import names_of_doubts
from autotune.stats.tail_test import requests_needed
from autotune.workload.mix import Mix


def data_of(
    study: Evidence,
    figures: dict[str, Figure],
    status: str,
    asked: Goal,
    max_drop: float | None = None,
) -> dict[str, Any]:
    """Columns of all trials, verdicts for every cap, and the figures.

    Args:
        study: what is shown.
        figures: by their places in the page.
        status: of the answer.
        asked: the goal that the page's other answers begin with.
        max_drop: what accuracies may lose there; None for what the study's guard let through.
    """
    goal, trials = study.goal, study.trials
    cells = _cells(trials) | _beside(trials, mix_fed(study.identity.fed))
    caps: dict[str, dict[str, list[int | None]]] = {}
    for wanted in study.percentiles:
        ranges = [study.caps.get(_source(trial), {}).get(wanted) for trial in trials]
        caps[f"{wanted:g}"] = {
            "at": [None if one is None else one.percentile for one in ranges],
            "met": [None if one is None else one.met_from for one in ranges],
            "missed": [None if one is None else one.missed_below for one in ranges],
        }
    return {
        "goal": {
            "percentile": f"{goal.percentile:g}",
            "cap_ms": goal.cap_ms,
            "objective": goal.objective.value,
            "resource": per_resource(goal),
            "limits": {limit.name: limit.value for limit in goal.limits},
        },
        "asked": _asked(asked, max_drop),
        "limits": _limits(trials, [one.name for one in (*goal.limits, *asked.limits)]),
        "worth": worths(trials, goal),
        "chosen": None if study.leader is None else study.leader.number,
        "is_raced": study.race is not None,
        "noise": NOISE,
        "raced": _raced(study),
        "status": status,
        "needed": {f"{wanted:g}": requests_needed(0, wanted) for wanted in study.percentiles},
        "caps": caps,
        "columns": [
            {"key": key, "name": column.name, "number": column.is_number}
            for key, column in ON_THE_PAGE.items()
            if key in cells or key not in _ASIDE
        ],
        "trials": cells,
        "figures": figures,
    }


def _asked(goal: Goal, max_drop: float | None) -> dict[str, float]:
    lost = {} if max_drop is None else {MAX_DROP: max_drop}
    return {limit.name: limit.value for limit in goal.limits} | lost


def _limits(trials: Sequence[Trial], asked: Sequence[str]) -> list[dict[str, Any]]:
    lost = drop_column(trials)
    return [*limit_columns(trials, asked), *([] if lost is None else [lost])]


def _cells(trials: Sequence[Trial]) -> dict[str, list[Any]]:
    """Columns of equal length, one cell for each trial."""
    measured = [trial.measurement for trial in trials]
    last = {trial.number for trial in latest(t for t in trials if t.reused_from is None)}
    return {
        "number": [trial.number for trial in trials],
        "origin": [trial.origin.value for trial in trials],
        "words": [str(trial.configuration) for trial in trials],
        "hint": [trial.configuration.is_hint for trial in trials],
        "own": [trial.reused_from is None for trial in trials],
        "again": [trial.number not in last for trial in trials],
        "streams": [trial.configuration.streams for trial in trials],
        "threads": [trial.configuration.threads_per_stream for trial in trials],
        "batch": [trial.configuration.batch_size for trial in trials],
        "requests": [one and one.num_requests for one in measured],
        "rate": [one and one.throughput_per_s for one in measured],
        "low": [one and one.throughput.low for one in measured],
        "high": [one and one.throughput.high for one in measured],
        "seen": [one and one.latency.requests for one in measured],
        "cpu": [one and _cpu_ms(one) for one in measured],
        "peak": [one and one.peak_rss_bytes for one in measured],
        "memory": [one and needed_bytes(one) for one in measured],
        "flags": [one and " ".join(names_of_doubts(one)) for one in measured],
        "failure": [t.failure and t.failure.kind.value.replace("_", " ") for t in trials],
    }


_ASIDE = {"padding", "preparation"}
"""Columns that are there only where a workload has them."""


def _beside(trials: Sequence[Trial], mix: Mix | None) -> dict[str, list[Any]]:
    """Padding where shapes are mixed, and preparation where that is measured."""
    found: dict[str, list[Any]] = {}
    if mix is not None:
        found["padding"] = [padding_of(trial.configuration, mix) for trial in trials]
    prepared = [one and one.readings.prepare_ms for one in (t.measurement for t in trials)]
    if any(one is not None for one in prepared):
        found["preparation"] = prepared
    return found


def _cpu_ms(measurement: Measurement) -> float | None:
    """CPU time for each item."""
    found = measurement.readings.cpu_s_per_item
    return None if found is None else 1000 * found.mean


def _source(trial: Trial) -> int:
    """The trial whose blocks a trial's measurement is made of."""
    return trial.number if trial.reused_from is None else trial.reused_from


def _raced(study: Evidence) -> dict[str, Any]:
    """What the race saw of each contender, for the page's answers at other caps."""
    if study.race is None:
        return {}
    return {
        str(one.contender.trial): {
            "rate": one.throughput.mean,
            "latency": one.latency.goal_ms,
            "upper": one.latency_upper_ms,
        }
        for one in study.race.standings
        if one.contender.trial is not None and one.latency and one.throughput
    }
