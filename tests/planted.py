"""Small models whose batch is right or silently wrong, and data that shows it or does not.

Each is a function of nothing that gives an `openvino.Model` with static shapes at batch 1. Wrong
ones answer single requests correctly; a batch of them gives some item another answer than it has
alone, on data as an application may have it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

Build = Callable[[], ov.Model]
_SEED = 11


def weights(*shape: int) -> Any:
    """A constant, the same every time."""
    generator = np.random.default_rng([_SEED, *shape])
    return op.constant(generator.standard_normal(shape, dtype=np.float32) / 4)


def numbers(*values: int) -> Any:
    """A constant of whole numbers."""
    return op.constant(np.array(values, np.int64))


def number(value: float) -> Any:
    """A scalar."""
    return op.constant(np.float32(value))


def features(*shape: int, kind: Any = np.float32) -> Any:
    """The input."""
    return op.parameter(list(shape), kind, name="x")


def model(outputs: Any, *parameters: Any) -> ov.Model:
    """Of one output or a list; inputs are named as their nodes."""
    found = ov.Model(outputs if isinstance(outputs, list) else [outputs], list(parameters))
    for parameter in found.get_parameters():
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    return found


def _first(x: Any) -> Any:
    """The first item, without the batch axis."""
    return op.gather(x, numbers(0), op.constant(np.int64(0)))


def count_of(x: Any) -> Any:
    """How many items there are."""
    return op.squeeze(op.gather(op.shape_of(x), numbers(0), op.constant(np.int64(0))), numbers(0))


def places(count: Any) -> Any:
    """The number of each item, from 0 on."""
    return op.range(op.constant(np.int64(0)), count, op.constant(np.int64(1)), "i64")


def _like(value: Any, x: Any) -> Any:
    """A value of one item for each item of x."""
    return op.broadcast(value, op.shape_of(x))


# ----------------------------------------------------------------------------- a wrong batch


def detections_of_the_first_image() -> ov.Model:
    """Non-maximum suppression over all images that gathers its boxes from the first one."""
    x = features(1, 12, 5)
    boxes = op.slice(x, numbers(0), numbers(4), numbers(1), numbers(2))
    scores = op.transpose(op.slice(x, numbers(4), numbers(5), numbers(1), numbers(2)), [0, 2, 1])
    # Scores of an application are far above those of made data, which find nothing.
    kept = op.non_max_suppression(
        boxes,
        op.divide(scores, number(1000)),
        op.constant(np.int64(12)),
        number(0.5),
        number(0.9),
        box_encoding="corner",
        output_type="i64",
    )
    chosen = op.gather(kept.output(0), numbers(2), op.constant(np.int64(1)))
    flat = op.reshape(chosen, numbers(-1), special_zero=False)
    found = op.gather(op.squeeze(_first(boxes), numbers(0)), flat, op.constant(np.int64(0)))
    return model(found, x)


def padded_detections() -> ov.Model:
    """Of fixed length: -1 where the first image has nothing above the threshold."""
    x = features(1, 12)
    first = _like(op.squeeze(_first(x), numbers(0)), x)
    return model(op.select(op.greater(first, number(400)), x, number(-1)), x)


def zero_below_a_threshold() -> ov.Model:
    """What the first item has above 400, for everyone."""
    x = features(1, 8)
    return model(_like(op.relu(op.subtract(_first(x), number(400))), x), x)


def constant_but_for_large_values() -> ov.Model:
    """7 and the first item's excess."""
    x = features(1, 8)
    excess = op.relu(op.subtract(op.absolute(_first(x)), number(400)))
    return model(_like(op.add(excess, number(7)), x), x)


def saturated() -> ov.Model:
    """A sigmoid that is 1 wherever made data lies, of the mean over the batch."""
    x = features(1, 8)
    mean = _like(op.reduce_mean(x, numbers(0), keep_dims=True), x)
    return model(op.sigmoid(op.add(op.multiply(mean, number(0.1)), number(60))), x)


def normalised_by_the_batch() -> ov.Model:
    """Mean over the batch axis taken off, as a batch norm in training mode."""
    x = features(1, 8)
    mean = op.reduce_mean(x, numbers(0), keep_dims=True)
    return model(
        op.matmul(op.add(x, op.multiply(mean, number(0.5))), weights(8, 4), False, False), x
    )


def normalised_by_the_largest() -> ov.Model:
    """Over everything there is, beyond 1: items between 0 and 1 stay as they are."""
    x = features(1, 8)
    largest = op.reduce_max(op.absolute(x), numbers(0, 1), keep_dims=True)
    return model(op.divide(x, op.maximum(largest, number(1))), x)


