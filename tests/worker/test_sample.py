"""The model that is written where nobody gave one: small, the same everywhere, and it computes."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from autotune.worker import model, sample
from autotune.worker.batches import check
from autotune.worker.inputs import batch_of, samples

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file."""
    found = tmp_path_factory.mktemp("sample") / "sample.xml"
    sample.write(found)
    return found


def test_it_is_small_and_static(path: Path) -> None:
    """One image-like input by name, ten numbers, less than a megabyte."""
    network = ov.Core().read_model(path)
    assert [list(port.get_shape()) for port in network.inputs] == [[1, 3, 64, 64]]
    assert [min(port.get_names()) for port in network.inputs] == ["x"]
    assert [list(port.get_shape()) for port in network.outputs] == [[1, 10]]
    assert sum(file.stat().st_size for file in path.parent.iterdir()) < 2**20


def test_its_weights_are_the_same_everywhere(path: Path, tmp_path: Path) -> None:
    """Written twice it is the same model: numbers from it can be compared."""
    again = tmp_path / "sample.xml"
    sample.write(again)
    assert again.with_suffix(".bin").read_bytes() == path.with_suffix(".bin").read_bytes()


def test_its_outputs_tell_inputs_apart(path: Path) -> None:
    """Finite, and others for other samples: a wrong output would be seen."""
    core = ov.Core()
    network = model.read(core, path, {})
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = [np.asarray(model.infer(compiled, data)[0]) for data in samples(network)]
    assert all(np.isfinite(output).all() for output in outputs)
    assert all(float(np.ptp(output)) > 0 for output in outputs)
    assert not any(np.allclose(outputs[0], other) for other in outputs[1:])


def test_it_can_be_batched(path: Path) -> None:
    """Every item of a batch has the outputs of batch 1."""
    core = ov.Core()
    network = model.read(core, path, {})
    data = samples(network)
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    single = core.compile_model(network, "CPU", precise)
    known = [model.answer(single, one) for one in data]
    model.set_batch(network, 4)
    batched = core.compile_model(network, "CPU", precise)
    outputs = model.infer(batched, batch_of(data, 0, 4))
    assert check(outputs, known, known, "f32") < 1e-3
