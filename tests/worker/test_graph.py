"""What a graph says of its work: every operation that goes by values, and none that does not."""

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset1, opset8, opset9, opset14, opset15, opset16
from openvino import opset13 as op
from openvino.utils.node_factory import NodeFactory

from autotune.worker.graph import _BY_VALUE, _SAMPLED, why_random_misleads
from autotune.worker.model import read

pytestmark = pytest.mark.openvino

RUNS = "how often it runs depends on the data"
BRANCHES = "which branch runs depends on the data"
WORKS = "how much it has to do depends on the data"
Built = tuple[list[Any], list[Any]]
"""Outputs and parameters."""


def number(*shape: int, dtype: Any = np.float32, name: str | None = None) -> Any:
    """An input."""
    return op.parameter(list(shape), dtype, name=name)


def model_of(built: Built) -> ov.Model:
    """A model of these outputs, its inputs named as their nodes."""
    outputs, inputs = built
    for parameter in inputs:
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    return ov.Model(outputs, inputs)


def works(built: Built) -> list[str]:
    """What is found, but for whole numbers."""
    return [line for line in why_random_misleads(model_of(built)) if "whole numbers" not in line]


# --- operations


def boxes(dtype: Any = np.float32) -> tuple[Any, Any]:
    """Six boxes of one class."""
    return number(1, 6, 4, dtype=dtype), number(1, 1, 6, dtype=dtype)


def nms(version: int) -> Built:
    """Non-maximum suppression of an operation set."""
    made = importlib.import_module(f"openvino.opset{version}")
    where, scores = boxes()
    most = op.constant(np.int64(3))
    limits = (op.constant(np.float32(0.5)), op.constant(np.float32(0.1)))
    node = made.non_max_suppression(where, scores, most, *limits)
    return [node.output(0)], [where, scores]


def nms_rotated() -> Built:
    """Of rotated boxes."""
    where, scores = number(1, 6, 5), number(1, 1, 6)
    most = op.constant(np.int64(3))
    limits = (op.constant(np.float32(0.5)), op.constant(np.float32(0.1)))
    node = op.nms_rotated(where, scores, most, *limits, False)
    return [node.output(0)], [where, scores]


def matrix_nms() -> Built:
    """By a matrix of overlaps."""
    where, scores = boxes()
    return [opset8.matrix_nms(where, scores, nms_top_k=3).output(0)], [where, scores]


def multiclass_nms(version: int) -> Built:
    """Over all classes."""
    made = importlib.import_module(f"openvino.opset{version}")
    where, scores = boxes()
    return [made.multiclass_nms(where, scores, nms_top_k=3).output(0)], [where, scores]


def detection_output(version: int) -> Built:
    """Of single-shot detectors; its output has a fixed size."""
    made = importlib.import_module(f"openvino.opset{version}")
    logits, scores, priors = number(1, 24), number(1, 12), number(1, 2, 24)
    attributes: dict[str, Any] = {
        "keep_top_k": np.array([3], dtype=np.int32),
        "nms_threshold": np.float32(0.5),
        "background_label_id": np.int32(0),
        "top_k": np.int32(6),
        "share_location": True,
        "normalized": True,
    }
    if version == 1:
        attributes["num_classes"] = np.int32(2)
    node = made.detection_output(logits, scores, priors, attributes)
    return [node.output(0)], [logits, scores, priors]


def proposal(version: int) -> Built:
    """Regions of interest, padded to a fixed number."""
    made = importlib.import_module(f"openvino.opset{version}")
    scores, deltas, image = number(1, 2, 3, 3), number(1, 4, 3, 3), number(1, 3)
    attributes = {
        "base_size": np.uint32(16),
        "pre_nms_topn": np.uint32(6),
        "post_nms_topn": np.uint32(3),
        "nms_thresh": np.float32(0.5),
        "feat_stride": np.uint32(16),
        "min_size": np.uint32(1),
        "ratio": np.array([1.0], dtype=np.float32),
        "scale": np.array([1.0], dtype=np.float32),
    }
    node = made.proposal(scores, deltas, op.squeeze(image, op.constant([0])), attributes)
    return [node.output(0)], [scores, deltas, image]


def generate_proposals() -> Built:
    """Regions of interest, as many as there are."""
    image, anchors = number(1, 3), number(3, 3, 1, 4)
    deltas, scores = number(1, 4, 3, 3), number(1, 1, 3, 3)
    node = opset9.generate_proposals(image, anchors, deltas, scores, 1.0, 0.5, 6, 3)
    return [node.output(0)], [image, anchors, deltas, scores]


