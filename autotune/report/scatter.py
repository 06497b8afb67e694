"""A scatter chart of characters, for a terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from autotune.domain.units import number

_SMALLEST = (24, 6)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the chart."""

    x: float
    """Positive: the axis is logarithmic."""
    y: float
    sign: str
    """One character."""
    style: str = ""


def scatter(
    marks: Sequence[Mark], *, width: int, height: int, title: str, limit: float | None = None
) -> Text:
    """The chart, `width` characters wide and `height` lines high, axes and title included.

    Args:
        marks: later ones cover earlier ones.
        width: of the whole chart.
        height: likewise.
        title: says what the axes are, on one line above.
        limit: a vertical line, if it lies within the chart.
    """
    if not marks:
        return Text("nothing to draw")
    top, bottom = number(max(m.y for m in marks), 3), number(min(m.y for m in marks), 3)
    margin = max(len(top), len(bottom)) + 1
    columns, rows = max(_SMALLEST[0], width - margin - 1), max(_SMALLEST[1], height - 3)
    xs = _Scale(*_span([math.log(m.x) for m in marks]), columns)
    ys = _Scale(*_span([m.y for m in marks]), rows)
    cells = [[(" ", "")] * columns for _ in range(rows)]
    line = None if limit is None else xs.place(math.log(limit))
    if line is not None and 0 <= line < columns:
        for row in cells:
            row[line] = (":", "dim")
    for mark in marks:
        cells[rows - 1 - ys.place(mark.y)][xs.place(math.log(mark.x))] = (mark.sign, mark.style)
    chart = Text(f"{title}\n", no_wrap=True)
    for position, row in enumerate(cells):
        name = {0: top, rows - 1: bottom}.get(position, "")
        chart.append(f"{name:>{margin - 1}} |", "dim")
        for sign, style in row:
            chart.append(sign, style)
        chart.append("\n")
    chart.append(f"{'':>{margin}}+{'-' * columns}\n", "dim")
    chart.append(f"{'':>{margin}} {_labels(xs, columns)}", "dim")
    return chart


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to cells."""

    low: float
    high: float
    cells: int

    def place(self, value: float) -> int:
        share = (value - self.low) / (self.high - self.low)
        return round(share * (self.cells - 1))

    def value(self, cell: int) -> float:
        return self.low + (self.high - self.low) * cell / (self.cells - 1)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest; a little apart where they are the same."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _labels(scale: _Scale, columns: int) -> str:
    """Some values below the axis, each centred on its place as far as there is room."""
    line = [" "] * columns
    for step in range(5):
        at = round(step * (columns - 1) / 4)
        text = number(math.exp(scale.value(at)), 3)
        start = min(max(0, at - len(text) // 2), columns - len(text))
        if all(character == " " for character in line[max(0, start - 1) : start + len(text) + 1]):
            line[start : start + len(text)] = text
    return "".join(line).rstrip()
