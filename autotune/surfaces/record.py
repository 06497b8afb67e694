"""`autotune record`: a study's whole space, measured exhaustively into a surface file."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from autotune.domain.paths import absolute
from autotune.machines.fingerprint import versions
from autotune.machines.locks import Patience
from autotune.machines.ports import Runner
from autotune.search.derive import seeds
from autotune.space.space import SearchSpace
from autotune.spec import StudySpec, to_toml
from autotune.storage.digests import digest_of
from autotune.surfaces.file import SurfaceFile, load_surface
from autotune.surfaces.recording import Headway, Recording
from autotune.surfaces.surface import RecordPlan, Surface, SurfaceIdentity
from autotune.tuning.prepare import Prepared, prepared, source
from autotune.workload.digest import digest
from autotune.workload.workload import ModelSource

SURFACE_FILE = "surface.db"


def record(  # noqa: PLR0913 - one argument for each option
    spec: StudySpec,
    folder: Path,
    out: Path,
    plan: RecordPlan,
    *,
    runner: Runner | None = None,
    on_group: Callable[[Headway], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
    is_stopped: Callable[[], bool] = lambda: False,
    patience: Patience | None = None,
) -> Surface:
    """Record the surface of a study, or go on with one that was cut off.

    Args:
        spec: its model and its space count; its goal and budget do not.
        folder: of the study; paths in the spec are relative to it.
        out: the surface file.
        plan: launches, rounds, slices.
        runner: how configurations are measured; worker processes by default.
        on_group: hears of every group of models that was measured.
        tell: hears what is to be known before that.
        is_stopped: asked before every group.
        patience: how long to wait for the study and the machine, in all; not at all without.

    Raises:
        ModelError, DeviceError, SpecError: the input cannot be used; no file was made.
        StudyMismatchError: the file holds the surface of something else.
        BusyError: another process holds the study or the machine.
        StorageError: the file cannot be used.
    """
    model = source(spec, folder)
    with prepared(
        spec,
        folder,
        model,
        runner=runner,
        begun=partial(_begun, out),
        machine_then=partial(_begun_on, out),
        patience=patience,
    ) as study:
        for note in study.notes:
            tell(note)
        space = study.space
        cells = list(dict.fromkeys([*seeds(space), *map(space.configuration, space.points())]))
        identity = _identity(study, folder, model, plan)
        with contextlib.closing(SurfaceFile.begin(out, identity, cells)) as file:
            earlier = file.recorded()
            ends = [taken.at_s for launch in earlier for taken in launch.slices]
            Recording(
                cells,
                plan,
                study.runner,
                keep=file.keep,
                done=[(launch.key, launch.launch) for launch in earlier],
                before_s=max(ends, default=0.0),
                on_group=on_group,
                is_stopped=is_stopped,
            ).run()
    return load_surface(out)


def _identity(
    study: Prepared, folder: Path, model: ModelSource, plan: RecordPlan
) -> SurfaceIdentity:
    digest = digest_of(model.path)
    return SurfaceIdentity(
        name=absolute(folder).name,
        spec=to_toml(study.spec),
        model_sha256=digest.sha256,
        earlier_sha256=digest.earlier,
        shapes=model.shapes,
        machine=study.machine.to_dict(),
        versions=versions(),
        space=study.space,
        plan=plan,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        workload=_workload(study, model),
    )


def _workload(study: Prepared, model: ModelSource) -> dict[str, Any] | None:
    if model.workload is None:
        return None
    inputs = model.workload.inputs
    return {
        "said": study.spec.workload.model_dump(mode="json", exclude_defaults=True),
        "inputs_sha256": None if inputs is None else digest(inputs),
    }


def _begun(out: Path) -> SearchSpace | None:
    """The space of the surface that is to go on; None where there is none yet."""
    return load_surface(out).identity.space if out.is_file() else None


def _begun_on(out: Path) -> Mapping[str, Any]:
    """The machine of the surface that is to go on; empty where there is none yet."""
    return load_surface(out).identity.machine if out.is_file() else {}