def detectron(kind: str, *shapes: tuple[int, ...], **attributes: Any) -> Built:
    """An operation of Detectron's own."""
    inputs = [number(*shape) for shape in shapes]
    sources = [one.output(0) for one in inputs]
    made: Any = NodeFactory("opset6")
    return [made.create(kind, sources, attributes).output(0)], inputs


def detectron_output() -> Built:
    """Its boxes, padded to a fixed number."""
    return detectron(
        "ExperimentalDetectronDetectionOutput",
        *((6, 4), (6, 8), (6, 2), (1, 3)),
        score_threshold=0.05,
        nms_threshold=0.5,
        num_classes=2,
        post_nms_count=6,
        max_detections_per_image=3,
        class_agnostic_box_regression=False,
        max_delta_log_wh=4.0,
        deltas_weights=[10.0, 10.0, 5.0, 5.0],
    )


def detectron_proposals() -> Built:
    """Its regions of interest, likewise."""
    return detectron(
        "ExperimentalDetectronGenerateProposalsSingleImage",
        *((3,), (9, 4), (4, 3, 3), (1, 3, 3)),
        min_size=0.0,
        nms_threshold=0.7,
        post_nms_count=3,
        pre_nms_count=6,
    )


def detectron_features(samples: int) -> Built:
    """Its samples of regions."""
    return detectron(
        "ExperimentalDetectronROIFeatureExtractor",
        *((6, 4), (1, 3, 8, 8)),
        output_size=2,
        sampling_ratio=samples,
        pyramid_scales=[4],
        aligned=False,
    )


def top_k(*, fixed: bool) -> Built:
    """The largest few."""
    x, k = number(1, 8), number(dtype=np.int64, name="k")
    count = op.constant(np.int64(3)) if fixed else k
    node = op.topk(x, count, 1, "max", "value")
    return [node.output(0)], [x] if fixed else [x, k]


def sequence(kind: str, *, fixed: bool) -> Built:
    """A recurrent cell over time, with lengths."""
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    x, state, lengths = number(1, 5, 3), number(1, 1, 2), number(1, dtype=np.int64, name="lengths")
    weights = [op.constant(np.ones((1, gates * 2, n), dtype=np.float32)) for n in (3, 2)]
    bias = op.constant(np.ones((1, gates * 2), dtype=np.float32))
    given = op.constant(np.array([5])) if fixed else lengths
    common = (given, *weights, bias, 2, "forward")
    if kind == "lstm":
        node = opset8.lstm_sequence(x, state, state, *common)
    elif kind == "gru":
        node = opset8.gru_sequence(x, state, *common)
    else:
        node = opset8.rnn_sequence(x, state, *common)
    return [node.output(0)], [x, state] if fixed else [x, state, lengths]


def ctc_decoder() -> Built:
    """Over the time that a mask leaves."""
    x, mask = number(5, 1, 3), number(5, 1)
    return [opset8.ctc_greedy_decoder(x, mask).output(0)], [x, mask]


def ctc_decoder_of_lengths() -> Built:
    """Over as much time as is said."""
    x, lengths = number(1, 5, 3), number(1, dtype=np.int32)
    return [opset8.ctc_greedy_decoder_seq_len(x, lengths).output(0)], [x, lengths]


def ctc_loss() -> Built:
    """Of as much time as is said."""
    x, labels = number(1, 5, 3), number(1, 5, dtype=np.int32)
    lengths = [number(1, dtype=np.int32) for _ in range(2)]
    node = opset8.ctc_loss(x, lengths[0], labels, lengths[1])
    return [node.output(0)], [x, labels, *lengths]


def gather_tree() -> Built:
    """The beams of a search, as long as they are."""
    ids = number(5, 1, 2, dtype=np.int32)
    parents, lengths = number(5, 1, 2, dtype=np.int32), number(1, dtype=np.int32)
    node = opset8.gather_tree(ids, parents, lengths, op.constant(np.int32(0)))
    return [node.output(0)], [ids, parents, lengths]


def roi_pooling() -> Built:
    """Regions of any size to one size."""
    x, regions = number(1, 3, 8, 8), number(2, 5)
    return [opset8.roi_pooling(x, regions, [2, 2], 1.0, "max").output(0)], [x, regions]


