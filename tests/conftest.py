"""What every test may use; none touches the lock and the state of real measurements here."""

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
def _own_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A machine lock and a state for what is made once, before any test has its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_LOCK_DIR", str(tmp_path_factory.mktemp("locks")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _nothing_left_set() -> Iterator[None]:
    """What a command sets for itself is set back: the next one in this process is a stranger."""

    def found() -> set[tuple[str, Any]]:
        return {*os.environ.items(), *((folder, "path") for folder in sys.path)}

    before = found()
    yield
    assert {one for one in before ^ found() if not one[0].startswith("PYTEST_")} == set()


@pytest.fixture(autouse=True)
def lock_folder(
    _nothing_left_set: None,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A machine lock of the test's own."""
    folder = tmp_path_factory.mktemp("locks")
    monkeypatch.setenv("AUTOTUNE_LOCK_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State of the test's own: this machine's calibration must change no result."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


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
