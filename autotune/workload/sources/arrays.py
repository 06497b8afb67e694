"""Samples of .npz files with an array for each input, or of .npy files for the only input."""

import contextlib
import zipfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from autotune.errors import SourceError
from autotune.workload.inputs import Inputs
from autotune.workload.listing import SUFFIXES, files_of, why_unreadable
from autotune.workload.ports import PortFacts, names_of
from autotune.workload.sources.found import Found, note_unknown
from autotune.workload.words import listed, one_line, shown

_Array = np.ndarray[Any, Any]
_NPY, _ZIP = b"\x93NUMPY", (b"PK\x03\x04", b"PK\x05\x06")


def samples(inputs: Inputs, ports: Sequence[PortFacts], notes: list[str]) -> Generator[Found]:
    """Samples lie along the first axis of each array, and keep it.

    Several files are for samples of different shapes: each has one shape, of one or more samples.

    Raises:
        SourceError: with the file, the array, and what the model takes.
    """
    files = files_of(inputs.files, SUFFIXES[inputs.source])
    unknown: set[str] = set()
    given, known, opened = 0, 0, 0
    try:
        for file in files:
            opened += 1
            columns = _columns(file, ports, unknown)
            count = max(len(column) for column in columns.values())
            known += count
            for i in range(count):
                name = shown(file.name) + (f", sample {i + 1}" if count > 1 else "")
                given += 1
                yield (
                    name,
                    {key: np.array(one[min(i, len(one) - 1)]) for key, one in columns.items()},
                )
    finally:
        note_unknown(unknown, ports, notes)
        if given < known or opened < len(files):
            whole = f"{known:,}" if opened == len(files) else f"{known:,} or more"
            notes.append(f"{given:,} of {whole} samples are used")


def _columns(file: Path, ports: Sequence[PortFacts], unknown: set[str]) -> dict[str, list[_Array]]:
    """The samples of each input: as many of each, or one for all."""
    columns = {}
    with _arrays(file, ports) as arrays:
        for port in ports:
            if port.name not in arrays:
                raise SourceError(
                    f"{shown(file)}: has no array named {shown(port.name)!r}; "
                    f"it has {listed(sorted(map(shown, arrays)), most=12) or 'none'}; "
                    f"the model takes {names_of(ports)}"
                )
            try:
                columns[port.name] = _column(_plain(arrays, port.name), port)
            except Exception as error:  # noqa: BLE001 - whatever a broken file makes NumPy raise
                said = f"{shown(port.name)!r} {_reason(error)}"
                raise SourceError(f"{shown(file)}: {said}") from None
        unknown |= set(arrays) - set(columns)
    counts = {name: len(column) for name, column in columns.items()}
    most = max(counts.values(), default=1)
    for name, count in counts.items():
        if count not in {1, most} or (count == 1 < most and columns[name][0].size > 1):
            other = next(key for key, value in counts.items() if value == most)
            raise SourceError(
                f"{shown(file)}: {shown(name)!r} has {count} samples, {shown(other)!r} has {most}"
            )
    return columns


@contextlib.contextmanager
def _arrays(file: Path, ports: Sequence[PortFacts]) -> Iterator[Mapping[str, _Array]]:
    """The arrays of a file by name; a .npy file holds that of the only input."""
    why = why_unreadable(file)
    if why is not None:
        raise SourceError(f"{shown(file)}: cannot be read: {why}")
    with contextlib.ExitStack() as stack:
        try:
            loaded = _loaded(stack.enter_context(file.open("rb")))
        except Exception as error:  # noqa: BLE001 - whatever a broken file makes NumPy raise
            said = _reason(error)
            if not said.startswith(("is ", "holds ")):
                said = f"is no .npz or .npy file of plain arrays: {said}"
            raise SourceError(f"{shown(file)}: {said}") from None
        if not isinstance(loaded, np.ndarray):
            yield stack.enter_context(loaded)
        elif len(ports) == 1:
            yield {ports[0].name: loaded}
        else:
            raise SourceError(
                f"{shown(file)}: a .npy file has one array, and the model has {len(ports)} inputs; "
                f"write a .npz file with one for each: {names_of(ports)}"
            )


def _loaded(stream: BinaryIO) -> Any:
    begin = stream.read(len(_NPY))
    if begin != _NPY and not begin.startswith(_ZIP):
        raise ValueError("it begins as neither")
    stream.seek(0)
    return np.load(stream, allow_pickle=False)


def _plain(arrays: Mapping[str, _Array], name: str) -> _Array:
    array = arrays[name]
    if not isinstance(array, np.ndarray):  # a member of a zip that is no array comes as bytes
        raise TypeError("is no array: it is corrupt")
    if array.dtype.kind not in "biufUS":
        raise TypeError(f"has values of the type {array.dtype}; numbers or strings are taken")
    return array


def _reason(error: Exception) -> str:
    """Why a file or an array in it cannot be read, with the way out where there is one."""
    if "allow_pickle" in str(error):
        return (
            "holds pickled Python objects, which are never loaded: save plain arrays, "
            "and samples of different shapes in a file each"
        )
    if isinstance(error, MemoryError):
        return f"is larger than memory: {one_line(str(error))}"
    if isinstance(error, zipfile.BadZipFile | EOFError):
        return f"is corrupt: {one_line(str(error))}"
    return one_line(str(getattr(error, "strerror", None) or error)) or type(error).__name__


def _column(array: _Array, port: PortFacts) -> list[_Array]:
    """An array cut into samples; the message goes on after the array's name."""
    if port.image_layout:
        return _images(array, port)
    shape = port.shape
    if array.ndim == 0 and (shape is None or all(size in {1, None} for size in shape)):
        return [array.reshape((1,) * len(shape or ()))]  # one value for all samples
    if shape == ():
        if array.ndim != 1 or not array.size:
            raise ValueError(
                f"has the shape {array.shape}, the model takes a scalar: give one for all samples, "
                "or one for each"
            )
        return [value.reshape(()) for value in array]
    if shape is None:
        shape = (None,) * array.ndim
    if 0 in shape and array.shape == shape:  # a past of length 0: there is nothing in it to differ
        return [array]
    each = 1 if shape[0] is None else shape[0]
    fits = array.ndim == len(shape) and each > 0 and array.shape[0] > 0
    if not fits or array.shape[0] % each or not _fits(array.shape[1:], shape[1:]):
        is_one = array.ndim == len(shape) - 1 and _fits(array.shape, shape[1:])
        way_out = "; samples lie along the first axis: save array[None]" if is_one else ""
        raise ValueError(f"has the shape {array.shape}, the model takes {_words(shape)}{way_out}")
    return [array[i : i + each] for i in range(0, array.shape[0], each)]


def _images(array: _Array, port: PortFacts) -> list[_Array]:
    if array.ndim == 3:
        return [array]
    if array.ndim == 4 and array.shape[0]:
        return list(array)
    raise ValueError(
        f"has the shape {array.shape}; images that are prepared have the layout "
        f"{port.image_layout}, or N{port.image_layout} for several"
    )


def _fits(found: Sequence[int], wanted: Sequence[int | None]) -> bool:
    pairs = zip(found, wanted, strict=False)
    return len(found) == len(wanted) and all(w in {None, f} for f, w in pairs)


def _words(shape: Sequence[int | None]) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"