def psroi_pooling() -> Built:
    """Likewise, by position."""
    x, regions = number(1, 8, 8, 8), number(2, 5)
    node = opset8.psroi_pooling(x, regions, 2, 2, 1.0, 1, 1, "average")
    return [node.output(0)], [x, regions]


def roi_align(samples: int) -> Built:
    """Samples of regions: as many as are said, or as many as a region is large."""
    x, regions = number(1, 3, 8, 8), number(2, 4)
    where = op.constant(np.array([0, 0], dtype=np.int32))
    node = opset9.roi_align(x, regions, where, 2, 2, samples, 1.0, "avg", "asymmetric")
    return [node.output(0)], [x, regions]


def roi_align_rotated() -> Built:
    """Samples of rotated regions."""
    x, regions = number(1, 3, 8, 8), number(2, 5)
    where = op.constant(np.array([0, 0], dtype=np.int32))
    node = opset15.roi_align_rotated(x, regions, where, 2, 2, 0, 1.0, True)
    return [node.output(0)], [x, regions]


def of_size(what: str) -> Built:
    """Something whose size is an input."""
    size = number(1, dtype=np.int64, name="size")
    x = number(1, 8)
    scalar = op.squeeze(size, op.constant([0]))
    one, zero = op.constant(np.int64(1)), op.constant(np.int64(0))
    first, axis = op.constant(np.array([0])), op.constant(np.array([1]))
    made: dict[str, Callable[[], Any]] = {
        "range": lambda: op.range(zero, scalar, one, "i64"),
        "slice": lambda: op.slice(x, first, size, axis, axis),
        "tile": lambda: op.tile(x, op.concat([axis, size], 0)),
        "broadcast": lambda: op.broadcast(op.constant(np.float32(1)), size),
        "reshape": lambda: op.reshape(x, op.concat([size, op.constant([-1])], 0), False),
        "pad": lambda: op.pad(x, op.constant([0, 0]), op.concat([first, size], 0), "constant"),
        "one_hot": lambda: opset1.one_hot(
            op.constant(np.array([1])),
            scalar,
            op.constant(np.float32(1)),
            op.constant(np.float32(0)),
            0,
        ),
        "eye": lambda: opset9.eye(scalar, scalar, zero, "f32"),
        "random": lambda: op.random_uniform(size, op.constant(0.0), op.constant(1.0), "f64"),
        "split": lambda: op.variadic_split(x, one, op.concat([size, op.constant([-1])], 0)),
    }
    node = made[what]()
    uses_x = what in {"slice", "tile", "reshape", "pad", "split"}
    return [node.output(0)], [size, x] if uses_x else [size]


def segment_max() -> Built:
    """As many segments as the data have."""
    x, segments = number(6), number(6, dtype=np.int64)
    node = opset16.segment_max(x, segments, fill_mode="ZERO")
    return [node.output(0)], [x, segments]


def non_zero() -> Built:
    """Places of what is not zero."""
    x = number(1, 8)
    return [op.non_zero(x).output(0)], [x]


def unique() -> Built:
    """What is there, once each."""
    x = number(8)
    return [op.unique(x).output(0)], [x]


