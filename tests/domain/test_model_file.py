"""What identifies a model file."""

from pathlib import Path

import pytest

from autotune.domain.model_file import model_sha256


def test_weights_belong_to_the_model(tmp_path: Path) -> None:
    """An .xml is the same model only with the same weights beside it."""
    model, weights = tmp_path / "m.xml", tmp_path / "m.bin"
    model.write_text("<net/>")
    alone = model_sha256(model)
    weights.write_bytes(b"\x00" * 64)
    first = model_sha256(model)
    weights.write_bytes(b"\x01" * 64)
    assert len({alone, first, model_sha256(model)}) == 3
    weights.write_bytes(b"\x00" * 64)
    assert model_sha256(model) == first


def test_other_files_stand_alone(tmp_path: Path) -> None:
    """A .bin beside an ONNX file is somebody else's."""
    model = tmp_path / "m.onnx"
    model.write_bytes(b"onnx")
    before = model_sha256(model)
    (tmp_path / "m.bin").write_bytes(b"other")
    assert model_sha256(model) == before


def test_a_missing_model_is_an_error_of_the_system(tmp_path: Path) -> None:
    """The caller explains what cannot be read."""
    with pytest.raises(FileNotFoundError):
        model_sha256(tmp_path / "none.xml")
