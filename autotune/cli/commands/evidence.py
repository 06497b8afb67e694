"""What is asked of a stored study, at any time."""

import gc
import sys
from pathlib import Path
from typing import Annotated

import typer

from autotune.cli.commands.options import (
    Headroom,
    Json,
    MaxDrop,
    MaxLatency,
    OpenIt,
    Percentile,
    Portable,
    StudyFolder,
    path_argument,
    path_option,
    with_limits,
)


def status(study: StudyFolder, *, json: Json = False) -> None:
    """Show a study's progress and trials, also while it is being tuned."""
    from autotune.cli.status import show_status

    show_status(study, as_json=json)


def log(study: StudyFolder, *, json: Json = False) -> None:
    """Tell a study's story: starts and ends, gains, failures with their last output, races."""
    from autotune.cli.status import show_log

    show_log(study, as_json=json)


@with_limits
def report(
    studies: Annotated[
        list[Path],
        path_argument(metavar="STUDY…", help="Folder of a study; several are put side by side."),
    ],
    *,
    out: Annotated[
        Path | None,
        path_option(
            metavar="FILE",
            help="Where to write it.",
            show_default="report.html beside the study; comparison.html beside the first",
        ),
    ] = None,
    png: Annotated[
        Path | None,
        path_option(
            metavar="FILE", help="Write the main chart as a picture instead (needs matplotlib)."
        ),
    ] = None,
    max_drop: MaxDrop = None,
    open_it: OpenIt = False,
    limits: dict[str, str | None],
) -> None:
    """Write a study as one HTML page that needs no network: answer, charts, all trials.

    Several studies, such as of two machines or two versions of the runtime, make one page that
    puts them side by side under the first one's goal. Limits are what the page begins with where it
    answers other questions than the study's own, and what several studies are judged by.
    """
    from autotune.cli.report import show_comparison, show_report

    if len(studies) > 1:
        show_comparison(studies, out, png, open_it=open_it, limits=limits, max_drop=max_drop)
    else:
        show_report(studies[0], out, png, open_it=open_it, limits=limits, max_drop=max_drop)


def dashboard(
    study: StudyFolder,
    *,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 for any that is free.")
    ] = 8080,
    open_it: OpenIt = False,
) -> None:
    """Show a copy of a study in optuna-dashboard, on this machine, until Ctrl-C.

    The copy has the constraints in the form that the dashboard reads; the study stays as it is.
    """
    from autotune.cli.dashboard import run_dashboard

    run_dashboard(study, port, open_it=open_it)


def pareto(
    study: StudyFolder,
    *,
    percentile: Percentile = None,
    max_drop: MaxDrop = None,
    csv: Annotated[Path | None, path_option(metavar="FILE", help="Write the front as CSV.")] = None,
    json: Json = False,
) -> None:
    """Show the Pareto front of throughput against latency of all measurements within limits.

    Where a guard looks at answers, accuracy is a third axis: what is slower and loses less is on
    the front, too.
    """
    from autotune.cli.results import show_pareto

    show_pareto(study, percentile, csv, max_drop=max_drop, as_json=json)


def frame(
    study: StudyFolder,
    *,
    csv: Annotated[Path | None, path_option(metavar="FILE", help="Write CSV.")] = None,
    parquet: Annotated[
        Path | None, path_option(metavar="FILE", help="Write Parquet (needs pyarrow).")
    ] = None,
) -> None:
    """Write every measurement as a table, one row each; CSV to the output without a file.

    The columns are described in docs/frame.md; in Python: autotune.frame("studies/NAME").
    """
    from autotune.cli.frame import show_frame

    show_frame(study, csv, parquet)


@with_limits
def best(
    study: StudyFolder,
    *,
    max_latency: MaxLatency = None,
    percentile: Percentile = None,
    headroom: Headroom = None,
    portable: Portable = False,
    limits: dict[str, str | None],
    max_drop: MaxDrop = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Only what ran on this device.")
    ] = None,
    out: Annotated[
        Path | None, path_option(metavar="FILE", help="Also write it as a best.json.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the best configuration for the study's cap and limits, or for others.

    It follows from what was measured; a limit of the study stays where no other is given.
    """
    from autotune.cli.results import show_best

    gc.disable()  # it would look through ten thousand trials again and again, and free nothing
    try:
        code = show_best(
            study,
            max_latency,
            percentile,
            out,
            headroom=headroom,
            limits=limits,
            max_drop=max_drop,
            device=device,
            portable=portable,
            as_json=json,
        )
    finally:
        gc.enable()
    sys.exit(code)
