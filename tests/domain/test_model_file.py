"""What identifies a model, which files it consists of, and where they are."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.domain.model_file import (
    fault_of,
    located,
    model_digest,
    model_files,
    model_sha256,
)
from tests.onnx_models import write_external, write_inline


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


# ---------------------------------------------------------------------------------- several files


def _ir(folder: Path, name: str = "m.xml") -> Path:
    file = folder / name
    file.write_text('<?xml version="1.0"?><net name="m"/>')
    file.with_suffix(".bin").write_bytes(b"weights")
    return file


def _paddle(folder: Path) -> Path:
    (folder / "m.pdmodel").write_bytes(b"\x0a\x00")
    (folder / "m.pdiparams").write_bytes(b"weights")
    return folder / "m.pdmodel"


def _checkpoint(folder: Path) -> Path:
    for name in ("m.meta", "m.index", "m.data-00000-of-00002", "m.data-00001-of-00002"):
        (folder / name).write_bytes(name.encode())
    (folder / "m2.data-00000-of-00001").write_bytes(b"of another")
    return folder / "m.meta"


MODELS: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "IR": (_ir, ["m.bin"]),
    # The runtime goes by content.
    "IR, another case": (lambda folder: _ir(folder, "m.XML"), ["m.bin"]),
    "IR, no suffix": (lambda folder: _ir(folder, "m"), ["m.bin"]),
    "Paddle": (_paddle, ["m.pdiparams"]),
    "TensorFlow graph": (
        _checkpoint,
        ["m.index", "m.data-00000-of-00002", "m.data-00001-of-00002"],
    ),
    "ONNX": (lambda folder: write_external(folder / "m.onnx"), ["m.onnx.data"]),
    "ONNX, folders": (
        lambda folder: write_external(folder / "m.onnx", {"a": "w/1", "b": "2", "c": "./v/../3"}),
        ["w/1", "2", "3"],
    ),
    "ONNX, another suffix": (lambda folder: write_external(folder / "m", {"a": "w"}), ["w"]),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[Path]]:
    """A model, and the files of its weights."""
    make, names = MODELS[request.param]
    (tmp_path / "v").mkdir()
    return make(tmp_path), [tmp_path / name for name in names]


def test_every_file_that_is_loaded_belongs_to_it(model: tuple[Path, list[Path]]) -> None:
    """Each of them once, and no other file beside it."""
    file, weights = model

    assert sorted(map(os.path.realpath, model_files(file))) == sorted(
        [str(file), *map(str, weights)]
    )
    assert fault_of(file) is None


def test_a_change_in_any_file_makes_another_model(model: tuple[Path, list[Path]]) -> None:
    """Even one byte of one file, and back again."""
    file, weights = model
    before = model_sha256(file)
    for one in (file, *weights):
        content = one.read_bytes()
        one.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert model_sha256(file) != before
        one.write_bytes(content)
    assert model_sha256(file) == before


def test_the_digest_of_0_1_is_recognised(model: tuple[Path, list[Path]]) -> None:
    """Of the file, with the weights that are named like it; the same where that was all."""
    file, _ = model
    customary = {".xml": ".bin", ".pdmodel": ".pdiparams"}.get(file.suffix)
    digests = [hashlib.sha256(file.read_bytes()).digest()]
    if customary:
        digests.append(hashlib.sha256(file.with_suffix(customary).read_bytes()).digest())
    in_0_1 = hashlib.sha256(b"".join(digests)).hexdigest() if customary else digests[0].hex()
    found = model_digest(file)

    assert found.is_called(in_0_1)
    assert found.is_called(found.sha256)
    assert not found.is_called("0" * 64)
    assert (found.sha256 == in_0_1) is bool(customary)


def test_a_model_of_one_file_is_called_as_in_0_1(tmp_path: Path) -> None:
    """By the digest of the file."""
    model = write_inline(tmp_path / "m.onnx")

    assert model_digest(model).sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert model_digest(model).earlier == ()


def test_a_file_of_weights_that_is_missing_is_named(tmp_path: Path) -> None:
    """ONNX says which it needs; an .xml may need none."""
    model = write_external(tmp_path / "m.onnx", {"a": "w/1", "b": "2"})
    (tmp_path / "w/1").unlink()

    said = f"{model}: its weights are in {tmp_path / 'w/1'}, and there is no such file"
    assert fault_of(model) == said
    with pytest.raises(FileNotFoundError) as refusal:
        model_sha256(model)
    assert refusal.value.filename == str(tmp_path / "w/1")


# ------------------------------------------------------------------------------------------ links


def hub(folder: Path, model: Path) -> Path:
    """A model moved into a cache as model hubs make it: links into a folder of blobs."""
    snapshot = folder / "snapshots" / "0a1b"
    for number, file in enumerate(model_files(model)):
        blob, link = folder / "blobs" / f"{number:064x}", snapshot / file.relative_to(model.parent)
        for parent in (blob.parent, link.parent):
            parent.mkdir(parents=True, exist_ok=True)
        file.rename(blob)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot / model.name


def test_weights_lie_beside_the_link(model: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """Where a hub's cache has its links, there are all files; the digest is that of the model."""
    file, _ = model
    before = model_sha256(file)
    linked = hub(tmp_path / "hub", file)

    assert located(linked) == linked
    assert fault_of(linked) is None
    assert model_sha256(linked) == before


def test_weights_may_lie_beside_what_the_link_leads_to(
    model: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    """Then that is where the model is, unless the link has weights of its own."""
    file, _ = model
    link = tmp_path / "links" / f"another{file.suffix}"
    link.parent.mkdir()
    link.symlink_to(file)

    assert located(link) == Path(os.path.realpath(file))


def test_a_link_with_weights_of_its_own_is_the_model(tmp_path: Path) -> None:
    """Not the file that it leads to, although that has weights too."""
    file, link = _ir(tmp_path), tmp_path / "links" / "m.xml"
    link.parent.mkdir()
    link.symlink_to(file)
    link.with_suffix(".bin").write_bytes(b"others")

    assert located(link) == link


def test_external_data_is_read_where_no_link_leaves_the_folder(tmp_path: Path) -> None:
    """The runtime follows no link out of a model's folder, and so the real files are taken."""
    file = write_external(tmp_path / "store" / "m.onnx")
    (tmp_path / "links").mkdir()
    for name in ("m.onnx", "m.onnx.data"):
        (tmp_path / "links" / name).symlink_to(tmp_path / "store" / name)

    assert located(tmp_path / "links" / "m.onnx") == Path(os.path.realpath(file))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no such model file"),
        (lambda path: path.symlink_to("nowhere"), "nowhere, and there is no such file"),
        (lambda path: path.symlink_to(path), "Too many levels"),
        (os.mkfifo, "no regular file"),
        (Path.mkdir, "is a folder"),
        (lambda path: _ir(_made(path)), "give the model file in it: {path}/m.xml"),
        (lambda path: (_made(path) / "saved_model.pb").touch(), "ovc {path} --output_model"),
    ],
)
def test_what_is_no_model_is_said(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    """One line with the name and the reason."""
    path = tmp_path / "model"
    make(path)
    said = fault_of(located(path))

    assert said is not None
    assert said.startswith(f"{path}: ")
    assert says.format(path=path) in said
    assert "\n" not in said


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
