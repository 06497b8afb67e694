"""A workload from options: its study file, every wrong argument, and whose code may run."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from autotune.cli.workload import workload_of
from autotune.errors import UsageError
from autotune.spec import load_spec
from tests.command import Autotune
from tests.worker.test_workloads import encoder, pointwise

NOTHING = dict.fromkeys(("inputs", "tokenizer", "random", "states", "pad", "mix", "feed"))
CODE = """
import numpy as np

def some():
    generator = np.random.default_rng(0)
    while True:
        yield {"x": generator.random((1, 3, 4, 4 + int(generator.integers(3))), np.float32)}

def bad():
    raise RuntimeError("no camera")

def forever():
    while True:
        pass
"""
SHORT = ("--max-latency", "50ms", "--trials", "1", "--budget", "5s", "--name", "mine")


@pytest.mark.parametrize(
    ("option", "text", "wanted"),
    [
        (
            "random",
            "ids=0:30;mask=1",
            {"ids": {"low": 0, "high": 30}, "mask": {"low": 1, "high": 1}},
        ),
        ("pad", "0@3", [{"value": 0.0, "axis": 3}]),
        ("pad", "ids:0@1; mask:-1.5@1", None),
        ("pad", "1e-3@0;2@1", None),
    ],
)
def test_short_forms(option: str, text: str, wanted: object) -> None:
    """As study.toml has them."""
    found = workload_of({**NOTHING, option: text}, Path("studies/x"))
    if wanted is not None:
        assert found == {option: wanted}
    assert set(found) == {option}


@pytest.mark.parametrize("text", ["0", "@3", "0@", "0@-1", "x@3", "0@3@1", "1.2.3@0", "", "0@3;"])
def test_a_wrong_padding_says_how_to_write_it(text: str) -> None:
    """Whatever it is."""
    with pytest.raises(UsageError, match=r"--pad .*VALUE@AXIS"):
        workload_of({**NOTHING, "pad": text}, Path("studies/x"))


def test_files_are_seen_from_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths and the files of functions, whether they are there or not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b").write_text("")
    folder = Path("studies/x")
    given = {**NOTHING, "inputs": ["lines.txt"], "tokenizer": "deep/words.py:encode"}
    assert workload_of(given, folder) == {
        "inputs": "../../lines.txt",
        "tokenizer": "../../deep/words.py:encode",
    }
    assert workload_of({**NOTHING, "inputs": ["deep.words:encode"]}, folder)["inputs"] == (
        "../../deep/words.py:encode"
    )
    assert workload_of({**NOTHING, "inputs": ["a:b", "c.npy"]}, folder)["inputs"] == [
        "../../a:b",
        "../../c.npy",
    ]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user stands: two models, code and data; and a state folder of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOTUNE_DEADLINE_INPUTS", "3s")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    pointwise(tmp_path)
    encoder(tmp_path)
    (tmp_path / "fn.py").write_text(CODE)
    np.save(tmp_path / "w.npy", np.zeros((1, 3, 4, 4), np.float32))
    return tmp_path


@pytest.mark.openvino
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--inputs", "nope.npz"), "nope.npz: no such file"),
        (("--inputs", "fn.py:nope"), "has no function 'nope'"),
        (("--inputs", "fn.py:bad"), "raised RuntimeError: no camera"),
        (("--inputs", "fn.py:forever"), "[deadline] inputs"),
        (("--mix", "1,3,4,4=0"), "--mix: 0 is no weight"),
        (("--mix", "1,3,4,4=-2"), "--mix: -2 is no weight"),
        (("--mix", "1,3,4,4=x"), "write SHAPE=WEIGHT"),
        (("--mix", "1,3"), "cannot take the shape"),
        (("--random", "z=1", "--mix", "1,3,4,4"), "no input is named 'z'"),
        (("--states", "kept"), "--states"),
        (("--feed", "fast"), "--feed"),
        (("--inputs", "w.npy", "--tokenizer", "fn.py:bad"), "a tokenizer is for files of text"),
        ((), "give static ones with --shape"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_arguments_are_named(
    autotune: Autotune, home: Path, options: tuple[str, ...], words: str
) -> None:
    """In a few words, with what fits; nothing is measured."""
    done = autotune("tune", "pointwise.xml", *options, *SHORT)
    assert done.code in {1, 2}
    assert words in done.err
    assert not (home / "studies" / "mine" / "study.db").exists()


@pytest.mark.openvino
@pytest.mark.usefixtures("home")
def test_random_ids_need_a_range(autotune: Autotune) -> None:
    """The model says how many there are, and the message what to write."""
    shape = ("--shape", "ids:1,4;mask:1,4")
    done = autotune("tune", "encoder.xml", *shape, *SHORT)
    assert done.code == 2
    assert "random = { ids = { low = 0, high = 99 } }" in done.err
    done = autotune("tune", "encoder.xml", *shape, "--random", "ids=0:99;mask=1", *SHORT)
    assert done.code == 0, done.err


@pytest.mark.openvino
def test_whose_code_runs(autotune: Autotune, home: Path) -> None:
    """One's own; that of a study that somebody else began, or of a file, once it is trusted."""
    done = autotune("tune", "pointwise.xml", "--inputs", "fn.py:some", *SHORT)
    assert done.code == 0, done.err
    study, file = Path("studies/mine"), Path("best.json")
    assert load_spec(study).workload.inputs == "../../fn.py:some"
    autotune("best", str(study), "--out", str(file))
    said = json.loads(file.read_text())["model"]["workload"]
    assert (said["said"], said["samples"]) == ({"inputs": "fn.py:some"}, 64)
    refused = autotune("verify", str(file), "--budget", "3s")
    assert (refused.code, "go on with --trust" in refused.err) == (1, True)
    for options in (("--trust",), ()):  # it is remembered
        done = autotune("verify", str(file), "--budget", "3s", *options)
        assert done.code in {0, 4}, done.err
    (home / "fn.py").write_text(CODE.replace("integers(3)", "integers(4)"))
    changed = autotune("verify", str(file), "--budget", "3s")
    assert (changed.code, "its inputs have changed" in changed.err) == (1, True)
    exported = autotune("export", str(file), "--to", "python")
    assert (exported.code, "is not what was measured" in exported.out) == (0, True)
    with closing(sqlite3.connect(study / "study.db")) as database:
        database.execute("UPDATE autotune_study SET owner = 'somebody else'")
        database.commit()
    (home / "fn.py").write_text(CODE)
    refused = autotune("tune", str(study), "--trials", "2")
    assert (refused.code, "--trust" in refused.err) == (1, True)
