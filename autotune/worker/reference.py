"""What inspection found out about a model's answers, in a file that later workers read."""

import dataclasses
import json
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from autotune.domain.answers import Yardstick
from autotune.worker.answers import Answer, Part, deviation
from autotune.worker.inputs import Sample, from_file, made

PRECISION = "INFERENCE_PRECISION_HINT"
GIVEN = "given"
"""The kind of the user's own data, beside `inputs.KINDS`."""


@dataclass(frozen=True, slots=True)
class Run:
    """Answers at batch 1 of one device and precision."""

    device: str
    requested: str
    """Precision as asked for; empty for what the runtime chooses by itself."""
    precision: str
    """The precision that was used."""
    answers: Sequence[Sequence[Answer]]
    """For each kind of data, for each of its samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
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

    def run(self, device: str, precision: str) -> Run | None:
        """Of this device and precision: asked for, or used by itself where the device tells."""
        mine = [run for run in self.runs if run.device == device]
        named = [run for run in mine if run.requested == precision]
        return next(iter([*named, *(run for run in mine if run.precision == precision)]), None)

    def unproven_precisions(self) -> dict[str, dict[str, str]]:
        """By device and precision, why the answers of the run that stands for them are in doubt."""
        found: dict[str, dict[str, str]] = {}
        for one in self.runs:
            for precision in dict.fromkeys((one.requested, one.precision)):
                run = self.run(one.device, precision) or one
                why = self.untrusted.get(run_key(run.device, run.requested))
                if why is not None:
                    found.setdefault(one.device, {})[precision] = why
        return found


def run_key(device: str, requested: str) -> str:
    """Names a run in a file."""
    return f"{device}|{requested}"


def errors_of(run: Run, exact: Run) -> list[float | None]:
    """The deviation on each kind of data; None where a value is not finite in only one of them."""
    return [deviation(a, b) for a, b in zip(run.answers, exact.answers, strict=True)]


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


def save_reference(path: Path, reference: Reference) -> None:
    """Write it, whatever the limit on a worker's files: that one is there for logs."""
    arrays: dict[str, np.ndarray] = {}
    shapes: list[Any] = []
    for r, run in enumerate(reference.runs):
        for k, group in enumerate(run.answers):
            for i, answer in enumerate(group):
                for j, part in enumerate(answer):
                    arrays[f"v{len(shapes)}"] = part.values
                    shapes.append([r, k, i, j, list(part.shape)])
    values = {
        field.name: getattr(reference, field.name)
        for field in dataclasses.fields(reference)
        if field.name not in {"runs", "yardsticks"}
    }
    values["yardsticks"] = [dataclasses.astuple(one) for one in reference.yardsticks]
    runs = [[run.device, run.requested, run.precision] for run in reference.runs]
    meta = json.dumps({**values, "runs": runs, "shapes": shapes})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    np.savez(path, meta=np.array(meta), **arrays)  # type: ignore[arg-type]
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def load_reference(path: Path) -> Reference:
    """What `save_reference` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        meta = json.loads(str(arrays["meta"]))
        answers: list[list[list[list[Part]]]] = [[[] for _ in meta["kinds"]] for _ in meta["runs"]]
        for number, (r, k, i, _, shape) in enumerate(meta.pop("shapes")):
            group = answers[r][k]
            if i == len(group):
                group.append([])
            group[i].append(Part(tuple(shape), arrays[f"v{number}"]))
    runs = [
        Run(device, requested, precision, found)
        for (device, requested, precision), found in zip(meta.pop("runs"), answers, strict=True)
    ]
    return Reference(
        kinds=tuple(meta.pop("kinds")),
        runs=tuple(runs),
        yardsticks=tuple(Yardstick(*one) for one in meta.pop("yardsticks")),
        **meta,
    )
