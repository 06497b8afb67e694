"""Variants on the real runtime: made, guarded, tuned, exported, verified."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from autotune.errors import EXIT_NO_FEASIBLE, EXIT_OK
from tests.command import Autotune
from tests.worker.test_guard import classifier

pytestmark = pytest.mark.openvino
STUDY = """
[model]
path = "../given.xml"

[workload]
inputs = "../x.npy"

[variants]
half = {{ compress = "fp16" }}
good = "../good.xml"
bad = "../bad.xml"
other = "../other.xml"

[accuracy]
{accuracy}

[goal]
max_latency = "50ms"
percentile = 90.0

[space]
batch = 1
pinning = true
precision = "f32"
streams = 1
{space}

[budget]
duration = "45s"
trials = 5
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of a model with four variants: one made, one near, one far off, one of another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    random = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", random.standard_normal((1600, 16)).astype(np.float32))
    for name, noise in (("given", 0.0), ("good", 1e-4), ("bad", 2.0)):
        classifier(tmp_path, name, noise=noise)
    shutil.copy(tmp_path / "good.bin", tmp_path / "other.bin")
    text = (tmp_path / "good.xml").read_text().replace('names="scores"', 'names="points"')
    (tmp_path / "other.xml").write_text(text)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.toml").write_text(STUDY.format(accuracy="", space=""))
    return tmp_path


def test_variants_are_listed_with_what_the_guard_finds(autotune: Autotune, home: Path) -> None:
    """Made ones with their size; refused ones with the reason."""
    done = autotune("variants", "study", "--json")
    assert done.code == EXIT_OK, done.err
    found = {row["name"]: row for row in json.loads(done.out)["variants"]}
    assert list(found) == ["model", "half", "good", "bad", "other"]
    assert found["half"]["made"] == "weights as fp16"
    bins = [home / "study" / "variants" / "half.bin", home / "given.bin"]
    assert bins[0].stat().st_size < 0.6 * bins[1].stat().st_size
    assert found["good"]["accuracy"]["f32"]["verdict"] == "met"
    assert found["good"]["accuracy"]["f32"]["samples"] == 800
    assert "its answers are too far off: cosine loses" in found["bad"]["refused"]
    assert "it has the outputs points, shorter" in found["other"]["refused"]
    assert not (home / "study" / "study.db").exists()
    said = autotune("variants", "study")
    assert said.code == EXIT_OK
    assert "good in f32: cosine 1, loses" in said.out
    assert "bad is not tried" in said.out
    assert not list((home / "study" / "logs").glob("*.npz*"))


def test_a_variant_is_tuned_exported_and_verified(autotune: Autotune, home: Path) -> None:
    """With its evidence, its reference and its file; and refused where one of these changes."""
    toml = home / "study" / "study.toml"
    toml.write_text(STUDY.format(accuracy="", space='variant = ["good"]'))
    done = autotune("tune", "study")
    assert done.code == EXIT_OK, done.out + done.err
    assert "note: variant bad is not tried" in done.out
    best = home / "study" / "best.json"
    # The hint is of the model as it was given: which of the two it is, is the machine's to say.
    trial = next(
        row["trial"]
        for row in csv.DictReader(io.StringIO(autotune("frame", "study").out))
        if row["variant"] == "good" and row["accuracy_verdict"] == "met"
    )
    done = autotune("compare", f"study:{trial}", "THROUGHPUT", "--budget", "4s")
    assert done.code == EXIT_OK, done.err
    assert best.exists()


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        ('metric = "none.py:such"', "none.py: no such file"),
        ('metric = "topp1"', "'topp1' is none of top1, cosine"),
        ('labels = "y.npy"', "labels: are for top1 or a function"),
        ('metric = "top1"\nlabels = "../y.npy"', "labels, and there are"),
        ('metric = "top1"\nlabels = "../z.npy"', "z.npy: no such file"),
        ('output = "nope"', "output: there is no 'nope'; there are scores, shorter"),
        ('inputs = "../w.npy"', "w.npy"),
        ("max_drop = -1", "max_drop: -1 must be at least 0"),
    ],
)
def test_what_is_wrong_is_named(autotune: Autotune, home: Path, accuracy: str, words: str) -> None:
    """Before anything is measured."""
    np.save(home / "y.npy", np.zeros(7, np.int64))
    np.save(home / "w.npy", np.zeros((7, 3), np.float32))
    (home / "study" / "study.toml").write_text(STUDY.format(accuracy=accuracy, space=""))
    done = autotune("tune", "study")
    assert words in done.out + done.err
    assert done.code in {1, 2, EXIT_NO_FEASIBLE} or "is not tried" in done.out


def test_a_study_without_variants_says_how_to_name_some(autotune: Autotune, home: Path) -> None:
    """Rather than an empty table."""
    (home / "study" / "study.toml").write_text(
        '[model]\npath = "../given.xml"\n[goal]\nmax_latency = "5ms"\n'
    )
    done = autotune("variants", "study")
    assert done.code == 2
    assert "there are no [variants]; write for instance" in done.err


AWARE = """
[model]
path = "../given.xml"
[workload]
inputs = "../x.npy"
[variants]
int8 = { quantize = "int8" }
good = "../good.xml"
[accuracy]
max_drop = 0.03
[goal]
max_latency = "50ms"
"""


def test_operations_are_given_back_where_that_is_asked_for(autotune: Autotune, home: Path) -> None:
    """Listed, and with what to write so that tuning makes the same; not once a study has begun."""
    (home / "study" / "study.toml").write_text(AWARE)
    plain = autotune("variants", "study", "--json")
    (whole,) = [r for r in json.loads(plain.out)["variants"] if r["name"] == "int8"]
    assert whole["given_back"] == []
    done = autotune("variants", "study", "--accuracy-aware")
    assert done.code == EXIT_OK, done.err
    said = " ".join(done.out.split())
    assert re.search(r"int8 gave \d operations? back: MatMul", said)
    assert "made as accuracy_aware = true of int8 says" in said
    (home / "study" / "study.db").write_bytes(b"")
    done = autotune("variants", "study", "--accuracy-aware")
    assert (done.code, "has measured int8 as study.toml says" in done.err) == (2, True)
