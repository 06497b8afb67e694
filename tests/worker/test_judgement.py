"""A batch is compared with its own device and precision; those are judged by f32."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvino import opset13 as op

from autotune.worker.judgement import unlike_any_shift
from tests import planted
from tests.worker.sessions import OTHER_ANSWERS, FakeDevice, Studied
from tests.worker.test_inspection import random_model

pytestmark = pytest.mark.openvino


def on_a_fake_gpu(folder: Path, change: Any, *, looked_at: bool = True) -> Studied:
    """A model whose GPU changes answers; inspected, with the GPU or without."""
    devices = ("CPU", "GPU") if looked_at else ("CPU",)
    model = Studied(folder, planted.linear(), devices=devices, core=FakeDevice(change))
    assert model.inspected()["say"] == "inspected"
    return model


@pytest.mark.parametrize("looked_at", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_device_that_rounds_more_is_no_wrong_output(
    looked_at: bool, batch_size: int, tmp_path: Path
) -> None:
    """4 % from f32 is beyond f32's tolerance of 1 %, and within what a device may differ by."""
    model = on_a_fake_gpu(
        tmp_path, lambda output, _: output * np.float32(1.04), looked_at=looked_at
    )
    opened = model.opened(batch_size, "GPU")
    assert (opened["say"], opened["output_error"]) == ("opened", 0.0)
    assert opened["unproven"] is None


@pytest.mark.parametrize("looked_at", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_device_with_other_answers_is_never_proven(
    looked_at: bool, batch_size: int, tmp_path: Path
) -> None:
    """However well its batches agree with themselves."""
    model = on_a_fake_gpu(tmp_path, lambda output, _: output * np.float32(1.3), looked_at=looked_at)
    opened = model.opened(batch_size, "GPU")
    assert "it differs from f32 by 0.3" in opened["unproven"]
    assert model.opened(batch_size)["unproven"] is None


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_property_that_changes_answers_is_never_proven(batch_size: int, tmp_path: Path) -> None:
    """It is in no table, so that nobody has said that it changes none."""
    model = on_a_fake_gpu(tmp_path, lambda output, _: output)
    opened = model.opened(batch_size, **{OTHER_ANSWERS: "32"})
    assert "it differs from f32 by 0.3" in opened["unproven"]
    assert model.opened(batch_size)["unproven"] is None


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_property_that_changes_no_answer_is_proven_by_them(
    batch_size: int, tmp_path: Path
) -> None:
    """Of the real runtime, in no table either."""
    model = on_a_fake_gpu(tmp_path, lambda output, _: output)
    assert model.opened(batch_size, ENABLE_HYPER_THREADING="NO")["unproven"] is None


def test_inspection_says_what_opening_will_say(tmp_path: Path) -> None:
    """Of each device and precision, asked for or used by itself."""
    model = Studied(
        tmp_path,
        planted.linear(),
        devices=("CPU", "GPU"),
        core=FakeDevice(lambda output, _: output * np.float32(1.3)),
    )
    found = model.inspected()["unproven_precisions"]
    opened = model.opened(1, "GPU")
    assert list(found) == ["GPU"]
    assert set(found["GPU"].values()) == {opened["unproven"]}
    assert opened["effective"].get("INFERENCE_PRECISION_HINT", "") in found["GPU"]


def test_values_that_are_not_finite_are_never_proven(tmp_path: Path) -> None:
    """An overflow in f16."""
    model = on_a_fake_gpu(tmp_path, lambda output, _: np.where(output > 0, np.inf, output))
    assert "not finite" in model.opened(1, "GPU")["unproven"]


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_batch_that_is_wrong_on_one_device_is_refused_there(
    looked_at: bool, tmp_path: Path
) -> None:
    """By that device's own single requests."""
    model = on_a_fake_gpu(
        tmp_path,
        lambda output, batch: output[::-1] * np.float32(1.02) if batch > 1 else output,
        looked_at=looked_at,
    )
    assert model.opened(4, "GPU")["kind"] == "wrong_output"
    assert model.opened(1, "GPU")["say"] == "opened"


def test_a_precision_that_was_not_looked_at_is_judged_when_it_is_opened(tmp_path: Path) -> None:
    """It is compared with its own single requests, and these with f32."""
    model = on_a_fake_gpu(tmp_path, lambda output, _: output * np.float32(1.3))
    assert "it differs from f32" in model.opened(2, "GPU", "dynamic")["unproven"]


def test_the_second_half_of_a_batch_is_looked_at_with_other_neighbours(tmp_path: Path) -> None:
    """A device that is wrong only where the last item is small."""
    network = planted.linear()
    data = planted.real_like(network)

    def change(output: np.ndarray, batch: int) -> np.ndarray:
        wrong = batch > 1 and output[-1].sum() < output[0].sum()
        return output[::-1] if wrong else output

    model = Studied(tmp_path, network, data, ("CPU", "GPU"), FakeDevice(change))
    assert model.inspected()["say"] == "inspected"
    assert model.opened(4, "GPU")["kind"] == "wrong_output"


def test_another_device_of_a_model_that_is_not_deterministic_is_unproven(tmp_path: Path) -> None:
    """Nothing shows how near its answers are."""
    model = Studied(
        tmp_path, random_model(), devices=("CPU", "GPU"), core=FakeDevice(lambda output, _: output)
    )
    found = model.inspected()
    assert found["is_deterministic"] is False
    assert model.opened()["unproven"] is None
    for precision in ("", "f16"):
        opened = model.opened(device="GPU", precision=precision)
        assert opened["unproven"] == "its answers differ from run to run"


def detections() -> ov.Model:
    """As many values as are above a threshold."""
    x = planted.features(1, 64)
    values = op.matmul(x, planted.weights(64, 900), False, False)
    row = op.reshape(values, planted.numbers(-1), special_zero=False)
    kept = op.squeeze(op.non_zero(op.greater(row, planted.number(0)), "i64"), planted.numbers(0))
    return planted.model(op.gather(row, kept, op.constant(np.int64(0))), x)


def test_a_device_that_finds_another_number_of_things_is_unproven(tmp_path: Path) -> None:
    """Outputs of another size are no nearer to f32 for want of a figure."""
    core = FakeDevice(lambda output, _: output[:-1])
    model = Studied(tmp_path, detections(), devices=("CPU", "GPU"), core=core)
    assert model.inspected()["say"] == "inspected"
    assert model.opened()["unproven"] is None
    for precision in ("", "f16"):
        unproven = model.opened(device="GPU", precision=precision).get("unproven")
        assert unproven in {
            "it gives outputs of another size than f32",
            "what the runtime uses by itself cannot be compared with f32 either",
        }


@given(samples=st.integers(2, 9), period=st.integers(1, 70))
def test_no_batch_is_looked_at_in_an_order_with_a_period(samples: int, period: int) -> None:
    """Items that repeat others would otherwise be theirs; each sample has a place in it."""
    order = unlike_any_shift(samples, 2 * period + 1)
    assert len(order) == 2 * period + 1
    assert set(order) == set(range(samples)) or period < samples
    assert any(order[i] != order[i % period] for i in range(len(order)))
    assert order[:samples] == list(range(samples))[::-1][: len(order)]


def test_one_sample_is_every_item() -> None:
    """There is no other order."""
    assert unlike_any_shift(1, 5) == [0] * 5
