"""What gets into a request: every element type, several inputs, padded, whole and as it is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.space.shape_plan import parse_plan
from autotune.worker.asking import Asking, asking, bound, copied_in
from autotune.worker.feeding import Feeding
from autotune.worker.inputs import DataError, Sample
from autotune.worker.tensors import decode
from autotune.workload.mix import Mix, Pad

pytestmark = pytest.mark.openvino

FEEDS: dict[str, Callable[..., Feeding]] = {"bind": bound, "copy": copied_in}
NUMBERS = ["f32", "f16", "bf16", "f64", "f8e4m3", "u8", "i8", "i32", "i64", "u64", "boolean", "u4"]
LENGTHS = (2, 4, 6, 8)


def compiled(kind: str, shape: list[int]) -> ov.CompiledModel:
    """X of this type to itself, and n: i64 without axes."""
    x, n = op.parameter(shape, getattr(ov.Type, kind), name="x"), op.parameter([], np.int64)
    for parameter, name in ((x, "x"), (n, "n")):
        parameter.output(0).get_tensor().set_names({name})
    return ov.Core().compile_model(ov.Model([op.result(x), op.result(n)], [x, n]), "CPU")


def samples_of(dtype: Any) -> list[Sample]:
    """Of every length, each with its own number beside it."""
    return [
        {"x": (np.arange(length) % 2).reshape(1, length).astype(dtype), "n": np.array(length)}
        for length in LENGTHS
    ]


def asked_of(samples: list[Sample], plan: str, batch_size: int, pads: dict[str, Any]) -> Asking:
    """Each once in a cycle."""
    mix = Mix(
        shapes=tuple({"x": (1, length), "n": ()} for length in LENGTHS), weights=(1,) * 4, pads=pads
    )
    return asking(mix, parse_plan(plan), samples, [1] * 4, batch_size=batch_size, length=4, seed=0)


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("kind", NUMBERS)
def test_items_of_every_type_are_padded_into_their_request(
    kind: str, feed: str, batch_size: int
) -> None:
    """With ones behind; twice round, so that nothing of the item before is left."""
    samples = samples_of(decode(ov.Tensor(getattr(ov.Type, kind), ov.Shape([1]))).dtype)
    models = [compiled(kind, [batch_size, 4]), compiled(kind, [batch_size, 8])]
    asked = asked_of(samples, "buckets:4|8", batch_size, {"x": (Pad(1, 1),)})
    requests = [[model.create_infer_request() for model in models]]
    put = FEEDS[feed](asked, models[0].inputs)(requests)
    assert put is not None
    for turn in [*asked.turns, *asked.turns]:
        request = requests[0][put(0) or 0]
        found = decode(request.get_input_tensor(0))
        assert found.shape == (batch_size, 4 if max(LENGTHS[n] for n in turn) <= 4 else 8)
        for row, number in zip(found, turn, strict=True):
            length = LENGTHS[number]
            assert np.array_equal(row[:length], samples[number]["x"][0])
            assert (row[length:] == 1).all()
        assert int(request.get_input_tensor(1).data) == LENGTHS[turn[0]]
    assert {n for turn in asked.turns for n in turn} == set(range(4))


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("kind", ["f32", "bf16", "i64", "boolean", "u4", "string"])
def test_a_dynamic_model_takes_items_as_they_are(kind: str, feed: str) -> None:
    """Longer and shorter ones in turn, text as well."""
    model = compiled(kind, [1, -1])
    dtype = decode(ov.Tensor(getattr(ov.Type, kind), ov.Shape([1]))).dtype
    samples = samples_of(dtype)
    asked = asked_of(samples, "dynamic", 1, {})
    request = model.create_infer_request()
    put = FEEDS[feed](asked, model.inputs)([[request]])
    assert put is not None
    for (number,) in [*asked.turns, *asked.turns]:
        put(0)
        assert np.array_equal(decode(request.get_input_tensor(0)), samples[number]["x"])
        assert int(request.get_input_tensor(1).data) == LENGTHS[number]


def test_values_may_be_prepared_for_every_request() -> None:
    """By a function that is asked for a sample's number: it is called for each item."""
    samples, model = samples_of(np.float32), compiled("f32", [2, 8])
    asked = asked_of(samples, "padded", 2, {"x": (Pad(-1, 1),)})
    called: list[int] = []

    def prepare(number: int) -> list[np.ndarray]:
        called.append(number)
        return [samples[number]["x"] + len(called), samples[number]["n"]]

    request = model.create_infer_request()
    put = copied_in(asked, model.inputs, prepare)([[request]])
    assert put is not None
    for turn in asked.turns:
        put(0)
        assert called[-2:] == list(turn)
        found, length = request.get_input_tensor(0).data[1], LENGTHS[turn[1]]
        assert np.array_equal(found[:length], samples[turn[1]]["x"][0] + len(called))
        assert (found[length:] == -1).all()


@pytest.mark.parametrize("feed", FEEDS)
def test_what_cannot_be_padded_is_refused_before_anything_runs(feed: str) -> None:
    """An axis of which nothing was said; text; a value that the type does not have."""
    floats, text = samples_of(np.float32), samples_of(np.str_)
    for samples, pads in ((floats, {}), (text, {"x": (Pad(0, 1),)}), (floats, {"n": (Pad(0, 1),)})):
        model = compiled("f32" if samples is floats else "string", [1, 8])
        with pytest.raises(DataError, match="'x' has"):
            FEEDS[feed](asked_of(samples, "padded", 1, pads), model.inputs)


def test_equal_requests_are_held_once() -> None:
    """A long cycle of few samples takes no more memory than the samples."""
    samples, model = samples_of(np.float32), compiled("f32", [1, 8])
    mix = Mix(
        shapes=tuple({"x": (1, length), "n": ()} for length in LENGTHS),
        weights=(1,) * 4,
        pads={"x": (Pad(0, 1),)},
    )
    asked = asking(mix, parse_plan("padded"), samples, [1] * 4, batch_size=1, length=400, seed=0)
    request = model.create_infer_request()
    put = bound(asked, model.inputs)([[request]])
    assert put is not None
    places = set()
    for _ in range(400):
        put(0)
        places.add(request.get_input_tensor(0).data.ctypes.data)
    assert len(places) == 4
