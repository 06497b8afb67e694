"""Throughput against latency, drawn in the terminal."""

from collections.abc import Sequence

from rich.text import Text

from autotune.domain.goal import Goal, Verdict
from autotune.domain.trial import Trial
from autotune.domain.verdicts import verdict_under
from autotune.report.format import percentile
from autotune.report.scatter import Mark, scatter
from autotune.report.tables import SIGNS, STYLES

_HEIGHT = 20
_WIDEST = 100
_HINT = "H"
_MEANS = {Verdict.MET: "meets the cap", Verdict.UNCLEAR: "unclear", Verdict.MISSED: "misses it"}
_MEANS_OF_LIMITS = {
    Verdict.MET: "meets all limits",
    Verdict.UNCLEAR: "unclear",
    Verdict.MISSED: "misses one",
}


def pareto_chart(
    trials: Sequence[Trial], front: Sequence[Trial], goal: Goal, width: int = 80
) -> Text:
    """Every measured trial by its verdict, the front and the hints over the others.

    Args:
        trials: with a measurement each.
        front: those of them that are on the front.
        goal: its percentile is the axis, its cap a vertical line.
        width: of the terminal, in characters.
    """
    kept = {trial.number for trial in front}
    order = sorted(trials, key=lambda t: (t.number in kept, t.configuration.is_hint))
    chart = scatter(
        [_mark(trial, goal, is_on_front=trial.number in kept) for trial in order],
        width=min(width, _WIDEST),
        height=_HEIGHT,
        title=f"items per second by {percentile(goal.percentile)} latency in ms",
        limit=goal.cap_ms,
    )
    seen = {verdict_under(trial.measurement, goal) for trial in trials if trial.measurement}
    means = _MEANS if not goal.limits else _MEANS_OF_LIMITS
    signs = [f"{SIGNS[verdict]} {words}" for verdict, words in means.items() if verdict in seen]
    has_hints = any(trial.configuration.is_hint for trial in trials)
    signs += [f"{_HINT} OpenVINO's hints"] if has_hints else []
    signs += ["o on the front"]
    chart.append(f"\n{', '.join(signs)}", "dim")
    return chart


def _mark(trial: Trial, goal: Goal, *, is_on_front: bool) -> Mark:
    measured = trial.measurement
    assert measured is not None  # noqa: S101 - only measured trials are drawn
    verdict = verdict_under(measured, goal)
    style = STYLES[verdict]
    sign = SIGNS[verdict].strip() or "."
    if trial.configuration.is_hint:
        sign, style = _HINT, f"bold {style}"
    elif is_on_front:
        sign, style = "o", f"bold {style}"
    latency = max(measured.latency.goal_ms, 1e-4)
    return Mark(latency, measured.throughput_per_s, sign, style)
