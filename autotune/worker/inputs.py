"""Input data: several distinct samples of each input, from a fixed seed or from a file."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from autotune.worker.tensors import dtype_of, encode, limits
from autotune.workload.inputs import MOST_OF_ONE_SHAPE

Sample = dict[str, np.ndarray]
"""One item by input name, of the input's own shape; values as `tensors` writes them."""

KINDS = ("uniform", "normal", "wide")
"""Kinds of made data: floats from 0 to 1, around 0, and from 0 to 255."""

_SEED = 20260101
_SAMPLES = 4
_WORDS = np.array(["a", "b", "lorem ipsum", "3.14"])


class DataError(ValueError):
    """The user's data cannot be read, or do not fit the model; the message names file and array."""


def input_name(port: Any) -> str:
    """The port's tensor name; its node's name where it has none."""
    names = port.get_names()
    return str(min(names) if names else port.get_node().get_friendly_name())


def samples(model: ov.Model, file: Path | None = None) -> list[Sample]:
    """Distinct samples for a statically shaped model at batch 1: what it is measured with.

    Raises:
        DataError: the file cannot be read, lacks an input, or has another shape.
    """
    return made(model, KINDS[0]) if file is None else from_file(model, file)


def made(model: ov.Model, kind: str) -> list[Sample]:
    """Samples of one of `KINDS`, the same in every process."""
    generator = np.random.default_rng([_SEED, *(() if kind == KINDS[0] else map(ord, kind))])
    return [
        {input_name(port): _random(generator, port, kind) for port in model.inputs}
        for _ in range(_SAMPLES)
    ]


def from_file(model: ov.Model, file: Path) -> list[Sample]:
    """Samples of a .npz file with an array for each input, or of a .npy file for the only input.

    Samples lie along the first axis. An input of a single value may have one for all samples.

    Raises:
        DataError: with the file, the array, and what the model takes.
    """
    with _arrays(file, [input_name(port) for port in model.inputs]) as arrays:
        columns = {}
        for port in model.inputs:
            name = input_name(port)
            if name not in arrays:
                message = f"{file}: has no array named {name!r}; it has {sorted(arrays)}"
                raise DataError(message)
            try:
                columns[name] = _column(arrays[name], port)
            except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
                message = f"{file}: {name!r} {error}"
                raise DataError(message) from None
    counts = {name: len(column) for name, column in columns.items() if column is not None}
    most = max(counts.values(), default=1)
    for name, count in counts.items():
        if count not in {1, most} or (count == 1 and not _is_common(columns[name], most)):
            other = next(key for key, value in counts.items() if value == most)
            message = f"{file}: {name!r} has {count} samples, {other!r} has {most}"
            raise DataError(message)
    return [
        {name: column[min(i, len(column) - 1)] for name, column in columns.items()}
        for i in range(min(most, MOST_OF_ONE_SHAPE))
    ]


def batch_of(data: Sequence[Sample], first: int, batch_size: int) -> Sample:
    """A request's input: `batch_size` samples from number `first` on, along the first axis.

    An input without axes has no room for several: it keeps the first one's value.
    """
    return joined([data[(first + i) % len(data)] for i in range(batch_size)])


def joined(chosen: Sequence[Sample]) -> Sample:
    """These samples as one request."""
    if len(chosen) == 1:
        return chosen[0]
    return {
        name: np.concatenate([sample[name] for sample in chosen]) if values.ndim else values
        for name, values in chosen[0].items()
    }


def shapes_of(sample: Sample) -> dict[str, tuple[int, ...]]:
    """By input name."""
    return {name: array.shape for name, array in sample.items()}


def tensors_of(ports: Sequence[Any], sample: Sample) -> list[ov.Tensor]:
    """A tensor for each input, in their order."""
    return [encode(sample[input_name(port)], port.get_element_type()) for port in ports]


