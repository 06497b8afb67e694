"""Input data: several distinct samples of each input, from a fixed seed or from a file."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

Sample = dict[str, np.ndarray]
"""One item by input name, without the batch axis repeated: shape (1, ...) or the input's own."""

_SEED = 20260101
_SAMPLES = 4


def input_name(port: Any) -> str:
    """The port's tensor name; its node's name where it has none."""
    names = port.get_names()
    return str(min(names) if names else port.get_node().get_friendly_name())


def samples(model: ov.Model, file: Path | None = None) -> list[Sample]:
    """Distinct samples for a statically shaped model at batch 1.

    Raises:
        ValueError: the file lacks an input or has another shape.
    """
    if file is None:
        generator = np.random.default_rng(_SEED)
        return [
            {input_name(port): _random(generator, port) for port in model.inputs}
            for _ in range(_SAMPLES)
        ]
    with np.load(file, allow_pickle=False) as arrays:
        return _from_arrays(model, {name: arrays[name] for name in arrays.files}, file)


def batch_of(data: list[Sample], first: int, batch_size: int) -> Sample:
    """A request's input: `batch_size` samples from number `first` on, along the first axis."""
    if batch_size == 1:
        return data[first % len(data)]
    chosen = [data[(first + i) % len(data)] for i in range(batch_size)]
    return {name: np.concatenate([sample[name] for sample in chosen]) for name in chosen[0]}


def _random(generator: np.random.Generator, port: Any) -> np.ndarray:
    shape, dtype = list(port.get_shape()), port.get_element_type().to_dtype()
    if np.issubdtype(dtype, np.floating):
        return generator.random(shape, dtype=np.float32).astype(dtype)
    if dtype == np.bool_:
        return generator.integers(0, 2, shape).astype(np.bool_)
    # Small whole numbers are valid token ids, masks and pixels alike.
    return generator.integers(0, 2, shape).astype(dtype)


def _from_arrays(model: ov.Model, arrays: dict[str, np.ndarray], file: Path) -> list[Sample]:
    data: list[Sample] = []
    for port in model.inputs:
        name, shape = input_name(port), tuple(port.get_shape())
        if name not in arrays:
            message = f"{file}: has no array named {name!r}; it has {sorted(arrays)}"
            raise ValueError(message)
        array = arrays[name].astype(port.get_element_type().to_dtype(), copy=False)
        fits = array.ndim == len(shape) and array.shape[1:] == shape[1:]
        if not fits or not array.size or array.shape[0] % shape[0]:
            message = f"{file}: {name!r} has the shape {array.shape}, the model takes {shape}"
            raise ValueError(message)
        parts = np.split(array, array.shape[0] // shape[0])
        data = data or [{} for _ in parts]
        if len(parts) != len(data):
            message = f"{file}: {name!r} has {len(parts)} samples, another input {len(data)}"
            raise ValueError(message)
        for sample, part in zip(data, parts, strict=True):
            sample[name] = np.ascontiguousarray(part)
    return data
