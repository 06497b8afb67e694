"""Digests of large files, remembered: a model of gigabytes is read once, not at every start."""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from autotune.domain.model_file import ModelDigest, model_digest, sha256
from autotune.storage.state import state_folder

_LEAST_BYTES = 32 * 2**20
"""Smaller files take less time than looking them up is worth: a tenth of a second at most."""
_SETTLED_S = 10.0
"""A file that changed so recently may change again without another time stamp."""
_MOST = 100
_LARGEST_BYTES = 2**20


def digest_of(path: Path) -> ModelDigest:
    """What a model is known by, every file that it loads included.

    Raises:
        OSError: one of its files cannot be read; it has the name of that file.
    """
    return model_digest(path, remembered_sha256)


def remembered_sha256(path: Path) -> bytes:
    """Digest of a file, which is read only if it is small, new, or not as it was.

    A file is the same if its number, size and times are: every write sets the time of change,
    and no program can set that back.

    Raises:
        OSError: it cannot be read.
    """
    found = path.stat()
    folder = state_folder()
    if found.st_size < _LEAST_BYTES or folder is None:
        return sha256(path)
    file = folder / "digests.json"
    known, name, signs = _read(file), f"{found.st_dev}:{found.st_ino}", _signs(found)
    entry = known.get(name)
    if isinstance(entry, list) and entry[:-1] == signs:
        with contextlib.suppress(ValueError, TypeError):
            return bytes.fromhex(entry[-1])
    digest = sha256(path)
    age_s = time.time() - max(found.st_mtime, found.st_ctime)
    if age_s > _SETTLED_S and _signs(path.stat()) == signs:
        known.pop(name, None)
        _write(file, dict([*known.items(), (name, [*signs, digest.hex()])][-_MOST:]))
    return digest


def _signs(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            return {}
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _write(file: Path, values: dict[str, Any]) -> None:
    """Whole or not at all; where it cannot be written, files are read again the next time."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(values, stream)
            Path(temporary).replace(file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
