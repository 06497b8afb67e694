"""The report's figures, as plotly's JSON. Colours are names that the page gives values to.

A trace of trials has their places in the page's table as `of`, and their verdicts as `able` (0
missed, 1 met, 2 unclear): the page fills in what it knows of them, so that no figure repeats it.
"""

import math
from collections.abc import Sequence
from typing import Any

from autotune.analysis.evidence import Evidence
from autotune.analysis.importance import SETTINGS, importance, setting
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.ranking import improvements, is_feasible, merit
from autotune.domain.trial import Trial
from autotune.report.format import per_second, percent, percentile
from autotune.report.race import STATES

Figure = dict[str, Any]

_MOST_BATCHES = 4


def race(study: Evidence) -> Figure | None:
    """Throughput of every contender with its 95 % interval, slowest first."""
    if study.race is None:
        return None
    shown = [s for s in study.race.standings if s.throughput is not None]
    if not shown:
        return None
    shown.sort(key=lambda s: s.throughput.mean if s.throughput else 0)
    rates = [s.throughput for s in shown if s.throughput]
    names = [plain(f"{s.contender.name} ({STATES[s.state][0]})") for s in shown]
    best = study.race.winner
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [_figure(rate.mean) for rate in rates],
                "y": names,
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [_figure((rate.high or rate.mean) - rate.mean) for rate in rates],
                    "arrayminus": [_figure(rate.mean - (rate.low or rate.mean)) for rate in rates],
                    "color": "var:line",
                },
                "marker": {
                    "size": 11,
                    "color": ["var:met" if s is best else "var:plain" for s in shown],
                    "symbol": ["diamond" if s is best else "circle" for s in shown],
                },
                "hovertemplate": "%{y}: %{x}/s<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": "items per second"}, "rangemode": "normal"},
            "yaxis": {"automargin": True},
            "height": 90 + 34 * len(shown),
        },
    }


def drift(study: Evidence) -> Figure | None:
    """The reference's slices over their median, over the study's time."""
    if len(study.reference) < 3:
        return None
    rates = [block.completions / block.duration_s for _, _, block in study.reference]
    median = sorted(rates)[len(rates) // 2]
    before: dict[int, float] = {}
    ends = dict.fromkeys((session for session, _, _ in study.reference), 0.0)
    for session, at_s, _ in study.reference:
        ends[session] = max(ends[session], at_s)
    total = 0.0
    for session, end in ends.items():
        before[session] = total
        total += end
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [_figure((before[session] + at) / 60) for session, at, _ in study.reference],
                "y": [_figure(rate / median) for rate in rates],
                "line": {"color": "var:line", "width": 1},
                "marker": {"size": 5, "color": "var:plain"},
                "hovertemplate": "%{y:.3f} of the median after %{x:.1f} min<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": "minutes"}},
            "yaxis": {"title": {"text": "of its median"}},
            "shapes": [
                _across(1.0, "var:grid"),
                _across(0.9, "var:missed"),
                _across(1.1, "var:missed"),
            ],
        },
    }


def latency(study: Evidence) -> Figure | None:
    """How many requests take longer, for the leader and the hints."""
    if not study.distributions:
        return None
    data: list[dict[str, Any]] = []
    for number, points in study.distributions.items():
        trial = next(trial for trial in study.trials if trial.number == number)
        is_leader = study.leader is not None and number == study.leader.number
        shown = [(share, value) for share, value in points if share < 1]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(("chosen: " if is_leader else "") + str(trial.configuration)),
                "x": [_figure(value) for _, value in shown],
                "y": [_figure(1 - share) for share, _ in shown],
                "line": {
                    "shape": "vh",
                    "color": "var:met" if is_leader else "var:hint",
                    "dash": "solid" if is_leader else "dash" if len(data) % 2 else "dot",
                    "width": 3 if is_leader else 2,
                },
                "hovertemplate": "%{y:.2%} take longer than %{x} ms<extra></extra>",
            }
        )
    goal = study.goal
    return {
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": "request latency, ms"}, "type": "log"},
            "yaxis": {
                "title": {"text": "requests that take longer"},
                "type": "log",
                "tickformat": ".2~%",
            },
            "shapes": [
                *([down(goal.cap_ms, "var:cap")] if goal.cap_ms is not None else []),
                _across(1 - goal.percentile / 100, "var:cap"),
            ],
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            "height": 400,
        },
    }


