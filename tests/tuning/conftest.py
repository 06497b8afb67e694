"""A folder for every study, on a machine that was never calibrated."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a model file: its content matters to nobody but the digest."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path


@pytest.fixture(autouse=True)
def _never_calibrated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
