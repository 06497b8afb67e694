"""`report`: a study as one page for a browser."""

import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from rich.console import Console

from autotune.analysis.among import ALL, Among
from autotune.analysis.comparison import Side
from autotune.analysis.evidence import Evidence
from autotune.cli.output import must_end_with, say
from autotune.cli.questions import asked_about, opened, within_limits
from autotune.domain.goal import Goal
from autotune.domain.paths import absolute
from autotune.errors import UsageError
from autotune.export.files import write_atomically, write_bytes_atomically
from autotune.report.page import render, render_comparison
from autotune.report.page.comparison import comparison_view
from autotune.report.page.view import view_of
from autotune.report.picture import picture
from autotune.storage.reader import StudyReader

REPORT, COMPARISON = "report.html", "comparison.html"


def show_report(
    folder: Path,
    out: Path | None,
    png: Path | None,
    *,
    open_it: bool,
    limits: Mapping[str, str | None] | None = None,
    max_drop: str | None = None,
) -> None:
    """Write the page, beside the study where nothing else is said, and open it if asked to.

    With `png`, the main chart goes there, and the page is written only where it is asked for.
    `limits` and `max_drop` are what the page begins with in its answers to other questions.
    """
    folder, store = opened(folder)
    asked = within_limits(store.identity().goal, limits or {})
    among = asked_about(store.trials(), max_drop=max_drop)
    console = Console()
    if out is not None:
        must_end_with("--out", out, ".html")
    if png is not None:
        must_end_with("--png", png, ".png")
        with closing(store):
            write_bytes_atomically(png, picture(Evidence.of(store)))
        say(console, f"wrote {png}")
        if out is None and not open_it:
            return
        store = StudyReader.read_only(folder)
    target = out or folder / REPORT
    with closing(store):
        _write(store, target, asked, among)
    _say_and_open(target, open_it=open_it)


def show_comparison(
    folders: Sequence[Path],
    out: Path | None,
    png: Path | None,
    *,
    open_it: bool,
    limits: Mapping[str, str | None] | None = None,
    max_drop: str | None = None,
) -> None:
    """Several studies on one page, judged by the first one's goal, with other limits if asked for.

    Raises:
        UsageError: what is of one study is asked for: a picture, or a loss of accuracy.
    """
    if max_drop is not None:
        raise UsageError("--max-drop: accuracies are of one study; give one")
    if png is not None:
        raise UsageError("--png: the picture is of one study; give one")
    if out is not None:
        must_end_with("--out", out, ".html")
    with ExitStack() as stack:
        found = [opened(folder) for folder in folders]
        folders = [folder for folder, _ in found]
        stores = [stack.enter_context(closing(store)) for _, store in found]
        goal = within_limits(stores[0].identity().goal, limits or {})
        named = zip(stores, names(folders), strict=True)
        sides = [Side.of(store, name, goal) for store, name in named]
        target = out or folders[0] / COMPARISON
        write_atomically(target, render_comparison(comparison_view(sides, goal)))
    _say_and_open(target, open_it=open_it)


def names(folders: Sequence[Path]) -> list[str]:
    """What to call the studies: their folders, with as much of the path as tells them apart."""
    paths = [absolute(folder) for folder in folders]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        found = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(found)) == len(set(paths)):
            return found
    return [str(path) for path in paths]


def report_of_a_night(store: StudyReader, folder: Path) -> str:
    """Write the page after tuning, and say so; whatever is wrong, the night's result stands."""
    target = folder / REPORT
    try:
        _write(store, target)
    except Exception as error:  # noqa: BLE001 - the table is still to be shown
        return f"no report: {error}"
    return f"wrote {target}"


def _say_and_open(target: Path, *, open_it: bool) -> None:
    console = Console()
    say(console, f"wrote {target}")
    if open_it and not webbrowser.open(absolute(target).as_uri()):
        say(console, "no browser was found: open it by hand")


def _write(store: StudyReader, target: Path, asked: Goal | None = None, among: Among = ALL) -> None:
    write_atomically(target, render(view_of(Evidence.of(store), asked, among)))