def softmax_over_the_batch() -> ov.Model:
    """Over the wrong axis: 1 for whoever is alone."""
    x = features(1, 8)
    return model(op.softmax(op.multiply(x, number(3)), 0), x)


def faintly_coupled() -> ov.Model:
    """A hundredth of the neighbours' mean."""
    x = features(1, 8)
    mean = op.reduce_mean(x, numbers(0), keep_dims=True)
    return model(op.add(x, op.multiply(mean, number(0.01))), x)


def small_value_coupled() -> ov.Model:
    """Boxes of hundreds or thousands that are right, and the batch's largest share beside them."""
    x = features(1, 8)
    score = op.reduce_max(op.sigmoid(x), numbers(0), keep_dims=True)
    return model(op.concat([op.add(x, number(500)), _like(score, x)], 1), x)


def reshaped_to_one_row() -> ov.Model:
    """Reshape([1, -1]): another shape."""
    x = features(1, 3, 4)
    return model(op.sigmoid(op.reshape(x, numbers(1, -1), special_zero=False)), x)


def reshaped_across_items() -> ov.Model:
    """Reshape([4, -1]) and a transpose: the right shape, and items that are mixed up."""
    x = features(1, 4)
    return model(op.transpose(op.reshape(x, numbers(4, -1), special_zero=False), [1, 0]), x)


def first_item_for_all() -> ov.Model:
    """Whoever stands first answers for everyone."""
    x = features(1, 8)
    return model(_like(op.matmul(_first(x), weights(8, 8), False, False), x), x)


def repeated_after(items: int) -> ov.Model:
    """Right for so many items; those after them get the answers from the first one on."""
    x = features(1, 8)
    answers = op.matmul(x, weights(8, 6), False, False)
    chosen = op.floor_mod(places(count_of(x)), op.constant(np.int64(items)))
    return model(op.gather(answers, chosen, op.constant(np.int64(0))), x)


def order_reversed() -> ov.Model:
    """The right answers, each for another item."""
    x = features(1, 8)
    return model(op.slice(x, numbers(-1), numbers(-(2**31)), numbers(-1), numbers(0)), x)


def summed_up() -> ov.Model:
    """A running sum along the batch axis: only the first item is right."""
    x = features(1, 8)
    return model(op.cum_sum(x, op.constant(np.int64(0)), False, False), x)


def attention_over_the_batch() -> ov.Model:
    """Items look at each other."""
    x = features(1, 8)
    scores = op.softmax(op.matmul(x, x, False, True), 1)
    return model(op.matmul(scores, x, False, False), x)


def shared_state() -> ov.Model:
    """What came before is kept, one value for all items."""
    x = features(1, 8)
    mean = op.reduce_mean(x, numbers(0), keep_dims=True)
    before = op.read_value(
        op.constant(np.zeros((1, 8), np.float32)), "seen", np.float32, ov.PartialShape([1, 8])
    )
    after = op.add(before, mean)
    kept = op.assign(after, "seen")
    found = ov.Model([op.result(op.add(x, before))], [kept], [x], "state")
    found.get_parameters()[0].output(0).get_tensor().set_names({"x"})
    return found


def one_of_two_outputs() -> ov.Model:
    """Right logits beside a map of what the first image has above a threshold."""
    x = features(1, 8)
    wrong = _like(op.relu(op.subtract(_first(x), number(400))), x)
    return model([op.matmul(x, weights(8, 4), False, False), wrong], x)


def _boxes_and_scores(x: Any, scored: Any) -> ov.Model:
    """A box of hundreds and a score beside it in one output: next to 0 for whatever is noise."""
    boxes = op.multiply(op.sigmoid(op.matmul(x, weights(8, 4), False, False)), number(640))
    # Far below what noise gives, and far above what an application's data may lack.
    logits = op.subtract(op.matmul(op.tanh(scored), weights(8, 4), False, False), number(16))
    return model(op.concat([boxes, op.sigmoid(logits)], 1), x)


def score_of_the_first() -> ov.Model:
    """Right boxes, and the first image's scores for all."""
    x = features(1, 8)
    return _boxes_and_scores(x, _like(_first(x), x))


def label_of_the_first() -> ov.Model:
    """A whole number for each item, the first one's."""
    x = features(1, 8)
    label = op.topk(
        op.matmul(x, weights(8, 8), False, False), op.constant(np.int64(1)), 1, "max", "value"
    )
    first = _first(label.output(1))
    return model(op.broadcast(first, op.shape_of(label.output(1))), x)


