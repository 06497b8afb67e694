"""What --shape is likely to be, for models as people have them."""

from pathlib import Path

import pytest

from autotune.cli.inspect import show_model
from autotune.cli.shapes import example
from autotune.domain.inspection import ModelPort
from autotune.spec import parse_shapes


def ports(text: str) -> list[ModelPort]:
    """Inputs in ``name type [shape]``, a line each."""
    words = [line.split() for line in text.strip().splitlines()]
    return [ModelPort(name=name, type=kind, shape=shape) for name, kind, shape in words]


@pytest.mark.parametrize(
    ("inputs", "likely"),
    [
        ("x f32 [?,3,?,?]", "x:1,3,224,224"),
        ("x f32 [?,3,224,224]", "x:1,3,224,224"),
        ("x f32 [1,3,?,?]", "x:1,3,224,224"),
        ("x f32 [?,?,?,3]", "x:1,224,224,3"),
        ("x u8 [?,?,?,3]", "x:1,224,224,3"),
        ("x f32 [?,?,?,?]", "x:1,3,224,224"),
        ("x f32 [?,1,?,?]", "x:1,1,224,224"),
        ("x f32 [?,3,48,?]", "x:1,3,48,224"),
        ("x f32 [3,?,?]", "x:3,224,224"),
        ("x u8 [?,?,3]", "x:224,224,3"),
        ("state f32 [3,?,128]", "state:3,1,128"),
        ("x f32 [?,3,?,?,?]", "x:1,3,16,224,224"),
        ("x f32 [?,?,224,224,3]", "x:1,16,224,224,3"),
        ("x f32 [...]", "x:1,3,224,224"),
        ("ids i64 [...]", "ids:1,128"),
        ("x f32 [?]", "x:1"),
        ("x f32 [?,10]", "x:1,10"),
        ("x f32 [?,80,?]", "x:1,80,128"),
        ("ids i64 [?,?]\nmask i64 [?,?]", "ids:1,128;mask:1,128"),
        ("mask boolean [?,1,?,?]", "mask:1,1,128,128"),
        ("ids i64 [1,?]\nk i64 []", "ids:1,128"),
        ("x f32 [1,3,8,8]\ny f32 [?,4]", "y:1,4"),
        # Bounds.
        ("x f32 [2..8,3,32..,..64]", "x:2,3,224,64"),
        # A past of length 0.
        (
            "input_ids i64 [?,?]\npast_key_values.0.key f32 [?,8,?,64]\nbeam_idx i32 [?]",
            "input_ids:1,128;past_key_values.0.key:1,8,0,64;beam_idx:1",
        ),
        ("cache.v f16 [2,?,?,8,64]", "cache.v:2,1,0,8,64"),
        # Voice activity: a state of two layers, whose batch comes second, and a rate.
        ("input f32 [?,?]\nstate f32 [2,?,128]\nsr i64 []", "input:1,512;state:2,1,128"),
        ("audio f32 [?,?]", "audio:1,16000"),
    ],
)
def test_the_likely_is_suggested(inputs: str, likely: str) -> None:
    """One for a batch wherever it is; nothing for scalars and what is settled."""
    assert example(ports(inputs)) == likely
    assert parse_shapes(likely)


@pytest.mark.parametrize("inputs", ["x f32 [1,3,8,8]", "sr i64 []", "x f32 [8]\nsr i64 []"])
def test_nothing_is_suggested_where_nothing_is_open(inputs: str) -> None:
    """A model that runs as it is."""
    assert example(ports(inputs)) is None


@pytest.mark.openvino
def test_inspect_suggests_what_the_model_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The state of two layers keeps its layers, and the rate is left alone."""
    import numpy as np
    import openvino as ov
    from openvino import opset13 as op

    x = op.parameter([-1, -1], np.float32, name="input")
    state = op.parameter([2, -1, 128], np.float32, name="state")
    rate = op.parameter([], np.int64, name="sr")
    outputs = [op.multiply(x, op.convert(rate, "f32")), op.relu(state)]
    path = tmp_path / "voice.xml"
    for parameter in (x, state, rate):
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    ov.save_model(ov.Model([one.output(0) for one in outputs], [x, state, rate]), path)
    show_model(path, as_json=False)
    said = capsys.readouterr().out
    assert '--shape "input:1,512;state:2,1,128"' in said
