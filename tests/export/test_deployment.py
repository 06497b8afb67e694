from pathlib import Path

import pytest

from autotune import load_best
from autotune.domain.model_file import model_sha256
from autotune.errors import ModelError, UsageError
from autotune.export.best_file import write_best
from tests import models
from tests.export.targets.workload_models import (
    HOW,
    PAD,
    alone,
    lines_of,
    photographs,
    prepared_alone,
    write_models,
)
from tests.export.targets.workloads import write_workload
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


@pytest.mark.openvino
@pytest.mark.parametrize("plan", ["dynamic", "bounded", "padded", "buckets:4|8|16"])
def test_a_mix_is_compiled_as_it_was_measured(tmp_path: Path, plan: str) -> None:
    """An item goes to the smallest model that it fits, and is answered as by itself."""
    import numpy as np
    import openvino as ov

    core = ov.Core()
    model = write_models(tmp_path) / "line.xml"
    said = {"inputs": lines_of(tmp_path), "pad": PAD}
    path, asked = write_workload(tmp_path, model, said, shape_plan=plan)
    deployment = load_best(path)

    router = deployment.compile_mix(core)

    assert (router.num_requests, router.batch_size) == (3, 1)
    wanted = alone(core, model, asked.samples)
    for sample, (expected,) in zip(asked.samples, wanted, strict=True):
        compiled, fitted = router.fit(sample)
        width = sample["x"].shape[3]
        room = next(one for one in (4, 8, 16) if one >= width)
        found = compiled([fitted["x"]])[0][..., :width]
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
        if "|" in plan:
            assert fitted["x"].shape[3] == room
    if "|" in plan:
        with pytest.raises(UsageError, match=r"3 models, .* call compile_mix\(\)"):
            deployment.compile(core)
        return
    compiled, queue = deployment.compile(core)
    assert len(queue) == 3
    assert compiled.inputs[0].partial_shape.is_dynamic is (plan != "padded")


@pytest.mark.openvino
def test_an_item_that_no_model_takes_is_refused(tmp_path: Path) -> None:
    """With the sizes that there are."""
    import numpy as np
    import openvino as ov

    model = write_models(tmp_path) / "line.xml"
    said = {"inputs": lines_of(tmp_path), "pad": PAD}
    path, _ = write_workload(tmp_path, model, said, shape_plan="buckets:4|16", batch_size=2)
    router = load_best(path).compile_mix(ov.Core())

    assert [list(one.inputs[0].shape) for one in router.compiled] == [[2, 2, 4, 4], [2, 2, 4, 16]]
    with pytest.raises(ValueError, match="an item of 17 fits none of the models: 4, 16"):
        router.fit({"x": np.zeros((1, 2, 4, 17), np.float32)})
    with pytest.raises(ValueError, match="does not fit into"):
        router.fit({"x": np.zeros((1, 2, 5, 4), np.float32)})
    with pytest.raises(ValueError, match="has 3 axes and its model takes 4"):
        router.fit({"x": np.zeros((2, 4, 4), np.float32)})
    with pytest.raises(ValueError, match="the model takes x, and was given y"):
        router.fit({"y": np.zeros((1, 2, 4, 4), np.float32)})


@pytest.mark.openvino
@pytest.mark.parametrize("where", ["host", "graph"])
def test_preprocessing_is_compiled_into_the_model(tmp_path: Path, where: str) -> None:
    """Where it was measured so; else the model takes what the host prepared."""
    import numpy as np
    import openvino as ov

    core = ov.Core()
    model = write_models(tmp_path) / "picture.xml"
    said = {"inputs": photographs(tmp_path, [(30, 40)] * 2), "preprocessing": HOW}
    path, asked = write_workload(tmp_path, model, said, preprocessing=where, batch_size=2)

    compiled, queue = load_best(path).compile(core)

    assert len(queue) == 3
    assert list(compiled.inputs[0].shape) == [2, 30, 40, 3] if where == "graph" else [2, 3, 8, 12]
    if where == "graph":
        images = np.concatenate([one["image"] for one in asked.samples])
        wanted = np.concatenate([one[0] for one in prepared_alone(core, model, asked, (8, 12))])
        assert np.abs(compiled([images])[0] - wanted).max() <= 1e-2 * np.abs(wanted).max()
    with pytest.raises(UsageError, match=r"no mix of shapes, .* call compile\(\)"):
        load_best(path).compile_mix(core)
