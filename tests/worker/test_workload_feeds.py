"""Images prepared into requests, with whatever else a model takes beside them."""

from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker.asked import WorkloadData
from autotune.worker.tensors import decode
from autotune.worker.workload_feeds import prepared
from autotune.workload.preparing import prepare
from autotune.workload.preprocessing import Preprocessing
from tests.pictures import page
from tests.worker.test_asking import NUMBERS

pytestmark = pytest.mark.openvino
HOW = Preprocessing(input="x", mean=(10.0, 20.0, 30.0), scale=(2.0, 2.0, 2.0))
SIZE = (6, 10)


def compiled(kind: str, batch_size: int) -> ov.CompiledModel:
    """An image between a row of this type and a number without axes."""
    row = op.parameter([batch_size, 4], getattr(ov.Type, kind), name="row")
    image = op.parameter([batch_size, 3, *SIZE], np.float32, name="x")
    number = op.parameter([], np.int64, name="n")
    inputs = [row, image, number]
    for one, name in zip(inputs, ("row", "x", "n"), strict=True):
        one.output(0).get_tensor().set_names({name})
    return ov.Core().compile_model(ov.Model([op.result(one) for one in inputs], inputs), "CPU")


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("kind", NUMBERS)
def test_every_item_has_its_image_and_its_values(kind: str, batch_size: int) -> None:
    """In the types of the model, on each request in turn; one number stands for a batch."""
    dtype = decode(ov.Tensor(getattr(ov.Type, kind), ov.Shape([1]))).dtype
    samples: list[dict[str, Any]] = [
        {
            "x": page(*SIZE, seed)[None],
            "row": np.array([[seed % 2, 1, 0, seed // 2]]).astype(dtype),
            "n": np.array(seed),
        }
        for seed in range(4)
    ]
    asked = WorkloadData(samples=samples, weights=[1] * 4, preprocessing=HOW)
    model = compiled(kind, batch_size)
    requests = [[model.create_infer_request()] for _ in range(2)]
    feed = prepared(model, asked, "x", batch_size)(requests)
    assert feed is not None
    following = [n % 4 for n in range(16)]
    for turn in range(6):
        feed(turn % 2)
        numbers = [following.pop(0) for _ in range(batch_size)]
        request = requests[turn % 2][0]
        for index, name in enumerate(("row", "x")):
            wanted = [
                prepare(samples[n]["x"][0], HOW, *SIZE) if name == "x" else samples[n]["row"]
                for n in numbers
            ]
            found = decode(request.get_input_tensor(index))
            assert np.array_equal(found, np.concatenate(wanted))
        assert int(request.get_input_tensor(2).data) == numbers[0]
