"""What workers print: one log for each, in a folder that stays small over thousands of them."""

import contextlib
import os
from pathlib import Path

_LAST = 5
_MOST_FAILED = 50
_MOST_BYTES = 64 * 2**20


class WorkerLogs:
    """The logs of one folder: `worker-N.log` while it lives, `failed-N.log` once it has failed.

    Of the workers that ended well the last five with something in them are kept; of those that
    failed fifty, of 64 MiB at most, and the newest always.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._living: set[Path] = set()
        self._newest = 0  # a number is given once, though its log may be gone

    def begin(self) -> Path:
        """An empty log for a new worker.

        Raises:
            OSError: it cannot be made.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._prune()
        self._newest = 1 + max(self._newest, *(_number(path) for path in self._all()), 0)
        path = self._folder / f"worker-{self._newest:05d}.log"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        self._living.add(path)
        return path

    def end(self, path: Path, *, failed: bool) -> None:
        """The worker of this log is gone; a log that cannot be put away is left where it is."""
        self._living.discard(path)
        with contextlib.suppress(OSError):
            if not path.stat().st_size:
                path.unlink()
            elif failed:
                path.rename(path.with_name(path.name.replace("worker-", "failed-")))
        self._prune()

    def _prune(self) -> None:
        ended = [path for path in self._all("worker") if path not in self._living]
        for paths, most in ((ended, _LAST), (self._all("failed"), _MOST_FAILED)):
            size = 0
            for place, path in enumerate(sorted(paths, key=_number, reverse=True)):
                with contextlib.suppress(OSError):
                    size += path.stat().st_size
                    if place >= most or (place and size > _MOST_BYTES):
                        path.unlink()

    def _all(self, kind: str = "*") -> list[Path]:
        found = self._folder.glob(f"{kind}-*.log")
        return [path for path in found if _number(path)]


def _number(path: Path) -> int:
    text = path.stem.rpartition("-")[2]
    known = path.stem in {f"worker-{text}", f"failed-{text}"}
    return int(text) if known and text.isascii() and text.isdigit() else 0
