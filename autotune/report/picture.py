"""The main chart as a picture: throughput against latency, every trial by its verdict."""

import io
from collections.abc import Sequence
from typing import Any

from autotune.analysis.evidence import Evidence
from autotune.analysis.pareto import NOISE, pareto_front
from autotune.analysis.what_if import is_allowed
from autotune.domain.goal import Goal, Verdict
from autotune.domain.trial import Trial
from autotune.domain.units import number
from autotune.domain.verdicts import verdict_under
from autotune.errors import UsageError
from autotune.report.format import cap_in_words, goal_in_words, percentile

# The colours of page.css, in its light form.
_INK, _GRID, _LINE, _HINT, _CAP = "#1a1d21", "#e4e7ea", "#3a4a5a", "#1a1d21", "#a3216f"
_MARKS: dict[Verdict | None, tuple[str, str, str]] = {
    Verdict.MISSED: ("x", "#c04a00", "misses the cap"),
    Verdict.UNCLEAR: ("^", "#9a6200", "too few requests to say"),
    Verdict.MET: ("o", "#0072b2", "meets the cap"),
    None: ("o", "#0072b2", "trials"),
}
"""Shape, colour, meaning; the colours keep apart for colour-blind eyes, the shapes for all."""
_OF_LIMITS: dict[Verdict | None, str] = {
    Verdict.MISSED: "misses the cap or a limit",
    Verdict.UNCLEAR: "too little was seen to say",
    Verdict.MET: "keeps all limits",
}
"""The meaning where there are limits beside latency."""


def picture(study: Evidence) -> bytes:
    """A PNG of 1600 x 1000 pixels; the same study gives the same picture.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    except ImportError:
        message = "--png needs matplotlib: pip install 'openvino-autotune[png]'"
        raise UsageError(message) from None
    figure = Figure(figsize=(8, 5), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    goal = study.goal
    trials = [t for t in study.trials if t.measurement is not None and t.reused_from is None]
    if trials:
        _draw_trials(axes, trials, goal)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 2)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if study.leader is not None and study.leader.measurement is not None:
        ring: dict[str, Any] = {
            "facecolor": "none",
            "edgecolor": _CAP,
            "linewidth": 2.2,
            "zorder": 5,
        }
        axes.scatter(*_places([study.leader]), s=260, label="chosen", **ring)
    if goal.cap_ms is not None:
        line: dict[str, Any] = {"color": _CAP, "linestyle": "--", "linewidth": 1.3}
        axes.axvline(goal.cap_ms, label=cap_in_words(goal), **line)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{percentile(goal.percentile)} request latency, ms")
    axes.set_ylabel("items per second")
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    title = _plain(f"{study.identity.name}: {goal_in_words(goal)}")
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    if trials:
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_trials(axes: Any, trials: Sequence[Trial], goal: Goal) -> None:
    """Every trial by its verdict, the hints over them, and the front beyond the noise."""
    for verdict, (shape, color, meaning) in _MARKS.items():
        mine = [t for t in trials if _verdict(t, goal) is verdict and not t.configuration.is_hint]
        if mine:
            label = _OF_LIMITS.get(verdict, meaning) if goal.limits else meaning
            axes.scatter(*_places(mine), marker=shape, color=color, s=26, label=label, zorder=3)
    hints = [trial for trial in trials if trial.configuration.is_hint]
    if hints:
        star: dict[str, Any] = {"marker": "*", "color": _HINT, "edgecolor": "white", "zorder": 4}
        axes.scatter(*_places(hints), s=190, label="OpenVINO's hints", **star)
    latencies, rates = _places([trial for trial in trials if is_allowed(trial, goal)])
    if not rates:
        return
    front = pareto_front(rates, latencies, NOISE)
    line = sorted((x, y) for x, y, on in zip(latencies, rates, front, strict=True) if on)
    steps: dict[str, Any] = {"where": "post", "color": _LINE, "linewidth": 1, "zorder": 2}
    axes.step(*zip(*line, strict=True), label="front beyond the noise", **steps)


def _verdict(trial: Trial, goal: Goal) -> Verdict | None:
    return None if trial.measurement is None else verdict_under(trial.measurement, goal)


def _places(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    measured = [trial.measurement for trial in trials if trial.measurement is not None]
    return (
        [max(one.latency.goal_ms, 1e-4) for one in measured],
        [one.throughput_per_s for one in measured],
    )


def _plain(text: str) -> str:
    """No mathematics of matplotlib's, and no more than a line."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return (shown if len(shown) <= 90 else f"{shown[:87]}...").replace("$", r"\$")
