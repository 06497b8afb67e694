"""What each sample is answered alone, kept beside the reference for those who compare with it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autotune.worker.files import of_any_size
from autotune.worker.parts import Answer, Part


def save_own_answers(reference: Path, answers: Sequence[Answer]) -> None:
    """One answer for each sample: of a mix in its own shape, of a sequence in its place.

    Args:
        reference: the file that they lie beside.
        answers: in the order of the samples.
    """
    arrays = {
        f"{i}_{j}": part.values for i, answer in enumerate(answers) for j, part in enumerate(answer)
    }
    shapes = json.dumps([[list(part.shape) for part in answer] for answer in answers])
    with of_any_size(), _beside(reference).open("wb") as file:
        np.savez(file, shapes=np.frombuffer(shapes.encode(), np.uint8), **arrays)  # type: ignore[arg-type]  # its stub types one


def load_own_answers(reference: Path) -> list[Answer]:
    """What `save_own_answers` wrote beside it."""
    with np.load(_beside(reference), allow_pickle=False) as arrays:
        shapes = json.loads(arrays["shapes"].tobytes())
        return [
            [Part(tuple(shape), arrays[f"{i}_{j}"]) for j, shape in enumerate(answer)]
            for i, answer in enumerate(shapes)
        ]


def _beside(reference: Path) -> Path:
    return reference.with_name(f"{reference.name}.own.npz")
