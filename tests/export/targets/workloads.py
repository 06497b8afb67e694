"""best.json of a workload, made as a study makes it but for the measuring."""

import os
from pathlib import Path
from typing import Any

import openvino as ov

from autotune.domain.inspection import ModelPort, Overview
from autotune.domain.measurement import Feed
from autotune.domain.model_file import model_sha256
from autotune.export.best_file import BestFile, BestModel, write_best
from autotune.export.best_workload import BestWorkload
from autotune.spec.workload import WorkloadSpec
from autotune.worker import model
from autotune.worker.asked import WorkloadData, load_asked
from autotune.worker.read_workload import read_workload
from autotune.workload.digest import digest
from autotune.workload.preparing import image_size
from tests.export.targets.builders import make_file


def write_workload(
    folder: Path,
    file: Path,
    said: dict[str, Any],
    *,
    shapes: dict[str, list[int]] | None = None,
    inputs: str | None = None,
    feed: Feed = Feed.COPY,
    **fields: Any,
) -> tuple[Path, WorkloadData]:
    """A best.json of a workload, and what a worker reads of it.

    Args:
        folder: gets it; paths in `said` are relative to it.
        file: the model.
        said: the section.
        shapes: `[model] shape`.
        inputs: `[model] inputs`.
        feed: how it was measured.
        fields: the configuration's.
    """
    spec = WorkloadSpec.model_validate(said)
    asked, static = _asked(folder, file, spec, shapes or {}, inputs)
    mix, how, size = asked.mix, asked.preprocessing, None
    if how is not None and not asked.images_vary:
        image = next(v for v in asked.samples[0].values() if v.ndim == 4)
        size = image_size(image[0], how)
    told = BestWorkload(
        said=spec.model_dump(mode="json", exclude_defaults=True),
        samples=len(asked.samples),
        shapes=[] if mix is None else [{n: list(s) for n, s in one.items()} for one in mix.shapes],
        weights=[] if mix is None else list(mix.weights),
        pads={}
        if mix is None
        else {n: [(one.value, one.axis) for one in pads] for n, pads in mix.pads.items()},
        image_size=size,
        states=spec.states,
        inputs_sha256=_digest(spec, folder),
    )
    best: BestFile = make_file(feed=feed, **{"num_requests": 3, **fields}).model_copy(
        update={
            "model": BestModel(
                path=os.path.relpath(file, folder),
                sha256=model_sha256(file),
                shapes=(shapes or {}) if mix is not None else static,
                inputs=inputs,
                workload=told,
            )
        }
    )
    path = folder / "best.json"
    write_best(best, path)
    return path, asked


def _digest(spec: WorkloadSpec, folder: Path) -> str | None:
    workload = spec.within(folder)
    return None if workload is None or workload.inputs is None else digest(workload.inputs)


def look_here(
    path: Path | None, shapes: dict[str, list[int]] | None = None, batch_size: int = 1
) -> Overview:
    """What a worker that is asked for it sees of a model, without the process."""
    assert path is not None
    core = ov.Core()
    network = model.read(core, path, shapes or {})
    model.set_batch(network, batch_size)
    seen: dict[str, Any] = {
        f"{prefix}{kind}": tuple(ModelPort(**port) for port in ports)
        for prefix, one in (("", model.load(core, path)), ("static_", network))
        for kind, ports in model.describe(one).items()
    }
    return Overview(openvino="", devices={}, **seen)


def _asked(
    folder: Path,
    file: Path,
    spec: WorkloadSpec,
    shapes: dict[str, list[int]],
    inputs: str | None,
) -> tuple[WorkloadData, dict[str, list[int]]]:
    workload = spec.within(folder)
    assert workload is not None
    data = None if inputs is None else folder / inputs
    samples = folder / ".samples.npz"
    static, _ = read_workload(ov.Core(), file, shapes, data, workload, samples)
    return load_asked(samples), static
