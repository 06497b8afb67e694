"""`python -m tests.faults.command WORD…`: the `autotune` command, with faults from the environment.

AUTOTUNE_DIE_AT is `POINT:N`: kill -9 of itself at the n-th passage of a point. AUTOTUNE_FAULT: see
`tests/faults/worker.py`. AUTOTUNE_RUNTIME: what the runtime calls its version. AUTOTUNE_MEMORY:
bytes that the machine pretends to have for workers.
"""

import functools
import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from autotune.cli import tune as command
from autotune.cli.main import main as autotune
from autotune.machines import process
from autotune.machines import workers as runner
from autotune.machines.deadlines import Deadlines
from autotune.machines.fingerprint import fingerprint
from autotune.machines.workers import SubprocessRunner
from autotune.measuring import measure as measuring
from autotune.search.search import Search
from autotune.storage import codec, migrations
from autotune.storage.races import RaceLog
from autotune.tuning import prepare

_WORKER = (sys.executable, "-m", "tests.faults.worker")
_DEADLINES = Deadlines(open_s=6.0, block_s=4.0)
_PATIENT = Deadlines(open_s=60.0, block_s=60.0)
"""For what takes its time, such as all memory."""


def _passage(owner: Any, name: str, count: int, *, after: bool = False) -> None:
    """Have a function end the process at its n-th call, before it does anything or after all."""
    original, passages = getattr(owner, name), itertools.count(1)

    @functools.wraps(original)
    def counted(*given: Any, **named: Any) -> Any:
        is_due = next(passages) == count
        if is_due and not after:
            _die()
        found = original(*given, **named)
        if is_due and after:
            _die()
        return found

    setattr(owner, name, counted)


def _replacing(ending: str) -> None:
    """End the process when a file is whole, but not yet at its place."""
    original = Path.replace

    def replace(self: Path, target: Any) -> Any:
        if str(target).endswith(ending):
            _die()
        return original(self, target)

    Path.replace = replace  # type: ignore[method-assign]


def _migrating() -> None:
    step = migrations._STEPS[2]

    def half(connection: Any) -> None:
        step(connection)
        _die()

    migrations._STEPS[2] = half


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


POINTS: dict[str, Callable[[int], None]] = {
    "ask": lambda n: _passage(Search, "ask", n),
    "asked": lambda n: _passage(Search, "ask", n, after=True),
    "begin": lambda n: _passage(Search, "begin", n, after=True),
    "open": lambda n: _passage(SubprocessRunner, "open", n),
    "opened": lambda n: _passage(SubprocessRunner, "open", n, after=True),
    "block": lambda n: _passage(measuring.Tally, "add", n),
    "record": lambda n: _passage(codec, "block_row", n),
    "tell": lambda n: _passage(Search, "tell", n),
    "told": lambda n: _passage(Search, "tell", n, after=True),
    "race": lambda n: _passage(RaceLog, "keep", n),
    "raced": lambda n: _passage(RaceLog, "end", n, after=True),
    "export": lambda _: _replacing("best.json"),
    "backup": lambda _: _replacing(".backup"),
    "migration": lambda _: _migrating(),
}
"""Where the tuner can be killed, in the order of its life."""


def main() -> None:
    """Plant what the environment asks for, and run."""
    point, _, count = os.environ.get("AUTOTUNE_DIE_AT", "").partition(":")
    if point:
        POINTS[point](int(count or 1))
    planted: dict[tuple[Any, str], Any] = {(command, "_PAUSE_S"): 0.0}
    if "AUTOTUNE_FAULT" in os.environ:
        patience = _PATIENT if "AUTOTUNE_MEMORY" in os.environ else _DEADLINES
        planted[prepare, "deadlines_of"] = lambda *_: patience
        planted[prepare, "SubprocessRunner"] = functools.partial(SubprocessRunner, command=_WORKER)
    if "AUTOTUNE_MEMORY" in os.environ:
        planted[process, "available_memory"] = _pretended_memory
    if "AUTOTUNE_RUNTIME" in os.environ:
        version = os.environ["AUTOTUNE_RUNTIME"]
        planted[runner, "fingerprint"] = lambda _, names: fingerprint(version, names)
    for (module, name), replacement in planted.items():
        setattr(module, name, replacement)
    autotune()


def _pretended_memory(*_: Any) -> int:
    taken = sum(child.memory_info().rss for child in psutil.Process().children(recursive=True))
    return max(0, int(os.environ["AUTOTUNE_MEMORY"]) - taken)


if __name__ == "__main__":
    main()
