"""`export`: a best.json for the targets that deploy it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from autotune.cli.output import print_json, say
from autotune.errors import EXIT_OK, UsageError
from autotune.export.best_file import best_at
from autotune.export.targets import TARGETS
from autotune.export.targets.target import UnsupportedError
from autotune.export.to_targets import NOTES, Written, export

ALL = "all"
_FOLDER = "export"


def run_export(
    file: Path, asked: Sequence[str], out: Path | None, model: Path | None, *, as_json: bool
) -> int:
    """Write the files of every target that was asked for; the exit code.

    Raises:
        UsageError: an unknown target.
        UnsupportedError: a target that was asked for by name cannot run it; nothing is written.
    """
    asked = [name.strip().lower() for one in asked for name in one.split(",")]
    unknown = [name for name in asked if name not in TARGETS and name != ALL]
    if unknown:
        known = ", ".join(TARGETS)
        raise UsageError(f"--to: there is no target {unknown[0]!r}; there are {known}, and {ALL}")
    path = best_at(file)
    names = list(TARGETS) if ALL in asked else list(dict.fromkeys(asked))
    made, refused = export(path, names, out or path.parent / _FOLDER, model, is_all=ALL in asked)
    if not made:
        raise UnsupportedError("; ".join(refused.values()))
    if as_json:
        print_json({"written": [_json(one) for one in made], "refused": refused})
        return EXIT_OK
    console = Console()
    for one in made:
        say(console, f"{one.target}: {one.folder}/ ({', '.join(one.exported.files)}, {NOTES})")
        say(console, f"    cd {shlex.quote(str(one.folder))}")
        for command in one.exported.run:
            say(console, f"    {command}")
        for loss in one.exported.losses:
            say(console, f"  not represented: {loss.what}")
            say(console, f"    so: {loss.effect}")
    for reason in refused.values():
        say(console, f"not written, {reason}")
    return EXIT_OK


def _json(one: Written) -> dict[str, object]:
    return {
        "target": one.target,
        "folder": str(one.folder),
        "files": [*one.exported.files, NOTES],
        "model_files": list(one.model_files),
        "run": list(one.exported.run),
        "not_represented": [
            {"what": loss.what, "effect": loss.effect} for loss in one.exported.losses
        ],
    }
