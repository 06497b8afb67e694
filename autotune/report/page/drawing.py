"""What figures are drawn with: text and numbers for them, traces of trials, dashed lines."""

import math
from collections.abc import Sequence
from typing import Any

from autotune.analysis.evidence import Evidence
from autotune.domain.goal import Goal, Verdict
from autotune.domain.ranking import is_feasible
from autotune.domain.trial import Trial
from autotune.domain.verdicts import verdict_under

Figure = dict[str, Any]
"""Plotly's JSON. Colours are names that the page gives values to."""


def trace_of(study: Evidence, shown: Sequence[Trial]) -> dict[str, list[int]]:
    """What a trace says of the trials that it shows: `of` and `able`, see charts.py."""
    places = {trial.number: place for place, trial in enumerate(study.trials)}
    return {
        "of": [places[trial.number] for trial in shown],
        "able": [_verdict(trial, study.goal) for trial in shown],
    }


def _verdict(trial: Trial, goal: Goal) -> int:
    measured = trial.measurement
    if measured is None or verdict_under(measured, goal) is Verdict.MISSED:
        return 0
    return 1 if is_feasible(measured, goal) else 2


def rate_of(trial: Trial) -> float:
    """Items per second of a measured trial."""
    assert trial.measurement is not None  # noqa: S101 - only measured trials are drawn
    return trial.measurement.throughput_per_s


def rounded(value: float | None) -> float | None:
    """Seven digits are enough for a drawing."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def plain(text: str) -> str:
    """Text for a figure: plotly makes markup of what looks like it, the page colours of `var:`."""
    shown = text.replace("&", "&amp;").replace("<", "&lt;")
    return f" {shown}" if shown.startswith("var:") else shown


def across(y: float, color: str) -> dict[str, Any]:
    """A dashed line from left to right."""
    line = {"color": color, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}


def down(x: float, color: str) -> dict[str, Any]:
    """A dashed line from top to bottom."""
    line = {"color": color, "width": 1, "dash": "dash"}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line}
