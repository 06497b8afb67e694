"""Variants that are made here: each once, kept by all that decides what comes out."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from autotune.domain.failure import TrialFault
from autotune.domain.model_file import model_digest, model_files, sha256
from autotune.domain.paths import absolute
from autotune.errors import ModelError, StorageError
from autotune.machines.conversation import await_ready, expected, killed_on_error
from autotune.machines.deadlines import Deadlines
from autotune.machines.process import WorkerProcess
from autotune.machines.protocol import Built, Failed, GoesOn
from autotune.machines.workloads import WorkloadReader, refusal
from autotune.workload.digest import digest as inputs_digest
from autotune.workload.guard import Guard
from autotune.workload.variants import VariantRecipe
from autotune.workload.workload import ModelSource

_MODEL, _MADE = "model.xml", "made.json"
_LEAST_MEMORY, _TIMES_MODEL = 4 * 10**9, 12
"""How much memory making a variant may take: at least, and so many times the model's size."""


def calibration_file(log_folder: Path) -> Path:
    """Where the samples of calibration are kept; what goes with them begins with the same name."""
    return absolute(log_folder / "calibration.npz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A variant that was made, or found where it was kept."""

    path: Path
    """The .xml file."""
    operations: Mapping[str, tuple[int, int]]
    """By kind, how many have quantised weights or inputs, of how many there are."""
    calibrated: int
    """Samples that calibration took."""
    given_back: tuple[str, ...] = ()
    """Names of operations that were quantised at first, and cost too much accuracy."""
    nncf: str | None
    """Its version; None where it was not needed."""
    took_s: float
    """Making it, then."""
    is_kept: bool
    """Whether it was there already."""

    @property
    def is_all_given_back(self) -> bool:
        """Whether nothing of it is quantised any more."""
        return bool(self.given_back) and not any(done for done, _ in self.operations.values())


class VariantMaker:
    """Makes variants of one model, in a worker each."""

    def __init__(
        self,
        given: ModelSource,
        guard: Guard | None,
        *,
        cache: Path,
        log_folder: Path,
        deadlines: Deadlines,
        start: Callable[[], WorkerProcess],
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            given: the model as it was given, and what it is asked.
            guard: of the study: its held-out samples calibrate nothing.
            cache: the folder in which variants are kept.
            log_folder: gets samples for calibration.
            deadlines: longest times.
            start: a new worker.
        """
        self._guard = guard
        self._given = given
        if guard is not None and guard.is_split:
            self._given = ModelSource(
                path=given.path, shapes=given.shapes, inputs=guard.inputs, workload=guard.asked
            )
        self._cache = cache
        self._samples = calibration_file(log_folder)
        self._deadlines = deadlines
        self._start = start
        self._reader = WorkloadReader(self._samples, deadlines)

    def made(
        self, name: str, recipe: VariantRecipe, on_progress: Callable[[str], None] = lambda _: None
    ) -> Made:
        """The variant of this recipe: the one that is kept, or a new one.

        Raises:
            ModelError: it cannot be made; the message says why.
            StorageError: it cannot be kept.
        """
        folder = self._cache / self._key(recipe)
        found = _kept(folder)
        if found is not None:
            return found
        try:
            self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            place = Path(tempfile.mkdtemp(dir=self._cache, prefix=".making."))
        except OSError as error:
            raise StorageError(f"{self._cache}: cannot be written: {error.strerror}") from error
        try:
            began_s = time.monotonic()
            built = self._built(name, recipe, place / _MODEL, on_progress)
            _seal(place, built, time.monotonic() - began_s)
            shutil.rmtree(folder, ignore_errors=True)  # of one that was cut off, or is damaged
            with contextlib.suppress(OSError):  # somebody else has made the same meanwhile
                place.rename(folder)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        found = _kept(folder)
        if found is None:
            raise StorageError(f"{folder}: what was made is not there any more")
        return replace(found, is_kept=False)

    def _key(self, recipe: VariantRecipe) -> str:
        """Of all that decides what comes out: model, samples, settings, and versions."""
        told: dict[str, Any] = {
            "model": model_digest(self._given.path).sha256,
            "recipe": recipe.to_dict(),
            "openvino": _version("openvino"),
            "nncf": _version("nncf") if recipe.needs_nncf else None,
        }
        if recipe.needs_samples:
            workload, guard = self._given.workload, self._guard
            told["samples"] = [
                None if self._given.inputs is None else sha256(self._given.inputs).hex(),
                None if workload is None else {**workload.to_dict(), "inputs": None},
                None
                if workload is None or workload.inputs is None
                else inputs_digest(workload.inputs),
                guard is not None and guard.is_split,
            ]
        if recipe.accuracy_aware and self._guard is not None:
            told["near"] = _near_by(self._guard)
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]

    def _built(
        self, name: str, recipe: VariantRecipe, target: Path, on_progress: Callable[[str], None]
    ) -> Built:
        samples, numbers = None, []
        if recipe.needs_samples:
            on_progress("reading samples for calibration")
            self._reader.files(self._given, self._start)
            count = self._reader.samples_of(self._given)
            free = list(range(count))
            if self._guard is not None and self._guard.is_split:
                free = self._guard.calibrating(count)
            samples, numbers = str(self._samples), free[: recipe.subset]
        size = sum(one.stat().st_size for one in model_files(self._given.path) if one.exists())
        try:
            with killed_on_error(self._start()) as worker:
                await_ready(worker, self._deadlines)
                worker.tell(
                    "build",
                    given=str(self._given.path),
                    shapes=self._given.shapes,
                    recipe=recipe.to_dict(),
                    samples=samples,
                    calibrating=numbers,
                    near=self._near(recipe),
                    target=str(target),
                    memory_bytes=max(_LEAST_MEMORY, _TIMES_MODEL * size),
                )
                deadline = self._deadlines.build
                while isinstance(answer := worker.hear(deadline.value_s, deadline), GoesOn):
                    on_progress(answer.what)
                if isinstance(answer, Failed):
                    raise ModelError(f"variant {name}: {refusal(answer, self._given.path)}")
                found = expected(answer, "build", Built)
        except TrialFault as fault:
            message = f"variant {name} cannot be made: {fault.failure.message}"
            raise ModelError(message) from None
        worker.close()
        return found

    def _near(self, recipe: VariantRecipe) -> dict[str, Any] | None:
        """What decides which operations are given back, as workers take it."""
        guard = self._guard
        if guard is None or not recipe.accuracy_aware:
            return None
        return {
            "metric": guard.metric.to_dict(),
            "max_drop": guard.max_drop,
            "is_relative": guard.is_relative,
            "labels": None if guard.labels is None else str(guard.labels),
            "is_part": guard.is_part(self._reader.samples_of(self._given)),
        }


def _near_by(guard: Guard) -> list[Any]:
    """The same by content."""
    metric = guard.metric
    return [
        {**metric.to_dict(), "code": None if metric.code is None else inputs_digest(metric.code)},
        guard.max_drop,
        guard.is_relative,
        None if guard.labels is None else sha256(guard.labels).hex(),
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _seal(place: Path, built: Built, took_s: float) -> None:
    """Write beside the files what they are; without that, and as it says, they are none."""
    told = {
        "sha256": {one.name: sha256(one).hex() for one in sorted(place.iterdir())},
        "operations": built.operations,
        "calibrated": built.calibrated,
        "given_back": built.given_back,
        "nncf": built.nncf,
        "openvino": built.openvino,
        "took_s": took_s,
    }
    with (place / _MADE).open("w", encoding="utf-8") as stream:
        json.dump(told, stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())


def _kept(folder: Path) -> Made | None:
    """What is kept in a folder; None where there is nothing, or it was cut off or damaged."""
    try:
        told = json.loads((folder / _MADE).read_text(encoding="utf-8"))
        whole = all(
            sha256(folder / name).hex() == digest for name, digest in told["sha256"].items()
        )
        if not whole or _MODEL not in told["sha256"]:
            return None
        return Made(
            path=folder / _MODEL,
            operations={kind: (done, every) for kind, (done, every) in told["operations"].items()},
            calibrated=told["calibrated"],
            given_back=tuple(told.get("given_back", ())),
            nncf=told["nncf"],
            took_s=told["took_s"],
            is_kept=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def placed(made: Made, folder: Path, name: str) -> Path:
    """The files of a variant in a study's folder, where deployments find them: NAME.xml, NAME.bin.

    Links to what is kept, or copies where links cannot be.

    Raises:
        StorageError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in (made.path, made.path.with_suffix(".bin")):
            target = folder / f"{name}{file.suffix}"
            if target.exists() and (target.samefile(file) or sha256(target) == sha256(file)):
                continue
            part = folder / f".{target.name}.part"
            part.unlink(missing_ok=True)
            try:
                os.link(file, part)
            except OSError:  # another file system
                shutil.copyfile(file, part)
            part.replace(target)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror}") from error
    return folder / f"{name}.xml"
