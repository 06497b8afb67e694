"""What the page says of a workload: what was fed, the mix of shapes, and how plans serve it."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from autotune.analysis.evidence import Evidence
from autotune.analysis.mixture import PlanRow, ShapeRow, mix_fed, plan_of, plan_rows, shape_rows
from autotune.domain.goal import Goal
from autotune.report.format import joined, milliseconds, per_second, percent, percentile
from autotune.report.page.drawing import Figure, down, rounded
from autotune.report.words import inputs_of
from autotune.space.shape_plan import Sizes
from autotune.storage.reader import OF_WORKLOAD
from autotune.workload.costs import in_words
from autotune.workload.mix import Mix

_MOST_SHAPES = 200
"""In the table; a mix may have thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadView:
    """The section's contents; every text is plain and may hold anything."""

    fed: str
    notes: tuple[str, ...]
    """What was skipped or guessed, and what is not tried and why."""
    mix: str
    """In a sentence; empty where there is one shape."""
    shapes: tuple[tuple[str, str, str], ...]
    """Sizes, share of the items, and cost of each."""
    more: str
    """That some are left out; empty where none is."""
    chosen: str
    """What the lines in the figure are; empty without any."""
    plans: tuple[tuple[str, str, str, str], ...]
    """Each plan that was measured: its name, padding, trials, and its best."""
    buckets: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    """By plan: sizes, share of the items, and padding of each bucket."""


def workload_view(study: Evidence) -> WorkloadView | None:
    """None where nothing is known of a workload: data of one shape, bound as they are."""
    fed = study.identity.fed
    facts = None if fed is None else fed.workload
    if facts is None:
        return None
    mix, rows = mix_fed(fed), shape_rows(facts)
    plans = [] if mix is None else plan_rows(study.trials, study.goal, mix)
    left_out = len(rows) - _MOST_SHAPES
    return WorkloadView(
        fed=f"{_capital(inputs_of(study.identity))}.",
        notes=tuple(_capital(text) for kind, text in study.findings if kind in OF_WORKLOAD),
        mix="" if mix is None else _mix_in_words(mix),
        shapes=tuple(_shape_cells(row) for row in rows[:_MOST_SHAPES]),
        more=f"and {left_out:,} larger ones" if left_out > 0 else "",
        chosen=""
        if mix is None or not _chosen_buckets(study, mix)
        else "Dashed: the sizes of the models that what was chosen runs items in.",
        plans=tuple(_plan_cells(row, study.goal) for row in plans),
        buckets=tuple(
            (
                row.plan.in_words,
                tuple(
                    (in_words(use.sizes), percent(use.share), _share(use.padding))
                    for use in row.uses
                ),
            )
            for row in plans
            if row.uses and row.padding != 0
        ),
    )


def mix_figure(study: Evidence) -> Figure | None:
    """Shares of the items by size with the chosen plan's buckets, where one size varies."""
    mix = mix_fed(study.identity.fed)
    facts = None if study.identity.fed is None else study.identity.fed.workload
    if mix is None or facts is None or len(mix.varying) != 1:
        return None
    rows = shape_rows(facts)
    axes = {axis for _, axis in mix.varying[0]}
    where = f"size of axis {axes.pop()}" if len(axes) == 1 else "size along what varies"
    return {
        "data": [_bars(rows)],
        "layout": {
            "xaxis": {"title": {"text": where}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "of the items"}, "tickformat": ".0%"},
            "shapes": [down(bucket[0], "var:cap") for bucket in _chosen_buckets(study, mix)],
            "height": 260,
        },
    }


def _chosen_buckets(study: Evidence, mix: Mix) -> tuple[Sizes, ...]:
    """Sizes of the static models of what was chosen; none where it has none."""
    plan = None if study.leader is None else plan_of(study.leader.configuration)
    return () if plan is None else mix.buckets_of(plan)


def _bars(rows: list[ShapeRow]) -> dict[str, Any]:
    sizes = [row.sizes[0] for row in rows]
    gaps = [b - a for a, b in pairwise(sizes) if b > a]
    return {
        "type": "bar",
        "x": sizes,
        "y": [rounded(row.share) for row in rows],
        "width": 0.7 * min(gaps, default=1),
        "text": [_cost(row) for row in rows],
        "textposition": "none",
        "marker": {"color": "var:met"},
        "hovertemplate": "%{x}: %{y:.1%} of the items; %{text}<extra></extra>",
    }


def _mix_in_words(mix: Mix) -> str:
    groups = []
    for group in mix.varying:
        axes = {axis for _, axis in group}
        names = [name for name, _ in group]
        each = (
            f"axis {axes.pop()} of {joined(names)}"
            if len(axes) == 1
            else joined([f"axis {axis} of {name}" for name, axis in group])
        )
        groups.append(each)
    kind = "One size varies" if len(groups) == 1 else f"{len(groups)} sizes vary"
    return f"{kind}: {'; '.join(groups)}."


def _shape_cells(row: ShapeRow) -> tuple[str, str, str]:
    return in_words(row.sizes), percent(row.share), _cost(row)


def _cost(row: ShapeRow) -> str:
    return "not measured" if row.cost_ms is None else milliseconds(row.cost_ms)


def _plan_cells(row: PlanRow, goal: Goal) -> tuple[str, str, str, str]:
    best = "none meets the goal"
    if row.best is not None and row.best.measurement is not None:
        measured = row.best.measurement
        best = (
            f"{per_second(measured.throughput_per_s)} at {percentile(goal.percentile)} "
            f"{milliseconds(measured.latency.goal_ms)} (trial {row.best.number})"
        )
    return row.plan.in_words, _share(row.padding), str(row.trials), best


def _share(padding: float | None) -> str:
    """Of what is padded, for a column that says so."""
    if padding is None:
        return "not known"
    return percent(padding) if padding > 0 else "none"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
