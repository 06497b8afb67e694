"""Disk and file system."""

import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

from autotune.doctor.files import attempt
from autotune.doctor.readings import Disk, Missing, SyncedWrites
from autotune.host.files import rows, unescaped

_PAGE = bytes(4096)  # what SQLite writes at least


def disk(folder: Path) -> Disk:
    """Free space for studies."""
    return Disk(folder=str(folder), free_bytes=shutil.disk_usage(folder).free)


def file_system(root: Path, folder: Path) -> str:
    """Type of the file system that a folder is on."""
    path = root / "proc/self/mountinfo"
    depth, kind = 0, None
    for words in rows(path):
        # ID parent device root MOUNT-POINT options [optional words] - TYPE source options
        if "-" not in words[6:-1]:
            raise ValueError(f"{path}: no type in {' '.join(words)!r}")
        point = Path(unescaped(words[4]))
        # The deepest mount point above the folder; of two at one point the later hides the other.
        if folder.is_relative_to(point) and len(point.parts) >= depth:
            depth, kind = len(point.parts), words[words.index("-", 6) + 1]
    if kind is None:
        raise ValueError(f"{path}: nothing is mounted above {folder}")
    return kind


def synced_writes(folder: Path, count: int, limit_s: float) -> SyncedWrites | Missing:
    """Small writes in `folder`, or in the folder for temporary files where it is read-only."""
    written = attempt(partial(_synced_writes, folder, count, limit_s))
    if isinstance(written, Missing):
        written = attempt(partial(_synced_writes, Path(tempfile.gettempdir()), count, limit_s))
    return written


def _synced_writes(folder: Path, count: int, limit_s: float) -> SyncedWrites:
    times_s: list[float] = []
    deadline = time.perf_counter() + limit_s
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        while len(times_s) < count and (not times_s or time.perf_counter() < deadline):
            begun = time.perf_counter()
            file.write(_PAGE)
            os.fsync(file.fileno())
            times_s.append(time.perf_counter() - begun)
    return SyncedWrites(folder=str(folder), times_s=tuple(times_s))
