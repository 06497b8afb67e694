"""What inspection found out about a model's answers, in a file that later workers read."""

import bisect
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import openvino as ov

from autotune.domain.answers import Yardstick
from autotune.worker.answers import deviation
from autotune.worker.files import of_any_size
from autotune.worker.inputs import Sample, from_file, made
from autotune.worker.parts import MOST_VALUES, Answer, Part, narrowed

GIVEN = "given"
"""The kind of the user's own data, beside `inputs.KINDS`."""
RANDOM = "its answers differ from run to run"
"""Why nothing can be shown of a model that is not deterministic."""
MOST_BYTES = 64 * 2**20
"""Of all values in the file: of each output, sample, kind of data and run as many as this has room
for. Every worker reads its share, several at once in a race."""
LEAST_VALUES = 512
"""Of an output as many are kept, however many outputs there are."""


@dataclass(frozen=True, slots=True)
class Run:
    """Answers at batch 1 of one device and precision."""

    device: str
    requested: str
    """Precision as asked for; empty for what the runtime chooses by itself."""
    arithmetic: str
    """The precision that was used."""
    answers: Sequence[Sequence[Answer]]
    """For each kind of data, for each of its samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceAnswers:
    """Answers to compare with, and what is known to be in doubt."""

    kinds: tuple[str, ...]
    """Kinds of data of the answers: as few as show what can be shown."""
    runs: tuple[Run, ...]
    """The first is the most exact: f32 on the device at home, or what that uses by itself."""
    is_deterministic: bool
    why_no_batch: str | None
    """Why the model cannot be batched: what has a batch is wrong, or was not looked at."""
    unproven_batch: str | None
    """Why a batch could not be shown to give the answers of single requests."""
    silent: str | None
    """Why no comparison of answers would show anything."""
    yardsticks: tuple[Yardstick, ...]
    """For each kind of data, how far a precision or device may be from the exact answers."""
    untrusted: dict[str, str]
    """Why the answers of a run are in doubt, by its `run_key`."""

    @property
    def exact(self) -> Run:
        """The answers that all others are judged by."""
        return self.runs[0]

    def run(self, device: str, arithmetic: str) -> Run | None:
        """Of this device and precision: asked for, or used by itself where the device tells."""
        mine = [run for run in self.runs if run.device == device]
        named = [run for run in mine if run.requested == arithmetic]
        return next(iter([*named, *(run for run in mine if run.arithmetic == arithmetic)]), None)

    def of_kind(self, name: str) -> "ReferenceAnswers":
        """What is known by one kind of data alone.

        Raises:
            ValueError: there is no such kind.
        """
        at = self.kinds.index(name)
        runs = (dataclasses.replace(run, answers=_OneKind(run.answers, at)) for run in self.runs)
        return dataclasses.replace(
            self, kinds=(name,), runs=tuple(runs), yardsticks=(self.yardsticks[at],)
        )

    def unproven_precisions(self) -> dict[str, dict[str, str]]:
        """By device and precision, why the answers of the run that stands for them are in doubt."""
        found: dict[str, dict[str, str]] = {}
        for one in self.runs:
            for arithmetic in dict.fromkeys((one.requested, one.arithmetic)):
                run = self.run(one.device, arithmetic) or one
                why = self.untrusted.get(run_key(run.device, run.requested))
                if why is not None:
                    found.setdefault(one.device, {})[arithmetic] = why
        return found


class _OneKind(Sequence[Sequence[Answer]]):
    """Answers of one kind of data, read when they are first looked at."""

    def __init__(self, answers: Sequence[Sequence[Answer]], at: int) -> None:
        self._answers = answers
        self._at = at

    @overload
    def __getitem__(self, index: int) -> Sequence[Answer]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[Answer]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[Any]:
        return [self._answers[self._at]][index]

    def __len__(self) -> int:
        return 1


def run_key(device: str, requested: str) -> str:
    """Names a run in a file."""
    return f"{device}|{requested}"


def errors_of(run: Run, exact: Run) -> list[float | None]:
    """The deviation on each kind of data, as `deviation`.

    Of what was kept of the exact answers: those of a file may be fewer values.
    """
    return [
        deviation([_as_kept(*pair) for pair in zip(a, b, strict=True)], b)
        for a, b in zip(run.answers, exact.answers, strict=True)
    ]


def _as_kept(found: Answer, exact: Answer) -> Answer:
    """An answer with as many values of each output as the exact one has."""
    return [
        narrowed(part, other.values.size) if part.shape == other.shape else part
        for part, other in zip(found, exact, strict=True)
    ]


def probes(network: ov.Model, file: Path | None, kinds: Sequence[str]) -> list[list[Sample]]:
    """The samples of each kind, for a statically shaped model at batch 1.

    Raises:
        ValueError: the file does not fit the model.
    """
    found = []
    for kind in kinds:
        if kind == GIVEN and file is not None:
            found.append(from_file(network, file))
        else:
            found.append(made(network, kind))
    return found


def save_reference(path: Path, reference: ReferenceAnswers) -> None:
    """Write it, whatever the limit on a worker's files: that one is there for logs."""
    parts = {
        (r, k, i, j): part
        for r, run in enumerate(reference.runs)
        for k, group in enumerate(run.answers)
        for i, answer in enumerate(group)
        for j, part in enumerate(answer)
    }
    most = _room(list(parts.values()))
    arrays = {_name(*place): narrowed(part, most).values for place, part in parts.items()}
    shapes = [[*place, list(part.shape)] for place, part in parts.items()]
    values = {
        field.name: getattr(reference, field.name)
        for field in dataclasses.fields(reference)
        if field.name not in {"runs", "yardsticks"}
    }
    values["yardsticks"] = [dataclasses.astuple(one) for one in reference.yardsticks]
    runs = [[run.device, run.requested, run.arithmetic] for run in reference.runs]
    meta = json.dumps({**values, "runs": runs, "shapes": shapes})
    with of_any_size():
        np.savez(path, meta=np.array(meta), **arrays)  # type: ignore[arg-type]


