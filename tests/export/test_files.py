import os
from pathlib import Path

import pytest

from autotune.errors import AutotuneError
from autotune.export.files import write_atomically


def test_replaces_the_old_file(tmp_path: Path) -> None:
    """One file, the new text, nothing else."""
    path = tmp_path / "x.json"
    write_atomically(path, "old")
    write_atomically(path, "new")

    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fault_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk shows at fsync at the latest; the old file is whole and nothing else stays."""
    path = tmp_path / "x.json"
    write_atomically(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AutotuneError, match="No space left"):
        write_atomically(path, "new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
