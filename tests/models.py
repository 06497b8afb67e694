"""Tiny models with known traps; run as a script it writes them all into the folder it is given."""

import sys
from pathlib import Path
from typing import Any

TINY = "tiny.xml"
"""x: f32 1×3×32×32 to y: 1×10, a convolution and a matrix product; can be batched."""
BATCH_TRAP = "batch_trap.xml"
"""x: f32 1×3×4 through Reshape([1, -1]): takes a batch of n and gives one row of n × 12."""
DYNAMIC = "dynamic.xml"
"""x: f32 ?×3×8×8."""
TWO_INPUTS = "two_inputs.xml"
"""ids: i64 1×4, and x: f32 1×4; their sum."""


def write(folder: Path) -> None:
    """Write every model."""
    import numpy as np
    import openvino as ov
    from openvino import opset13 as op

    generator = np.random.default_rng(7)

    def weights(*shape: int) -> Any:
        return op.constant((generator.random(shape, dtype=np.float32) - 0.5) / 8)

    x = op.parameter([1, 3, 32, 32], np.float32, name="x")
    features = op.relu(op.convolution(x, weights(8, 3, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1]))
    pooled = op.reduce_mean(features, op.constant([2, 3]), keep_dims=False)
    _save(ov.Model([op.matmul(pooled, weights(8, 10), False, False)], [x]), folder / TINY)

    x = op.parameter([1, 3, 4], np.float32, name="x")
    flat = op.reshape(x, op.constant([1, -1]), special_zero=False)
    _save(ov.Model([op.sigmoid(flat)], [x]), folder / BATCH_TRAP)

    x = op.parameter([-1, 3, 8, 8], np.float32, name="x")
    _save(ov.Model([op.relu(x)], [x]), folder / DYNAMIC)

    ids = op.parameter([1, 4], np.int64, name="ids")
    x = op.parameter([1, 4], np.float32, name="x")
    _save(ov.Model([op.add(op.convert(ids, "f32"), x)], [ids, x]), folder / TWO_INPUTS)


def _save(model: Any, path: Path) -> None:
    import openvino as ov

    for parameter in model.get_parameters():
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    ov.save_model(model, path, compress_to_fp16=False)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