def progress(study: Evidence) -> Figure | None:
    """Every measurement against time, and the best so far."""
    goal, trials = study.goal, study.trials
    points = [t for t in trials if t.measurement is not None and t.number in study.moments]
    if not points:
        return None
    gains = [trials[position] for position in improvements(trials, goal, 0.0)]
    is_latency = goal.objective is Objective.LATENCY

    def value(trial: Trial) -> float:
        return abs(merit(trial, goal)) if is_latency else _throughput(trial)

    last = max(study.moments[trial.number] for trial in points)
    lead = [(study.moments[trial.number], value(trial), trial.number) for trial in gains]
    lead += [(last, lead[-1][1], lead[-1][2])] if lead else []
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": "trials",
                "x": [_figure(study.moments[trial.number] / 60) for trial in points],
                **({"y": [_figure(value(trial)) for trial in points]} if is_latency else {}),
                **_trials(study, points),
                "marker": {"size": 6},
                "hovertemplate": "%{text}<br>%{y}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best so far",
                "x": [_figure(at / 60) for at, _, _ in lead],
                "y": [_figure(rate) for _, rate, _ in lead],
                "line": {"shape": "hv", "color": "var:line", "width": 2},
                "hovertemplate": "best so far: %{y}<extra></extra>",
            },
        ],
        "layout": {
            "xaxis": {"title": {"text": "minutes of the study"}},
            "yaxis": {
                "title": {
                    "text": f"{percentile(goal.percentile)} latency, ms"
                    if is_latency
                    else "items per second"
                },
                "rangemode": "tozero",
            },
            "showlegend": False,
            "height": 320,
        },
    }


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
                "x": [_figure(share) for _, share in found],
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
                    **_trials(study, mine),
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
    rates = [_throughput(trial) for trial in mine if trial.configuration.batch_size in most]
    found = []
    for batch in sorted(most):
        trials = batches[batch]
        streams = sorted({t.configuration.streams or 0 for t in trials})
        requests = sorted({t.measurement.num_requests for t in trials if t.measurement})
        cells = {
            (s, r): max(
                (
                    _throughput(t)
                    for t in trials
                    if t.measurement is not None
                    and t.configuration.streams == s
                    and t.measurement.num_requests == r
                ),
                default=None,
            )
            for s in streams
            for r in requests
        }
        rows = [[_figure(cells[s, r]) for r in requests] for s in streams]
        figure = {
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
                    "zmin": _figure(min(rates)),  # one scale for all batches
                    "zmax": _figure(max(rates)),
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
        found.append((f"batch {batch}", figure))
    return found


def _trials(study: Evidence, shown: Sequence[Trial]) -> dict[str, list[int]]:
    """What a trace says of the trials that it shows."""
    places = {trial.number: place for place, trial in enumerate(study.trials)}
    return {
        "of": [places[trial.number] for trial in shown],
        "able": [_verdict(trial, study.goal) for trial in shown],
    }


def _verdict(trial: Trial, goal: Goal) -> int:
    measured = trial.measurement
    if measured is None or measured.verdict is Verdict.MISSED:
        return 0
    return 1 if is_feasible(measured, goal) else 2


def _explicit(study: Evidence) -> list[Trial]:
    return [
        trial
        for trial in study.trials
        if trial.measurement is not None
        and trial.reused_from is None
        and not trial.configuration.is_hint
    ]


def _throughput(trial: Trial) -> float:
    assert trial.measurement is not None  # noqa: S101 - only measured trials are drawn
    return trial.measurement.throughput_per_s


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "as the hint says" if value is None else str(value)


def _order(value: object) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def _figure(value: float | None) -> float | None:
    """Seven digits are enough for a drawing."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def plain(text: str) -> str:
    """Text for a figure: plotly makes markup of what looks like it, the page colours of `var:`."""
    shown = text.replace("&", "&amp;").replace("<", "&lt;")
    return f" {shown}" if shown.startswith("var:") else shown


def _across(y: float, color: str) -> dict[str, Any]:
    line = {"color": color, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}


def down(x: float, color: str) -> dict[str, Any]:
    """A dashed line from top to bottom."""
    line = {"color": color, "width": 1, "dash": "dash"}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line}


def all_figures(study: Evidence) -> dict[str, Figure]:
    """Every figure by the name of its place in the page."""
    single = {
        "race": race(study),
        "latency": latency(study),
        "progress": progress(study),
        "mattered": mattered(study),
        "drift": drift(study),
    }
    several: Sequence[tuple[str, list[tuple[str, Figure]]]] = (
        ("slice", slices(study)),
        ("together", together(study)),
    )
    return {
        **{name: figure for name, figure in single.items() if figure is not None},
        **{
            f"{name}-{position}": figure
            for name, figures in several
            for position, (_, figure) in enumerate(figures)
        },
    }