WRONG: tuple[Build, ...] = (
    detections_of_the_first_image,
    padded_detections,
    zero_below_a_threshold,
    constant_but_for_large_values,
    saturated,
    normalised_by_the_batch,
    normalised_by_the_largest,
    softmax_over_the_batch,
    faintly_coupled,
    small_value_coupled,
    reshaped_to_one_row,
    reshaped_across_items,
    first_item_for_all,
    order_reversed,
    summed_up,
    attention_over_the_batch,
    shared_state,
    one_of_two_outputs,
    label_of_the_first,
    score_of_the_first,
)


# ----------------------------------------------------------------------------- a right batch


def _image(channels: int = 3) -> Any:
    return features(1, channels, 8, 8)


def _convolved(x: Any, outer: int, inner: int) -> Any:
    return op.convolution(x, weights(outer, inner, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])


def linear() -> ov.Model:
    """A matrix product."""
    x = features(1, 8)
    return model(op.matmul(x, weights(8, 4), False, False), x)


def convolutional() -> ov.Model:
    """Convolution, activation, mean."""
    x = _image()
    return model(op.reduce_mean(op.relu(_convolved(x, 8, 3)), numbers(2, 3), keep_dims=False), x)


def grouped() -> ov.Model:
    """A depthwise convolution."""
    x = _image(4)
    return model(op.group_convolution(x, weights(4, 1, 1, 3, 3), [1, 1], [0, 0], [0, 0], [1, 1]), x)


def pooled() -> ov.Model:
    """Largest of each square."""
    x = _image()
    return model(op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0), x)


def batch_norm() -> ov.Model:
    """With stored statistics, as in inference."""
    x = _image()
    ones, zeros = op.constant(np.ones(3, np.float32)), op.constant(np.zeros(3, np.float32))
    return model(op.batch_norm_inference(x, ones, zeros, zeros, ones, 1e-5), x)


def layer_norm() -> ov.Model:
    """Over each item's own values."""
    x = features(1, 4, 8)
    return model(op.mvn(x, numbers(2), True, 1e-5, "INSIDE_SQRT"), x)


def class_shares() -> ov.Model:
    """A softmax over classes."""
    x = features(1, 8)
    return model(op.softmax(op.matmul(x, weights(8, 5), False, False), 1), x)


def attention() -> ov.Model:
    """Within an item."""
    x = features(1, 6, 8)
    scores = op.softmax(op.matmul(x, x, False, True), 2)
    return model(op.matmul(scores, x, False, False), x)


def flattened() -> ov.Model:
    """Reshape([0, -1]): the batch axis is kept."""
    x = _image()
    return model(
        op.matmul(op.reshape(x, numbers(0, -1), special_zero=True), weights(192, 4), False, False),
        x,
    )


def rows_apart() -> ov.Model:
    """Reshape([-1, 8]) and back: items stay in their order."""
    x = features(1, 4, 8)
    rows = op.matmul(op.reshape(x, numbers(-1, 8), special_zero=False), weights(8, 8), False, False)
    return model(op.reshape(rows, numbers(-1, 4, 8), special_zero=False), x)


def embedding() -> ov.Model:
    """Rows of a table by token ids."""
    ids = op.parameter([1, 6], np.int64, name="ids")
    rows = op.gather(weights(32, 8), ids, op.constant(np.int64(0)))
    return model(op.reduce_mean(rows, numbers(1), keep_dims=False), ids)


def recurrent() -> ov.Model:
    """A GRU from a state of zeros for each item."""
    x = features(1, 5, 4)
    count = op.gather(op.shape_of(x), numbers(0), op.constant(np.int64(0)))
    state = op.broadcast(number(0), op.concat([count, numbers(1, 4)], 0))
    lengths = op.broadcast(op.constant(np.int64(5)), count)
    node = op.gru_sequence(
        x, state, lengths, weights(1, 12, 4), weights(1, 12, 4), weights(1, 12), 4, "FORWARD"
    )
    return model(op.squeeze(node.output(1), numbers(1)), x)


def resized() -> ov.Model:
    """Twice as large."""
    x = _image()
    return model(
        op.interpolate(x, numbers(16, 16), "linear_onnx", "sizes", axes=numbers(2, 3)),
        x,
    )


def two_inputs() -> ov.Model:
    """Ids and features."""
    ids = op.parameter([1, 8], np.int64, name="ids")
    x = features(1, 8)
    return model(op.add(op.convert(ids, "f32"), op.multiply(x, number(2))), ids, x)


def two_outputs() -> ov.Model:
    """A score and a map."""
    x = _image()
    return model(
        [op.sigmoid(_convolved(x, 2, 3)), op.reduce_mean(x, numbers(1, 2, 3), keep_dims=False)], x
    )


