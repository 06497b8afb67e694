"""Regret curves of replays: a table for the terminal, and a page that works from disk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from autotune.domain.goal import Goal
from autotune.report.format import goal_in_words, percent, seconds
from autotune.surfaces.replay import Trace

_SHADES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito 2008
_LEAST = 0.01
"""Percent; what is less is drawn there, as a logarithmic axis has no zero."""
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One sampler on one surface."""

    surface: str
    sampler: str
    goal: Goal
    traces: tuple[Trace, ...]
    """One for each seed."""

    @property
    def duration_s(self) -> float:
        """Median time of a study, with its race."""
        return float(np.median([trace.duration_s for trace in self.traces]))


def regret_table(curves: Sequence[Curve], trials: int) -> Table:
    """Mean regret after some trials, and of what is exported in the end."""
    counts = checkpoints(trials)
    table = Table(box=None, pad_edge=False)
    table.add_column("sampler")
    for count in counts:
        table.add_column(f"after {count}", justify="right")
    table.add_column("exported", justify="right")
    table.add_column("median", justify="right")
    table.add_column("p90", justify="right")
    table.add_column("missed", justify="right")
    table.add_column("time", justify="right")
    for curve in curves:
        exported = [trace.exported for trace in curve.traces]
        table.add_row(
            curve.sampler,
            *(percent(_mean([t.after_trials(count) for t in curve.traces])) for count in counts),
            percent(_mean(exported)),
            percent(float(np.median(exported))),
            percent(float(np.quantile(exported, 0.9))),
            f"{sum(trace.misses for trace in curve.traces)} of {len(curve.traces)}",
            seconds(curve.duration_s),
        )
    return table


def checkpoints(trials: int) -> list[int]:
    """Some trial counts up to the last."""
    return sorted({n for n in (5, 10, 20, 30, 60, 100, 200, 500) if n < trials} | {trials})


def regret_page(curves: Sequence[Curve], trials: int) -> str:
    """An HTML page with mean regret against trials and against time, one row for each surface."""
    from plotly.graph_objects import Figure, Scatter
    from plotly.subplots import make_subplots

    surfaces = list(dict.fromkeys(curve.surface for curve in curves))
    goals = {curve.surface: curve.goal for curve in curves}
    titles = [
        f"{surface}, {goal_in_words(goals[surface])}" if column == 0 else ""
        for surface in surfaces
        for column in range(2)
    ]
    figure: Figure = make_subplots(rows=len(surfaces), cols=2, subplot_titles=titles)
    samplers = list(dict.fromkeys(curve.sampler for curve in curves))
    for curve in curves:
        row, number = surfaces.index(curve.surface) + 1, samplers.index(curve.sampler)
        longest = max(trace.at_s[-1] for trace in curve.traces if trace.at_s)
        instants = np.linspace(0, longest, 200)
        counts = list(range(1, trials + 1))
        for column, xs, ys in (
            (1, counts, [_mean([t.after_trials(n) for t in curve.traces]) for n in counts]),
            (2, instants, [_mean([t.after_s(s) for t in curve.traces]) for s in instants]),
        ):
            figure.add_trace(
                Scatter(
                    x=list(xs),
                    y=[max(100 * y, _LEAST) for y in ys],
                    name=curve.sampler,
                    legendgroup=curve.sampler,
                    showlegend=row == 1 and column == 1,
                    line={"color": _SHADES[number % 6], "dash": _DASHES[number % 6], "shape": "hv"},
                ),
                row=row,
                col=column,
            )
        figure.update_xaxes(title_text="trials", row=row, col=1)
        figure.update_xaxes(title_text="seconds", row=row, col=2)
        figure.update_yaxes(title_text="mean regret, %", type="log", row=row, col=1)
        figure.update_yaxes(type="log", row=row, col=2)
    figure.update_layout(height=380 * len(surfaces), template="plotly_white")
    page: str = figure.to_html(include_plotlyjs=True, full_html=True)
    return page


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
