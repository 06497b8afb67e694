"""Files that are either whole or not there."""

import os
import tempfile
from pathlib import Path

from autotune.errors import AutotuneError


def write_atomically(path: Path, text: str) -> None:
    """As `write_bytes_atomically`, in UTF-8."""
    write_bytes_atomically(path, text.encode("utf-8", "surrogateescape"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, sync, rename over it, sync the folder.

    Raises:
        AutotuneError: the folder is missing, full, or not writable; the old file is then untouched.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        temporary = None
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise AutotuneError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
