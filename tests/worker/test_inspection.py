"""A wrong batch is never proven, whatever data there is; a right one always is."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker.reference import load_reference
from tests import planted
from tests.worker.sessions import Studied

pytestmark = pytest.mark.openvino

DATA = {"uniform": None, "normal": planted.normal, "real-like": planted.real_like}


def studied(folder: Path, build: planted.Build, data: str) -> Studied:
    """A planted model with one kind of data."""
    network, make = build(), DATA[data]
    return Studied(folder, network, None if make is None else make(network))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("build", planted.WRONG, ids=lambda build: build.__name__)
def test_a_wrong_batch_is_never_proven(build: planted.Build, data: str, tmp_path: Path) -> None:
    """It is refused where the data shows it, else it is unproven; and each says why."""
    model = studied(tmp_path, build, data)
    found = model.inspected()
    assert found["say"] == "inspected", found
    assert found["why_no_batch"] or found["unproven_batch"]
    for batch_size in (2, 4):
        opened = model.opened(batch_size)
        assert opened.get("kind") == "wrong_output" or opened["unproven"], opened


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("build", planted.RIGHT, ids=lambda build: build.__name__)
def test_a_right_batch_is_proven(build: planted.Build, data: str, tmp_path: Path) -> None:
    """On whatever data; what is opened at that batch says so too."""
    model = studied(tmp_path, build, data)
    found = model.inspected()
    assert (found["why_no_batch"], found["unproven_batch"]) == (None, None)
    opened = model.opened(5)
    assert (opened["say"], opened.get("unproven")) == ("opened", None)


@pytest.mark.parametrize("samples", [None, 2, 3, 5])
@pytest.mark.parametrize("items", [3, 4, 5, 6, 8])
def test_a_batch_that_repeats_its_answers_is_refused(
    items: int, samples: int | None, tmp_path: Path
) -> None:
    """Whatever the period, and however many samples repeat in the batch that is looked at."""
    network = planted.repeated_after(items)
    data = None if samples is None else planted.normal(network, samples=samples)
    model = Studied(tmp_path, network, data)
    assert model.inspected()["say"] == "inspected"
    opened = model.opened(2 * items + 1)
    assert opened.get("kind") == "wrong_output", opened


def _between(x: Any, share: float) -> Any:
    """What differs between samples by this share of its size."""
    answers = op.tanh(op.matmul(x, planted.weights(8, 6), False, False))
    return op.add(op.multiply(answers, planted.number(share)), planted.number(1))


@pytest.mark.parametrize("precision", ["", "f32", "bf16", "f16"])
def test_a_batch_of_any_size_is_looked_at_where_a_precision_hides_it(
    precision: str, tmp_path: Path
) -> None:
    """Right in threes, and in even batches whoever is first answers for all."""
    x = planted.features(1, 8)
    count = planted.count_of(x)
    chosen = op.multiply(planted.places(count), op.floor_mod(count, op.constant(np.int64(2))))
    out = op.gather(_between(x, 0.004), chosen, op.constant(np.int64(0)))
    model = Studied(tmp_path, planted.model(out, x))
    assert model.inspected()["why_no_batch"] is None
    opened = model.opened(4, precision=precision)
    assert opened.get("kind") == "wrong_output" or opened["unproven"], opened
    right = model.opened(3, precision=precision)
    assert right["say"] == "opened", right


def test_what_was_shown_once_is_not_looked_at_again(tmp_path: Path) -> None:
    """Another configuration of that batch needs no third model in memory."""
    x = planted.features(1, 8)
    model = Studied(tmp_path, planted.model(_between(x, 0.004), x))
    assert model.inspected()["unproven_batch"] is None
    compared = []
    for batch_size in (4, 4, 8):
        opened = model.opened(batch_size, precision="bf16")
        assert (opened["say"], opened["unproven"]) == ("opened", None)
        compared.append(len(list(tmp_path.glob("reference.npz.batch*"))))
    assert compared in ([1, 1, 2], [0, 0, 0])  # where bf16 is f32 nothing is hidden
    model.inspected()
    assert not list(tmp_path.glob("reference.npz.batch*"))


def test_a_single_sample_cannot_prove_a_batch(tmp_path: Path) -> None:
    """A batch of one sample is right whatever goes where: made data has to show it."""
    network = planted.order_reversed()
    found = Studied(tmp_path, network, planted.normal(network, samples=1)).inspected()
    assert "deviate" in found["why_no_batch"]


def test_samples_that_are_all_alike_prove_nothing(tmp_path: Path) -> None:
    """Where made data shows nothing either."""
    network = planted.padded_detections()
    found = Studied(tmp_path, network, {"x": np.zeros((4, 12), np.float32)}).inspected()
    assert (found["why_no_batch"], found["unproven_batch"]) == (
        None,
        "its output is the same for every sample",
    )


def test_the_users_own_data_decides_where_it_says_something(tmp_path: Path) -> None:
    """A batch that is right for it is right, whatever noise would make of the model."""
    x = planted.features(1, 8)
    largest = op.reduce_max(op.absolute(x), planted.numbers(0, 1), keep_dims=True)
    network = planted.model(op.divide(x, op.maximum(largest, planted.number(1e4))), x)
    assert Studied(tmp_path, network).inspected()["why_no_batch"] is None
    network = planted.normalised_by_the_largest()
    small = {"x": np.random.default_rng(0).random((4, 8), np.float32)}
    found = Studied(tmp_path, network, small).inspected()
    assert (found["why_no_batch"], found["unproven_batch"]) == (None, None)


def random_model(*, scale: float = 1.0, seed: int = 0) -> ov.Model:
    """X and noise that is drawn at every request."""
    x = planted.features(1, 8)
    noise = op.random_uniform(
        op.shape_of(x), planted.number(0), planted.number(scale), "f32", seed, seed
    )
    return planted.model(op.add(x, noise), x)


@pytest.mark.parametrize(("scale", "seed"), [(1.0, 0), (0.01, 0), (1.0, 7)])
def test_a_model_that_is_not_deterministic_is_measured_at_batch_one(
    scale: float, seed: int, tmp_path: Path
) -> None:
    """Its answers cannot be compared: only their shapes are, and a batch is unproven."""
    model = Studied(tmp_path, random_model(scale=scale, seed=seed))
    found = model.inspected()
    assert found["is_deterministic"] is False
    assert found["untrusted"] == {}
    assert found["unproven_batch"] == "its answers differ from run to run"
    opened = model.opened()
    assert (opened["say"], opened["unproven"]) == ("opened", None)
    assert model.opened(2)["unproven"] == "its answers differ from run to run"
    assert model.opened(precision="f32")["unproven"] is None


def test_a_random_model_whose_batch_has_another_shape_is_refused(tmp_path: Path) -> None:
    """That much can be seen."""
    x = planted.features(1, 3, 4)
    row = op.reshape(x, planted.numbers(1, -1), special_zero=False)
    noise = op.random_uniform(op.shape_of(row), planted.number(0), planted.number(1), "f32", 0, 0)
    model = Studied(tmp_path, planted.model(op.add(row, noise), x))
    assert "shape (1, 36), expected (3, 12)" in model.inspected()["why_no_batch"]
    assert model.opened(2)["kind"] == "wrong_output"


@pytest.mark.parametrize(
    "build",
    [planted.padded_detections, planted.constant_but_for_large_values, planted.saturated],
)
def test_outputs_that_say_nothing_earn_no_precision_its_place(
    build: planted.Build, tmp_path: Path
) -> None:
    """f32 and the runtime's own default need none; others must be asked for."""
    found = studied(tmp_path, build, "uniform").inspected()
    doubtful = set(found["precision_errors"]) - {"f32", found["default_precision"]}
    assert set(found["untrusted"]) == doubtful


