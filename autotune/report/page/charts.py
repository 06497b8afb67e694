"""The report's figures, by the names of their places in the page.

A trace of trials has their places in the page's table as `of`, and their verdicts as `able` (0
missed, 1 met, 2 unclear): the page fills in what it knows of them, so that no figure repeats it.
"""

from collections.abc import Sequence
from typing import Any

from autotune.analysis.evidence import Evidence
from autotune.domain.goal import Objective
from autotune.domain.ranking import improvements, merit
from autotune.domain.trial import Trial
from autotune.report.format import per_resource, percentile
from autotune.report.page.accuracy import accuracy_figure
from autotune.report.page.drawing import Figure, across, down, plain, rate_of, rounded, trace_of
from autotune.report.page.settings import mattered, slices, together
from autotune.report.page.workload import mix_figure
from autotune.report.race_table import figure_of, state_in_words


def race(study: Evidence) -> Figure | None:
    """Throughput or efficiency of every contender with its 95 % interval, the least first."""
    if study.race is None:
        return None
    goal, best = study.goal, study.race.winner
    measured = [(figure_of(s, goal), s) for s in study.race.standings]
    found = sorted(((rate.mean, rate, s) for rate, s in measured if rate), key=lambda one: one[0])
    if not found:
        return None
    rates, shown = [rate for _, rate, _ in found], [s for *_, s in found]
    names = [plain(f"{s.contender.name} ({state_in_words(s, goal)})") for s in shown]
    is_efficiency = goal.objective is Objective.EFFICIENCY
    per = per_resource(goal) if is_efficiency else "second"
    axis = f"items per<br>{per}" if is_efficiency else f"items per {per}"  # for narrow windows
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [rounded(rate.mean) for rate in rates],
                "y": names,
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [rounded((rate.high or rate.mean) - rate.mean) for rate in rates],
                    "arrayminus": [rounded(rate.mean - (rate.low or rate.mean)) for rate in rates],
                    "color": "var:line",
                },
                "marker": {
                    "size": 11,
                    "color": ["var:met" if s is best else "var:plain" for s in shown],
                    "symbol": ["diamond" if s is best else "circle" for s in shown],
                },
                "hovertemplate": f"%{{y}}: %{{x}} items per {per}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": axis}, "rangemode": "normal"},
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
                "x": [rounded((before[session] + at) / 60) for session, at, _ in study.reference],
                "y": [rounded(rate / median) for rate in rates],
                "line": {"color": "var:line", "width": 1},
                "marker": {"size": 5, "color": "var:plain"},
                "hovertemplate": "%{y:.3f} of the median after %{x:.1f} min<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": "minutes"}},
            "yaxis": {"title": {"text": "of its median"}},
            "shapes": [
                across(1.0, "var:grid"),
                across(0.9, "var:missed"),
                across(1.1, "var:missed"),
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
                "x": [rounded(value) for _, value in shown],
                "y": [rounded(1 - share) for share, _ in shown],
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
                across(1 - goal.percentile / 100, "var:cap"),
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
    is_rate = goal.objective in {Objective.THROUGHPUT, Objective.PARETO}
    what = {
        Objective.LATENCY: f"{percentile(goal.percentile)} latency, ms",
        Objective.EFFICIENCY: f"items per {per_resource(goal)}",
    }.get(goal.objective, "items per second")

    def value(trial: Trial) -> float:
        return rate_of(trial) if is_rate else abs(merit(trial, goal))

    last = max(study.moments[trial.number] for trial in points)
    lead = [(study.moments[trial.number], value(trial), trial.number) for trial in gains]
    lead += [(last, lead[-1][1], lead[-1][2])] if lead else []
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": "trials",
                "x": [rounded(study.moments[trial.number] / 60) for trial in points],
                **({} if is_rate else {"y": [rounded(value(trial)) for trial in points]}),
                **trace_of(study, points),
                "marker": {"size": 6},
                "hovertemplate": "%{text}<br>%{y}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best so far",
                "x": [rounded(at / 60) for at, _, _ in lead],
                "y": [rounded(rate) for _, rate, _ in lead],
                "line": {"shape": "hv", "color": "var:line", "width": 2},
                "hovertemplate": "best so far: %{y}<extra></extra>",
            },
        ],
        "layout": {
            "xaxis": {"title": {"text": "minutes of the study"}},
            "yaxis": {"title": {"text": what}, "rangemode": "tozero"},
            "showlegend": False,
            "height": 320,
        },
    }


def all_figures(study: Evidence) -> dict[str, Figure]:
    """Every figure by the name of its place in the page."""
    single = {
        "race": race(study),
        "latency": latency(study),
        "mix": mix_figure(study),
        "accuracy": accuracy_figure(study),
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
