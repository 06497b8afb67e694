"""Models as people have them, from `inspect` to the program that deploys them."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from autotune import load_best
from autotune.domain.model_file import located, model_files, model_sha256
from autotune.errors import EXIT_NO_FEASIBLE, EXIT_VERIFICATION
from autotune.export.best_file import write_best
from tests import models
from tests.command import Autotune, Done
from tests.domain.test_model_file import hub
from tests.export.test_best_file import make_best
from tests.onnx_models import SIZE, write_external, write_inline

pytestmark = pytest.mark.openvino
Checked = Callable[..., Done]
QUICK = '[measure]\nlimit = "300ms"\nwarmup = "50ms"\n[race]\nshare = 0.0\n'


@pytest.fixture
def autotune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autotune: Autotune) -> Checked:
    """The command line in the user's folder; another code than these is a failure."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, codes: Collection[int] = (0,)) -> Done:
        done = autotune(*words)
        assert done.code in codes, done.out + done.err
        return done

    return run


def make_study(folder: Path, model: str) -> Path:
    """A study of a second."""
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(
        f'[model]\npath = "{model}"\n[goal]\nmax_latency = "50ms"\npercentile = 90.0\n'
        f"[budget]\ntrials = 2\n[space]\nbatch = [1]\n{QUICK}"
    )
    return folder


def _ir(folder: Path, model_folder: Path) -> Path:
    for suffix in (".xml", ".bin"):
        shutil.copy((model_folder / models.TINY).with_suffix(suffix), folder / f"net{suffix}")
    return folder / "net.xml"


def _linked(folder: Path, model_folder: Path) -> Path:
    (folder / "link.xml").symlink_to(_ir(folder, model_folder))
    return folder / "link.xml"


