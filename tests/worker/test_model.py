"""Reading, reshaping, batching, and what a compiled model says of itself."""

import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker import model
from autotune.worker.inputs import batch_of, samples
from autotune.worker.model import ShapeError
from tests import models, planted
from tests.onnx_models import write_external

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """The runtime."""
    return ov.Core()


def test_dynamic_dimensions_need_a_shape(core: ov.Core, model_folder: Path) -> None:
    """The message names the option and lists the inputs."""
    with pytest.raises(ShapeError, match=r"--shape.*x: \[\?,3,8,8\] f32"):
        model.read(core, model_folder / models.DYNAMIC, {})


@pytest.mark.parametrize("name", ["x", ""])
def test_a_shape_makes_the_model_static(core: ov.Core, model_folder: Path, name: str) -> None:
    """The only input needs no name."""
    network = model.read(core, model_folder / models.DYNAMIC, {name: [1, 3, 8, 8]})
    assert list(network.inputs[0].get_shape()) == [1, 3, 8, 8]


@pytest.mark.parametrize(
    ("file", "shapes", "words"),
    [
        (models.DYNAMIC, {"y": [1, 3, 8, 8]}, "no input is named 'y'; the inputs are x"),
        (models.TWO_INPUTS, {"": [1, 4]}, "the model has 2 inputs; name each shape: ids, x"),
        (models.TINY, {"x": [1, 5, 8, 8]}, r"cannot take the shape \{'x': \[1, 5, 8, 8\]\}"),
        (models.TINY, {"x": [1, 3, 32]}, "cannot take the shape"),
    ],
    ids=["unknown name", "no name for two", "other channels", "other rank"],
)
def test_a_wrong_shape_is_refused(
    core: ov.Core, model_folder: Path, file: str, shapes: dict[str, list[int]], words: str
) -> None:
    """With what the model has."""
    with pytest.raises(ShapeError, match=words):
        model.read(core, model_folder / file, shapes)


def test_effective_properties_have_the_form_that_the_runtime_takes(
    core: ov.Core, model_folder: Path
) -> None:
    """Booleans as YES and NO, types by name, lists with commas; every value text."""
    network = model.read(core, model_folder / models.TINY, {})
    requested = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": "1",
        "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    found = model.effective_properties(core.compile_model(network, "CPU", requested))
    assert {name: found[name] for name in requested} == requested
    assert found["EXECUTION_DEVICES"] == "CPU"
    assert found["OPTIMAL_NUMBER_OF_INFER_REQUESTS"] == "1"
    assert "SUPPORTED_PROPERTIES" not in found
    assert all(isinstance(value, str) for value in found.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "YES"),
        (False, "NO"),
        (3, "3"),
        (1.5, "1.5"),
        ("a", "a"),
        (ov.Type.bf16, "bf16"),
        (["b", "a"], "a,b"),
        ({"CPU": ["x"]}, "{CPU:x}"),
        ({}, "{}"),
    ],
)
def test_every_kind_of_value_has_a_text(value: object, text: str) -> None:
    """Sets in a fixed order, so that equal configurations have equal keys."""
    assert model._text(value) == text


def test_an_enum_is_named_without_its_class() -> None:
    """PerformanceMode.LATENCY is written LATENCY."""
    from openvino.properties import hint

    assert model._text(hint.PerformanceMode.LATENCY) == "LATENCY"


def test_a_batch_repeats_the_samples_in_turn(core: ov.Core, model_folder: Path) -> None:
    """So that neighbours in a batch differ, and an exchanged item shows."""
    data = samples(model.read(core, model_folder / models.TINY, {}))
    batch = batch_of(data, 3, 2)["x"]
    assert np.array_equal(batch[0], data[3]["x"][0])
    assert np.array_equal(batch[1], data[0]["x"][0])
    assert not np.array_equal(batch[0], batch[1])


@pytest.mark.parametrize("build", [planted.linear, planted.label, planted.recurrent])
def test_an_output_that_depends_on_the_inputs_is_relevant(build: planted.Build) -> None:
    """Through any operation."""
    assert model.relevant_outputs(build()) == [True]


def test_an_output_that_depends_on_shapes_only_is_not_relevant() -> None:
    """Nor is a constant: neither could show a mistake in a batch."""
    x = planted.features(1, 8)
    made = op.convert(op.shape_of(x), "f32")
    network = planted.model([op.relu(x), made, op.relu(planted.weights(1, 3))], x)
    assert model.relevant_outputs(network) == [True, False, False]


def test_outputs_outlive_the_request_that_made_them(core: ov.Core, model_folder: Path) -> None:
    """They are views of its memory."""
    network = model.read(core, model_folder / models.TINY, {})
    compiled = core.compile_model(network, "CPU")
    sample = samples(network)[0]
    first = model.infer(compiled, sample)[0]
    copied = first.copy()
    for _ in range(20):
        model.infer(compiled, samples(network)[1])
    assert np.array_equal(first, copied)


def test_weights_that_are_missing_are_named(
    core: ov.Core, model_folder: Path, tmp_path: Path
) -> None:
    """Where the runtime says only that there are none."""
    shutil.copy(model_folder / models.TINY, tmp_path / "m.xml")
    with pytest.raises(RuntimeError, match=r"Empty weights .* expected in m\.bin beside it"):
        model.load(core, tmp_path / "m.xml")


def test_weights_outside_of_the_folder_have_a_way_out(core: ov.Core, tmp_path: Path) -> None:
    """The runtime refuses them, even through a link."""
    write_external(tmp_path / "m.onnx")
    (tmp_path / "m.onnx.data").rename(tmp_path.parent / f"{tmp_path.name}.data")
    (tmp_path / "m.onnx.data").symlink_to(tmp_path.parent / f"{tmp_path.name}.data")
    with pytest.raises(RuntimeError, match=rf"outside .*: cp -rL {tmp_path} COPY"):
        model.load(core, tmp_path / "m.onnx")
