"""`python -m tests.cli.night FAULT PHASE STUDY`: a simulated study, and one fault in its middle.

The fault comes by itself, in a certain phase, so that nobody has to wait for the right moment.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autotune.cli import tune as command
from autotune.cli.main import main as autotune
from autotune.domain.events import Event, RaceStarted, StudyFinished, TrialFinished
from autotune.errors import MachineFaultError, StorageError
from autotune.testing import SimulatedRunner
from autotune.tuning import prepare, rig
from autotune.tuning import tune as tuner

PHASES = {"search": TrialFinished, "race": RaceStarted, "end": StudyFinished}
IGNORED_BEFORE = "AUTOTUNE_NIGHT_IGNORES"
"""The number of a signal that whoever began it has ignored."""
_TRIALS = 4
"""So many before the fault comes in the search: all the seeds are known by then."""


def _full_device() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    os.dup2(1, 2)


def _no_reader() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    os.dup2(1, 2)


def _no_terminal() -> None:
    terminal, here = os.openpty()
    os.close(terminal)
    os.dup2(here, 1)
    os.dup2(1, 2)


def _closed() -> None:
    os.close(1)
    os.close(2)


def _hang_up() -> None:
    """As a terminal that is closed: the kernel and the shell both say so."""
    _no_terminal()
    _send(signal.SIGHUP)
    _send(signal.SIGHUP)


def _stopped_while_stopping() -> None:
    """Whoever ends the machine is in a hurry."""

    def hurry(_: Any) -> None:
        _send(signal.SIGTERM)

    setattr(rig.Rig, "leave", hurry)  # noqa: B010 - a method of its own would be an error
    _send(signal.SIGTERM)


def _unread() -> None:
    """Before the closing table, the output becomes a full pipe that nobody reads."""
    conclude = getattr(command, "_conclude")  # noqa: B009 - as above

    def waiting(*given: Any) -> Any:
        _reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        os.set_blocking(writer, True)
        os.dup2(writer, 1)
        (Path(sys.argv[-1]) / "waits").touch()
        return conclude(*given)

    setattr(command, "_conclude", waiting)  # noqa: B010 - as above


def _send(number: signal.Signals) -> None:
    signal.raise_signal(number)


def _raises(error: Exception) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


FAULTS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "full device": _full_device,
    "no reader": _no_reader,
    "no terminal": _no_terminal,
    "closed": _closed,
    "unread": _unread,
    "hang up": _hang_up,
    "SIGHUP": lambda: _send(signal.SIGHUP),
    "SIGINT": lambda: _send(signal.SIGINT),
    "SIGTERM": lambda: _send(signal.SIGTERM),
    "SIGQUIT": lambda: _send(signal.SIGQUIT),
    "stopped while stopping": _stopped_while_stopping,
    "machine": _raises(MachineFaultError("the workers are lost")),
    "storage": _raises(StorageError("study.db: it is full")),
    "bug": _raises(RuntimeError("nobody expected that")),
}


def main(fault: str, phase: str, *words: str) -> None:
    """Tune, and have the fault in its phase."""
    passed = 0

    def run(*given: Any, on_event: Callable[[Event], None], **named: Any) -> Any:
        def hear(event: Event) -> None:
            nonlocal passed
            passed += isinstance(event, PHASES[phase])
            if passed == (_TRIALS if phase == "search" else 1):
                passed += 1
                FAULTS[fault]()
            on_event(event)

        return tuner.tune(*given, on_event=hear, **named)

    simulated = lambda *_, **__: SimulatedRunner()  # noqa: E731 - as short as it is
    planted = {(command, "run"): run, (prepare, "SubprocessRunner"): simulated}
    for (module, name), replacement in planted.items():
        setattr(module, name, replacement)
    # As it was inherited: where coverage is measured, that hears SIGTERM in every process.
    if IGNORED_BEFORE in os.environ:
        signal.signal(int(os.environ[IGNORED_BEFORE]), signal.SIG_IGN)
    sys.argv = ["autotune", "tune", *words]
    autotune()


if __name__ == "__main__":
    main(*sys.argv[1:])
