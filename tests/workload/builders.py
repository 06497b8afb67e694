"""Inputs, ports and files of tests."""

from pathlib import Path
from typing import Any

import numpy as np

from autotune.workload.inputs import Inputs, Source
from autotune.workload.ports import PortFacts


def port(
    name: str = "x",
    shape: tuple[int | None, ...] | None = (None, None),
    dtype: Any = np.float32,
    **more: Any,
) -> PortFacts:
    """An input of a model."""
    return PortFacts(name=name, dtype=np.dtype(dtype), shape=shape, **more)


IMAGE = port("image", None, np.uint8, image_layout="HWC")
"""An input that is fed with images to be prepared."""


def of_files(source: Source, *files: Path, most: int = 64) -> Inputs:
    """Of data files."""
    return Inputs(source=source, files=files, most=most)


def of_code(
    folder: Path, code: str, name: str = "samples.py", function: str = "f", most: int = 64
) -> Inputs:
    """Of a function in a file that is written here."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code, encoding="utf-8")
    return Inputs(
        source=Source.FUNCTION,
        function=function,
        function_file=file,
        folder=folder,
        most=most,
    )


def of_text(folder: Path, text: str | bytes, code: str, most: int = 64) -> Inputs:
    """Of lines, and a tokenizer `f` that is written here."""
    file = folder / "lines.txt"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    made = of_code(folder, code, "tok.py", most=most)
    return Inputs(
        source=Source.TEXT,
        files=(file,),
        function=made.function,
        function_file=made.function_file,
        folder=folder,
        most=most,
    )


def saved(file: Path, **arrays: Any) -> Path:
    """An .npz file."""
    np.savez(file, **arrays)
    return file
