"""Digests of what decides the samples."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.errors import SourceError
from autotune.workload.digest import digest
from autotune.workload.inputs import Inputs
from autotune.workload.locate import inputs_of
from autotune.workload.source_files import code_files

FILES = {
    "a.npz": "1",
    "b.npz": "2",
    "photos/a.png": "3",
    "photos/b.jpg": "4",
    "lines.txt": "5",
    "samples.py": "import json, beside\nfrom pack.deep import far\nfrom . import odd\ndef f(): 1\n",
    "beside.py": "import samples, third\n",
    "third.py": "def (",
    "pack/__init__.py": "",
    "pack/deep/__init__.py": "from ..near import *\n",
    "pack/deep/far.py": "",
    "pack/near.py": "",
    "unused.py": "",
    "odd.py": "",
    "README": "",
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Files of a study."""
    return laid(tmp_path / "study")


def laid(folder: Path) -> Path:
    """All of them in a folder."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def inputs(folder: Path) -> dict[str, Inputs]:
    """One of each source."""
    return {
        "arrays": inputs_of(["a.npz", "b.npz"], folder),
        "images": inputs_of("photos", folder),
        "text": inputs_of("lines.txt", folder, tokenizer="samples:f"),
        "function": inputs_of("samples:f", folder),
    }


KINDS = ["arrays", "images", "text", "function"]
CODE = {
    "samples.py",
    "beside.py",
    "third.py",
    "pack/__init__.py",
    "pack/deep/__init__.py",
    "pack/deep/far.py",
    "pack/near.py",
    "odd.py",
}
DECIDING = {
    "arrays": {"a.npz", "b.npz"},
    "images": {"photos/a.png", "photos/b.jpg"},
    "text": {"lines.txt", *CODE},
    "function": CODE,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_another_one_when_a_file_that_decides_is_changed(
    kind: str, name: str, study: Path
) -> None:
    """And only then, whatever else lies there."""
    before = digest(inputs(study)[kind])
    with (study / name).open("a") as file:
        file.write("#")
    assert (digest(inputs(study)[kind]) != before) == (name in DECIDING[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_that_was_moved_has_the_same(kind: str, study: Path, tmp_path: Path) -> None:
    """As has a copy."""
    assert digest(inputs(study)[kind]) == digest(inputs(laid(tmp_path / "copy"))[kind])


CHANGES: dict[str, Callable[[Inputs], Inputs]] = {
    "order": lambda one: dataclasses.replace(one, files=one.files[::-1]),
    "most": lambda one: dataclasses.replace(one, most=one.most + 1),
    "fewer": lambda one: dataclasses.replace(one, files=one.files[:1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_said_counts(change: str, study: Path) -> None:
    """Order and number of samples are part of it."""
    one = inputs(study)["arrays"]
    assert digest(CHANGES[change](one)) != digest(one)


def test_names_count(study: Path) -> None:
    """Pictures are sorted by them, and functions have them."""
    before = digest(inputs(study)["images"])
    (study / "photos" / "a.png").rename(study / "photos" / "c.png")
    assert digest(inputs(study)["images"]) != before
    assert digest(inputs_of("samples:g", study)) != digest(inputs_of("samples:f", study))


def test_what_cannot_be_read_is_named(study: Path) -> None:
    """A broken link in a folder is skipped when it is read, and counts as what it is."""
    found = inputs(study)
    (study / "photos" / "z.png").symlink_to("nowhere")
    assert digest(inputs(study)["images"])
    for name in ("a.npz", "lines.txt", "samples.py"):
        (study / name).unlink()
    for kind in ("arrays", "text", "function"):
        with pytest.raises(SourceError, match="no such file"):
            digest(found[kind])


def test_code_is_what_it_imports_of_the_studys(study: Path) -> None:
    """The function's own file first; nothing from elsewhere, and nothing runs."""
    found = code_files(study / "samples.py", study)
    assert [str(path.relative_to(study)) for path in found] == [
        "samples.py",
        *sorted(CODE - {"samples.py"}),
    ]
    assert code_files(study / "pack" / "deep" / "far.py", study) == [
        study / "pack" / "deep" / "far.py",
        study / "pack" / "__init__.py",
        study / "pack" / "deep" / "__init__.py",
        study / "pack" / "near.py",
    ]


def test_it_imports_nothing_heavy() -> None:
    """The tuning process makes it before a worker is there."""
    code = (
        "import sys, autotune.workload.digest, autotune.workload.locate;"
        "print({'numpy', 'PIL', 'openvino'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
