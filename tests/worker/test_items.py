"""How many items are in a request: the model's own batch, where it can be shown to be one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker.inputs import samples
from autotune.worker.items import items_per_request
from tests.worker.test_session import answers_to, inspect

pytestmark = pytest.mark.openvino
CORE = ov.Core()


def number(*shape: int, dtype: Any = np.float32, layout: str | None = None) -> Any:
    """An input."""
    made = op.parameter(list(shape), dtype)
    if layout is not None:
        made.set_layout(ov.Layout(layout))
    return made


def weights(*shape: int) -> Any:
    """Of different sizes and signs."""
    return op.constant(np.random.default_rng(3).normal(size=shape).astype(np.float32))


def count(outputs: list[Any], inputs: list[Any], file: Path | None = None) -> int:
    """Items found in a model, as inspection counts them."""
    for place, parameter in enumerate(inputs):
        parameter.output(0).get_tensor().set_names({f"x{place}"})
    network = ov.Model([one.output(0) for one in outputs], inputs)
    return items_per_request(CORE, network, samples(network, file), "CPU")


def classifier(batch: int, layout: str | None = None) -> int:
    """A convolution and a matrix product."""
    x = number(batch, 3, 8, 8, layout=layout)
    features = op.relu(op.convolution(x, weights(4, 3, 3, 3), [1, 1], [0, 0], [0, 0], [1, 1]))
    pooled = op.reduce_mean(features, op.constant([2, 3]), keep_dims=False)
    return count([op.softmax(op.matmul(pooled, weights(4, 5), False, False), 1)], [x])


@pytest.mark.parametrize("batch", [1, 2, 8, 64])
def test_a_static_batch_is_counted(batch: int) -> None:
    """As benchmark_app counts it."""
    assert classifier(batch) == batch


def test_a_layout_says_which_dimension_is_the_batch() -> None:
    """Wherever it is; nothing needs to run."""
    assert classifier(8, "NCHW") == 8
    x = number(3, 8, 4, layout="TNC")
    assert count([op.reduce_mean(x, op.constant([0, 1]))], [x]) == 8
    x = number(3, 8, layout="CH")
    assert count([op.relu(x)], [x]) == 1
    # Two batches are none.
    x, y = number(8, 4, layout="NC"), number(2, 4, layout="NC")
    assert count([op.concat([x, y], 0)], [x, y]) == 1


def test_all_inputs_share_the_batch() -> None:
    """Ids and their mask; what has no batch is the same for all items."""
    ids, mask = number(4, 6), number(4, 6)
    scale, offset = number(), number(1, 3)
    out = op.matmul(op.multiply(ids, mask), weights(6, 3), False, False)
    assert count([op.add(op.multiply(out, scale), offset)], [ids, mask, scale, offset]) == 4
    x, y = number(4, 6), number(2, 6)
    assert count([op.add(x, op.reduce_mean(y, op.constant([0])))], [x, y]) == 1


def test_several_outputs_may_have_the_batch_anywhere() -> None:
    """Recognisers give time first; a detector gives several rows for each item."""
    x = number(4, 3, 6)
    first = op.transpose(x, op.constant([2, 0, 1]))
    rows = op.reshape(op.matmul(x, weights(6, 5), False, False), op.constant([-1, 5]), False)
    assert count([first, rows, op.relu(x)], [x]) == 4


def mixes(x: Any) -> Any:
    """Each item attends to all others."""
    return op.matmul(op.softmax(op.matmul(x, x, False, True), 1), x, False, False)


NONE: dict[str, Callable[[Any], Any]] = {
    "mixes all items": mixes,
    "centred by the others": lambda x: op.subtract(x, op.reduce_mean(x, op.constant([0]), True)),
    "first item only": lambda x: op.add(
        op.multiply(x, op.constant(np.float32(0))),
        op.slice(x, op.constant([0]), op.constant([1]), op.constant([1]), op.constant([0])),
    ),
    "reversed": lambda x: op.reverse_sequence(x, op.constant(np.full(6, 8, dtype=np.int32)), 1, 0),
    "no batch dimension": lambda x: op.reduce_sum(x, op.constant([0, 1])),
    "constant": lambda x: op.multiply(x, op.constant(np.float32(0))),
    "saturated": lambda x: op.relu(op.subtract(x, op.constant(np.float32(9)))),
    "not finite": lambda x: op.log(op.subtract(x, op.constant(np.float32(9)))),
    "a fixed batch": lambda x: op.reshape(x, op.constant([8, 2, 3]), False),
    "empty": lambda x: op.slice(
        x, op.constant([0]), op.constant([0]), op.constant([1]), op.constant([1])
    ),
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_not_proven_is_one_item(name: str) -> None:
    """Answers that depend on other items, or that say nothing."""
    x = number(8, 6)
    assert count([NONE[name](x)], [x]) == 1


def test_one_sample_that_speaks_against_it_is_enough(tmp_path: Path) -> None:
    """Items that others change only where a value is large."""
    x = number(2, 3)
    most = op.reduce_max(x, op.constant([0, 1]), True)
    large = op.relu(op.subtract(most, op.constant(np.float32(5))))
    values = np.array([[1, 2, 3], [3, 1, 2]] * 2, dtype=np.float32)
    np.savez(tmp_path / "small.npz", x0=values)
    assert count([op.add(x, large)], [x], tmp_path / "small.npz") == 2
    values[2, 1] = 9
    np.savez(tmp_path / "large.npz", x0=values)
    assert count([op.add(x, large)], [x], tmp_path / "large.npz") == 1


def test_equal_items_prove_nothing(tmp_path: Path) -> None:
    """Whatever the model makes of them."""
    x = number(4, 3)
    np.savez(tmp_path / "equal.npz", x0=np.ones((4, 3), dtype=np.float32))
    assert count([op.relu(x)], [x], tmp_path / "equal.npz") == 1


def test_the_network_is_left_as_it_was() -> None:
    """Others go on with it."""
    x = number(8, 6)
    x.output(0).get_tensor().set_names({"x"})
    network = ov.Model([op.relu(x).output(0)], [x])
    assert items_per_request(CORE, network, samples(network), "CPU") == 8
    assert list(network.inputs[0].get_shape()) == [8, 6]


def test_inspection_says_what_it_found(tmp_path: Path) -> None:
    """Items, and why random data may mislead; of real data it says nothing."""
    ids = number(8, 4, dtype=np.int64)
    ids.output(0).get_tensor().set_names({"ids"})
    path = tmp_path / "eight.xml"
    ov.save_model(ov.Model([op.sqrt(op.convert(ids, "f32")).output(0)], [ids]), path)
    np.savez(tmp_path / "data.npz", ids=np.arange(32).reshape(8, 4))
    random, real = (
        answers_to(inspect(path, tmp_path, inputs=inputs))[0]
        for inputs in (None, str(tmp_path / "data.npz"))
    )
    assert (random["say"], real["say"]) == ("inspected", "inspected")
    assert real["items_per_request"] == 8
    assert [line.startswith("ids: ") for line in random["fed_warnings"]] == [True]
    assert real["fed_warnings"] == []
