"""Inputs without elements: a past of length 0, as a language model has it at its first token."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from tests.worker.test_session import LOAD, answers_to, inspect, opening

pytestmark = pytest.mark.openvino


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """past: 1×2×?×4 and x: 1×2×?×4, one after the other."""
    past, x = (op.parameter([-1, 2, -1, 4], np.float32, name=name) for name in ("past", "x"))
    for parameter in (past, x):
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    both = op.concat([past, x], 2)
    found = tmp_path / "past.xml"
    ov.save_model(ov.Model([op.relu(both).output(0)], [past, x]), found)
    return found


@pytest.mark.parametrize("feed", ["bind", "copy"])
@pytest.mark.parametrize("api", ["async", "sync"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_past_of_length_0_is_measured(
    path: Path, tmp_path: Path, batch_size: int, api: str, feed: str
) -> None:
    """Inspected, batched, opened, and put under load as any other."""
    shapes = {"past": [1, 2, 0, 4], "x": [1, 2, 3, 4]}
    said = answers_to(
        inspect(path, tmp_path, shapes=shapes),
        opening(path, tmp_path, shapes=shapes, batch_size=batch_size),
        {**LOAD, "is_blocking": api == "sync", "feed": feed},
    )
    assert [answer["say"] for answer in said] == [
        "inspected",
        "opened",
        "block",
        "block",
        "stopped",
    ]
    assert said[0]["why_no_batch"] is None
    assert said[0]["static_shapes"] == shapes