LAYOUTS: dict[str, Callable[[Path, Path], Path]] = {
    "hub, IR": lambda folder, given: hub(folder / "hub", _ir(folder, given)),
    "hub, ONNX": lambda folder, _: hub(folder / "hub", write_inline(folder / "net.onnx")),
    "external data": lambda folder, _: write_external(folder / "net.onnx", {"a": "w/a", "b": "b"}),
    "link to an IR": _linked,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_whole_path(layout: str, autotune: Checked, tmp_path: Path, model_folder: Path) -> None:
    """Looked at, tuned, exported for every target that takes it, and deployed."""
    import openvino as ov

    (tmp_path / "models").mkdir()
    model = LAYOUTS[layout](tmp_path / "models", model_folder)
    shown = json.loads(autotune("inspect", str(model), "--json").out)
    assert [port["name"] for port in shown["inputs"]] == ["x"]
    folder = make_study(tmp_path / "studies" / "s", os.path.relpath(model, tmp_path / "studies/s"))
    autotune("tune", "studies/s")
    best = json.loads((folder / "best.json").read_text())
    assert best["model"]["path"] == os.path.relpath(model, folder)

    written = json.loads(autotune("export", "studies/s", "--to", "all", "--json").out)["written"]
    assert {one["target"] for one in written} >= {"python", "model-server", "triton", "kubernetes"}
    for one in written:
        there = [tmp_path / one["folder"] / file for file in one["model_files"]]
        assert [os.path.realpath(file) for file in there] == [
            os.path.realpath(file) for file in model_files(located(model))
        ]
    compiled, queue = load_best(folder / "best.json").compile(ov.Core())
    assert compiled.inputs[0].get_any_name() == "x"
    assert len(queue) == best["num_requests"]
    if layout in {"hub, IR", "external data"}:
        check_weights(autotune, model)


def check_weights(autotune: Checked, model: Path) -> None:
    """Verified with all of them; with others it is another model, its own file being the same."""
    best = "studies/s/best.json"
    command = ("verify", best, "--budget", "1s", "--json")
    # How fast it is now is of no concern here.
    found = json.loads(autotune(*command, codes={0, EXIT_VERIFICATION}).out)
    assert found["files"][0]["throughput_per_s"] > 0

    weights = Path(os.path.realpath(model_files(model)[1]))
    content = weights.read_bytes()
    weights.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    for words in (("verify", best), ("export", best, "--to", "python")):
        assert "is not the model of" in autotune(*words, codes={1}).err
    refused = autotune("tune", "studies/s", "--trials", "3", codes={1}).err
    assert "the model file has changed since the study began" in refused


def test_a_study_of_0_1_goes_on_and_is_brought_up_to_date(
    autotune: Checked, tmp_path: Path
) -> None:
    """Its digest was that of the model's own file; the next best.json has that of all."""
    model = write_external(tmp_path / "net.onnx")
    folder = make_study(tmp_path / "studies" / "s", "../../net.onnx")
    autotune("tune", "studies/s")
    now = json.loads((folder / "best.json").read_text())["model"]["sha256"]
    in_0_1 = hashlib.sha256(model.read_bytes()).hexdigest()
    with sqlite3.connect(folder / "study.db") as database:
        database.execute("UPDATE autotune_study SET model_sha256 = ?", (in_0_1,))
    database.close()
    (folder / "best.json").unlink()
    autotune("tune", "studies/s", "--trials", "3")

    assert now != in_0_1
    assert json.loads((folder / "best.json").read_text())["model"]["sha256"] == now


def test_a_cache_that_the_runtime_does_not_read_is_said(autotune: Checked, tmp_path: Path) -> None:
    """It follows no link to external data out of the folder: the way out is in the message."""
    model = hub(tmp_path / "hub", write_external(tmp_path / "net.onnx"))
    for words in (("inspect", str(model)), ("tune", str(model), "--max-latency", "9ms")):
        said = autotune(*words, codes={1}).err
        assert f"cp -rL {model.parent} COPY" in said
        assert len(said.splitlines()) == 1
    subprocess.run(["cp", "-rL", model.parent, tmp_path / "COPY"], check=True, timeout=10)

    autotune("inspect", "COPY/net.onnx")


@pytest.mark.parametrize("command", ["inspect", "tune", "study", "verify", "compare", "doctor"])
def test_weights_that_are_missing_are_named(
    command: str, autotune: Checked, tmp_path: Path
) -> None:
    """One line, before anything is measured, by every command that takes a model."""
    model = write_external(tmp_path / "net.onnx", {"a": "w/a"})
    make_study(tmp_path / "studies" / "s", "../../net.onnx")
    words: dict[str, tuple[str, ...]] = {
        "inspect": ("inspect", "net.onnx"),
        "tune": ("tune", "net.onnx", "--max-latency", "9ms"),
        "study": ("tune", "studies/s"),
        "verify": ("verify", "studies/s/best.json"),
        "compare": ("compare", "LATENCY", "THROUGHPUT", "--model", "net.onnx"),
        "doctor": ("doctor", "--calibrate", "--model", "net.onnx"),
    }
    best = make_best()
    told = best.model.model_copy(update={"path": "../../net.onnx", "sha256": model_sha256(model)})
    write_best(best.model_copy(update={"model": told}), tmp_path / "studies" / "s" / "best.json")
    (tmp_path / "w/a").unlink()
    said = autotune(*words[command], codes={1}).err

    assert f"{model}: its weights are in {tmp_path / 'w/a'}, and there is no such file" in said
    assert len([line for line in said.splitlines() if line.startswith("autotune: ")]) == 1


# -------------------------------------------------------------------------------------- the folders


def _compiles(folder: Path) -> bool:
    """Whether the study's best.json deploys."""
    import openvino as ov

    compiled: Any = load_best(folder / "best.json").compile(ov.Core())[0]
    return list(compiled.inputs[0].shape)[1:] == [SIZE]


def test_a_study_is_one_study_by_every_path(
    autotune: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through links, with .. in it, and moved together with its model."""
    write_inline(tmp_path / "disk" / "models" / "net.onnx")
    (tmp_path / "disk" / "studies").mkdir()
    (tmp_path / "studies").symlink_to("disk/studies")
    (tmp_path / "models").symlink_to("disk/models")
    given = ("--max-latency", "50ms", "--trials", "1", "--budget", "2s")
    autotune("tune", "models/../models/net.onnx", *given, codes={EXIT_NO_FEASIBLE})
    folder = tmp_path / "studies" / "net"
    written = (folder / "study.toml").read_text()
    assert 'path = "../../models/net.onnx"' in written
    (folder / "study.toml").write_text(written.replace('"2s"', '"1min"') + QUICK)
    autotune("tune", "studies/net")

    for number, way in enumerate(["studies/../studies/net", str(folder)], start=2):
        assert "continued after" in autotune("tune", way, "--trials", str(number)).out
        assert _compiles(folder)
    monkeypatch.chdir(tmp_path / "disk" / "studies")
    assert _compiles(Path("net"))

    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk").rename(tmp_path / "another")
    moved = tmp_path / "another" / "studies" / "net"
    assert _compiles(moved)
    assert "continued after" in autotune("tune", "another/studies/net", "--trials", "4").out
    autotune("best", "another/studies/net", "--out", "copy/../best.json", codes={1})
    autotune("best", "another/studies/net", "--out", "b.json")
    assert json.loads((tmp_path / "b.json").read_text())["model"]["path"] == (
        "another/models/net.onnx"
    )
