from pathlib import Path

import pytest

from autotune import load_best
from autotune.domain.model_file import model_sha256
from autotune.errors import ModelError
from autotune.export.best_file import write_best
from tests import models
from tests.export.test_best_file import make_best


def write(folder: Path, model: Path) -> Path:
    """A best.json for a real model."""
    best = make_best()
    told = best.model.model_copy(
        update={"path": str(model), "sha256": model_sha256(model), "shapes": {}}
    )
    path = folder / "best.json"
    write_best(best.model_copy(update={"model": told, "batch_size": 3, "num_requests": 5}), path)
    return path


@pytest.mark.openvino
def test_compile_gives_the_tuned_model_and_queue(tmp_path: Path, model_folder: Path) -> None:
    """Batch in the first dimension, properties as asked, a queue of the tuned size that runs."""
    import numpy as np
    import openvino as ov

    compiled, queue = load_best(write(tmp_path, model_folder / models.TINY)).compile(ov.Core())

    assert list(compiled.inputs[0].shape) == [3, 3, 32, 32]
    assert len(queue) == 5
    assert str(compiled.get_property("PERFORMANCE_HINT")) == "THROUGHPUT"
    queue.start_async({0: np.zeros((3, 3, 32, 32), dtype=np.float32)})
    queue.wait_all()


def test_another_model_is_refused(tmp_path: Path, model_folder: Path) -> None:
    """What was measured is not what would be deployed."""
    deployment = load_best(write(tmp_path, model_folder / models.TINY))
    with pytest.raises(ModelError, match="SHA-256"):
        deployment.compile(None, model=model_folder / models.DYNAMIC)


def test_a_moved_model_is_named(tmp_path: Path, model_folder: Path) -> None:
    """The way out is in the message."""
    deployment = load_best(write(tmp_path, model_folder / models.TINY))
    with pytest.raises(ModelError, match="model="):
        deployment.compile(None, model=tmp_path / "gone.onnx")
