"""A small convolutional network: something to run where nobody gave a model."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

_SEED = 20260101
_CHANNELS = (3, 32, 64, 64)
_SIZE = 64


def write(path: Path) -> None:
    """x: f32 1x3x64x64 to ten numbers through three convolutions of random weights."""
    generator = np.random.default_rng(_SEED)
    x = op.parameter([1, _CHANNELS[0], _SIZE, _SIZE], np.float32, name="x")
    features = x
    for inner, outer in itertools.pairwise(_CHANNELS):
        kernel = (generator.random((outer, inner, 3, 3), dtype=np.float32) - 0.5) / inner
        strided = op.convolution(features, op.constant(kernel), [2, 2], [1, 1], [1, 1], [1, 1])
        features = op.relu(strided)
    pooled = op.reduce_mean(features, op.constant([2, 3]), keep_dims=False)
    weights = generator.random((_CHANNELS[-1], 10), dtype=np.float32) - 0.5
    network = ov.Model([op.matmul(pooled, op.constant(weights), False, False)], [x])
    x.output(0).get_tensor().set_names({"x"})
    ov.save_model(network, path, compress_to_fp16=False)


def obey(_: ov.Core, __: Callable[[str], None], *, path: str) -> dict[str, Any]:
    """Write it for a parent that has nothing else to run; there is nothing to say of it."""
    write(Path(path))
    return {}
