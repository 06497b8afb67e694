"""What every command prints with."""

import contextlib
import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.measure import Measurement

from autotune.domain.goal import Goal
from autotune.domain.units import parse_duration
from autotune.errors import UsageError
from autotune.export.files import write_atomically
from autotune.host.confinement import fault_of_request
from autotune.host.core_budget import CpuRequest, parse_request
from autotune.machines.locks import Patience
from autotune.report.format import per_second, seconds

if TYPE_CHECKING:  # viewers print too, and are quick
    from autotune.racing.race import Race


def print_json(value: object) -> None:
    """JSON without NaN."""
    print(json.dumps(value, indent=2, allow_nan=False))


def say(console: Console, text: str) -> None:
    """A line for people, not wrapped and not marked up."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def say_what_is_not_passed_on(console: Console) -> None:
    """Of the variables set here, those that measured processes do not get; nothing without any."""
    from autotune.machines.process import scrubbed_note

    note = scrubbed_note(os.environ)
    if note is not None:
        say(console, note)


def announce(console: Console, text: str) -> None:
    """A line from a signal handler: past the buffer, as that may be in the middle of a line.

    Nothing else goes on meanwhile, so that nobody is waited for who does not read.
    """
    try:
        descriptor = console.file.fileno()
    except OSError:  # no file at all
        say(console, text)
        return
    with contextlib.suppress(OSError):
        if select.select([], [descriptor], [], 0)[1]:
            os.write(descriptor, f"{text}\n".encode())


_NARROWEST = 78
"""Characters that every table of ours fits into, some texts folded."""
STDOUT = "-"
"""The file name that stands for the output."""


def show(console: Console, shown: RenderableType) -> None:
    """A table or chart whose figures are never cut: on a narrow terminal, its lines wrap there."""
    wide = console.options.update(max_width=1000)
    least = min(Measurement.get(console, wide, shown).maximum, _NARROWEST)
    wider = Console(file=console.file, width=least)
    (console if least <= console.width else wider).print(shown)


def must_end_with(option: str, path: Path, suffix: str) -> None:
    """No output is to replace a database, a model or a study file by mistake.

    Raises:
        UsageError: the path has another suffix.
    """
    if path.suffix.lower() != suffix:
        raise UsageError(f"{option}: must end with {suffix}, got {path}")


def csv_to(path: Path, text: str) -> None:
    """CSV into a file, or to the output where the path is ``-``.

    Raises:
        UsageError: the file has another suffix.
        AutotuneError: it cannot be written.
    """
    if str(path) == STDOUT:
        sys.stdout.write(text)
        return
    must_end_with("--csv", path, ".csv")
    write_atomically(path, text)


def teller(console: Console, name: str) -> "Callable[[Race], None]":
    """One plain line for each launch: this takes minutes."""

    def tell(race: "Race") -> None:
        first = race.result().standings[0]
        seen = per_second(first.throughput.mean if first.throughput else None)
        left = seconds(max(0.0, race.left_s))
        say(console, f"{name}: launch {race.launches}, {seen}; at most {left} left")

    return tell


def seconds_of(option: str, text: str) -> float:
    """A duration from an option, in seconds.

    Raises:
        UsageError: it is none; the message names the option.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def cpus_of(text: str | None) -> CpuRequest | None:
    """A core budget from --cpus that can be held here; None without one.

    Raises:
        UsageError: it is none, or cannot; says what is allowed.
    """
    if text is None:
        return None
    try:
        asked = parse_request(text)
    except ValueError as error:
        raise UsageError(f"--cpus: {error}") from None
    fault = fault_of_request(asked)
    if fault is not None:
        raise UsageError(f"--cpus: {fault}")
    return asked


def patience_of(wait: str | None, tell: Callable[[str], None]) -> Patience:
    """How long to wait for locks, as --wait says; not at all without.

    Raises:
        UsageError: it is no duration.
    """
    return Patience(left_s=0.0 if wait is None else seconds_of("--wait", wait), tell=tell)


def goal_json(goal: Goal) -> dict[str, Any]:
    """A goal for JSON output."""
    return {
        "objective": goal.objective.value,
        "percentile": goal.percentile,
        "cap_ms": goal.given_cap_ms,
        "headroom": goal.headroom,
        **({"limits": {one.name: one.value for one in goal.limits}} if goal.limits else {}),
    }
