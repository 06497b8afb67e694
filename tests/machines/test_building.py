"""Variants that are made: once for all that decides what comes out, and quietly."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from autotune.errors import ModelError
from autotune.machines.building import Made, VariantMaker, placed
from autotune.machines.deadlines import Deadlines
from autotune.machines.workers import SubprocessRunner
from autotune.spec.variants import AccuracySpec
from autotune.spec.workload import WorkloadSpec
from autotune.workload.variants import VariantRecipe
from autotune.workload.workload import ModelSource
from tests.worker.test_guard import classifier

INT8, HALF = VariantRecipe(quantize="int8", subset=10), VariantRecipe(compress="fp16")
AWARE = VariantRecipe(quantize="int8", accuracy_aware=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A model, and forty samples for it."""
    random = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", random.standard_normal((40, 16)).astype(np.float32))
    classifier(tmp_path, "given")
    return tmp_path


def maker_of(home: Path, data: str = "x.npy", **accuracy: Any) -> VariantMaker:
    """As a study with a guard has one."""
    asked = WorkloadSpec.model_validate({"inputs": data})
    guard = AccuracySpec.model_validate(accuracy).within(home, asked, None)
    source = ModelSource(path=home / "given.xml", shapes={}, workload=asked.within(home))
    runner = SubprocessRunner(source, home / "logs", guard=guard)
    return runner.models.maker(home / "cache", runner.start)


@pytest.mark.openvino
def test_a_variant_is_made_once(home: Path) -> None:
    """With progress the first time; from then on it is found, in another study as well."""
    told: list[str] = []
    made = maker_of(home).made("int8", INT8, told.append)
    assert (made.calibrated, made.is_kept, made.nncf is not None) == (10, False, True)
    assert made.operations["MatMul"] == (3, 3)
    assert "calibrating: sample 1 of 10" in told
    network = ov.Core().read_model(made.path)
    assert [port.any_name for port in network.inputs] == ["x"]
    assert [port.any_name for port in network.outputs] == ["scores", "shorter"]
    told.clear()
    again = maker_of(home).made("other", INT8, told.append)
    assert again == replace(made, is_kept=True)
    assert told == []


@pytest.mark.openvino
def test_fp16_halves_the_weights_without_samples(home: Path) -> None:
    """The runtime does that alone."""
    made = maker_of(home).made("half", HALF)
    sizes = [path.with_suffix(".bin").stat().st_size for path in (made.path, home / "given.xml")]
    assert (made.calibrated, made.nncf) == (0, None)
    assert sizes[0] == pytest.approx(sizes[1] / 2, rel=0.1)


def truncated(made: Made) -> None:
    """As where the disk was full."""
    weights = made.path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-8])


def unsealed(made: Made) -> None:
    """As where it was killed."""
    (made.path.parent / "made.json").unlink()


def nonsense(made: Made) -> None:
    """As whatever wrote there."""
    (made.path.parent / "made.json").write_text("[]")


@pytest.mark.openvino
@pytest.mark.parametrize("spoilt", [truncated, unsealed, nonsense])
def test_what_was_cut_off_is_made_anew(home: Path, spoilt: Callable[[Made], None]) -> None:
    """Whichever way."""
    made = maker_of(home).made("half", HALF)
    spoilt(made)
    again = maker_of(home).made("half", HALF)
    assert (again.path, again.is_kept) == (made.path, False)
    assert maker_of(home).made("half", HALF).is_kept
    assert not list((home / "cache").glob(".making*"))


@pytest.mark.openvino
def test_other_models_samples_and_settings_make_others(home: Path) -> None:
    """All that decides what comes out is in its name; nothing else is."""
    maker = maker_of(home)
    np.save(home / "y.npy", np.ones((40, 16), np.float32))
    keys = {
        maker._key(INT8),
        maker._key(replace(INT8, subset=11)),
        maker._key(replace(INT8, preset="mixed")),
        maker._key(replace(INT8, ignored=("a",))),
        maker._key(HALF),
        maker_of(home, "y.npy")._key(INT8),
    }
    assert maker_of(home, "y.npy")._key(HALF) == maker._key(HALF)  # which looks at no sample
    classifier(home, "given", noise=0.1)
    keys.add(maker_of(home)._key(INT8))
    assert len(keys) == 7


@pytest.mark.openvino
def test_what_nncf_refuses_is_said_in_a_line(home: Path) -> None:
    """An operation that is not there, for instance."""
    wrong = replace(INT8, ignored=("no_such_operation",))
    with pytest.raises(ModelError, match=r"variant int8: NNCF cannot make it: .*no_such_operation"):
        maker_of(home).made("int8", wrong)
    assert not list((home / "cache").glob("*"))


@pytest.mark.openvino
def test_a_step_that_takes_too_long_is_given_up(home: Path) -> None:
    """And the cache is as it was."""
    maker = maker_of(home)
    maker._deadlines = Deadlines(build_s=0.05)
    with pytest.raises(ModelError, match=r"variant int8 cannot be made: .*\[deadline\] build"):
        maker.made("int8", INT8)
    assert not list((home / "cache").glob("*"))


@pytest.mark.openvino
def test_files_are_placed_where_they_are_deployed_from(home: Path) -> None:
    """Linked, so that they take no room twice; what lies there already is left."""
    made = maker_of(home).made("half", HALF)
    target = placed(made, home / "study" / "variants", "half")
    assert target.samefile(made.path)
    before = target.stat()
    assert placed(made, home / "study" / "variants", "half").stat() == before
    target.unlink()
    target.write_text("something else")
    assert placed(made, home / "study" / "variants", "half").samefile(made.path)


