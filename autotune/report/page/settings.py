"""Figures of what the settings do: which matter, each alone, and some together."""

from collections.abc import Sequence

from autotune.analysis.evidence import Evidence
from autotune.analysis.importance import SETTINGS, importance, setting
from autotune.domain.trial import Trial
from autotune.report.format import per_second, percent
from autotune.report.page.drawing import Figure, plain, rate_of, rounded, trace_of

_MOST_BATCHES = 4


def mattered(study: Evidence) -> Figure | None:
    """Share of the variance of throughput that each setting explains alone."""
    found = importance(study.trials)[::-1]
    if not found:
        return None
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": [rounded(share) for _, share in found],
                "y": [SETTINGS[name] for name, _ in found],
                "text": [percent(share) for _, share in found],
                "textposition": "auto",
                "marker": {"color": "var:plain"},
                "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {
                "title": {"text": "share of variance"},
                "range": [0, 1],
                "tickformat": ".0%",
            },
            "yaxis": {"automargin": True},
            "height": 90 + 34 * len(found),
        },
    }


def slices(study: Evidence) -> list[tuple[str, Figure]]:
    """Throughput against each setting that was varied, by name."""
    mine = _explicit(study)
    found = []
    for name, _ in importance(study.trials):
        values = sorted({setting(trial, name) for trial in mine}, key=_order)
        texts = [plain(_text(setting(trial, name))) for trial in mine]
        figure = {
            "data": [
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": texts,
                    **trace_of(study, mine),
                    "marker": {"size": 7, "opacity": 0.7},
                    "hovertemplate": "%{text}<br>%{y}/s<extra></extra>",
                }
            ],
            "layout": {
                "xaxis": {
                    "title": {"text": SETTINGS[name]},
                    "type": "category",
                    "categoryorder": "array",
                    "categoryarray": [plain(_text(value)) for value in values],
                },
                "yaxis": {"title": {"text": "items per second"}, "rangemode": "tozero"},
                "height": 260,
            },
        }
        found.append((SETTINGS[name], figure))
    return found


def together(study: Evidence) -> list[tuple[str, Figure]]:
    """The best throughput for streams x requests, a figure for each of the batches tried most."""
    mine = [trial for trial in _explicit(study) if trial.configuration.streams is not None]
    batches: dict[int, list[Trial]] = {}
    for trial in mine:
        batches.setdefault(trial.configuration.batch_size, []).append(trial)
    most = sorted(batches, key=lambda batch: -len(batches[batch]))[:_MOST_BATCHES]
    rates = [rate_of(trial) for trial in mine if trial.configuration.batch_size in most]
    # One scale for all batches.
    return [
        (f"batch {batch}", _heatmap(batch, batches[batch], min(rates), max(rates)))
        for batch in sorted(most)
    ]


def _heatmap(batch: int, trials: Sequence[Trial], least: float, most: float) -> Figure:
    """One batch; the scale of colours is from `least` to `most` items per second."""
    streams = sorted({t.configuration.streams or 0 for t in trials})
    requests = sorted({t.measurement.num_requests for t in trials if t.measurement})
    rows = [[rounded(_fastest(trials, s, r)) for r in requests] for s in streams]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": [str(r) for r in requests],
                "y": [str(s) for s in streams],
                "z": rows,
                "text": [[per_second(z) if z is not None else "" for z in row] for row in rows],
                "texttemplate": "%{text}" if len(requests) <= 6 else "",
                "hovertemplate": "%{y} streams, %{x} requests: %{z}/s<extra></extra>",
                "colorscale": "Cividis",  # reads the same to colour-blind eyes
                "showscale": False,
                "zmin": rounded(least),
                "zmax": rounded(most),
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": "requests"}, "type": "category"},
            "yaxis": {"title": {"text": "streams"}, "type": "category"},
            "title": {"text": f"batch {batch}", "font": {"size": 14}},
            "margin": {"l": 56, "r": 16, "t": 36, "b": 48},
            "height": 280,
        },
    }


def _fastest(trials: Sequence[Trial], streams: int, requests: int) -> float | None:
    """Items per second; None where nobody tried these."""
    return max(
        (
            rate_of(t)
            for t in trials
            if t.measurement is not None
            and t.configuration.streams == streams
            and t.measurement.num_requests == requests
        ),
        default=None,
    )


def _explicit(study: Evidence) -> list[Trial]:
    return [
        trial
        for trial in study.trials
        if trial.measurement is not None
        and trial.reused_from is None
        and not trial.configuration.is_hint
    ]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "as the hint says" if value is None else str(value)


def _order(value: object) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))
