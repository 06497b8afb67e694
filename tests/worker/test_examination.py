"""What a model file holds is told without running it."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker.examination import examine
from autotune.worker.model import ShapeError
from tests import onnx_models, planted

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """The runtime."""
    return ov.Core()


def examined(
    core: ov.Core, folder: Path, network: ov.Model, shapes: dict[str, list[int]] | None = None
) -> dict[str, Any]:
    """A model that was written to a file first, as it is."""
    path = folder / "model.xml"
    ov.save_model(network, path, compress_to_fp16=False)
    return examine(core, path, shapes or {})


def network_of(output: Any, *parameters: Any) -> ov.Model:
    """With names."""
    return planted.model(output, *parameters)


def test_weights_are_counted_by_type(core: ov.Core, tmp_path: Path) -> None:
    """Values and bytes, those of half a byte as well; the most bytes first."""
    x = op.parameter([1, 8], np.float32, name="x")
    dense = op.matmul(x, op.constant(np.ones((8, 4), np.float32)), False, False)
    small = op.convert(op.constant(np.ones((4, 4), np.int8)), "f32")
    found = examined(core, tmp_path, network_of(op.matmul(dense, small, False, False), x))
    assert found["weights"] == [
        {"type": "f32", "values": 32, "size_bytes": 128},
        {"type": "i8", "values": 16, "size_bytes": 16},
    ]
    assert found["compressed"] == {"i8": 16}


def test_weights_in_halves_are_compressed(core: ov.Core, tmp_path: Path) -> None:
    """As a file is written by default; those that are used as they are, are not."""
    x = op.parameter([1, 8], np.float32, name="x")
    path = tmp_path / "half.xml"
    values = np.random.default_rng(0).random((8, 512), np.float32)
    ov.save_model(network_of(op.matmul(x, op.constant(values), False, False), x), path)
    found = examine(core, path, {})
    assert found["compressed"] == {"f16": 8 * 512}
    y = op.parameter([1, 8], np.float16, name="x")
    pure = op.add(y, op.constant(np.ones((1, 8), np.float16)))
    assert examined(core, tmp_path, network_of(pure, y))["compressed"] == {}


def test_operations_are_counted_in_loops_as_well(core: ov.Core, tmp_path: Path) -> None:
    """Each once, however often it runs; constants and ports are no work."""
    body_x = op.parameter([1, 4], np.float32, name="body_x")
    body = ov.Model([op.relu(op.relu(body_x)), op.constant(np.array(True))], [body_x], "body")
    x = op.parameter([1, 4], np.float32, name="x")
    loop = op.loop(op.constant(np.int64(3)), op.constant(np.array(True)))
    loop.set_function(body)
    loop.set_special_body_ports([-1, 1])
    loop.set_merged_input(body_x, x.output(0), body.get_results()[0].output(0))
    last = loop.get_iter_value(body.get_results()[0].output(0), -1)
    found = examined(core, tmp_path, network_of(op.sigmoid(last), x))
    assert found["operations"] == {"Relu": 2, "Loop": 1, "Sigmoid": 1}


def test_a_layout_is_the_models_own(core: ov.Core, tmp_path: Path) -> None:
    """And nothing where it has none."""
    network = planted.convolutional()
    assert examined(core, tmp_path, network)["layouts"] == {}
    ov.layout_helpers.set_layout(network.inputs[0], ov.Layout("NCHW"))
    assert examined(core, tmp_path, network)["layouts"] == {"x": "[N,C,H,W]"}


def test_state_is_named(core: ov.Core, tmp_path: Path) -> None:
    """By the names that a request's state has."""
    assert examined(core, tmp_path, planted.shared_state())["variables"] == ["seen"]
    assert examined(core, tmp_path, planted.linear())["variables"] == []


def test_a_quantised_model_shows_it(core: ov.Core, tmp_path: Path) -> None:
    """By the operations that do it."""
    x = op.parameter([1, 8], np.float32, name="x")
    ends = [op.constant(np.float32(v)) for v in (0, 1, 0, 1)]
    network = network_of(op.fake_quantize(x, *ends, 256), x)
    assert examined(core, tmp_path, network)["operations"] == {"FakeQuantize": 1}


def dynamic() -> ov.Model:
    """A batch and a length that are open."""
    x = op.parameter([-1, -1, 8], np.float32, name="x")
    return network_of(op.relu(x), x)


def test_of_open_shapes_only_the_rest_is_told(core: ov.Core, tmp_path: Path) -> None:
    """With shapes, also the ports as they are then."""
    found = examined(core, tmp_path, dynamic())
    assert found["inputs"][0]["shape"] == "[?,?,8]"
    assert (found["data_dependent"], found["batch_lost"]) == ([], None)
    assert "static_inputs" not in found
    shaped = examined(core, tmp_path, dynamic(), {"x": [1, 4, 8]})
    assert shaped["inputs"] == found["inputs"]
    assert shaped["static_outputs"][0]["shape"] == "[1,4,8]"
    with pytest.raises(ShapeError):
        examined(core, tmp_path, dynamic(), {"nobody": [1, 4, 8]})


def test_the_operation_that_loses_a_batch_is_told(core: ov.Core, tmp_path: Path) -> None:
    """By shapes alone; none where they follow, or where there is no batch of one."""
    found = examined(core, tmp_path, planted.reshaped_to_one_row())["batch_lost"]
    assert "has a constant first dimension 1" in found
    assert examined(core, tmp_path, planted.convolutional())["batch_lost"] is None
    x = op.parameter([3, 8], np.float32, name="x")
    assert examined(core, tmp_path, network_of(op.relu(x), x))["batch_lost"] is None
    y = planted.features(1, 3, 4)
    joined = op.concat([y, planted.weights(1, 2, 4)], 1)
    joined.set_friendly_name("join")
    found = examined(core, tmp_path, planted.model(joined, y))["batch_lost"]
    assert found == "Concat 'join' does not take it"


def test_work_that_depends_on_the_data_is_told(core: ov.Core, tmp_path: Path) -> None:
    """As a study says it when it begins."""
    found = examined(core, tmp_path, planted.detections_of_the_first_image())["data_dependent"]
    assert any("NonMaxSuppression" in line for line in found)


def test_an_operation_of_ones_own_is_named_with_the_way_out(core: ov.Core, tmp_path: Path) -> None:
    """In the runtime's own format, and in ONNX."""
    path = tmp_path / "own.xml"
    ov.save_model(planted.linear(), path)
    text = path.read_text().replace('type="MatMul" version="opset1"', 'type="Mine" version="own"')
    path.write_text(text)
    with pytest.raises(RuntimeError, match=r"Mine .* needs an extension, and none is loaded"):
        examine(core, path, {})
    unknown = onnx_models.write_unknown(tmp_path / "unknown.onnx")
    with pytest.raises(RuntimeError, match=r"my\.ops\.Foo: the runtime knows no such operation"):
        examine(core, unknown, {})
