"""Sound as Silero's detector takes it: one piece after the other, in the order of the stream."""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parent / "data"
"""16 kHz, mono, 16 bits; made by studies/make_data.py."""
NEW = 512
"""Values in a piece, 32 ms, before which come the last ones of the piece before it."""
CONTEXT = 64


def chunks() -> Iterator[dict[str, NDArray[np.float32]]]:
    """All pieces of all files, by name, as if these were one stream: input, 1×576, from -1 to 1."""
    context = np.zeros(CONTEXT, np.float32)
    for path in sorted(DATA.glob("*.wav")):
        sound = read(path)
        for start in range(0, len(sound) - NEW + 1, NEW):
            piece = np.concatenate([context, sound[start : start + NEW]])
            context = piece[-CONTEXT:]
            yield {"input": piece[None]}


def read(path: Path) -> NDArray[np.float32]:
    """The values of a file."""
    with wave.open(str(path)) as file:
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return values.astype(np.float32) / np.float32(2**15)