def _random(generator: np.random.Generator, port: Any, kind: str) -> np.ndarray:
    shape, element_type = list(port.get_shape()), port.get_element_type()
    dtype = dtype_of(element_type)
    if element_type == ov.Type.string:
        return generator.choice(_WORDS, shape)
    if np.issubdtype(dtype, np.floating):
        values = generator.random(shape, dtype=np.float32)
        if kind == "normal":
            values = generator.standard_normal(shape, dtype=np.float32)
        elif kind == "wide":
            values *= 255
        return values.astype(dtype)
    if kind == "wide" and element_type in {ov.Type.u8, ov.Type.i8}:  # pixels
        return generator.integers(*_INT8[element_type], shape).astype(dtype)
    # Small whole numbers are valid token ids, masks and pixels alike.
    return generator.integers(0, 2, shape).astype(dtype)


_INT8 = {ov.Type.u8: (0, 256), ov.Type.i8: (-128, 128)}


@contextlib.contextmanager
def _arrays(file: Path, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of a file by name; a .npy file holds that of the only input."""
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(file.open("rb"))
            loaded = np.load(stream, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            reason = getattr(error, "strerror", None) or error
            message = f"{file}: is no .npz or .npy file of plain arrays: {reason}"
            raise DataError(message) from None
        if not isinstance(loaded, np.ndarray):
            yield stack.enter_context(loaded)
        elif len(names) == 1:
            yield {names[0]: loaded}
        else:
            listed = ", ".join(names)
            message = (
                f"{file}: a .npy file has one array, and the model has {len(names)} inputs; "
                f"write a .npz file with one for each: {listed}"
            )
            raise DataError(message)


def _column(array: np.ndarray, port: Any) -> list[np.ndarray]:
    """An array cut into samples; the message goes on after the array's name."""
    shape, element_type = tuple(port.get_shape()), port.get_element_type()
    array = converted(array, element_type)
    size = int(np.prod(shape))
    if size == 1 and array.ndim == 0:  # one value for all samples
        return [array.reshape(shape)]
    if not shape:
        if array.ndim != 1 or not array.size:
            message = (
                f"has the shape {array.shape}, the model takes a scalar: give one for all samples, "
                "or one for each"
            )
            raise ValueError(message)
        return [value.reshape(()) for value in array]
    if 0 in shape and array.shape == shape:  # a past of length 0: there is nothing in it to differ
        return [array]
    fits = array.ndim == len(shape) and array.shape[1:] == shape[1:] and shape[0] > 0
    if not fits or not array.shape[0] or array.shape[0] % shape[0]:
        message = f"has the shape {array.shape}, the model takes {shape}"
        raise ValueError(message)
    return [np.ascontiguousarray(p) for p in np.split(array, array.shape[0] // shape[0])]


def _is_common(column: Sequence[np.ndarray], most: int) -> bool:
    """Whether one sample stands for all: a single value, or nothing."""
    return most == 1 or column[0].size <= 1


def converted(array: np.ndarray, kind: ov.Type) -> np.ndarray:
    """The array in the type in which values of an element type are written.

    Raises:
        ValueError: a value would become another one.
    """
    wanted = dtype_of(kind)
    if kind == ov.Type.string:
        if array.dtype.kind not in "US":
            message = f"has values of the type {array.dtype}, the model takes strings"
            raise ValueError(message)
        return array if array.dtype.kind == "U" else np.char.decode(array, "utf-8")
    if array.dtype.kind not in "biuf":
        message = f"has values of the type {array.dtype}, the model takes {kind.get_type_name()}"
        raise ValueError(message)
    with np.errstate(all="ignore"):
        found = array.astype(wanted, copy=False)
    span = limits(kind)
    if wanted.kind == "f":
        is_same = bool((np.isfinite(found) == np.isfinite(array)).all())
    else:
        is_same = bool((found == array).all()) and (
            span is None or not found.size or (found.min() >= span[0] and found.max() <= span[1])
        )
    if not is_same:
        least, largest = np.nanmin(array), np.nanmax(array)
        message = (
            f"has values from {least:g} to {largest:g} that {kind.get_type_name()}, "
            "which the model takes, cannot hold"
        )
        raise ValueError(message)
    return found
