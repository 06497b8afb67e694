"""A workload as one worker read it and all others find it: samples, their mix, and what is said."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from autotune.worker.files import of_any_size
from autotune.worker.inputs import Sample
from autotune.workload.gathered import Gathered, load, save
from autotune.workload.mix import Mix
from autotune.workload.preprocessing import Preprocessing
from autotune.workload.workload import States


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadData:
    """What a model is asked."""

    samples: Sequence[Sample]
    """One item each: of a mix each in its own shape, of images as they come, with a batch of one
    before them."""
    weights: Sequence[float]
    """How often each is asked, relative to the others."""
    mix: Mix | None = None
    """None where all have one shape."""
    preprocessing: Preprocessing | None = None
    states: States | None = None
    is_random: bool = False
    ranged: tuple[str, ...] = ()
    """Inputs of random data whose range was said."""
    notes: tuple[str, ...] = ()
    """What the user should know of the samples."""
    images_vary: bool = False
    """Whether what is to be prepared comes in several sizes."""


class StoredSamples(Sequence[Sample]):
    """Samples in a file, read when one is first looked at.

    Not everybody who is told of them feeds them, and they count as memory of the process.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._path = path
        self._count = count

    @cached_property
    def _samples(self) -> list[Sample]:
        return load(self._path).samples

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._samples[index]

    def __len__(self) -> int:
        return self._count


def static_file(samples: Path) -> Path:
    """Where samples of one shape lie, as the model takes them: as `[model] inputs` may name one."""
    return samples.with_name(f"{samples.name}.static.npz")


def save_asked(path: Path, asked: WorkloadData) -> None:
    """Write it, and what is said beside the samples."""
    names = [str(number) for number in range(len(asked.samples))]
    with of_any_size():
        save(path, Gathered(samples=list(asked.samples), names=names))
    said: dict[str, Any] = {
        "weights": list(asked.weights),
        "mix": None if asked.mix is None else asked.mix.to_dict(),
        "preprocessing": None if asked.preprocessing is None else asked.preprocessing.to_dict(),
        "states": asked.states,
        "is_random": asked.is_random,
        "ranged": list(asked.ranged),
        "notes": list(asked.notes),
        "images_vary": asked.images_vary,
    }
    _said(path).write_text(json.dumps(said), encoding="utf-8")


def load_asked(path: Path) -> WorkloadData:
    """What `save_asked` wrote.

    Raises:
        OSError, ValueError: it is not there any more.
    """
    said = json.loads(_said(path).read_text(encoding="utf-8"))
    mix, prepared, states = said["mix"], said["preprocessing"], said["states"]
    return WorkloadData(
        samples=StoredSamples(path, len(said["weights"])),
        weights=said["weights"],
        mix=None if mix is None else Mix.from_dict(mix),
        preprocessing=None if prepared is None else Preprocessing.from_dict(prepared),
        states=None if states is None else States(states),
        is_random=said["is_random"],
        ranged=tuple(said["ranged"]),
        notes=tuple(said["notes"]),
        images_vary=said["images_vary"],
    )


def save_static(path: Path, samples: Sequence[Sample]) -> None:
    """Samples of one shape, along the first axis; a scalar for each where there is no axis."""
    columns = {name: [sample[name] for sample in samples] for name in samples[0]}
    stacked: dict[str, Any] = {
        name: np.concatenate(values) if values[0].ndim else np.stack(values)
        for name, values in columns.items()
    }
    with of_any_size(), path.open("wb") as file:  # a stream: savez would add an ending to a name
        np.savez(file, **stacked)


def _said(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
