"""Live progress on a terminal, one plain line for each trial elsewhere and in the log."""

from collections import deque
from contextlib import suppress
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autotune.cli.output import announce, say
from autotune.domain.events import (
    Event,
    LaunchFinished,
    Noted,
    Preparing,
    RaceFinished,
    RaceStarted,
    StudyFinished,
    StudyOpened,
    TrialFinished,
    TrialStarted,
)
from autotune.domain.goal import Objective, Verdict
from autotune.domain.limits import LimitRow
from autotune.domain.measurement import Measurement, StopReason
from autotune.domain.ranking import ratio
from autotune.domain.trial import Trial
from autotune.domain.verdicts import judged, worth
from autotune.report.format import (
    efficiency,
    gained,
    goal_in_words,
    limited,
    milliseconds,
    per_second,
    seconds,
    times,
)
from autotune.report.race import race_lines, ratio_text
from autotune.report.race_table import race_table
from autotune.report.tables import verdict_cell
from autotune.report.words import terms_in_words
from autotune.space.words import several

_SHOWN = 6
_ENDS = {
    "budget": "the budget is spent",
    "trials": "all trials of the budget are done",
    "stable": "an improvement above 1 % has become unlikely",
    "exhausted": "every configuration of the space was tried",
    "stopped": "stopped as asked",
    "interrupted": "interrupted",
}


