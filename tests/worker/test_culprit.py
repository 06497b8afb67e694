"""The operation that keeps a batch from going through is named, and none where all goes well."""

from collections.abc import Callable
from pathlib import Path

import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker import model
from autotune.worker.culprit import culprit, refused_by, shapes_of
from tests import planted
from tests.worker.sessions import Studied

pytestmark = pytest.mark.openvino


def found_in(network: ov.Model, batch_size: int = 3) -> str | None:
    """What shapes show of a model at batch 1."""
    single = shapes_of(network)
    try:
        model.set_batch(network, batch_size)
    except RuntimeError as error:
        return refused_by(error)
    return culprit(network, single, batch_size)


def named(name: str, node: ov.Node) -> ov.Node:
    """The same node under a name of its own."""
    node.set_friendly_name(name)
    return node


@pytest.mark.parametrize("build", planted.RIGHT, ids=lambda build: build.__name__)
@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_of_a_model_that_can_be_batched_none_is_named(
    build: planted.Build, batch_size: int
) -> None:
    """Wherever the batch stands in between, and whatever it is merged with for a while."""
    assert found_in(build(), batch_size) is None


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (planted.reshaped_to_one_row, "has a constant first dimension 1"),
        (planted.reshaped_across_items, "likely Reshape 'N' cuts across items"),
        (planted.normalised_by_the_batch, "likely ReduceMean 'N' gives [1,8] whatever the batch"),
        (planted.normalised_by_the_largest, "likely ReduceMax 'N' gives [1,1] whatever the batch"),
        (planted.softmax_over_the_batch, "likely Softmax 'N' works along the batch"),
        (planted.summed_up, "likely CumSum 'N' works along the batch"),
        (planted.first_item_for_all, "likely Gather 'N' gives [1,8] whatever the batch"),
        (planted.attention_over_the_batch, "likely MatMul 'N' makes [3,3] of a batch of 3"),
    ],
)
def test_what_loses_the_batch_is_named(build: planted.Build, said: str) -> None:
    """By its type and its name in the file, and with what it does."""
    network = build()
    words = found_in(network)
    assert words is not None
    name = words.split("'")[1]
    assert name in {node.get_friendly_name() for node in network.get_ordered_ops()}
    assert words.replace(f"'{name}'", "'N'").endswith(said)


def flattened_early() -> ov.Model:
    """The batch is merged and taken apart again, and lost for good only then."""
    x = planted.features(1, 4, 6)
    merged = named("merge", op.reshape(x, planted.numbers(-1, 6), special_zero=False))
    apart = named("apart", op.reshape(merged, planted.numbers(-1, 4, 6), special_zero=False))
    lost = named("lose", op.reshape(apart, planted.numbers(1, -1), special_zero=False))
    return planted.model(op.relu(named("after", op.sigmoid(lost))), x)


def beside_constant_anchors() -> ov.Model:
    """An output that says nothing of the inputs, and one that loses the batch."""
    x = planted.features(1, 8)
    lost = named("lose", op.reshape(x, planted.numbers(1, -1), special_zero=False))
    return planted.model([op.relu(planted.weights(1, 4)), lost], x)


def joined_with_a_constant() -> ov.Model:
    """One item of a constant beside those of a batch: the shapes do not fit together."""
    x = planted.features(1, 3, 4)
    return planted.model(named("join", op.concat([x, planted.weights(1, 2, 4)], 1)), x)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (flattened_early, "Reshape 'lose' has a constant first dimension 1"),
        (beside_constant_anchors, "Reshape 'lose' has a constant first dimension 1"),
        (joined_with_a_constant, "Concat 'join' does not take it"),
    ],
)
def test_it_is_the_one_after_which_no_batch_is_left(
    build: Callable[[], ov.Model], said: str
) -> None:
    """Not what comes after it, nor what only moves the batch elsewhere for a while."""
    assert found_in(build()) == said


def test_a_long_name_is_cut() -> None:
    """Some exporters write the whole path of a module."""
    x = planted.features(1, 8)
    lost = named("a/" * 200, op.reshape(x, planted.numbers(1, -1), special_zero=False))
    said = found_in(planted.model(lost, x))
    assert said is not None
    assert "a..." in said
    assert len(said) < 140


def test_a_model_whose_batch_is_its_own_is_looked_at_likewise() -> None:
    """Two items in one: the batch is what grows, wherever it began."""
    x = planted.features(2, 8)
    assert found_in(planted.model(op.relu(op.transpose(x, [1, 0])), x)) is None
    summed = named("sum", op.reduce_sum(x, planted.numbers(0), keep_dims=True))
    said = found_in(planted.model(summed, x))
    assert said == "ReduceSum 'sum' gives [1,8] whatever the batch"


def test_dynamic_parts_show_nothing() -> None:
    """As many detections as there are: their number is no batch, nor its loss."""
    x = planted.features(1, 8)
    assert found_in(planted.model(op.non_zero(x), x)) is None


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            planted.reshaped_to_one_row,
            "output 0 has the shape (1, 36), expected (3, 12): Reshape",
        ),
        (joined_with_a_constant, "(axis 1): Concat 'join' does not take it"),
        (planted.softmax_over_the_batch, "more than 0.001: likely Softmax"),
    ],
)
def test_a_study_is_told_the_operation(build: planted.Build, said: str, tmp_path: Path) -> None:
    """Behind what was seen of the answers."""
    assert said in Studied(tmp_path, build()).inspected()["why_no_batch"]


def test_shapes_are_those_of_every_output() -> None:
    """None where one is not static."""
    x = planted.features(1, 8)
    network = ov.Model([op.relu(x), op.non_zero(x)], [x], "m")
    shapes = shapes_of(network)
    kinds = {node.get_type_name(): shapes[node.get_name()] for node in network.get_ordered_ops()}
    assert kinds["Relu"] == [(1, 8)]
    assert kinds["NonZero"] == [None]
