"""What the comparison of several studies shows, in words, numbers and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autotune.analysis.comparison import (
    Shared,
    Side,
    carried_over,
    differences,
    median_ratio,
    shared,
)
from autotune.analysis.pareto import NOISE, pareto_front
from autotune.analysis.what_if import is_allowed
from autotune.domain.goal import Goal, Objective, together
from autotune.domain.ranking import ratio
from autotune.domain.verdicts import verdict_under, worth
from autotune.report.columns import COMPARED, LATENCY
from autotune.report.format import (
    goal_in_words,
    memory,
    milliseconds,
    per_resource,
    per_second,
    percent,
    percentile,
    times,
)
from autotune.report.page.drawing import Figure, down, plain
from autotune.report.race import ratio_text
from autotune.report.words import terms_of
from autotune.space.words import several

_COLORS = ("var:met", "var:missed", "var:cap", "var:good", "var:unclear", "var:plain")
_SYMBOLS = ("circle", "x", "square", "diamond", "triangle-up", "star")
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """The page's contents; every text is plain and may hold anything."""

    title: str
    question: str
    names: tuple[str, ...]
    lines: tuple[str, ...]
    """The answer, a sentence for each other study."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The best of each study."""
    differences: tuple[tuple[str, tuple[str, ...]], ...]
    shared: tuple[tuple[str, str], ...]
    """Figure and sentence for each other study that measured the same configurations."""
    data: dict[str, Any]


def comparison_view(sides: Sequence[Side], goal: Goal) -> ComparisonView:
    """The page of two studies or more; the first is what the others are compared with."""
    names = tuple(_short(side.name) for side in sides)
    figures: dict[str, Figure] = {}
    drawn = [plain(name) for name in names]
    fronts = _fronts(sides, drawn, goal)
    if fronts is not None:
        figures["fronts"] = fronts
    lines, both = [], []
    for position, other in enumerate(sides[1:], 1):
        lines.append(_sentence(sides[0], other, names[0], names[position], goal))
        found = shared(sides[0], other)
        if found:
            name = f"shared-{position}"
            figures[name] = _against(found, drawn[0], drawn[position])
            both.append((name, _shared_sentence(found, names[0], names[position])))
    return ComparisonView(
        title=" and ".join(names),
        question=goal_in_words(goal),
        names=names,
        lines=(*lines, *_terms(sides, names)),
        columns=tuple(
            percentile(goal.percentile) if column is LATENCY else column.name for column in COMPARED
        ),
        rows=tuple(_row(side, name, goal) for side, name in zip(sides, names, strict=True)),
        differences=tuple(
            (term, tuple(_value(term, one) for one in values))
            for term, values in differences(sides)
        ),
        shared=tuple(both),
        data={"figures": figures},
    )


def _terms(sides: Sequence[Side], names: Sequence[str]) -> list[str]:
    """What the numbers are numbers of; of each study where they differ."""
    terms = [terms_of(side.identity, side.machine) for side in sides]
    if len(set(terms)) == 1:
        return [f"{terms[0][:1].upper()}{terms[0][1:]}."]
    return [f"{name}: {said}." for name, said in zip(names, terms, strict=True)]


def _sentence(first: Side, other: Side, name: str, other_name: str, goal: Goal) -> str:
    said = ""
    if first.identity.model_sha256 != other.identity.model_sha256:
        said = f"{other_name} is of another model than {name}: its figures are of other work. "
    is_latency = goal.objective is Objective.LATENCY
    is_efficiency = goal.objective is Objective.EFFICIENCY
    mine, theirs = (_best_value(side, goal) for side in (first, other))
    if not mine or not theirs:
        found = ((name, mine), (other_name, theirs))
        none = " and ".join(one for one, value in found if not value)
        return f"{said}Nothing in {none} was shown to meet this goal."
    what = f"{percentile(goal.percentile)} latency" if is_latency else "throughput"
    what = f"items per {per_resource(goal)}" if is_efficiency else what
    said += f"The best of {other_name} has {times(theirs / mine)} the {what} of the best of {name}."
    carried = None if is_latency or is_efficiency else carried_over(first, other)
    if carried is not None:
        said += f" What {name} chose reaches {percent(carried)} of the best there."
    return said


def _best_value(side: Side, goal: Goal) -> float | None:
    """What the goal asks for, of the best."""
    if goal.objective is Objective.LATENCY:
        return _latency(side)
    if goal.objective is not Objective.EFFICIENCY:
        return _best_rate(side)
    winner = None if side.race is None else side.race.winner
    if winner is not None and winner.efficiency is not None:
        return winner.efficiency.mean
    measured = None if side.best is None else side.best.measurement
    seen = None if measured is None else worth(measured, goal)
    return None if seen is None else seen.mean


def _latency(side: Side) -> float | None:
    """The goal's percentile of the best, in milliseconds."""
    if side.best is None or side.best.measurement is None:
        return None
    return side.best.measurement.latency.goal_ms


def _best_rate(side: Side) -> float | None:
    """Items per second of the best: the race's where it has a say, else the search's."""
    winner = None if side.race is None else side.race.winner
    if winner is not None and winner.throughput is not None:
        return winner.throughput.mean
    if side.best is None or side.best.measurement is None:
        return None
    return side.best.measurement.throughput_per_s


