"""What the page says of the guard: by what answers are held, and what each way to answer loses."""

from dataclasses import dataclass

from autotune.analysis.evidence import Evidence
from autotune.analysis.guarded import GuardedRow, guarded_rows
from autotune.domain.accuracy import Accuracy
from autotune.domain.goal import Goal
from autotune.domain.units import number
from autotune.report.format import milliseconds, per_second, percentile
from autotune.report.page.drawing import Figure, down, plain, rounded
from autotune.report.workload import loss_in_words
from autotune.storage.reader import OF_VARIANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyView:
    """The section's contents; every text is plain and may hold anything."""

    held: str
    """By what and on how many samples, and what may be lost; empty without a guard."""
    rows: tuple[tuple[str, str, str, str, str, str], ...]
    """Each way to answer: its name, accuracy, loss with its interval, verdict, trials, its best."""
    notes: tuple[str, ...]
    """What is not tried, and why."""


def accuracy_view(study: Evidence) -> AccuracyView | None:
    """None where nobody looks at answers, and there is one file of the model."""
    notes = tuple(_capital(text) for kind, text in study.findings if kind == OF_VARIANTS)
    rows = guarded_rows(study.trials, study.goal)
    known = [row.accuracy for row in rows if row.accuracy is not None]
    is_guarded = bool(known) or any(row.refused for row in rows)
    if not is_guarded and not notes:
        return None
    return AccuracyView(
        held=_held(known[0]) if known else "",
        rows=tuple(_cells(row, study.goal) for row in rows) if is_guarded else (),
        notes=notes,
    )


def accuracy_figure(study: Evidence) -> Figure | None:
    """The best rate of each way to answer by what it loses; None unless there are several."""
    rows = [
        (row.accuracy, row.accuracy.bounds, row.best.measurement, row)
        for row in guarded_rows(study.trials, study.goal)
        if row.accuracy is not None and row.accuracy.bounds is not None
        if row.best is not None and row.best.measurement is not None
    ]
    if len(rows) < 2:
        return None
    first, leader = rows[0][0], study.leader
    is_chosen = [leader is not None and row.best is leader for *_, row in rows]
    drops = [drop for _, drop, _, _ in rows]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [rounded(drop.seen) for drop in drops],
                "y": [rounded(measured.throughput_per_s) for _, _, measured, _ in rows],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [rounded(drop.high - drop.seen) for drop in drops],
                    "arrayminus": [rounded(drop.seen - drop.low) for drop in drops],
                    "color": "var:line",
                },
                "text": [plain(row.answers) for *_, row in rows],
                "marker": {
                    "size": 11,
                    "color": ["var:met" if chosen else "var:plain" for chosen in is_chosen],
                    "symbol": ["diamond" if chosen else "circle" for chosen in is_chosen],
                },
                "hovertemplate": "%{text}: loses %{x}, %{y} items per second<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": plain(f"{first.metric} lost, with its 95 % interval")}},
            "yaxis": {"title": {"text": "items per second"}, "rangemode": "tozero"},
            "shapes": [down(first.max_drop, "var:cap")],
            "showlegend": False,
            "height": 320,
        },
    }


def _held(one: Accuracy) -> str:
    return (
        f"Answers are held to those of the model as it was given, by {one.metric}, on "
        f"{one.samples:,} samples that were held out; {number(one.max_drop, 3)} may be lost."
    )


def _cells(row: GuardedRow, goal: Goal) -> tuple[str, str, str, str, str, str]:
    found, best = row.accuracy, "none meets the goal"
    if row.best is not None and row.best.measurement is not None:
        measured = row.best.measurement
        best = (
            f"{per_second(measured.throughput_per_s)} at {percentile(goal.percentile)} "
            f"{milliseconds(measured.latency.goal_ms)} (trial {row.best.number})"
        )
    if found is None:
        said = f"missed: {row.refused}" if row.refused else "nobody looked"
        return row.answers, "-", "-", said, str(row.trials), "not measured" if row.refused else best
    value = "-" if found.value is None else number(found.value)
    return row.answers, value, loss_in_words(found), found.verdict.value, str(row.trials), best


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
