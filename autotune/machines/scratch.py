"""Folders for what is needed for a moment."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from autotune.errors import StorageError


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, which goes with all that is in it.

    Raises:
        StorageError: none can be made anywhere.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="autotune-")
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        raise StorageError(
            f"no folder for temporary files: {where}; name one that can be written: TMPDIR=FOLDER"
        ) from error
    with folder as name:
        yield Path(name)
