"""Files that cannot be written at the end of a study: what can be is, and the rest is shown."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autotune.cli import tune as command
from autotune.domain.events import Event, TrialFinished
from autotune.domain.inspection import Inspection
from autotune.errors import MachineFaultError
from autotune.machines.fingerprint import Machine
from autotune.testing import SimulatedRunner
from autotune.tuning import tune as tuner
from tests.command import Autotune

STUDY = """
[model]
path = "model.onnx"
[goal]
max_latency = "20ms"
[budget]
trials = 4
[race]
share = 0.0
"""
NO_TEXT = os.fsdecode(b"/\xff.so")


class Odd(SimulatedRunner):
    """A machine that no best.json can name; earlier versions let it through."""

    def machine(self, facts: Inspection) -> Machine:
        """Under a library whose name is no text."""
        return replace(super().machine(facts), environment={"LD_PRELOAD": NO_TEXT})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study that was never started."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def test_a_value_that_no_file_can_have_is_one_line(
    autotune: Autotune, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the table; the report is there, and viewers say the same in one line."""
    monkeypatch.setattr(command, "run", partial(tuner.tune, runner=Odd()))
    done = autotune("tune", folder)
    assert done.code == 1
    assert "wrote" in done.out
    assert "inputs: random" in done.out.split("end: ")[-1]
    assert "this makes no best.json" in done.err
    assert done.err.count("\n") == 1
    assert (folder / "report.html").exists()
    assert not (folder / "best.json").exists()
    best = autotune("best", folder, "--json")
    assert (best.code, "this makes no best.json" in best.err) == (1, True)


@pytest.mark.parametrize("broken", ["_export", "_show"])
def test_whatever_fails_the_rest_is_there(
    autotune: Autotune,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    broken: str,
) -> None:
    """The error is let out in the end: it is a fault of autotune's own."""

    def fail(*_: Any) -> None:
        raise RuntimeError("nobody expected that")

    monkeypatch.setattr(command, "run", partial(tuner.tune, runner=SimulatedRunner()))
    monkeypatch.setattr(command, broken, fail)
    with pytest.raises(RuntimeError, match="nobody expected that"):
        autotune("tune", folder)
    said = capfd.readouterr().out.split("end: ")[-1]
    assert (folder / "report.html").exists()
    assert f"wrote {folder / 'report.html'}" in said
    assert (folder / "best.json").exists() is (broken != "_export")
    assert ("inputs: random" in said) is (broken != "_show")


def test_a_rescue_writes_what_it_can(
    autotune: Autotune, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says what it could not write, and why; the command ends by the error that it met."""

    def run(*given: Any, on_event: Callable[[Event], None], **named: Any) -> Any:
        passed = 0

        def hear(event: Event) -> None:
            nonlocal passed
            on_event(event)
            passed += isinstance(event, TrialFinished)
            if passed == 3:
                raise MachineFaultError("the workers are lost")

        return tuner.tune(*given, on_event=hear, runner=Odd(), **named)

    monkeypatch.setattr(command, "run", run)
    done = autotune("tune", folder)
    assert (done.code, "the workers are lost" in done.err) == (1, True)
    assert "no best.json: " in done.out
    assert (folder / "report.html").exists()
