"""Samples that were read, and the plain .npz file in which they go from process to process."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import SourceError

_HEADER = "gathered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The user's samples, in their order."""

    samples: list[dict[str, np.ndarray[Any, Any]]]
    """One item each, by input name; each has every input."""
    names: list[str]
    """Where each came from: a file's name, a line, a number."""
    notes: list[str] = field(default_factory=list)
    """What the user should know: what was skipped, how much of the data is used."""


def save(path: Path, gathered: Gathered) -> None:
    """Write it; text as NumPy's fixed-width strings, nothing pickled.

    Raises:
        OSError: the file cannot be written.
        ValueError: a sample holds Python objects.
    """
    inputs = list(gathered.samples[0]) if gathered.samples else []
    header = {"inputs": inputs, "names": gathered.names, "notes": gathered.notes}
    # Bytes of JSON: strings of NumPy's lose NULs at their end, and names may hold anything.
    content = {_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for number, sample in enumerate(gathered.samples):
        for place, name in enumerate(inputs):
            content[f"{number}_{place}"] = sample[name]
    with path.open("wb") as file:  # a stream, as savez would add .npz to a name
        np.savez(file, allow_pickle=False, **content)


def load(path: Path) -> Gathered:
    """What `save` wrote.

    Raises:
        SourceError: it cannot be read, or is something else.
    """
    try:
        # Opened here: what NumPy opens by itself it leaves open where the file is broken.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            header = json.loads(content[_HEADER].tobytes())
            return Gathered(
                samples=[
                    {name: content[f"{i}_{j}"] for j, name in enumerate(header["inputs"])}
                    for i in range(len(header["names"]))
                ],
                names=list(header["names"]),
                notes=list(header["notes"]),
            )
    except Exception as error:  # noqa: BLE001 - whatever a broken file makes NumPy raise
        message = f"{path}: holds no samples that were gathered: {error}; delete it, and begin anew"
        raise SourceError(message) from None