class Log:
    """tune.log: what happened and when. A full disk costs the log, not the study."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIOWrapper | None = None
        self.written_bytes = 0
        """What this process wrote; others may write into the same file."""

    def __enter__(self) -> Self:
        with suppress(OSError):
            # Whatever a path or a message is made of, it is no reason to end.
            self._file = self._path.open("a", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and kind is not SystemExit:
            self.write(f"ended by {kind.__name__}: {error}")
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def hear(self, event: Event) -> None:
        """Write an event."""
        for line in lines(event):
            self.write(line)

    def write(self, line: str) -> None:
        """Write a line with the local time."""
        if self._file is not None:
            with suppress(OSError):
                text = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} {line}\n"
                self._file.write(text)
                self._file.flush()
                self.written_bytes += len(text.encode(errors="backslashreplace"))


class Progress:
    """What the user sees while a study is tuned."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._opened: StudyOpened | None = None
        self._recent: deque[Trial] = deque(maxlen=_SHOWN)
        self._finished: TrialFinished | None = None
        self._launch: LaunchFinished | None = None
        self._now = Spinner("dots", Text("looking at the model and the machine", style="dim"))
        self._note = ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._now.update(text="")
            self._live.transient = True
            self._live.__exit__(kind, error, traceback)

    def say(self, text: str) -> None:
        """Show a note; from a signal handler, too."""
        self._note = text
        if self._live is None:
            announce(self._console, text)
        else:
            self._draw()

    def hear(self, event: Event) -> None:
        """Show an event."""
        match event:
            case StudyOpened():
                self._opened = event
            case Preparing():
                self._now = Spinner("dots", Text(event.text, style="dim"))
            case TrialStarted():
                text = Text(
                    f"{event.configuration}", style="dim", overflow="ellipsis", no_wrap=True
                )
                self._now = Spinner("dots", text)
            case TrialFinished():
                self._finished = event
                self._recent.append(event.trial)
            case RaceStarted():
                racing = f"race: {', '.join(event.names)}"
                self._now = Spinner("dots", Text(racing, style="dim"))
            case LaunchFinished():
                self._launch = event
        self._show(event)

    def _show(self, event: Event) -> None:
        if self._live is None:
            # How the race ended stands in the closing table.
            for line in [] if isinstance(event, RaceFinished) else lines(event):
                say(self._console, line)
        elif isinstance(event, StudyOpened | Noted):
            for line in lines(event):
                self._live.console.print(line, soft_wrap=True, highlight=False)
            self._draw()
        else:
            self._draw()

    def _draw(self) -> None:
        assert self._live is not None  # noqa: S101 - only called on a terminal
        parts: list[Table | Text | Spinner] = []
        if self._launch is not None:
            left = seconds(self._launch.left_s)
            said = f"race: launch {self._launch.result.launches}, at most {left} left"
            parts += [race_table(self._launch.result, self._launch.goal), Text(said)]
        elif self._finished is not None:
            parts += [self._trials(), self._summary(self._finished)]
        parts.append(self._now)
        if self._note:
            parts.append(Text(self._note, style="yellow"))
        self._live.update(Group(*parts))

    def _trials(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", no_wrap=True, min_width=3)
        table.add_column(overflow="ellipsis", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        for trial in self._recent:
            measured = trial.measurement
            if measured is None:
                kind = trial.failure.kind.value.replace("_", " ") if trial.failure else ""
                failed = Text(kind, style="magenta")
                table.add_row(str(trial.number), str(trial.configuration), "-", "-", failed)
                continue
            table.add_row(
                str(trial.number),
                str(trial.configuration),
                per_second(measured.throughput_per_s),
                milliseconds(measured.latency.goal_ms),
                verdict_cell(measured.verdict, self._limits(measured)),
            )
        return table

    def _limits(self, measured: Measurement) -> list[tuple[LimitRow, Verdict]]:
        if self._finished is None:
            return []
        return [(one.limit.row, one.verdict) for one in judged(measured, self._finished.goal)]

    def _summary(self, event: TrialFinished) -> Text:
        opened = self._opened
        total = f"/{opened.budget_trials}" if opened and opened.budget_trials else ""
        left = "" if event.left_s is None else f", {seconds(event.left_s)} left"
        text = Text(f"\n{event.trials}{total} trials{left}; ", overflow="fold")
        return text.append(best_in_words(event), style="bold")


def lines(event: Event) -> list[str]:
    """An event as plain lines."""
    found: list[str] = []
    match event:
        case StudyOpened():
            found = _opened_lines(event)
        case TrialFinished():
            found = [_trial_line(event)]
        case Noted():
            found = [f"note: {event.text}"]
        case RaceStarted():
            found = [_race_line(event)]
        case LaunchFinished():
            found = [_launch_line(event)]
        case RaceFinished():
            found = race_lines(event.result, event.goal)
        case StudyFinished():
            found = [f"end: {_ENDS.get(event.reason, event.reason)}"]
        case Preparing():
            found = [event.text]
        case TrialStarted():
            pass
    return found


def _race_line(event: RaceStarted) -> str:
    noise = event.calibration or "never calibrated: autotune doctor --calibrate"
    return (
        f"race of {', '.join(event.names)}: {seconds(event.budget_s)} at most; "
        f"A/A noise of this machine: {noise}"
    )


def _launch_line(event: LaunchFinished) -> str:
    winner = event.result.winner
    leads = "nobody leads yet" if winner is None else f"{winner.contender.name} leads"
    gain = ""
    if winner is not None and winner.ratio is not None:
        gain = f", {ratio_text(winner.ratio)} the hint{gained(event.goal)}"
    return f"race: launch {event.result.launches}: {leads}{gain}; {seconds(event.left_s)} left"


def best_in_words(event: TrialFinished) -> str:
    """The best so far against the better hint."""
    if event.best is None or event.best.measurement is None:
        return f"nothing meets {'all limits' if event.goal.limits else 'the SLA'} yet"
    measured = event.best.measurement
    found = ratio(event.best, event.better_hint, event.goal)
    gain = "" if found is None else f", {times(found)} the better hint{gained(event.goal)}"
    used = ""
    if event.goal.objective is Objective.EFFICIENCY:
        seen = worth(measured, event.goal)
        used = f"{efficiency(None if seen is None else seen.mean, event.goal)}, "
    rate, latency = per_second(measured.throughput_per_s), milliseconds(measured.latency.goal_ms)
    return f"best {used}{rate} at {latency}{gain} (trial {event.best.number})"


def _opened_lines(event: StudyOpened) -> list[str]:
    budget = [seconds(event.budget_s)] if event.budget_s is not None else []
    budget += [f"{event.budget_trials} trials"] if event.budget_trials is not None else []
    budget += [] if budget else ["until told to stop"]
    size = several(event.space_size, "configuration")
    found = [
        f"study {event.name}: {goal_in_words(event.goal)}",
        f"{event.machine}; {size}; budget {' or '.join(budget)}",
        terms_in_words(event.items_per_request, event.inputs, event.core_budget),
    ]
    if event.trials_before:
        found.append(f"continued after {event.trials_before} trials and {seconds(event.spent_s)}")
    return found + [f"note: {note}" for note in event.notes]


def _why_open(measured: Measurement) -> str:
    """Why a verdict stayed open, if it did."""
    if measured.verdict is not Verdict.UNCLEAR:
        return ""
    if measured.stop_reason is StopReason.DOMINATED:
        return " (stopped early: slower than the best)"
    return " (needs more requests)"


def _trial_line(event: TrialFinished) -> str:
    trial = event.trial
    left = "" if event.left_s is None else f"; {seconds(event.left_s)} left"
    head = f"trial {trial.number} ({trial.origin}) {trial.configuration}: "
    if trial.failure is not None:
        return f"{head}{trial.failure.kind}: {trial.failure.message}{left}"
    measured = trial.measurement
    if measured is None:
        return head
    same = "" if trial.reused_from is None else f", same as trial {trial.reused_from}"
    verdict = "" if measured.verdict is None else f", {measured.verdict}{_why_open(measured)}"
    for one in judged(measured, event.goal):
        value = "not known" if one.reading is None else limited(one.limit.row, one.reading.value)
        verdict += f", {one.limit.row.label} {value} ({one.verdict})"
    return (
        f"{head}{per_second(measured.throughput_per_s)}, "
        f"{milliseconds(measured.latency.goal_ms)}{verdict}{same}; {best_in_words(event)}{left}"
    )
