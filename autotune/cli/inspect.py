"""`inspect`: what a model is, and whether it can be batched."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autotune.cli.output import print_json, show
from autotune.cli.shapes import example, likely_layout, open_dimensions
from autotune.domain.inspection import Inspection, ModelPort
from autotune.domain.model_facts import ModelFacts
from autotune.domain.model_file import fault_of, located, model_files
from autotune.domain.units import number
from autotune.errors import AutotuneError, ModelError
from autotune.machines.locks import machine_lock
from autotune.machines.passing import examine, try_model
from autotune.report.format import memory, percent
from autotune.spec import parse_shapes

_MOST_TYPES = 8
"""Of operations that are listed; the rest is counted."""
_LEAST_SHARE = 0.001
"""Of the weights that a type must have to be named."""
_NOT_TRIED = "not tried"
_ANY_ROWS = 2
"""Of a table with so many, data at random between 0 and 1 are any."""
_STATES = (
    'say [workload] states: "reset" where each item begins anew, "carried" where items are parts '
    "of one sequence"
)


def show_model(
    model: Path, *, as_json: bool, shape: str | None = None, quick: bool = False
) -> None:
    """Inputs, outputs, weights, operations, and whether a batch is right.

    Args:
        model: the file.
        as_json: for programs.
        shape: static shapes of its inputs, as in a study file.
        quick: compile nothing.

    Raises:
        ModelError: it cannot be read, or does not take the shapes.
        SpecError: the shapes are none.
    """
    path, shapes = located(model), parse_shapes(shape)
    fault = fault_of(path)
    if fault is not None:
        raise ModelError(fault)
    facts = examine(path, shapes)
    tried, why_not = _tried(path, shapes, facts, quick=quick)
    batch = _batch(facts, tried, why_not)
    size_bytes = sum(file.stat().st_size for file in model_files(path) if file.exists())
    if as_json:
        print_json(_as_json(facts, tried, batch, size_bytes))
        return
    console = Console()
    show(console, _ports(facts))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for label, text in _rows(facts, tried, batch, size_bytes):
        rows.add_row(Text(label, style="dim"), Text(text))
    console.print(rows)
    _say_what_is_open(console, facts)


def _tried(
    path: Path, shapes: dict[str, list[int]], facts: ModelFacts, *, quick: bool
) -> tuple[Inspection | None, str]:
    """What running it shows; None with the reason where it was not run."""
    if facts.has_open_shapes:
        return None, "its dynamic dimensions need --shape, or samples"
    if quick:
        return None, "--quick compiles nothing"
    try:
        with machine_lock():  # somebody's measurement is not to be disturbed
            return try_model(path, shapes), ""
    except AutotuneError as error:
        return None, str(error).removeprefix(f"{path}: ")


def _batch(facts: ModelFacts, tried: Inspection | None, why_not: str) -> tuple[str, str]:
    """Whether it can be batched, in a word, and why."""
    if tried is None:
        if facts.batch_lost is None:
            return _NOT_TRIED, why_not
        return _NOT_TRIED, f"{why_not}; by the shapes it cannot be batched: {facts.batch_lost}"
    if tried.why_no_batch is not None:
        return "not possible", tried.why_no_batch
    if tried.unproven_batch is not None:
        hint = "" if facts.batch_lost is None else f"; {facts.batch_lost}"
        return "unproven", f"{tried.unproven_batch}{hint}"
    return "possible", "a batch of three gave each item the answer that it has alone"


# --- for people


def _ports(facts: ModelFacts) -> Table:
    """Inputs and outputs, with the shapes that were asked for where some were."""
    asked = bool(facts.static_inputs)
    headings = ("", "name", "shape", *(["with --shape"] if asked else []), "type", "layout")
    table = Table(box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    kinds = (
        ("input", facts.inputs, facts.static_inputs),
        ("output", facts.outputs, facts.static_outputs),
    )
    for kind, ports, static in kinds:
        for place, port in enumerate(ports):
            shaped = [static[place].shape] if asked else []
            row = (kind, port.name, port.shape, *shaped, port.type, _layout(facts, port, kind))
            table.add_row(*map(Text, row))
    return table


def _layout(facts: ModelFacts, port: ModelPort, kind: str) -> str:
    if port.name in facts.layouts:
        return facts.layouts[port.name].strip("[]").replace(",", "")
    likely = likely_layout(port) if kind == "input" else None
    return "" if likely is None else f"looks like {likely}"


def _rows(
    facts: ModelFacts, tried: Inspection | None, batch: tuple[str, str], size_bytes: int
) -> Iterator[tuple[str, str]]:
    yield "batch", ": ".join(batch)
    if tried is not None and tried.items_per_request > 1:
        yield "items", f"{tried.items_per_request} in each request, at batch 1"
    yield "weights", f"{facts.values:,} values in {_size(size_bytes)}: {_shares(facts)}"
    yield "quantised", _quantised(facts)
    yield "operations", _counted(facts)
    if tried is not None:
        yield "computes in", _arithmetic(tried)
    if facts.variables:
        yield "state", f"kept from request to request: {', '.join(facts.variables)}; {_STATES}"
    if facts.foreign:
        yield "unknown", f"operations that are none of OpenVINO's own: {', '.join(facts.foreign)}"
    for name, rows in facts.tables.items():
        yield "ids", _looked_up(name, rows)
    for line in facts.data_dependent:
        yield "data", f"{line}; give real data with [workload] inputs"


def _looked_up(name: str, rows: int) -> str:
    """What an input may hold that is the number of a row."""
    found = f"{name} is looked up in a table of {rows:,} rows: 0 to {rows - 1}"
    if rows <= _ANY_ROWS:
        return found
    said = f"{{ {_quoted(name)} = {{ low = 0, high = {rows - 1} }} }}"
    return f"{found}; give real ones, or [workload] random = {said}"


def _quoted(key: str) -> str:
    """A key of TOML, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _size(size_bytes: int) -> str:
    small = size_bytes < 2**20
    return f"{number(size_bytes / 2**10, 3)} KiB" if small else memory(size_bytes)


