"""Terminal tables."""

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from autotune.analysis.guarded import loss_of
from autotune.analysis.mixture import padding_of
from autotune.domain.goal import Goal, Verdict, together
from autotune.domain.limits import LimitRow
from autotune.domain.measurement import FLAGS, Flag, Measurement
from autotune.domain.ranking import ratio
from autotune.domain.trial import Trial
from autotune.domain.units import number
from autotune.domain.verdicts import judged
from autotune.report.columns import LATENCY, LOSS, PADDING, STREAMS, TERMINAL
from autotune.report.format import milliseconds, per_second, percent, percentile, times
from autotune.space.dimensions import ARITHMETIC
from autotune.workload.mix import Mix

STYLES = {Verdict.MET: "green", Verdict.MISSED: "red", Verdict.UNCLEAR: "yellow", None: ""}
SIGNS = {Verdict.MET: "+", Verdict.MISSED: "x", Verdict.UNCLEAR: "?", None: " "}

_AFTER_LOSS = len(TERMINAL) - 1 - TERMINAL.index(LOSS)
UNPROVEN = "unproven"
"""Stands beside the flags: answers that could not be shown to be those of single requests."""


def verdict_text(verdict: Verdict | None) -> Text:
    """The verdict by word, sign and colour."""
    return Text(f"{SIGNS[verdict]} {verdict or ''}".rstrip(), style=STYLES[verdict])


def verdict_cell(sla: Verdict | None, limits: Iterable[tuple[LimitRow, Verdict]]) -> Text:
    """That of the SLA and all limits together; a limit that is missed or unclear is named."""
    if sla is Verdict.MISSED:
        return verdict_text(sla)
    seen = list(limits)
    for verdict in (Verdict.MISSED, Verdict.UNCLEAR):
        for row, one in seen:
            if one is verdict:
                return Text(f"{SIGNS[verdict]} {row.short}", style=STYLES[verdict])
    return verdict_text(together([sla, *(one for _, one in seen)]))


def trials_table(
    trials: Sequence[Trial],
    goal: Goal,
    baseline: Trial | None,
    title: str | None = None,
    *,
    mix: Mix | None = None,
) -> Table:
    """Measured trials, one line each; ratios are to `baseline`, and padding is of `mix`."""
    measured = [trial for trial in trials if trial.measurement is not None]
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    table.padding = (0, 1, 0, 0)
    is_guarded = any(loss_of(trial) is not None for trial in measured)
    several = len({trial.configuration.device for trial in measured}) > 1
    for column in TERMINAL:
        if (column is PADDING and mix is None) or (column is LOSS and not is_guarded):
            continue
        may_fold = column is STREAMS  # the only one with words, some of them many
        table.add_column(
            percentile(goal.percentile) if column is LATENCY else column.heading,
            justify="right" if column.is_number else "left",
            no_wrap=not may_fold,
            overflow="fold" if column is STREAMS else "ellipsis",
        )
    for trial in measured:
        cells = _cells(trial, baseline, goal, mix, with_device=several)
        loss = [loss_or_dash(loss_of(trial))] if is_guarded else []
        table.add_row(*cells[:-_AFTER_LOSS], *loss, *cells[-_AFTER_LOSS:])
    table.caption = _flags(measured)
    table.caption_justify = "left"
    return table


def distinct(trials: Sequence[Trial]) -> list[Trial]:
    """Each trial once, where it comes first."""
    return list({trial.number: trial for trial in trials}.values())


def _flags(trials: Sequence[Trial]) -> str | None:
    """Reasons to doubt a measurement in words, with the trials that have them."""
    found: dict[str, list[str]] = {}
    for trial in trials:
        for doubt in names_of_doubts(trial.measurement):
            found.setdefault(doubt, []).append(str(trial.number))
    return flags_in_words(found) or None


def names_of_doubts(measurement: Measurement | None) -> list[str]:
    """Names of the reasons to doubt a measurement: its flags, and `UNPROVEN`."""
    if measurement is None:
        return []
    return [*sorted(measurement.flags), *([UNPROVEN] if measurement.opening.unproven else [])]


def flags_in_words(found: Mapping[str, Sequence[str]]) -> str:
    """Reasons to doubt with what they are on; empty where there are none."""
    parts = [f"{doubt_in_words(doubt)} ({', '.join(names)})" for doubt, names in found.items()]
    return f"flagged: {'; '.join(parts)}" if parts else ""


def doubt_in_words(doubt: str) -> str:
    """A flag, or `UNPROVEN`, in words."""
    return "unproven answers" if doubt == UNPROVEN else FLAGS[Flag(doubt)].words


def share_or_dash(share: float | None) -> str:
    """A share in percent; a dash where it is not known."""
    return "-" if share is None else percent(share)


def loss_or_dash(loss: float | None) -> str:
    """What an accuracy loses; a dash where it is not known."""
    return "-" if loss is None else number(loss, 2)


def _cells(
    trial: Trial, baseline: Trial | None, goal: Goal, mix: Mix | None, *, with_device: bool
) -> list[Text | str]:
    measurement, configuration = trial.measurement, trial.configuration
    assert measurement is not None  # noqa: S101 - filtered by the caller
    streams, threads = configuration.streams, configuration.threads_per_stream or "-"
    layout = (
        f"{configuration.hint} hint"
        if streams is None
        else ", ".join([f"{streams} x {threads}", *configuration.extras(but=ARITHMETIC)])
    )
    effective = measurement.opening.effective
    return [
        str(trial.number),
        f"{configuration.device} {layout}" if with_device else layout,
        "sync" if configuration.is_blocking else str(measurement.num_requests),
        str(configuration.batch_size),
        ARITHMETIC.of(configuration) or effective.arithmetic or "-",
        *([] if mix is None else [share_or_dash(padding_of(configuration, mix))]),
        per_second(measurement.throughput_per_s),
        milliseconds(measurement.latency.goal_ms),
        verdict_cell(
            measurement.verdict,
            [(one.limit.row, one.verdict) for one in judged(measurement, goal)],
        ),
        times(ratio(trial, baseline, goal)),
    ]
