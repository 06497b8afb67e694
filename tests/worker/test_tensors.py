"""Every element type of the runtime is fed and read, whatever NumPy knows of it."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.worker.session import Session
from autotune.worker.tensors import decode, dtype_of, encode, limits, overwrite
from tests import planted
from tests.worker.sessions import Answers

pytestmark = pytest.mark.openvino

TYPES = {
    name: value for name in dir(ov.Type) if isinstance(value := getattr(ov.Type, name), ov.Type)
}
STATIC = sorted(set(TYPES) - {"dynamic"})
REFUSED = {"dynamic", "u1", "u3", "u6"}
"""What a CPU does not take as an input."""


def values_of(kind: ov.Type) -> np.ndarray:
    """Some that every value of the type can be told by; an odd number, so that bits are left."""
    if kind == ov.Type.string:
        return np.array([["a", "", "two words"]])
    span = limits(kind)
    if kind == ov.Type.boolean:
        return np.array([[True, False, True]])
    if span is not None:
        return np.array([[span[0], 0, span[1]]], dtype_of(kind))
    return np.array([[1.0, 0.0 if kind == ov.Type.nf4 else 0.5, 1.0]], dtype_of(kind))


@pytest.mark.parametrize("name", STATIC)
def test_values_come_back_as_they_were(name: str) -> None:
    """Encoded into a tensor of the type and shape, and decoded."""
    kind = TYPES[name]
    values = values_of(kind)
    tensor = encode(values, kind)
    assert tensor.element_type == kind
    assert list(tensor.shape) == [1, 3]
    assert decode(tensor).tolist() == values.tolist()


@pytest.mark.parametrize("shape", [(), (1, 0, 4)])
@pytest.mark.parametrize("name", STATIC)
def test_scalars_and_nothing_have_tensors(name: str, shape: tuple[int, ...]) -> None:
    """Of every type."""
    kind = TYPES[name]
    values = values_of(kind).ravel()[:1].repeat(int(np.prod(shape))).reshape(shape)
    tensor = encode(values, kind)
    assert tuple(tensor.shape) == shape
    assert decode(tensor).tolist() == values.tolist()


@pytest.mark.parametrize("name", STATIC)
def test_a_tensor_is_overwritten_in_place(name: str) -> None:
    """As a loop does that copies its inputs before every request."""
    kind = TYPES[name]
    values = values_of(kind)
    target = encode(values[:, ::-1].copy(), kind)
    overwrite(target, encode(values, kind))
    assert decode(target).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("bf16", "float32"), ("f8e4m3", "float32"), ("u4", "int64"), ("f16", "float16")],
)
def test_a_type_without_an_equivalent_is_written_as_a_wider_one(name: str, wanted: str) -> None:
    """OpenVINO itself shows bf16 as f16, whose values are other ones."""
    assert dtype_of(TYPES[name]) == np.dtype(wanted)


def network_of(kind: ov.Type) -> ov.Model:
    """X of this type, as a number where it can be one."""
    x = op.parameter([1, 5], kind, name="x")
    is_number = kind not in {ov.Type.string, ov.Type.dynamic}
    return planted.model(op.convert(x, "f32") if is_number else op.shape_of(x), x)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_an_input_of_every_type_is_measured_or_refused_by_name(name: str, tmp_path: Path) -> None:
    """Bound once or copied before every request; alone or, where that is proven, in a batch."""
    answers = Answers()
    core = OneModel(network_of(TYPES[name]))
    session = Session(answers, core)
    files: dict[str, Any] = {
        "path": "model.xml",
        "shapes": {},
        "inputs": None,
        "reference": str(tmp_path / "reference.npz"),
    }
    session.obey({"do": "inspect", "devices": ["CPU"], "try_batch": True, **files})
    fields = answers.said[-1]
    word = fields["say"]
    if name in REFUSED:
        assert word == "failed"
        assert f"input 'x' has the element type {TYPES[name].get_type_name()}" in fields["message"]
        return
    assert word == "inspected", fields
    assert fields["why_no_batch"] is None or name == "string"
    batch_size = 1 if fields["why_no_batch"] or fields["unproven_batch"] else 3
    session.obey(
        {
            "do": "open",
            "device": "CPU",
            "properties": {"PERFORMANCE_HINT": "LATENCY"},
            "batch_size": batch_size,
            **files,
        }
    )
    assert answers.said[-1]["say"] == "opened", answers.said[-1]
    for feed in ("bind", "copy"):
        session.obey(
            {
                "do": "load",
                "num_requests": 2,
                "is_blocking": False,
                "feed": feed,
                "block_s": 0.01,
                "block_requests": 10,
                "limit_s": 60.0,
            }
        )
        assert [said["say"] for said in answers.said[-2:]] == ["block", "stopped"]


class OneModel:
    """A runtime that reads one model, whatever the path: some types cannot be saved to a file."""

    def __init__(self, network: ov.Model) -> None:
        self._core = ov.Core()
        self._network = network

    def read_model(self, _: Path) -> ov.Model:
        """A copy."""
        return self._network.clone()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)
