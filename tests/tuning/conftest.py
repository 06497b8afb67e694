"""A folder for every study."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a model file: its content matters to nobody but the digest."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path
