"""Obtaining the examples' models, and what their data are made of."""

import argparse
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.studies.scripts import STUDIES, load

script = load("fetch_model.py")


def chosen(**given: Any) -> set[str]:
    """Names of the entries that a command line asks for."""
    said = {"names": [], "all": False, "study": None} | given
    return {
        entry.name for entry in script.choose(script.load_manifest(), argparse.Namespace(**said))
    }


def entry_of(folder: Path, content: bytes, **fields: Any) -> Any:
    """An entry whose file has this content."""
    fields = {"name": "net", "target": folder / "net.onnx"} | fields
    whole = {"package": "p", "version": "1", "file": "p/net.onnx"}
    return script.Entry(sha256=script.digest(content), **whole, **fields)


def wheel_of(folder: Path, content: bytes) -> Path:
    """A package with one file."""
    with zipfile.ZipFile(folder / "p.whl", "w") as archive:
        archive.writestr("p/net.onnx", content)
    return folder / "p.whl"


def test_every_entry_says_where_it_is_from_and_under_which_licence() -> None:
    """No two are put in the same place, and what is a source says for which studies."""
    tables = tomllib.loads((STUDIES / "models.toml").read_text())
    entries = [*tables["model"], *tables["source"]]

    assert all(len(entry["sha256"]) == 64 and entry["licence"] for entry in entries)
    assert len({entry["target"] for entry in entries}) == len(entries)
    assert all(
        (STUDIES / study / "study.toml").is_file()
        for entry in tables["source"]
        for study in entry["studies"]
    )


def test_a_study_needs_its_model_and_what_its_data_are_made_of() -> None:
    """Nothing of another one; a study elsewhere with the name of an example only what it names."""
    assert chosen(study=STUDIES / "vad") == {"vad", "speech"}
    assert chosen(study=STUDIES / "lines") == {"recogniser"}
    assert chosen(study=Path("elsewhere", "photos")) == set()
    assert chosen(names=["encoder"]) == {"encoder"}
    assert chosen(all=True) >= {"vad", "speech", "classifier"}
    with pytest.raises(script.FetchError, match="no entry 'vat'"):
        chosen(names=["vat"])


def test_a_file_with_another_content_is_not_written(tmp_path: Path) -> None:
    """What was there stays; the right content is taken, and nothing else is left."""
    entry, wheel = entry_of(tmp_path, b"right"), wheel_of(tmp_path, b"wrong")
    with pytest.raises(script.FetchError, match="nothing was written"):
        script.extract(wheel, entry)
    assert not entry.is_there
    assert not entry.target.exists()

    script.extract(wheel_of(tmp_path, b"right"), entry)

    assert entry.is_there
    assert {path.name for path in tmp_path.iterdir()} == {"net.onnx", "p.whl"}


@pytest.mark.openvino
def test_a_recurrent_input_becomes_a_state(tmp_path: Path) -> None:
    """The model has ReadValue and Assign then, and the same bytes whenever it is made anew."""
    original = next(entry for entry in script.load_manifest() if entry.name == "vad")
    entry = replace(original, target=tmp_path / "vad.xml")
    entry.original.write_bytes(original.original.read_bytes())
    assert not entry.is_there

    script.make_stateful(entry)

    assert entry.is_there
    assert {path.name for path in tmp_path.iterdir()} == {"vad.onnx", "vad.xml", "vad.bin"}
    text = entry.target.read_text()
    assert text.count('type="ReadValue"') == text.count('type="Assign"') == 1
    assert text.count('type="Parameter"') == 1


@pytest.mark.openvino
def test_states_that_a_model_does_not_have_are_named(tmp_path: Path) -> None:
    """One line for the user, and no half of a model."""
    original = next(entry for entry in script.load_manifest() if entry.name == "vad")
    entry = replace(original, target=tmp_path / "vad.xml", states={"state": "nothing"})
    entry.original.write_bytes(original.original.read_bytes())

    with pytest.raises(script.FetchError, match=r"vad: no states .*nothing"):
        script.make_stateful(entry)

    assert {path.name for path in tmp_path.iterdir()} == {"vad.onnx"}
