"""Where processes ran, seen from outside: field 39 of every thread's stat."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil

from autotune.host.confinement import confined_to

_SPIN = "import time\nend = time.monotonic() + 300\nwhile time.monotonic() < end: pass"


class Watch:
    """Samples all descendants of a process, again and again, until it is told to end."""

    def __init__(self, parent: int) -> None:
        self.seen: dict[int, set[int]] = {}
        """CPUs on which any thread of each process was seen."""
        self.allowed: dict[int, set[frozenset[int]]] = {}
        """Affinities that any of its threads was seen with."""
        self.samples = 0
        self._parent = parent
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.is_set():
            for child in _descendants(self._parent):
                for task in _tasks(child):
                    with contextlib.suppress(OSError, IndexError):
                        # From the state on, which is field 3; a name may hold anything.
                        words = (task / "stat").read_text().rpartition(")")[2].split()
                        self.seen.setdefault(child, set()).add(int(words[39 - 3]))
                        held = frozenset(os.sched_getaffinity(int(task.name)))
                        self.allowed.setdefault(child, set()).add(held)
                        self.samples += 1
            time.sleep(0.002)


def _descendants(parent: int) -> list[int]:
    try:
        return [one.pid for one in psutil.Process(parent).children(recursive=True)]
    except psutil.Error:
        return []


def _tasks(process: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{process}/task").iterdir())
    except OSError:
        return []


@contextlib.contextmanager
def busy(cpu: int, niceness: int = 0) -> Iterator[None]:
    """A neighbour that never rests, on this CPU and no other; a nice one gives way to others."""
    with confined_to({cpu}):
        spin = [sys.executable, "-I", "-S", "-c", _SPIN]
        neighbour = subprocess.Popen(["nice", "-n", str(niceness), *spin])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()