def _shares(facts: ModelFacts) -> str:
    """Element types of the weights with their shares of the values."""
    shares = {one.type: one.values / max(facts.values, 1) for one in facts.weights}
    named = [f"{kind} {percent(s)}" for kind, s in shares.items() if s >= _LEAST_SHARE]
    return ", ".join(named) or "none"


def _quantised(facts: ModelFacts) -> str:
    found = []
    quantisers = facts.operations.get("FakeQuantize", 0)
    if quantisers:
        found.append(f"yes, by {quantisers} FakeQuantize")
    for kind, values in facts.compressed.items():
        share = percent(values / max(facts.values, 1))
        verb = "stored as" if kind == "f16" else "compressed to"
        found.append(f"{share} of the weights are {verb} {kind}")
    return "; ".join(found) or "no"


def _counted(facts: ModelFacts) -> str:
    """The most frequent ones, then how many others there are."""
    listed = list(facts.operations.items())
    shown = ", ".join(f"{kind} {count}" for kind, count in listed[:_MOST_TYPES])
    rest = sum(count for _, count in listed[_MOST_TYPES:])
    more = f" and {rest} others of {len(listed) - _MOST_TYPES} types" if rest else ""
    return f"{sum(facts.operations.values())}: {shown}{more}" if listed else "none"


def _arithmetic(tried: Inspection) -> str:
    """What the runtime takes by itself, and how far each one is off f32."""
    errors = [
        f"{name} is off f32 by {percent(error)}"
        for name, error in tried.precision_errors.items()
        if name != "f32" and error is not None
    ]
    doubts = [f"{name} is not trusted: {why}" for name, why in tried.untrusted.items()]
    return "; ".join([f"{tried.default_precision} unless asked otherwise", *errors, *doubts])


def _say_what_is_open(console: Console, facts: ModelFacts) -> None:
    if not facts.has_open_shapes:
        return
    ports = facts.static_inputs or facts.inputs
    console.print()
    for port in ports:
        if found := open_dimensions(port):
            _plain(console, f"dynamic dimensions of {port.name}: {', '.join(found)}")
    shapes = example(ports)
    _plain(console, f'dynamic dimensions need --shape, for instance --shape "{shapes}"')
    _plain(
        console,
        "or samples of your own, in one shape or several: [workload] inputs (docs/workload.md)",
    )


def _plain(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


# --- for programs


def _as_json(
    facts: ModelFacts, tried: Inspection | None, batch: tuple[str, str], size_bytes: int
) -> dict[str, Any]:
    word, why = batch
    return {
        "inputs": _ports_json(facts, facts.inputs, "input"),
        "outputs": _ports_json(facts, facts.outputs, "output"),
        "static_inputs": [asdict(port) for port in facts.static_inputs],
        "static_outputs": [asdict(port) for port in facts.static_outputs],
        "example_shape": example(facts.static_inputs or facts.inputs),
        "batch": {"verdict": word, "why": why, "lost_at": facts.batch_lost},
        "size_bytes": size_bytes,
        "values": facts.values,
        "weights": [asdict(one) for one in facts.weights],
        "compressed": dict(facts.compressed),
        "operations": dict(facts.operations),
        "unknown_operations": list(facts.foreign),
        "variables": list(facts.variables),
        "tables": dict(facts.tables),
        "data_dependent": list(facts.data_dependent),
        "items_per_request": None if tried is None else tried.items_per_request,
        "default_precision": None if tried is None else tried.default_precision,
        "precision_errors": None if tried is None else dict(tried.precision_errors),
    }


def _ports_json(facts: ModelFacts, ports: Sequence[ModelPort], kind: str) -> list[dict[str, Any]]:
    return [
        {
            **asdict(port),
            "layout": facts.layouts.get(port.name),
            "looks_like": likely_layout(port) if kind == "input" else None,
        }
        for port in ports
    ]