BY_VALUE: dict[str, tuple[Callable[[], Built], str]] = {
    **{f"NMS-{n}": (partial(nms, n), "NonMaxSuppression") for n in (1, 3, 4, 5, 9, 16)},
    "NMSRotated": (nms_rotated, "NMSRotated"),
    "MatrixNms": (matrix_nms, "MatrixNms"),
    **{f"MulticlassNms-{n}": (partial(multiclass_nms, n), "MulticlassNms") for n in (8, 9)},
    **{f"Detection-{n}": (partial(detection_output, n), "DetectionOutput") for n in (1, 8)},
    **{f"Proposal-{n}": (partial(proposal, n), "Proposal") for n in (1, 4)},
    "GenerateProposals": (generate_proposals, "GenerateProposals"),
    **{
        f"ExperimentalDetectron{name}": (build, f"ExperimentalDetectron{name}")
        for name, build in (
            ("DetectionOutput", detectron_output),
            ("GenerateProposalsSingleImage", detectron_proposals),
            ("ROIFeatureExtractor", partial(detectron_features, 0)),
        )
    },
    "NonZero": (non_zero, "NonZero"),
    "Unique": (unique, "Unique"),
    "TopK": (lambda: top_k(fixed=False), "TopK"),
    "LSTMSequence": (lambda: sequence("lstm", fixed=False), "LSTMSequence"),
    "GRUSequence": (lambda: sequence("gru", fixed=False), "GRUSequence"),
    "RNNSequence": (lambda: sequence("rnn", fixed=False), "RNNSequence"),
    "CTCGreedyDecoder": (ctc_decoder, "CTCGreedyDecoder"),
    "CTCGreedyDecoderSeqLen": (ctc_decoder_of_lengths, "CTCGreedyDecoderSeqLen"),
    "CTCLoss": (ctc_loss, "CTCLoss"),
    "GatherTree": (gather_tree, "GatherTree"),
    "ROIPooling": (roi_pooling, "ROIPooling"),
    "PSROIPooling": (psroi_pooling, "PSROIPooling"),
    "ROIAlign": (lambda: roi_align(0), "ROIAlign"),
    "ROIAlignRotated": (roi_align_rotated, "ROIAlignRotated"),
    "SegmentMax": (segment_max, "SegmentMax"),
    "Range": (lambda: of_size("range"), "Range"),
    "Slice": (lambda: of_size("slice"), "Slice"),
    "Tile": (lambda: of_size("tile"), "Tile"),
    "Broadcast": (lambda: of_size("broadcast"), "Broadcast"),
    "Reshape": (lambda: of_size("reshape"), "Reshape"),
    "Pad": (lambda: of_size("pad"), "Pad"),
    "OneHot": (lambda: of_size("one_hot"), "OneHot"),
    "Eye": (lambda: of_size("eye"), "Eye"),
    "RandomUniform": (lambda: of_size("random"), "RandomUniform"),
    "VariadicSplit": (lambda: of_size("split"), "VariadicSplit"),
}


@pytest.mark.parametrize("name", BY_VALUE)
def test_an_operation_that_goes_by_values_is_named(name: str) -> None:
    """Whether its output has a fixed size or not."""
    build, kind = BY_VALUE[name]
    assert works(build()) == [f"{kind}: {WORKS}"]


def test_every_row_of_the_tables_is_tried() -> None:
    """An operation that is added there is added here."""
    assert set(_BY_VALUE) | set(_SAMPLED) <= {kind for _, kind in BY_VALUE.values()}


def convolution() -> Built:
    """An image model."""
    x = number(1, 3, 8, 8)
    kernel = op.constant(np.ones((4, 3, 3, 3), dtype=np.float32))
    return [op.convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1]).output(0)], [x]


def attention() -> Built:
    """As much work as its inputs are large."""
    x = number(1, 2, 8, 4)
    return [op.scaled_dot_product_attention(x, x, x).output(0)], [x]


def flattened() -> Built:
    """Reshaped by its own shape, which is known."""
    x = number(2, 3, 4)
    first = op.gather(op.shape_of(x), op.constant(np.array([0])), op.constant(np.int64(0)))
    return [op.reshape(x, op.concat([first, op.constant([-1])], 0), False).output(0)], [x]


def constant_places() -> Built:
    """Of a constant: the same in every request."""
    x = number(1, 2)
    places = op.non_zero(op.constant(np.array([1.0, 0.0])))
    return [op.add(x, op.convert(op.reduce_sum(places, op.constant([0, 1])), "f32")).output(0)], [x]


def gathered() -> Built:
    """One row of a table, whichever it is."""
    ids = number(1, 4, name="ids")
    table = op.constant(np.ones((8, 2), dtype=np.float32))
    return [op.gather(table, op.convert(ids, "i32"), op.constant(0)).output(0)], [ids]


