"""Names of files: whether they can be used at all, and how a fault of the system reads."""

import os
from collections.abc import Sequence
from pathlib import Path

from autotune.domain.paths import unwritable_name
from autotune.errors import StorageError, UsageError


def check_names(words: Sequence[str]) -> None:
    """Refuse what could not be written down later, before anything is done.

    Raises:
        UsageError: a word of the command, or the current folder, is no text.
        StorageError: the current folder is gone.
    """
    try:
        here = Path.cwd()
    except OSError as error:
        raise StorageError(f"the current folder cannot be used: {error.strerror}") from error
    for name in (*map(Path, words), here):
        fault = unwritable_name(name)
        if fault is not None:
            raise UsageError(fault)


def os_fault(error: OSError) -> str:
    """A fault of the system in one line: the file, and what the system says of it."""
    files = [
        os.fsdecode(f) for f in (error.filename, error.filename2) if isinstance(f, str | bytes)
    ]
    said = error.strerror or str(error) or type(error).__name__
    way_out = ": set TMPDIR to a folder that can be written" if "temporary dir" in said else ""
    return f"{': '.join([*files, said])}{way_out}".replace("\n", " ")