def _shared_sentence(found: Sequence[Shared], name: str, other: str) -> str:
    middle = median_ratio(found)
    return (
        f"{several(len(found), 'configuration')} measured in both: {other} "
        f"reaches {times(middle)} the throughput of {name} in the median, "
        f"{times(found[0].ratio)} to {times(found[-1].ratio)}."
    )


def _row(side: Side, name: str, goal: Goal) -> tuple[str, ...]:
    """All figures of a row are of the race, or all are of the search."""
    winner = None if side.race is None else side.race.winner
    if winner is not None and winner.throughput is not None and winner.latency is not None:
        number = None if side.hint is None else side.hint.number
        standings = () if side.race is None else side.race.standings
        hint = next((one for one in standings if one.contender.trial == number), None)
        return (
            name,
            str(winner.contender.configuration),
            f"{per_second(winner.throughput.mean)} (raced)",
            milliseconds(winner.latency.goal_ms),
            str(together([winner.verdict, *(one.verdict for one in winner.limits)]) or "-"),
            per_second(None if hint is None or hint.throughput is None else hint.throughput.mean),
            ratio_text(winner.ratio),
        )
    hint_rate = None if side.hint is None else side.hint.measurement
    hint_words = per_second(None if hint_rate is None else hint_rate.throughput_per_s)
    if side.best is None or side.best.measurement is None:
        return (name, "nothing found", "-", "-", "-", hint_words, "-")
    measured = side.best.measurement
    return (
        name,
        str(side.best.configuration),
        f"{per_second(measured.throughput_per_s)} (search)",
        milliseconds(measured.latency.goal_ms),
        str(verdict_under(measured, goal) or "-"),
        hint_words,
        times(ratio(side.best, side.hint, goal)),
    )


def _fronts(sides: Sequence[Side], names: Sequence[str], goal: Goal) -> Figure | None:
    traces: list[dict[str, Any]] = []
    for place, (side, name) in enumerate(zip(sides, names, strict=True)):
        color = _COLORS[place % len(_COLORS)]
        front = _front(side, name, goal, color, _SYMBOLS[place % len(_SYMBOLS)])
        if front is None:
            continue
        traces.append(front)
        if side.best is not None and side.best.measurement is not None:
            best = side.best.measurement
            traces.append(_ring(name, best.latency.goal_ms, best.throughput_per_s, color))
    if not traces:
        return None
    return {
        "data": traces,
        "layout": {
            "xaxis": {
                "title": {"text": f"{percentile(goal.percentile)} request latency, ms"},
                "type": "log",
            },
            "yaxis": {"title": {"text": "items per second"}, "rangemode": "tozero"},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            "shapes": [] if goal.cap_ms is None else [down(goal.cap_ms, "var:cap")],
        },
    }


def _front(side: Side, name: str, goal: Goal, color: str, symbol: str) -> dict[str, Any] | None:
    """A study's front as a line; None where nothing within the limits was measured."""
    trials = [t for t in side.trials if is_allowed(t, goal) and t.reused_from is None]
    if not trials:
        return None
    latencies = [t.measurement.latency.goal_ms for t in trials if t.measurement]
    rates = [t.measurement.throughput_per_s for t in trials if t.measurement]
    on_front = pareto_front(rates, latencies, NOISE)
    points = sorted(
        (x, y, plain(str(t.configuration)))
        for x, y, t, on in zip(latencies, rates, trials, on_front, strict=True)
        if on
    )
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [x for x, _, _ in points],
        "y": [y for _, y, _ in points],
        "text": [words for _, _, words in points],
        "line": {"shape": "hv", "width": 1.5, "color": color},
        "marker": {"size": 9, "color": color, "symbol": symbol},
        "hovertemplate": "%{text}<br>%{y:.4~g}/s at %{x:.3~g} ms<extra></extra>",
    }


def _ring(name: str, latency_ms: float, rate_per_s: float, color: str) -> dict[str, Any]:
    """A mark around the best of a study."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"best of {name}",
        "x": [latency_ms],
        "y": [rate_per_s],
        "marker": {"size": 20, "symbol": "circle-open", "color": color, "line": {"width": 3}},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _against(found: Sequence[Shared], name: str, other: str) -> Figure:
    """Each configuration as a point; on the line, both are equally fast."""
    values = [one.first for one in found] + [one.other for one in found]
    ends = [0.9 * min(values), 1.1 * max(values)]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": ends,
                "y": ends,
                "line": {"color": "var:line", "width": 1, "dash": "dash"},
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": [one.first for one in found],
                "y": [one.other for one in found],
                "text": [plain(f"{one.configuration}: {times(one.ratio)}") for one in found],
                "marker": {"size": 8, "color": "var:met", "opacity": 0.8},
                "hovertemplate": "%{text}<extra></extra>",
            },
        ],
        "layout": {
            "xaxis": {"title": {"text": f"{name}, items per second"}},
            "yaxis": {"title": {"text": f"{other}, items per second"}},
            "showlegend": False,
            "height": 420,
        },
    }


def _value(term: str, value: object) -> str:
    """A value of machine or versions as a reader knows it."""
    if value is None:
        return "-"
    if term.endswith("bytes") and isinstance(value, int):
        return memory(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items()) or "-"
    return str(value)


def _short(text: str) -> str:
    """From the end, where the names of folders differ."""
    return text if len(text) <= _LONGEST_NAME else f"...{text[-_LONGEST_NAME:]}"
