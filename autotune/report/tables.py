"""Terminal tables."""

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from autotune.domain.goal import Goal, Verdict
from autotune.domain.trial import Trial
from autotune.report.format import milliseconds, per_second, percentile, times

_STYLES = {Verdict.MET: "green", Verdict.MISSED: "red", Verdict.UNCLEAR: "yellow", None: ""}
_SIGNS = {Verdict.MET: "+", Verdict.MISSED: "x", Verdict.UNCLEAR: "?", None: " "}


def verdict_text(verdict: Verdict | None) -> Text:
    """The verdict by word, sign and colour."""
    return Text(f"{_SIGNS[verdict]} {verdict or ''}".rstrip(), style=_STYLES[verdict])


def trials_table(
    trials: Iterable[Trial], goal: Goal, baseline: Trial | None, title: str | None = None
) -> Table:
    """Measured trials, one line each."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    table.add_column("trial", justify="right")
    table.add_column("configuration", overflow="fold", ratio=1)
    table.add_column("throughput", justify="right", no_wrap=True)
    table.add_column(percentile(goal.percentile), justify="right", no_wrap=True)
    table.add_column("SLA", no_wrap=True)
    table.add_column("vs hint", justify="right", no_wrap=True)
    table.add_column("flags", overflow="fold")
    for trial in trials:
        measurement = trial.measurement
        if measurement is None:
            continue
        table.add_row(
            str(trial.number),
            str(trial.configuration),
            per_second(measurement.throughput_per_s),
            milliseconds(measurement.latency.goal_ms),
            verdict_text(measurement.verdict),
            times(_ratio(trial, baseline)),
            " ".join(sorted(measurement.flags)),
        )
    return table


def _ratio(trial: Trial, baseline: Trial | None) -> float | None:
    if baseline is None or baseline.measurement is None or trial.measurement is None:
        return None
    return trial.measurement.throughput_per_s / baseline.measurement.throughput_per_s