def test_a_batch_is_not_looked_at_unless_wanted(tmp_path: Path) -> None:
    """Then nothing is said of it."""
    found = studied(tmp_path, planted.reshaped_to_one_row, "uniform").inspected(try_batch=False)
    assert (found["why_no_batch"], found["unproven_batch"]) == (None, None)


def test_a_reference_stays_small_however_large_the_outputs_are(tmp_path: Path) -> None:
    """A hundred megabytes of output leave a megabyte for each sample; a batch is still checked."""
    x = planted.features(1, 64, 512)
    grown = op.tile(op.relu(x), planted.numbers(1, 1, 160))  # 5,242,880 values of 4 bytes
    model = Studied(tmp_path, planted.model(grown, x))
    found = model.inspected()
    assert (found["why_no_batch"], found["unproven_batch"]) == (None, None)
    assert model.reference.stat().st_size < 8 * 2**20
    assert model.opened(2)["unproven"] is None


def test_a_reference_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """With all that later workers need."""
    model = studied(tmp_path, planted.two_outputs, "uniform")
    model.inspected()
    found = load_reference(model.reference)
    assert found.is_deterministic
    assert found.silent is found.unproven_batch is None
    assert len(found.yardsticks) == len(found.kinds) == len(found.exact.answers)
    assert [len(answer) for answer in found.exact.answers[0]] == [2, 2, 2, 2]
    assert {run.device for run in found.runs} == {"CPU"}


@pytest.mark.parametrize("shape", [(), (2, 8), (0, 8)])
def test_an_input_without_a_batch_of_one_cannot_be_batched(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    """A scalar, a batch that is there already, nothing at all."""
    x = op.parameter(list(shape), np.float32, name="x")
    found: dict[str, Any] = Studied(tmp_path, planted.model(op.relu(x), x)).inspected()
    said = f"input 'x' is [{','.join(map(str, shape))}]"
    assert found["why_no_batch"] == f"the first dimension of every input must be 1: {said}"
