"""A race in a table: who was in it, with what figures, and how each one ended."""

import math
from collections.abc import Callable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from autotune.domain.goal import Goal, Objective, Resource
from autotune.domain.measurement import Interval
from autotune.domain.race import (
    RaceResult,
    Standing,
    State,
)
from autotune.domain.units import number
from autotune.report.format import (
    milliseconds,
    per_second,
    percentile,
)
from autotune.report.race import ratio_text
from autotune.report.tables import UNPROVEN, flags_in_words, verdict_cell

STATES = {
    State.CHOSEN: ("chosen", "bold green"),
    State.TIED: ("close", "green"),
    State.FASTER: ("unsure", "yellow"),
    State.SLOWER: ("slower", ""),
    State.MISSED: ("missed", "red"),
    State.FAILED: ("failed", "magenta"),
    State.WAITING: ("no turn", "dim"),
}


def race_table(
    result: RaceResult, goal: Goal, *, baseline: str = "hint", states: bool = True
) -> Table:
    """One line for each contender that had a turn or failed; ratios are to the baseline.

    `states` adds how each one ended, where something was to be chosen.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.padding = (0, 1, 0, 0)
    table.add_column("contender", overflow="fold", min_width=10)
    for heading, _ in _figures(goal):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("SLA", no_wrap=True)
    table.add_column(f"vs {baseline}\n(95 %)", no_wrap=True)
    if states:
        table.add_column("", no_wrap=True)
    shown = [s for s in result.standings if s.state is not State.WAITING]
    for standing in sorted(shown, key=lambda standing: _place(standing, goal)):
        cells = _cells(standing, goal, is_baseline=standing is result.better_hint)
        table.add_row(*(cells if states else cells[:-1]))
    waiting = len(result.standings) - len(shown)
    notes = [_flags(shown), f"{waiting} more had no turn" if waiting else ""]
    table.caption = "; ".join(note for note in notes if note) or None
    table.caption_justify = "left"
    return table


def figure_of(standing: Standing, goal: Goal) -> Interval | None:
    """What it is to have most of, with its interval; None where that was not measured.

    Items per CPU-second or joule where the goal asks for efficiency, otherwise items per second.
    """
    is_efficiency = goal.objective is Objective.EFFICIENCY
    return standing.efficiency if is_efficiency else standing.throughput


def _cells(standing: Standing, goal: Goal, *, is_baseline: bool) -> list[str | Text]:
    word, style = state_in_words(standing, goal), STATES[standing.state][1]
    measured = standing.throughput is not None
    return [
        _short_name(standing),
        *(say(standing) for _, say in _figures(goal)),
        verdict_cell(standing.verdict, [(one.limit.row, one.verdict) for one in standing.limits]),
        "1.00x" if is_baseline and measured else ratio_text(standing.ratio),
        Text(word, style=style),
    ]


def _figures(goal: Goal) -> list[tuple[str, Callable[[Standing], str]]]:
    """Headings of the columns of figures, and what stands in them."""
    tail = percentile(goal.percentile)
    rate = "through-\nput", lambda one: per_second(one.throughput and one.throughput.mean)
    if goal.objective is not Objective.EFFICIENCY:
        middle = tail, lambda one: milliseconds(one.latency and one.latency.goal_ms)
        return [rate, middle, ("at most\n(99 %)", _upper)]
    # Eighty columns hold no more: of latency the bound stays, which is what counts.
    unit = "CPU-s" if goal.resource is Resource.CPU else "joule"
    used = f"items/\n{unit}", lambda one: number(one.efficiency.mean) if one.efficiency else "-"
    return [used, rate, (f"{tail}\nat most", _upper)]


def _upper(standing: Standing) -> str:
    return milliseconds(standing.latency_upper_ms)


def state_in_words(standing: Standing, goal: Goal) -> str:
    """How it ended; whoever takes more for each item need not be slower."""
    if standing.state is State.SLOWER and goal.objective is Objective.EFFICIENCY:
        return "behind"
    return STATES[standing.state][0]


def _short_name(standing: Standing) -> str:
    """A hint without its device, which is the CPU as a rule and stands below in any case."""
    return standing.contender.name.removeprefix("CPU ")


def _place(standing: Standing, goal: Goal) -> tuple[bool, float]:
    """The chosen one first, then by what the goal asks for, the best first."""
    if goal.objective is Objective.LATENCY:
        order = standing.latency.goal_ms if standing.latency else math.inf
    else:
        figure = figure_of(standing, goal)
        order = -figure.mean if figure else math.inf
    return standing.state is not State.CHOSEN, order


def _flags(standings: Sequence[Standing]) -> str:
    found: dict[str, list[str]] = {}
    for standing in standings:
        for flag in sorted(standing.flags):
            found.setdefault(flag, []).append(standing.contender.name)
        if standing.unproven is not None:
            found.setdefault(UNPROVEN, []).append(standing.contender.name)
    return flags_in_words(found)
