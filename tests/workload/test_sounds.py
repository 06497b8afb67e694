"""Samples from folders of .wav files."""

import io
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import SourceError
from autotune.workload.gathered import Gathered
from autotune.workload.inputs import Source
from autotune.workload.sources import read
from autotune.workload.sources.sounds import decode_sound
from tests.workload.builders import of_files, port


def written(levels: np.ndarray[Any, Any], width: int, rate: int = 16000) -> bytes:
    """Frames × channels of whole numbers from -1 to 1 (excluded), by the standard library."""
    largest = 2 ** (8 * width - 1)
    whole = np.round(levels * largest).astype(np.int64).clip(-largest, largest - 1)
    if width == 1:
        data = (whole + 128).astype(np.uint8).tobytes()
    else:
        data = whole.astype("<i8").reshape(-1, 1).view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(levels.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return stream.getvalue()


def riff(kind: int, bits: int, channels: int, data: bytes, more: bytes = b"") -> bytes:
    """A file whose format the standard library does not write."""
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, 8000, 8000 * frame, frame, bits) + more
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # of odd size, so that it is padded
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sounds(folder: Path, ports: Any = (), most: int = 64) -> Gathered:
    """What is read."""
    return read(of_files(Source.SOUNDS, folder, most=most), ports or [port()])


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_and_number_of_channels(width: int, channels: int) -> None:
    """As near as the width is fine; the ends are -1 and just below 1."""
    levels = np.linspace(-1, 1, 40).reshape(-1, 1) * np.linspace(1, 0.3, channels)
    values, rate = decode_sound(written(levels, width))
    assert rate == 16000
    assert values.dtype == np.float32
    assert values.shape == ((40,) if channels == 1 else (channels, 40))
    step = max(1 / 2 ** (8 * width - 1), 2**-24)  # that of f32 is coarser than 32 bits
    assert np.abs(values.reshape(channels, 40).T - levels).max() <= 1.01 * step
    assert values.min() == -1


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("is_extensible", [False, True])
def test_floating_point_comes_as_it_is(width: int, is_extensible: bool) -> None:
    """Also where the format is named in the extension."""
    levels = np.array([[-1.5, 0.25], [0.5, 1.0]])
    more = struct.pack("<HHIH", 22, 8 * width, 3, 3) + bytes(14) if is_extensible else b""
    kind = 0xFFFE if is_extensible else 3
    values, _ = decode_sound(riff(kind, 8 * width, 2, levels.astype(f"<f{width}").tobytes(), more))
    assert values.tolist() == levels.T.tolist()


def test_a_sound_from_a_pipe_ends_with_its_file() -> None:
    """Whoever wrote it did not know its length."""
    content = bytearray(written(np.zeros((10, 1)), 2))
    content[40:44] = b"\xff\xff\xff\xff"
    assert decode_sound(bytes(content))[0].shape == (10,)


BROKEN = {
    "empty": b"",
    "text": b"hello, this is no sound at all",
    "no chunks": b"RIFF\4\0\0\0WAVE",
    "cut": written(np.zeros((100, 2)), 2)[:-50],
    "cut format": b"RIFF\x18\0\0\0WAVEfmt \4\0\0\0\1\0\1\0data\0\0\0\0",
    "no frames": written(np.zeros((0, 1)), 2),
    "mu-law": riff(7, 8, 1, bytes(10)),
    "12 bits": riff(1, 12, 1, bytes(10)),
    "40 bits": riff(1, 40, 1, bytes(10)),
    "no channels": riff(1, 16, 0, bytes(10)),
    "no numbers": riff(3, 32, 1, np.array([np.nan, 1], "<f4").tobytes()),
    "too large": riff(3, 64, 1, np.array([1e300], "<f8").tobytes()),
}


def test_what_does_not_decode_is_named_and_skipped(tmp_path: Path) -> None:
    """With a count and each reason, an error where nothing is left."""
    for name, content in BROKEN.items():
        (tmp_path / f"{name}.wav").write_bytes(content)
    with pytest.raises(SourceError, match=f"none of {len(BROKEN)} sounds decodes: ") as caught:
        sounds(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "z.WAV").write_bytes(written(np.zeros((5, 1)), 2, 8000))
    found = sounds(tmp_path)
    assert found.names == ["z.WAV"]
    (note,) = found.notes
    assert note.startswith(f"{len(BROKEN)} of {len(BROKEN) + 1} sounds do not decode and were")


@pytest.mark.parametrize("name", BROKEN)
def test_every_fault_has_a_reason(name: str) -> None:
    """In words."""
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        decode_sound(BROKEN[name])


@given(st.binary(max_size=60), st.integers(0, 43))
def test_any_bytes_are_a_sound_or_a_reason(change: bytes, place: int) -> None:
    """Whatever stands in the header."""
    content = bytearray(written(np.zeros((9, 2)), 2))
    content[place : place + len(change)] = change
    try:
        values, _ = decode_sound(bytes(content))
    except ValueError:
        return
    assert np.isfinite(values).all()


def test_rates_that_differ_are_said(tmp_path: Path) -> None:
    """Nothing is resampled, which a model may mind."""
    (tmp_path / "a.wav").write_bytes(written(np.zeros((5, 1)), 2, 8000))
    (tmp_path / "b.wav").write_bytes(written(np.zeros((7, 2)), 2, 16000))
    found = sounds(tmp_path)
    assert [one["x"].shape for one in found.samples] == [(5,), (2, 7)]
    assert found.notes == ["the sounds have 8,000, 16,000 frames a second: nothing is resampled"]
    with pytest.raises(SourceError, match="sounds feed one input, and the model has 2: x, sr"):
        sounds(tmp_path, ports=[port(), port("sr")])
