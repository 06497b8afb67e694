"""What is asked of a worker that stays for a question only."""

import errno
import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from autotune.errors import ModelError
from autotune.machines import passing
from autotune.machines.passing import examine, look, try_model, write_sample_model
from tests import models

PASSING: dict[str, Callable[[Path], object]] = {
    "m.xml: cannot be read": look,
    "x.xml: cannot be read": lambda path: examine(path.with_name("x.xml"), {}),
    "the runtime: cannot be read": lambda _: look(None),
    "m.xml: cannot be written": write_sample_model,
}
"""What is asked of a worker that stays for a question only, and how it says that it cannot."""


@pytest.mark.parametrize("said", PASSING)
def test_a_question_without_a_folder_for_temporary_files_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """Of what was asked, and of the cause."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=f"{said}: no folder for temporary files: .*gone"):
        PASSING[said](tmp_path / "m.xml")


@pytest.mark.parametrize("said", PASSING)
@pytest.mark.parametrize("code", [errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENOSPC])
def test_a_question_on_a_machine_that_starts_no_process_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int
) -> None:
    """No memory, no process, no file, no space."""

    def refuse(log: Path, cpus: Collection[int]) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(passing, "WorkerProcess", refuse)
    with pytest.raises(
        ModelError, match=f"{said}: a worker cannot .*{os.strerror(code)}"
    ) as caught:
        PASSING[said](tmp_path / "m.xml")
    assert "\n" not in str(caught.value)


@pytest.mark.openvino
def test_a_model_is_examined_and_tried(model_folder: Path) -> None:
    """What it holds, then what a study would find out by running it."""
    path = model_folder / models.BATCH_TRAP
    facts = examine(path, {})
    assert facts.batch_lost is not None
    assert "Reshape" in facts.batch_lost
    assert not facts.has_open_shapes
    found = try_model(path, {})
    assert found.why_no_batch is not None
    assert found.why_no_batch.endswith(facts.batch_lost)


@pytest.mark.openvino
def test_open_shapes_are_seen(model_folder: Path) -> None:
    """Until they are given."""
    path = model_folder / models.DYNAMIC
    facts = examine(path, {})
    assert facts.has_open_shapes
    (port,) = facts.inputs
    sizes = [int(size) if size.isdigit() else 8 for size in port.shape.strip("[]").split(",")]
    assert not examine(path, {port.name: [1, *sizes[1:]]}).has_open_shapes
    with pytest.raises(ModelError, match="no input is named"):
        examine(path, {"nobody": [1]})
