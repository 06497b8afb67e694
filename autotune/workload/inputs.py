"""Where the samples come from that a model is fed with."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

MOST_SAMPLES = 64
"""So many are used where nothing else is said."""
MOST_OF_ONE_SHAPE = 16
"""Of tensors that have one shape, as many are fed and looked at."""


class Source(StrEnum):
    """What samples are read from."""

    ARRAYS = "arrays"  # .npz and .npy files
    IMAGES = "images"  # a folder of pictures
    SOUNDS = "sounds"  # a folder of .wav files
    TEXT = "text"  # lines of text, through a tokenizer
    FUNCTION = "function"  # a function that yields dictionaries of arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The user's own data."""

    source: Source
    files: tuple[Path, ...] = ()
    """Absolute: the files, or the one folder; the file of the function."""
    function: str = ""
    """The function's name in its file; for text, that of the tokenizer."""
    function_file: Path | None = None
    """Absolute: where that function is; None without one."""
    folder: Path | None = None
    """Absolute: the study's, which is on the path while the function runs; None without one."""
    most: int = MOST_SAMPLES
    """So many samples are used."""
    memory_bytes: int = 4 * 10**9
    """So much memory may be taken to read them."""

    @property
    def runs_code(self) -> bool:
        """Whether something of the study's own runs."""
        return bool(self.function)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {
            "source": str(self.source),
            "files": [str(file) for file in self.files],
            "function": self.function,
            "function_file": None if self.function_file is None else str(self.function_file),
            "folder": None if self.folder is None else str(self.folder),
            "most": self.most,
            "memory_bytes": self.memory_bytes,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Inputs":
        """What `to_dict` gave."""
        file, folder = values["function_file"], values["folder"]
        return cls(
            source=Source(values["source"]),
            files=tuple(Path(file) for file in values["files"]),
            function=values["function"],
            function_file=None if file is None else Path(file),
            folder=None if folder is None else Path(folder),
            most=values["most"],
            memory_bytes=values["memory_bytes"],
        )


@dataclass(frozen=True, slots=True)
class Range:
    """Values of random data: from `low` to `high`, both included for whole numbers."""

    low: float
    high: float