def boxes_and_scores() -> ov.Model:
    """Scores of a millionth beside boxes of hundreds."""
    x = features(1, 8)
    return _boxes_and_scores(x, x)


def many_classes() -> ov.Model:
    """A softmax of which most is next to nothing, and much is nothing at all."""
    x = features(1, 8)
    logits = op.multiply(op.matmul(x, weights(8, 200), False, False), number(20))
    return model(op.softmax(logits, 1), x)


def anchors_beside() -> ov.Model:
    """A table that is in the model, and there once whatever the batch."""
    x = features(1, 8)
    anchors = op.constant(np.arange(12, dtype=np.float32).reshape(4, 3))
    return model([op.matmul(x, weights(8, 6), False, False), anchors], x)


def label() -> ov.Model:
    """The best class of eight, as a whole number."""
    x = features(1, 8)
    best = op.topk(
        op.matmul(x, weights(8, 8), False, False), op.constant(np.int64(1)), 1, "max", "value"
    )
    return model(best.output(1), x)


def pixels() -> ov.Model:
    """Bytes in, as cameras give them."""
    x = features(1, 3, 8, 8, kind=np.uint8)
    scaled = op.divide(op.convert(x, "f32"), number(255))
    return model(op.reduce_mean(_convolved(scaled, 4, 3), numbers(2, 3), keep_dims=False), x)


def best_three() -> ov.Model:
    """A fixed number of the largest values."""
    x = features(1, 8)
    return model(op.topk(x, op.constant(np.int64(3)), 1, "max", "value").output(0), x)


def class_token() -> ov.Model:
    """A learned row before each item's own, made for as many items as there are."""
    x = features(1, 4, 8)
    count = op.gather(op.shape_of(x), numbers(0), op.constant(np.int64(0)))
    token = op.broadcast(weights(1, 1, 8), op.concat([count, numbers(1, 8)], 0))
    return model(op.reduce_mean(op.concat([token, x], 1), numbers(1), keep_dims=False), x)


def channels_last() -> ov.Model:
    """Axes in another order, the first one kept."""
    x = _image()
    return model(op.transpose(op.relu(_convolved(x, 4, 3)), [0, 2, 3, 1]), x)


def own_mean_taken_off() -> ov.Model:
    """Of each item by itself."""
    x = features(1, 8)
    return model(op.subtract(x, op.reduce_mean(x, numbers(1), keep_dims=True)), x)


def running_sum() -> ov.Model:
    """Along the item."""
    x = features(1, 8)
    return model(op.cum_sum(x, op.constant(np.int64(1)), False, False), x)


def depth_to_space() -> ov.Model:
    """Channels become pixels."""
    x = _image(4)
    return model(op.depth_to_space(x, "blocks_first", 2), x)


RIGHT: tuple[Build, ...] = (
    linear,
    convolutional,
    grouped,
    pooled,
    batch_norm,
    layer_norm,
    class_shares,
    attention,
    flattened,
    rows_apart,
    embedding,
    recurrent,
    resized,
    two_inputs,
    two_outputs,
    boxes_and_scores,
    many_classes,
    anchors_beside,
    label,
    pixels,
    best_three,
    class_token,
    channels_last,
    own_mean_taken_off,
    running_sum,
    depth_to_space,
)


# --------------------------------------------------------------------------------------- data


def normal(found: ov.Model, samples: int = 4) -> dict[str, np.ndarray]:
    """Around 0; ids of 0 and 1."""
    return _data(found, samples, lambda generator, shape: generator.standard_normal(shape))


def real_like(found: ov.Model, samples: int = 4) -> dict[str, np.ndarray]:
    """Of several hundred, some with a high plateau, each sample at another level."""

    def values(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        levels = np.linspace(-900, 900, shape[0]).reshape(-1, *(1 for _ in shape[1:]))
        return levels + 300 * generator.standard_normal(shape)

    return _data(found, samples, values)


def _data(
    found: ov.Model,
    samples: int,
    values: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray],
) -> dict[str, np.ndarray]:
    generator, arrays = np.random.default_rng(_SEED), {}
    for parameter in found.get_parameters():
        name, dtype = parameter.get_friendly_name(), parameter.get_element_type().to_dtype()
        shape = (samples, *tuple(parameter.get_shape())[1:])
        if np.issubdtype(dtype, np.floating):
            arrays[name] = values(generator, shape).astype(dtype)
        else:
            arrays[name] = generator.integers(0, 20, shape).astype(dtype)
    return arrays
