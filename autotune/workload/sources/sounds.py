"""Samples of a folder of .wav files, as numbers from -1 to 1.

RIFF is read here and not by the standard library's `wave`: that one knows no floating point, and
gives what is cut off as if it were whole. Layout of the chunks: Microsoft, "Multiple channel audio
data and WAVE files" (WAVEFORMATEX, WAVEFORMATEXTENSIBLE).
"""

import struct
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import SourceError
from autotune.workload.inputs import Inputs
from autotune.workload.listing import looked_at
from autotune.workload.ports import PortFacts
from autotune.workload.sources.found import Found, decoded, only_input
from autotune.workload.words import shown

_Array = np.ndarray[Any, Any]
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNTIL_THE_END = 0xFFFFFFFF
"""Size of what was written into a pipe."""


def samples(inputs: Inputs, ports: Sequence[PortFacts], notes: list[str]) -> Generator[Found]:
    """Each sound as float32: frames of one channel, channels × frames of several.

    Raises:
        SourceError: there are no sounds, or none decodes; the model has several inputs.
    """
    port = only_input(ports, "sounds")
    files = looked_at(inputs)
    if not files:
        where = ", ".join(shown(path) for path in inputs.files)
        raise SourceError(f"{where}: has no .wav files; folders in it are not looked into")
    rates: set[int] = set()

    def decode(file: Path) -> _Array:
        values, rate = decode_sound(file.read_bytes())
        rates.add(rate)
        return values

    try:
        for name, values in decoded(inputs, decode, "sounds", notes):
            yield name, {port.name: values}
    finally:
        if len(rates) > 1:
            listed = ", ".join(f"{rate:,}" for rate in sorted(rates))
            notes.append(f"the sounds have {listed} frames a second: nothing is resampled")


def decode_sound(content: bytes) -> tuple[_Array, int]:
    """A sound, and its frames a second.

    Raises:
        ValueError: with the reason why it does not decode.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("it does not begin as a .wav file")
    chunks = _chunks(content)
    if b"fmt " not in chunks or b"data" not in chunks:
        raise ValueError("it has no format or no sound in it")
    form = chunks[b"fmt "]
    if len(form) < 16:
        raise ValueError("its format is cut off")
    kind, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", form)
    if kind == _EXTENSIBLE and len(form) >= 26:
        (kind,) = struct.unpack_from("<H", form, 24)
    width = bits // 8
    if not channels or bits % 8 or frame_bytes != channels * width:
        raise ValueError(f"its format contradicts itself: {channels} channels of {bits} bits")
    data = chunks[b"data"]
    frames = len(data) // frame_bytes if frame_bytes else 0
    if not frames:
        raise ValueError("it has no frames")
    values = _values(data[: frames * frame_bytes], kind, width).reshape(frames, channels).T
    if not np.isfinite(values).all():
        raise ValueError("it has values that are no numbers")
    return np.array(values[0] if channels == 1 else values, np.float32, order="C"), rate


def _chunks(content: bytes) -> dict[bytes, bytes]:
    """The first chunk of each name."""
    found: dict[bytes, bytes] = {}
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        place += 8
        if name == b"data" and size == _UNTIL_THE_END:
            size = len(content) - place
        if name == b"data" and place + size > len(content):
            raise ValueError(
                f"it is cut off: {size:,} bytes of sound are promised, "
                f"{len(content) - place:,} are there"
            )
        found.setdefault(name, content[place : place + size])
        place += size + size % 2
    return found


def _values(data: bytes, kind: int, width: int) -> _Array:
    if kind == _FLOAT and width in {4, 8}:
        with np.errstate(over="ignore"):
            return np.frombuffer(data, f"<f{width}").astype(np.float32)
    if kind != _PCM or width not in {1, 2, 3, 4}:
        raise ValueError(f"format {kind} with {8 * width} bits is not read: convert it to PCM")
    if width == 1:  # the only one without a sign
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        bytes_ = np.zeros((len(data) // 3, 4), np.uint8)
        bytes_[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        whole: _Array = bytes_.view("<i4").ravel()  # 2^8 times as large
    else:
        whole = np.frombuffer(data, f"<i{width}")
    return (whole / 2.0 ** (8 * (4 if width == 3 else width) - 1)).astype(np.float32)