NEUTRAL: dict[str, Callable[[], Built]] = {
    "convolution": convolution,
    "attention": attention,
    "flattened by its own shape": flattened,
    "NonZero of a constant": constant_places,
    "gathered": gathered,
    "TopK of a constant": lambda: top_k(fixed=True),
    "ROIAlign with its samples": lambda: roi_align(2),
    "Detectron's features with their samples": lambda: detectron_features(2),
    "LSTMSequence without lengths": lambda: sequence("lstm", fixed=True),
    "GRUSequence without lengths": lambda: sequence("gru", fixed=True),
    "RNNSequence without lengths": lambda: sequence("rnn", fixed=True),
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_work_that_is_the_same_for_all_data_is_not(name: str) -> None:
    """A warning that stands on every model warns of nothing."""
    assert works(NEUTRAL[name]()) == []


# --- loops and branches


def loop(trips: str, condition: str, inner: Callable[[Any], Any] = op.relu) -> Built:
    """A loop over `inner`, whose end is decided by these two.

    Args:
        trips: ``constant``, ``input``, ``shape``, ``endless``.
        condition: ``true``, ``handed on``, ``counter``, ``value``, ``input``.
        inner: what it does.
    """
    x, count = number(1, 4, name="x"), number(dtype=np.int64, name="n")
    go = number(dtype=np.bool_, name="go")
    within, at = number(1, 4), number(dtype=np.int64)
    going = number(dtype=np.bool_)
    out = inner(within)
    most = op.constant(np.int64(5))
    goes_on: dict[str, Any] = {
        "true": lambda: op.constant(True),
        "handed on": lambda: op.logical_and(going, op.constant(True)),
        "counter": lambda: op.less(at, most),
        "value": lambda: op.less(
            op.reduce_sum(out, op.constant([0, 1])), op.constant(np.float32(9))
        ),
        "input": lambda: op.logical_and(going, op.constant(True)),
    }
    ends = goes_on[condition]()
    next_at = op.add(at, op.constant(np.int64(1)))
    body = ov.Model(
        [ends.output(0), out.output(0), next_at.output(0)],
        [within, at, going],
    )
    given = {
        "constant": op.constant(np.int64(5)),
        "endless": op.constant(np.int64(-1)),
        "input": count,
        "shape": op.gather(op.shape_of(x), op.constant(np.int64(1)), op.constant(np.int64(0))),
    }[trips]
    node = op.loop(given, go if condition == "input" else op.constant(True))
    node.set_function(body)
    node.set_special_body_ports([-1, 0])
    node.set_merged_input(within, x.output(0), out.output(0))
    node.set_merged_input(at, op.constant(np.int64(0)).output(0), next_at.output(0))
    first = go if condition == "input" else op.constant(True)
    node.set_merged_input(going, first.output(0), ends.output(0))
    found = node.get_iter_value(out.output(0), -1)
    inputs = [x]
    inputs += [count] if trips == "input" else []
    inputs += [go] if condition == "input" else []
    return [found], inputs


@pytest.mark.parametrize(
    ("trips", "condition"),
    [
        ("input", "true"),
        ("input", "counter"),
        ("constant", "value"),
        ("endless", "value"),
        ("constant", "input"),
    ],
)
def test_a_loop_that_the_data_end_is_named(trips: str, condition: str) -> None:
    """By its trip count, by what it computes, or by what it begins with."""
    assert works(loop(trips, condition)) == [f"Loop: {RUNS}"]


@pytest.mark.parametrize(
    ("trips", "condition"),
    [
        ("constant", "true"),
        ("shape", "true"),
        ("constant", "handed on"),
        ("endless", "counter"),
    ],
)
def test_a_loop_of_so_many_rounds_is_not(trips: str, condition: str) -> None:
    """Exported `for` loops hand a true on from round to round, or count."""
    assert works(loop(trips, condition)) == []


def test_what_a_loop_does_counts_as_well() -> None:
    """Inside of bodies everything is looked at as outside."""

    def places(x: Any) -> Any:
        found = op.convert(op.reduce_sum(op.non_zero(x), op.constant([0, 1])), "f32")
        return op.add(x, found)

    assert works(loop("constant", "true", places)) == [f"NonZero: {WORKS}"]


def iterator(*, dynamic: bool) -> Built:
    """A cell over the parts of an input; of what is not zero in it, where `dynamic`."""
    x = number(5, 1)
    part = op.parameter([1, 1], np.float32)
    out = op.relu(part)
    body = ov.Model([out.output(0)], [part])
    values = x
    if dynamic:
        rows = op.transpose(op.non_zero(op.squeeze(x, op.constant([1]))), op.constant([1, 0]))
        values = op.convert(rows, "f32")
    node = op.tensor_iterator()
    node.set_body(body)
    node.set_sliced_input(part, values.output(0), 0, 1, 1, -1, 0)
    return [node.get_concatenated_slices(out.output(0), 0, 1, 1, -1, 0)], [x]


def test_an_iterator_over_data_of_any_length_is_named() -> None:
    """It runs as often as there are parts; over a static input that is known."""
    assert works(iterator(dynamic=True)) == [f"NonZero: {WORKS}", f"TensorIterator: {RUNS}"]
    assert works(iterator(dynamic=False)) == []


def branch(condition: str) -> Built:
    """Two ways."""
    x, go = number(1, 4), number(dtype=np.bool_, name="go")
    sides = [op.parameter([1, 4], np.float32) for _ in range(2)]
    bodies = [
        ov.Model([op.relu(sides[0])], [sides[0]]),
        ov.Model([op.exp(op.exp(sides[1]))], [sides[1]]),
    ]
    given = {
        "input": lambda: go,
        "value": lambda: op.greater(
            op.reduce_sum(x, op.constant([0, 1]), keep_dims=False), op.constant(np.float32(1))
        ),
        "constant": lambda: op.constant(True),
    }[condition]()
    node = op.if_op(given.output(0))
    node.set_then_body(bodies[0])
    node.set_else_body(bodies[1])
    node.set_input(x.output(0), *sides)
    out = node.set_output(bodies[0].results[0], bodies[1].results[0])
    return [out], [x, go] if condition == "input" else [x]


@pytest.mark.parametrize(
    ("condition", "found"),
    [("input", [f"If: {BRANCHES}"]), ("value", [f"If: {BRANCHES}"]), ("constant", [])],
)
def test_a_branch_that_the_data_choose_is_named(condition: str, found: list[str]) -> None:
    """Not one that is settled before anything runs."""
    assert works(branch(condition)) == found


# --- inputs


@pytest.mark.parametrize(
    ("dtype", "shape", "is_named"),
    [
        (np.int64, (1, 128), True),
        (np.int32, (1, 128), True),
        (np.int64, (1, 4, 16, 16), True),
        (np.uint8, (1, 16), True),
        (np.bool_, (1, 1, 16, 16), True),
        (np.uint8, (1, 16, 16, 3), False),
        (np.int8, (1, 3, 16, 16), False),
        (np.float32, (1, 128), False),
        (np.float16, (1, 128), False),
    ],
)
def test_whole_numbers_are_named_unless_they_are_pixels(
    dtype: Any, shape: tuple[int, ...], is_named: bool
) -> None:
    """Ids, masks and lengths at random mean nothing to the model."""
    x = number(*shape, dtype=dtype, name="ids")
    found = why_random_misleads(model_of(([op.convert(x, "f32").output(0)], [x])))
    assert [line.startswith("ids: whole numbers") for line in found] == [True] * is_named


WHOLE = {"boolean", *(f"{sign}{bits}" for sign in "iu" for bits in (1, 2, 3, 4, 6, 8, 16, 32, 64))}
TYPES = sorted(
    name
    for name in vars(ov.Type)
    if isinstance(getattr(ov.Type, name), ov.Type) and name != "dynamic"
)


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_whole_or_not(name: str) -> None:
    """All that the runtime has; a list of them that is not in a picture."""
    x = op.parameter([1, 8], getattr(ov.Type, name))
    x.output(0).get_tensor().set_names({"x"})
    found = why_random_misleads(ov.Model([op.result(x.output(0))], [x]))
    assert bool(found) == (name in WHOLE)


def test_many_inputs_are_counted() -> None:
    """The line stays short."""
    inputs = [number(1, 2, dtype=np.int64, name=f"ids{i}") for i in range(7)]
    (line,) = why_random_misleads(model_of(([op.concat(inputs, 0).output(0)], inputs)))
    assert line.startswith("ids0, ids1, ids2, ids3 and 3 more: whole numbers")


def test_a_kind_is_named_once() -> None:
    """However often it is there."""
    x = number(1, 8)
    places = [op.reduce_sum(op.non_zero(op.add(x, x)), op.constant([0, 1])) for _ in range(3)]
    assert works(([op.concat([op.unsqueeze(p, op.constant([0])) for p in places], 0)], [x])) == [
        f"NonZero: {WORKS}"
    ]


def test_a_model_that_was_read_from_a_file_says_the_same(tmp_path: Path) -> None:
    """Loops and branches keep what they hand on."""
    for name, built in {"loop": loop("input", "true"), "branch": branch("value")}.items():
        path = tmp_path / f"{name}.xml"
        made = model_of(built)
        ov.save_model(made, path)
        assert why_random_misleads(read(ov.Core(), path, {})) == why_random_misleads(made) != []


def test_state_counts_as_data() -> None:
    """What was there in the request before is not known either."""
    x = number(1, 4)
    state = opset14.read_value(op.constant(np.zeros((1, 4), dtype=np.float32)), "s")
    kept = opset14.assign(op.add(x, state), "s")
    found = ov.Model([op.non_zero(state).output(0)], [kept.output(0)], [x])
    assert why_random_misleads(found) == [f"NonZero: {WORKS}"]