QUIET = """
import json, sys
from pathlib import Path
seen = []
sys.addaudithook(
    lambda event, args: seen.append(event)
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"} else None
)
import openvino as ov
from autotune.worker.building import build
asked = json.loads(sys.argv[1])
build(ov.Core(), lambda _: None, **asked)
print(json.dumps([seen, "torch" in sys.modules]))
"""


@pytest.mark.openvino
@pytest.mark.parametrize("recipe", [INT8, AWARE], ids=["whole", "aware"])
def test_building_opens_no_connection(home: Path, recipe: VariantRecipe) -> None:
    """NNCF would tell of its use; nor is PyTorch loaded."""
    maker = maker_of(home)
    maker._reader.files(maker._given, maker._start)
    asked = {
        "given": str(home / "given.xml"),
        "shapes": {},
        "recipe": recipe.to_dict(),
        "samples": str(maker._samples),
        "calibrating": list(range(10)),
        "near": maker._near(recipe),
        "target": str(home / "quiet.xml"),
        "memory_bytes": None,
    }
    done = subprocess.run(
        [sys.executable, "-c", QUIET, json.dumps(asked)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[], False]


def test_a_recipe_is_what_was_written() -> None:
    """From process to process."""
    for recipe in (
        INT8,
        HALF,
        VariantRecipe(quantize="int8", ignored=("a", "b"), transformer=True),
    ):
        assert VariantRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


# --- what is given back


@pytest.fixture
def many(home: Path) -> Path:
    """Four hundred samples, half of which calibrate: the whole int8 model loses about 0.02."""
    random = np.random.default_rng(1)
    np.save(home / "x.npy", random.standard_normal((400, 16)).astype(np.float32))
    return home


@pytest.mark.openvino
@pytest.mark.parametrize(("max_drop", "least", "most"), [(0.5, 0, 0), (0.03, 1, 2), (1e-6, 3, 3)])
def test_operations_are_given_back_until_answers_are_near(
    many: Path, max_drop: float, least: int, most: int
) -> None:
    """None where the whole is near enough; all where nothing else helps."""
    told: list[str] = []
    made = maker_of(many, max_drop=max_drop).made("int8", AWARE, told.append)
    done, every = made.operations["MatMul"]
    assert least <= len(made.given_back) <= most
    assert (done, every) == (3 - len(made.given_back), 3)
    assert made.is_all_given_back is (least == 3)
    assert all(name.startswith("MatMul") for name in made.given_back)
    assert any(text.startswith("looking at answers, model 0: sample 1 of 200") for text in told)
    assert maker_of(many, max_drop=max_drop).made("int8", AWARE) == replace(made, is_kept=True)
    assert [path.name for path in made.path.parent.glob("*.xml")] == ["model.xml"]


@pytest.mark.openvino
def test_what_is_near_decides_what_is_given_back(many: Path) -> None:
    """So that it is a part of the name under which it is kept."""
    np.save(many / "y.npy", np.zeros(400, np.int64))
    np.save(many / "z.npy", np.ones(400, np.int64))
    keys = {
        maker_of(many, **accuracy)._key(AWARE)
        for accuracy in (
            {},
            {"max_drop": 0.02},
            {"max_drop": "1%"},
            {"metric": "top1"},
            {"metric": "top1", "output": "shorter"},
            {"metric": "top1", "labels": "y.npy"},
            {"metric": "top1", "labels": "z.npy"},
        )
    }
    assert len(keys) == 7
    assert maker_of(many)._key(INT8) == maker_of(many, max_drop=0.02)._key(INT8)


METRIC = """
import numpy as np

def each(outputs, samples):
    return [float(np.isfinite(out["scores"]).all()) for out, _ in zip(outputs, samples)]

def whole(outputs, samples):
    right = [out["scores"].argmax() == one["label"] for out, one in zip(outputs, samples)]
    return float(np.mean(right))

def broken(outputs, samples):
    raise KeyError("no such thing")
"""


@pytest.mark.openvino
@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("metric.py:each", None),
        ("metric.py:whole", None),
        ("metric.py:broken", "metric.py:broken raised KeyError"),
        ("top1", "label 9 is none of 5 classes"),
    ],
)
def test_the_studys_own_metric_decides(many: Path, metric: str, words: str | None) -> None:
    """One number for each sample, or one for all; what is wrong with it is named."""
    (many / "metric.py").write_text(METRIC)
    np.save(many / "y.npy", np.full(400, 9 if metric == "top1" else 0))
    maker = maker_of(many, metric=metric, max_drop=0.3, labels="y.npy")
    if words is None:
        made = maker.made("int8", AWARE)
        assert made.given_back == ()
        return
    with pytest.raises(ModelError, match=re.escape(words)):
        maker.made("int8", AWARE)


@pytest.mark.openvino
def test_nothing_is_given_back_without_a_guard(many: Path) -> None:
    """There is nothing to be near to."""
    source = ModelSource(
        path=many / "given.xml",
        shapes={},
        workload=WorkloadSpec.model_validate({"inputs": "x.npy"}).within(many),
    )
    runner = SubprocessRunner(source, many / "logs")
    with pytest.raises(ModelError, match="there is no guard"):
        runner.models.maker(many / "cache", runner.start).made("int8", AWARE)
