"""`inspect`: what a model is, and whether it can be batched."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.cli import inspect
from autotune.cli.inspect import show_model
from autotune.domain.inspection import Inspection, ModelPort
from autotune.domain.model_facts import ModelFacts, Weights
from autotune.errors import BusyError, ModelError, SpecError
from tests import models
from tests.command import Autotune

IMAGE = ModelPort(name="x", shape="[1,3,32,32]", type="f32")
FACTS = ModelFacts(
    openvino="2026.4",
    inputs=(IMAGE,),
    outputs=(ModelPort(name="y", shape="[1,10]", type="f32"),),
    layouts={},
    weights=(
        Weights(type="f32", values=970, size_bytes=3880),
        Weights(type="i8", values=30, size_bytes=30),
    ),
    compressed={},
    operations={"Convolution": 20, "Relu": 18, "Add": 2},
    foreign=(),
    variables=(),
    data_dependent=(),
    batch_lost=None,
)
TRIED = Inspection(
    openvino="2026.4",
    devices={},
    default_precision="bf16",
    precision_errors={"f32": 0.0, "bf16": 0.01, "f16": None},
    why_no_batch=None,
    static_shapes={},
    inputs=None,
    outputs=None,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Something that is there; a fake says what is in it."""
    path = tmp_path / "m.onnx"
    path.write_bytes(bytes(2048))
    return path


def said_of(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: Path,
    facts: ModelFacts,
    tried: Inspection | Exception = TRIED,
    **options: Any,
) -> str:
    """What is printed of such a model, words divided by single spaces."""

    def run(path: Path, shapes: dict[str, list[int]]) -> Inspection:
        if isinstance(tried, Exception):
            raise tried
        return tried

    monkeypatch.setattr(inspect, "examine", lambda path, shapes: facts)
    monkeypatch.setattr(inspect, "try_model", run)
    show_model(file, as_json=options.pop("as_json", False), **options)
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("facts", "tried", "said"),
    [
        ({}, {}, "batch possible: a batch of three gave each item the answer that it has alone"),
        ({}, {"why_no_batch": "R 'r' is to blame"}, "batch not possible: R 'r' is to blame"),
        ({}, {"unproven_batch": "it is silent"}, "batch unproven: it is silent weights"),
        (
            {"batch_lost": "likely R 'r' gives [1,8] whatever the batch"},
            {"unproven_batch": "it is silent"},
            "unproven: it is silent; likely R 'r' gives [1,8] whatever the batch",
        ),
        ({}, {"items_per_request": 4}, "items 4 in each request, at batch 1"),
        ({}, {}, "weights 1,000 values in 2 KiB: f32 97 %, i8 3 %"),
        ({"weights": ()}, {}, "weights 0 values in 2 KiB: none"),
        ({}, {}, "quantised no"),
        ({"compressed": {"i8": 30}}, {}, "quantised 3 % of the weights are compressed to i8"),
        ({"compressed": {"f16": 970}}, {}, "quantised 97 % of the weights are stored as f16"),
        (
            {"operations": {"FakeQuantize": 52}, "compressed": {"i8": 30}},
            {},
            "yes, by 52 FakeQuantize; 3 % of the weights are compressed to i8",
        ),
        ({}, {}, "operations 40: Convolution 20, Relu 18, Add 2 computes in"),
        (
            {"operations": {f"Op{n}": 20 - n for n in range(11)}},
            {},
            "Op7 13 and 33 others of 3 types",
        ),
        ({"operations": {}}, {}, "operations none"),
        ({}, {}, "computes in bf16 unless asked otherwise; bf16 is off f32 by 1 %"),
        ({}, {"untrusted": {"f16": "it overflows"}}, "f16 is not trusted: it overflows"),
        (
            {"variables": ("a", "b")},
            {},
            "state kept from request to request: a, b; say [workload] states",
        ),
        (
            {"tables": {"ids": 30522}},
            {},
            "30,522 rows: 0 to 30521; give real ones, or [workload] random = { ids = { low = 0,",
        ),
        (
            {"tables": {"a b.0": 3}},
            {},
            'real ones, or [workload] random = { "a b.0" = { low = 0, high = 2 } }',
        ),
        (
            {"tables": {"kind": 2}},
            {},
            "bf16 is off f32 by 1 % ids kind is looked up in a table of 2 rows: 0 to 1",
        ),
        ({"foreign": ("Mine (own)",)}, {}, "none of OpenVINO's own: Mine (own)"),
        ({"data_dependent": ("Loop: it varies",)}, {}, "data Loop: it varies; give real data"),
        ({}, {}, "input x [1,3,32,32] f32 looks like NCHW"),
        ({"layouts": {"x": "[N,C,H,W]"}}, {}, "input x [1,3,32,32] f32 NCHW"),
    ],
)
def test_each_thing_has_its_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: Path,
    facts: dict[str, Any],
    tried: dict[str, Any],
    said: str,
) -> None:
    """What there is none of has no line, but for what everybody asks about."""
    monkeypatch.setenv("COLUMNS", "120")
    shown = said_of(monkeypatch, capsys, file, replace(FACTS, **facts), replace(TRIED, **tried))
    assert said in shown


