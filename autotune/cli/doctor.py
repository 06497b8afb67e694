"""`doctor`: whether this machine is fit for measuring."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from autotune.cli.output import (
    announce,
    patience_of,
    print_json,
    say,
    say_what_is_not_passed_on,
    seconds_of,
    teller,
)
from autotune.cli.stop import Signals
from autotune.cli.streams import optional_output
from autotune.doctor.check import Check, Grade
from autotune.doctor.checks import checks_of, is_fit
from autotune.doctor.probes import Tell, examine
from autotune.doctor.readings import MachineReadings
from autotune.domain.model_file import located
from autotune.errors import EXIT_ERROR, EXIT_OK
from autotune.racing.calibrate import calibrate
from autotune.racing.calibration import tie_margin
from autotune.racing.named import RacedModel
from autotune.report.format import percent, seconds
from autotune.spec import parse_shapes

_STYLES = {Grade.PASS: "green", Grade.WARN: "yellow", Grade.FAIL: "red", Grade.INFO: "dim"}
_WORDS = {
    Grade.FAIL: ("failure", "failures"),
    Grade.WARN: ("warning", "warnings"),
    Grade.PASS: ("pass", "pass"),
    Grade.INFO: ("note", "notes"),
}


def show_doctor(
    *,
    as_json: bool,
    wait: str | None = None,
    probe: Callable[[Tell], MachineReadings] | None = None,
) -> int:
    """Probe, judge and report; the exit code."""
    console = Console(stderr=as_json)
    probe = probe or partial(examine, patience=patience_of(wait, partial(say, console)))
    with _progress(console) as tell:
        checks = checks_of(probe(tell))
    if as_json:
        print_json({"checks": [asdict(check) for check in checks], "summary": _summary(checks)})
    else:
        console.print(_table(checks))
        say(console, closing_line(checks))
    return EXIT_OK if is_fit(checks) else EXIT_ERROR


def run_calibration(
    model: Path | None, shape: str | None, budget: str, *, wait: str | None, as_json: bool
) -> int:
    """The A/A race; the exit code."""
    given = None if model is None else RacedModel(path=located(model), shapes=parse_shapes(shape))
    budget_s = seconds_of("--budget", budget)
    console = Console(stderr=as_json)
    patience = patience_of(wait, partial(say, console))
    # The calibration is kept in a file: the output may go away.
    with optional_output():
        say_what_is_not_passed_on(console)
        say(console, f"A/A race of the THROUGHPUT hint against itself, {seconds(budget_s)} at most")
        with Signals(partial(announce, console), patience=patience) as stop:
            found, _, file = calibrate(
                given,
                budget_s,
                on_launch=teller(console, "A/A race"),
                is_stopped=stop,
                patience=patience,
            )
        if not as_json:
            say(console, f"A/A noise: {found}")
            margin = percent(tie_margin(found))
            say(console, f"studies on this machine call what differs by less than {margin} equal")
            say(console, f"wrote {file}")
    if as_json:
        print_json({**asdict(found), "tie_margin": tie_margin(found), "file": str(file)})
    return EXIT_OK


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Tell]:
    """One line on a terminal; drawn only when it changes, as a spinner would spoil the timing."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda doing: live.update(Text(f"{doing} ..."), refresh=True)


def _table(checks: Sequence[Check]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        state = Text(check.state.value.upper(), style=_STYLES[check.state])
        table.add_row(state, Text(check.name), Text(check.evidence))
        for advice in filter(None, (check.consequence, check.remedy and f"-> {check.remedy}")):
            table.add_row("", "", Text(advice, style="italic"))
    return table


def closing_line(checks: Sequence[Check]) -> str:
    """The answer, and how many checks stand behind it."""
    counts = Counter(check.state for check in checks)
    parts = [f"{counts[state]} {_WORDS[state][counts[state] != 1]}" for state in _order(checks)]
    return f"{'fit' if is_fit(checks) else 'not fit'} for measuring: {', '.join(parts)}"


def _order(checks: Sequence[Check]) -> list[Grade]:
    """States that occur: first what stands against measuring, if anything does."""
    order = [Grade.PASS, Grade.WARN, Grade.INFO]
    order = order if is_fit(checks) else [Grade.FAIL, Grade.WARN, Grade.PASS, Grade.INFO]
    return [state for state in order if any(check.state is state for check in checks)]


def _summary(checks: Sequence[Check]) -> dict[str, object]:
    counts = Counter(check.state for check in checks)
    return {"fit": is_fit(checks), **{state.value: counts[state] for state in Grade}}
