"""What every test may use; none touches the lock and the state of real measurements here."""

import ctypes
import gc
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from autotune.cli.main import main
from tests import models
from tests.command import Autotune, Done

# The same examples in every run, and no deadline: tests never depend on time.
settings.register_profile("autotune", deadline=None, derandomize=True)
settings.load_profile("autotune")

_SIGNALS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
"""Those that a command hears, and what they do elsewhere."""


def pytest_collection_finish() -> None:
    """Six thousand tests are never garbage: what looks for some need not look through them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _signals_of_a_terminal() -> Iterator[None]:
    """Tests in the background have SIGINT ignored, which commands inherit and rightly keep."""
    ignored = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _SIGNALS[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Path]]:
    """Folders without end, the first for what is made once, before any test has its own."""
    home = tmp_path_factory.mktemp("own")
    folders = (home / str(number) for number in itertools.count())
    with pytest.MonkeyPatch.context() as patch:
        _set_own(patch, next(folders))
        yield folders


def _set_own(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """This machine's lock must stop no test, and its calibration change no result."""
    for name, variable in (("locks", "AUTOTUNE_LOCK_DIR"), ("state", "XDG_STATE_HOME")):
        (folder / name).mkdir(parents=True)
        patch.setenv(variable, str(folder / name))


@pytest.fixture(autouse=True)
def _nothing_left_set() -> Iterator[None]:
    """What a command sets for itself is set back: the next one in this process is a stranger."""

    def found() -> set[tuple[str, Any]]:
        return {*os.environ.items(), *((folder, "path") for folder in sys.path)}

    before = found()
    yield
    assert {one for one in before ^ found() if not one[0].startswith("PYTEST_")} == set()


@pytest.fixture(autouse=True)
def own_folder(
    _nothing_left_set: None, _own_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The test's own: the machine lock in `locks`, the state in `state`."""
    folder = next(_own_folders)
    _set_own(monkeypatch, folder)
    return folder


@pytest.fixture
def lock_folder(own_folder: Path) -> Path:
    """Where the machine is locked."""
    return own_folder / "locks"


@pytest.fixture
def state_folder(own_folder: Path) -> Path:
    """Where a calibration is kept."""
    return own_folder / "state"


@pytest.fixture
def without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is not installed.

    pandas must have used it before: what it first loads while it is missing goes without it for the
    rest of the process, and later tests would read other types.
    """
    from autotune.analysis.frames import frame, to_parquet

    to_parquet(frame([]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)


@pytest.fixture
def autotune(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Autotune:
    """The command line in this process; its workers are processes of their own."""

    def run(*words: object) -> Done:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["autotune", *map(str, words)])
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        with pytest.raises(SystemExit) as left:
            main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        code = left.value.code
        return Done(code if isinstance(code, int) else 0, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models that `tests/models.py` makes, by a process of its own: pytest stays light."""
    folder = tmp_path_factory.mktemp("models")
    command = [sys.executable, models.__file__, str(folder)]
    subprocess.run(command, check=True, timeout=100)
    return folder


class _SignalStack(ctypes.Structure):
    """`stack_t` of sigaltstack(2)."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


_NO_STACK_OF_ITS_OWN = 2


@pytest.hookimpl
def pytest_runtest_setup() -> None:
    """Signals are handled on the usual stack.

    What the runtime has run in this process before may leave a signal no room on the other one:
    SIGINT was then seen to end the process (SIGSEGV as it is delivered).
    """
    usual = _SignalStack(None, _NO_STACK_OF_ITS_OWN, 0)
    ctypes.CDLL(None).sigaltstack(ctypes.byref(usual), None)
