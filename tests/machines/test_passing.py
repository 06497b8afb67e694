"""What is asked of a worker that stays for a question only."""

import errno
import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from autotune.errors import ModelError
from autotune.machines import passing
from autotune.machines.passing import look, write_sample_model

PASSING: dict[str, Callable[[Path], object]] = {
    "m.xml: cannot be read": look,
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
