"""Answers of the model as it was given, kept for all that is held to them."""

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autotune.worker.files import of_any_size
from autotune.workload.metrics import Outputs

MOST_BYTES = 512 * 2**20
"""Of larger ones each variant pays the time instead of the disk."""


def given_answers(
    samples: Path, numbers: Sequence[int], ask: Callable[[], list[Outputs]]
) -> list[Outputs]:
    """Answers to these samples: the kept ones, or else those that are asked for, and then kept.

    Args:
        samples: the file of the samples, beside which they are kept.
        numbers: which of them.
        ask: asks the model.
    """
    file = _file(samples)
    found = _kept(file, numbers)
    if found is None:
        found = ask()
        if sum(array.nbytes for one in found for array in one.values()) <= MOST_BYTES:
            _keep(file, numbers, found)
    return found


def forget_answers(samples: Path) -> None:
    """Those to samples that are about to be others, as a session that was killed left them."""
    _file(samples).unlink(missing_ok=True)


def _file(samples: Path) -> Path:
    return samples.with_name(f"{samples.name}.answers.npz")


def _keep(file: Path, numbers: Sequence[int], answers: Sequence[Outputs]) -> None:
    told = {"numbers": list(numbers), "names": [list(one) for one in answers]}
    arrays: dict[str, Any] = {
        f"v{place}_{index}": array
        for place, one in enumerate(answers)
        for index, array in enumerate(one.values())
    }
    part = file.with_name(f"{file.name}.part")
    with of_any_size():
        with part.open("wb") as stream:
            np.savez(stream, told=np.array(json.dumps(told)), **arrays)
        part.replace(file)


def _kept(file: Path, numbers: Sequence[int]) -> list[Outputs] | None:
    """None where there are none, or of other samples."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            told = json.loads(str(arrays["told"]))
            places = {number: place for place, number in enumerate(told["numbers"])}
            if not set(numbers) <= set(places):
                return None
            return [
                {
                    name: arrays[f"v{places[number]}_{index}"]
                    for index, name in enumerate(told["names"][places[number]])
                }
                for number in numbers
            ]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
