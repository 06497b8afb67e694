"""`python -m tests.faults.worker FD`: the real worker, which misbehaves with batches.

AUTOTUNE_FAULT is `KIND:PHASE:TIMES`: what it does, in `open` or in `load`, and how often in all;
how often it did is kept in the file that AUTOTUNE_FAULT_COUNT names.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autotune.worker import __main__ as worker
from autotune.worker.session import Session

_BOMB_BYTES, _BOMBS = 64 * 2**20, 48


def _signal_itself(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def _segfault() -> None:
    ctypes.string_at(0)


def _hang() -> None:
    while True:
        time.sleep(1000)


def _say_garbage() -> None:
    os.write(int(sys.argv[1]), b"\x00\xff no message at all\n")
    _hang()


def _print_a_gigabyte() -> None:
    line = b"plug-in says hello " * 50_000
    for _ in range(2**30 // len(line)):
        os.write(1, line)


def _answer_without_end() -> None:
    while True:
        os.write(int(sys.argv[1]), b"x" * 2**20)


def _take_memory() -> None:
    taken = [bytearray(os.urandom(4096)) * (_BOMB_BYTES // 4096) for _ in range(_BOMBS)]
    _hang()
    del taken


KINDS: dict[str, Callable[[], None]] = {
    "kill": _signal_itself(signal.SIGKILL),
    "stop": _signal_itself(signal.SIGSTOP),
    "segfault": _segfault,
    "abort": os.abort,
    "hang": _hang,
    "exit": lambda: os._exit(0),
    "garbage": _say_garbage,
    "output": _print_a_gigabyte,
    "flood": _answer_without_end,
    "memory": _take_memory,
}


def main() -> None:
    """The worker's own loop, with one method of its session spoilt."""
    kind, phase, times = os.environ["AUTOTUNE_FAULT"].split(":")
    count, duty = Path(os.environ["AUTOTUNE_FAULT_COUNT"]), getattr(Session, phase)

    opened = Session.open
    batches = [1]

    def open_as_asked(self: Session, **named: Any) -> Any:
        batches[0] = named["batch_size"]
        return opened(self, **named)

    def spoilt(self: Session, *given: Any, **named: Any) -> Any:
        batch = named["batch_size"] if phase == "open" else batches[0]
        done = len(count.read_bytes()) if count.exists() else 0
        if batch > 1 and done < int(times):
            count.write_bytes(b"x" * (done + 1))
            KINDS[kind]()
        return duty(self, *given, **named)

    Session.open = open_as_asked  # type: ignore[method-assign]
    setattr(Session, phase, spoilt)
    worker.main()


if __name__ == "__main__":
    main()
