"""`report`: a study as one page for a browser."""

import webbrowser
from contextlib import closing
from pathlib import Path

from rich.console import Console

from autotune.analysis.evidence import Evidence
from autotune.cli.output import say
from autotune.cli.results import opened
from autotune.errors import AutotuneError
from autotune.export.files import write_atomically, write_bytes_atomically
from autotune.report.page import render
from autotune.report.page.view import view_of
from autotune.report.picture import picture
from autotune.storage.study_store import StudyStore

REPORT = "report.html"


def show_report(folder: Path, out: Path | None, png: Path | None, *, open_it: bool) -> None:
    """Write the page, beside the study where nothing else is said, and open it if asked to.

    With `png`, the main chart goes there, and the page is written only where it is asked for.
    """
    folder, store = opened(folder)
    console = Console()
    if png is not None:
        with closing(store):
            write_bytes_atomically(png, picture(Evidence.of(store)))
        say(console, f"wrote {png}")
        if out is None and not open_it:
            return
        store = StudyStore.read_only(folder)
    target = out or folder / REPORT
    _write(store, target)
    say(console, f"wrote {target}")
    if open_it and not webbrowser.open(target.resolve().as_uri()):
        say(console, "no browser was found: open it by hand")


def report_of_a_night(folder: Path, console: Console) -> None:
    """The page after tuning; whatever is wrong with it, the night's result stands."""
    target = folder / REPORT
    try:
        _write(StudyStore.read_only(folder), target)
    except AutotuneError as error:
        say(console, f"no report: {error}")
    else:
        say(console, f"wrote {target}")


def _write(store: StudyStore, target: Path) -> None:
    with closing(store):
        write_atomically(target, render(view_of(Evidence.of(store))))
