"""Pictures that the graph prepares, beyond those whose answers the reference has."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker import deployment
from autotune.workload import preparing
from autotune.workload.inputs import MOST_OF_ONE_SHAPE
from tests.worker.test_workloads import Life, blocks

pytestmark = pytest.mark.openvino
HOW = {"resize": "bilinear", "mean": [120, 110, 100], "scale": 60}


def detector(folder: Path, *, is_named: bool = True, is_random: bool = False) -> Path:
    """f32 of 16x20 pictures to four maps."""
    x = op.parameter([1, 3, 16, 20], np.float32, name="x")
    if is_named:
        x.output(0).get_tensor().set_names({"x"})
    weights = op.constant(np.random.default_rng(3).random((4, 3, 3, 3), dtype=np.float32) - 0.5)
    y: ov.Node = op.relu(op.convolution(x, weights, [1, 1], [0, 0], [0, 0], [1, 1]))
    if is_random:
        shape, least, most = (
            op.constant(np.array([1, 4, 14, 18])),
            op.constant(np.float32(0)),
            op.constant(np.float32(9)),
        )
        y = op.add(y, op.random_uniform(shape, least, most, "f32", 0, 0))
    ov.save_model(ov.Model([op.result(y)], [x]), folder / "m.xml", compress_to_fp16=False)
    return folder / "m.xml"


def life_of(folder: Path, model: Path, count: int) -> Life:
    """With so many pictures of one size."""
    (folder / "photos").mkdir()
    for number in range(count):
        blocks(number, (40, 50)).save(folder / "photos" / f"{number:02}.png")
    return Life(folder, model, {"inputs": "photos", "preprocessing": HOW})


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_every_picture_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int, is_named: bool
) -> None:
    """Also the last one, and where the input has no name."""
    life = life_of(tmp_path, detector(tmp_path, is_named=is_named), MOST_OF_ONE_SHAPE + 4)
    life.inspected()
    opened = life.opened(batch_size, preprocessing="graph")
    assert opened["say"] == "opened", opened
    assert opened["output_error"] < 1e-4
    real, asked = preparing.prepare, list[Any]()

    def wrong_for_the_last(image: np.ndarray, *rest: Any) -> np.ndarray:
        asked.append(image)
        return real(255 - image if len(asked) == 4 else image, *rest)

    monkeypatch.setattr(deployment, "prepare", wrong_for_the_last)
    opened = life.opened(batch_size, preprocessing="graph")
    assert (opened["say"], opened["kind"]) == ("failed", "wrong_output"), opened
    assert len(asked) == 4


def test_random_answers_are_held_to_no_values(tmp_path: Path) -> None:
    """However many pictures there are."""
    life = life_of(tmp_path, detector(tmp_path, is_random=True), MOST_OF_ONE_SHAPE + 1)
    assert life.inspected()["is_deterministic"] is False
    for where in ("host", "graph"):
        opened = life.opened(preprocessing=where)
        assert opened["say"] == "opened", opened