def _room(parts: Sequence[Part]) -> int:
    """How many values of each output there is room for; outputs with fewer leave theirs."""

    def total(most: int) -> int:
        return sum(min(p.values.size, most) * p.values.itemsize for p in parts)

    fitting = bisect.bisect_right(range(MOST_VALUES + 1), MOST_BYTES, key=total) - 1
    return max(LEAST_VALUES, fitting)


def _name(*place: int) -> str:
    """Of the array of a run, kind, sample and output."""
    return "v" + "_".join(str(number) for number in place)


def load_reference(path: Path) -> ReferenceAnswers:
    """What `save_reference` wrote; the answers of a run are read when they are first looked at."""
    with np.load(path, allow_pickle=False) as arrays:
        meta = json.loads(str(arrays["meta"]))
    shapes = meta.pop("shapes")
    runs = [
        Run(device, requested, arithmetic, _Stored(path, len(meta["kinds"]), r, shapes))
        for r, (device, requested, arithmetic) in enumerate(meta.pop("runs"))
    ]
    return ReferenceAnswers(
        kinds=tuple(meta.pop("kinds")),
        runs=tuple(runs),
        yardsticks=tuple(Yardstick(*one) for one in meta.pop("yardsticks")),
        **meta,
    )


class _Stored(Sequence[Sequence[Answer]]):
    """Answers of a run in a file: a worker compares with one run of many, and keeps no other."""

    def __init__(self, path: Path, kinds: int, run: int, shapes: Sequence[Any]) -> None:
        self._path = path
        self._kinds = kinds
        self._run = run
        self._shapes = shapes
        """Run, kind, sample, output and shape of every array, in that order."""

    @cached_property
    def _answers(self) -> list[list[list[Part]]]:
        found: list[list[list[Part]]] = [[] for _ in range(self._kinds)]
        with np.load(self._path, allow_pickle=False) as arrays:
            for r, k, i, j, shape in self._shapes:
                if r != self._run:
                    continue
                if i == len(found[k]):
                    found[k].append([])
                found[k][i].append(Part(tuple(shape), arrays[_name(r, k, i, j)]))
        return found

    @overload
    def __getitem__(self, index: int) -> Sequence[Answer]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[Answer]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[Any]:
        return self._answers[index]

    def __len__(self) -> int:
        return self._kinds