OPEN = ModelPort(name="x", shape="[?,3,32..,16..64]", type="f32")


def test_open_dimensions_are_listed_with_what_to_give(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    """Nothing is run then; what can be said without shapes is said."""
    facts = replace(FACTS, inputs=(OPEN,))
    shown = said_of(monkeypatch, capsys, file, facts, ModelError("must not be tried"))
    assert "batch not tried: its dynamic dimensions need --shape, or samples" in shown
    assert "dynamic dimensions of x: 0 any, 2 at least 32, 3 16 to 64" in shown
    assert '--shape "x:1,3,224,64"' in shown
    assert "or samples of your own, in one shape or several: [workload] inputs" in shown
    assert "computes in" not in shown


def test_shapes_that_were_given_stand_beside_the_files_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    """And it is run with them."""
    facts = replace(FACTS, inputs=(OPEN,), static_inputs=(IMAGE,), static_outputs=FACTS.outputs)
    shown = said_of(monkeypatch, capsys, file, facts, shape="x:1,3,32,32")
    assert "[?,3,32..,16..64] [1,3,32,32]" in shown
    assert "possible" in shown
    assert "dynamic" not in shown


def test_a_quick_look_runs_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    """What shapes show of a batch is said all the same."""
    refuse = ModelError("must not be tried")
    facts = replace(FACTS, batch_lost="R 'r' has a constant first dimension 1")
    shown = said_of(monkeypatch, capsys, file, facts, refuse, quick=True)
    said = "--quick compiles nothing; by the shapes it cannot be batched: R 'r' has a constant"
    assert f"batch not tried: {said}" in shown


@pytest.mark.parametrize("error", [BusyError("another measurement runs"), ModelError("no memory")])
def test_what_cannot_be_run_is_shown_without(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: Path,
    error: Exception,
) -> None:
    """With the reason."""
    shown = said_of(monkeypatch, capsys, file, FACTS, error)
    assert f"batch not tried: {error}" in shown
    assert "weights 1,000 values" in shown


def test_programs_get_all_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    """Ports as before, each with its layout; null where nobody knows."""
    tried = replace(TRIED, why_no_batch="R")
    shown = json.loads(said_of(monkeypatch, capsys, file, FACTS, tried, as_json=True))
    assert shown["inputs"] == [
        {
            "name": "x",
            "shape": "[1,3,32,32]",
            "type": "f32",
            "layout": None,
            "looks_like": "NCHW",
        }
    ]
    assert shown["outputs"][0]["looks_like"] is None
    assert shown["batch"] == {"verdict": "not possible", "why": "R", "lost_at": None}
    assert shown["size_bytes"] == 2048
    assert shown["values"] == 1000
    assert shown["precision_errors"]["f16"] is None
    quick = json.loads(said_of(monkeypatch, capsys, file, FACTS, as_json=True, quick=True))
    assert quick["default_precision"] is None


def test_what_is_no_model_or_no_shape_is_refused(tmp_path: Path, file: Path) -> None:
    """Before anything is started."""
    with pytest.raises(ModelError, match="there is no such model file"):
        show_model(tmp_path / "none.xml", as_json=False)
    with pytest.raises(SpecError, match="is no shape"):
        show_model(file, as_json=False, shape="x:1,?")


@pytest.mark.openvino
def test_the_operation_that_forbids_a_batch_is_said(autotune: Autotune, model_folder: Path) -> None:
    """Of a real model, which is run for it."""
    done = autotune("inspect", model_folder / models.BATCH_TRAP, "--json")
    batch = json.loads(done.out)["batch"]
    assert batch["verdict"] == "not possible"
    assert "has a constant first dimension 1" in batch["why"]


@pytest.mark.openvino
def test_a_dynamic_model_is_tried_with_shapes(autotune: Autotune, model_folder: Path) -> None:
    """Those that it suggests itself."""
    model = model_folder / models.DYNAMIC
    shape = json.loads(autotune("inspect", model, "--json").out)["example_shape"]
    found = json.loads(autotune("inspect", model, "--shape", shape, "--json").out)
    assert found["batch"]["verdict"] in {"possible", "unproven"}
    assert found["static_inputs"]


@pytest.mark.openvino
@pytest.mark.parametrize(("name", "content"), [("m.onnx", b"nonsense"), ("m.tflite", b"\x00" * 64)])
def test_a_broken_file_is_refused_in_a_line(
    autotune: Autotune, tmp_path: Path, name: str, content: bytes
) -> None:
    """Whatever its format is."""
    path = tmp_path / name
    path.write_bytes(content)
    done = autotune("inspect", str(path))
    assert done.code == 1
    assert str(path) in done.err
    assert len(done.err.splitlines()) == 1
