"""A surface file: one SQLite database for one recorded surface, written group by group.

Latencies are kept at `LEVELS` only, so that a surface of several hundred cells stays below a
megabyte.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection, Engine, insert, inspect, select, update

from autotune.domain.measurement import Feed
from autotune.domain.place import differences
from autotune.errors import StorageError, StudyMismatchError
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.space import SearchSpace
from autotune.storage import codec
from autotune.storage.faults import faults_explained
from autotune.storage.older import show_as_current
from autotune.storage.rows import fetch, rows_explained
from autotune.storage.sqlite import (
    check_access,
    durable_engine,
    file_url,
    read_only_engine,
    transaction,
)
from autotune.storage.versions import Versioned
from autotune.surfaces.schema import (
    APPLICATION_ID,
    CELL,
    COMPILED,
    LAUNCH,
    METADATA,
    SLICE,
    SURFACE,
    SURFACE_SCHEMA_VERSION,
)
from autotune.surfaces.surface import (
    LEVELS,
    RecordedLaunch,
    RecordedSlice,
    RecordPlan,
    Surface,
    SurfaceIdentity,
    cells_by_key,
)

_SURFACE_FILE = Versioned(
    table=SURFACE,
    current=SURFACE_SCHEMA_VERSION,
    absent="this file holds no surface; make one with: autotune record STUDY",
    unbegun="the recording was never begun; remove the file",
    damaged="its schema has no version that could be read; it is damaged: move it away, and record "
    "it again",
    newer="a surface of schema {found}; this version reads {current}: record it again, or use the "
    "autotune that wrote it",
)


class SurfaceFile:
    """A surface while it is being recorded; each group is one transaction."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path

    @classmethod
    def begin(cls, path: Path, identity: SurfaceIdentity, cells: Sequence[Configuration]) -> Self:
        """Create the file, or go on with it.

        Raises:
            StudyMismatchError: it holds the surface of something else, or made in another way.
            StorageError: it cannot be used.
        """
        stored = _stored(path) if path.exists() and path.stat().st_size else None
        if stored is not None:
            _refuse_another(stored, identity, path)
        engine = durable_engine(file_url(path))
        with faults_explained(path), transaction(engine) as connection:
            if stored is None:
                _create(connection, identity, cells)
            else:
                _bring_up_to_date(connection, identity)
        return cls(engine, path)

    def keep(self, launches: Sequence[RecordedLaunch]) -> None:
        """Write a group."""
        with faults_explained(self._path), self._engine.begin() as connection:
            numbers = {
                row.compile_key: row.id for row in connection.execute(select(COMPILED)).all()
            }
            for recorded in launches:
                result = connection.execute(
                    insert(LAUNCH).values(
                        compiled_id=numbers[recorded.key.key],
                        launch=recorded.launch,
                        at_s=recorded.at_s,
                        opening=recorded.opening and codec.opening_text(recorded.opening),
                        failure=recorded.failure and json.dumps(asdict(recorded.failure)),
                        peak_rss_bytes=recorded.peak_rss_bytes,
                    )
                )
                assert result.inserted_primary_key is not None  # noqa: S101 - for the type checker
                rows = [
                    {"launch_id": result.inserted_primary_key[0], **_slice_row(taken)}
                    for taken in recorded.slices
                ]
                if rows:
                    connection.execute(insert(SLICE), rows)

    def recorded(self) -> tuple[RecordedLaunch, ...]:
        """What is stored so far."""
        return load_surface(self._path).launches

    def close(self) -> None:
        """Let the file go, as small as it can be."""
        with faults_explained(self._path), self._engine.connect() as connection:
            connection.exec_driver_sql("VACUUM")
        self._engine.dispose()


def load_surface(path: Path) -> Surface:
    """A surface, whole or as far as it was recorded.

    Raises:
        StorageError: no such file, not a surface, or one that this version does not read.
    """
    if not path.is_file():
        or_give = ", or give the file in this folder" if path.is_dir() else ""
        raise StorageError(
            f"{path}: there is no such surface; make one with: autotune record STUDY{or_give}"
        )
    check_access(path, os.R_OK)
    engine = read_only_engine(path)
    try:
        with faults_explained(path), rows_explained(path, "the surface"):
            if _SURFACE_FILE.check(engine, path) < SURFACE_SCHEMA_VERSION:
                show_as_current(engine, METADATA)
            return Surface(
                identity=_identity(engine, path),
                cells=tuple(
                    Configuration.from_dict(json.loads(row["configuration"]))
                    for row in fetch(engine, path, select(CELL).order_by(CELL.c.id))
                ),
                launches=tuple(_launches(engine, path)),
            )
    finally:
        engine.dispose()


def _launches(engine: Engine, path: Path) -> list[RecordedLaunch]:
    keys: dict[int, CompileKey] = {}
    for row in fetch(engine, path, select(CELL)):
        cell = Configuration.from_dict(json.loads(row["configuration"]))
        keys[row["compiled_id"]] = cell.compile_key
    slices: dict[int, list[RecordedSlice]] = {}
    launches = fetch(engine, path, select(LAUNCH).order_by(LAUNCH.c.at_s, LAUNCH.c.id))
    numbers = {row["id"]: row["launch"] for row in launches}
    for row in fetch(engine, path, select(SLICE).order_by(SLICE.c.at_s, SLICE.c.id)):
        taken = _slice_of(row, numbers[row["launch_id"]])
        slices.setdefault(row["launch_id"], []).append(taken)
    return [
        RecordedLaunch(
            key=keys[row["compiled_id"]],
            launch=row["launch"],
            at_s=row["at_s"],
            opening=None if row["opening"] is None else codec.opening_of(row["opening"]),
            failure=None
            if row["failure"] is None
            else codec.failure_of(json.loads(row["failure"])),
            peak_rss_bytes=row["peak_rss_bytes"],
            slices=tuple(slices.get(row["id"], ())),
        )
        for row in launches
    ]


def _stored(path: Path) -> SurfaceIdentity:
    """What a file is a surface of; it is only read."""
    engine = read_only_engine(path)
    try:
        with faults_explained(path), rows_explained(path, "the surface"):
            if _SURFACE_FILE.check(engine, path) < SURFACE_SCHEMA_VERSION:
                show_as_current(engine, METADATA)
            return _identity(engine, path)
    finally:
        engine.dispose()


def _identity(engine: Engine, path: Path) -> SurfaceIdentity:
    row = fetch(engine, path, select(SURFACE))[0]
    if tuple(json.loads(row["levels"])) != LEVELS:
        raise StorageError(f"{path}: its latencies are kept at other levels than this version's")
    plan = json.loads(row["record_plan"])
    return SurfaceIdentity(
        name=row["name"],
        spec=row["spec"],
        model_sha256=row["model_sha256"],
        shapes=json.loads(row["shapes"]),
        machine=json.loads(row["machine"]),
        versions=json.loads(row["versions"]),
        space=SearchSpace.from_dict(json.loads(row["space"])),
        plan=RecordPlan(**{**plan, "feed": Feed(plan["feed"])}),
        started_at=row["started_at"],
        workload=None if row["workload"] is None else json.loads(row["workload"]),
    )


def _refuse_another(stored: SurfaceIdentity, current: SurfaceIdentity, path: Path) -> None:
    faults = []
    if stored.model_sha256 not in {current.model_sha256, *current.earlier_sha256}:
        faults.append("the model file is another one")
    if dict(stored.shapes) != dict(current.shapes):
        faults.append(f"shapes: {stored.shapes} then, {current.shapes} now")
    if stored.workload != current.workload:
        faults.append(f"workload: {stored.workload} then, {current.workload} now")
    if stored.plan != current.plan:
        faults.append(f"plan: {stored.plan} then, {current.plan} now")
    then, now = stored.space.to_dict(), current.space.to_dict()
    faults += [f"{key}: {then[key]} then, {now[key]} now" for key in then if then[key] != now[key]]
    faults += differences(stored.machine, current.machine)
    packages = [identity.versions.get("openvino") for identity in (stored, current)]
    if packages[0] != packages[1]:
        faults.append(f"openvino package: {packages[0]!r} then, {packages[1]!r} now")
    if faults:
        listed = "\n  ".join(faults)
        raise StudyMismatchError(
            f"{path}: this surface cannot be continued:\n  {listed}\n"
            "restore what it was, or record into another file with --out"
        )


def _create(
    connection: Connection, identity: SurfaceIdentity, cells: Sequence[Configuration]
) -> None:
    METADATA.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(
        insert(SURFACE).values(
            id=1,
            schema_version=SURFACE_SCHEMA_VERSION,
            name=identity.name,
            started_at=identity.started_at,
            spec=identity.spec,
            model_sha256=identity.model_sha256,
            shapes=json.dumps({k: list(v) for k, v in identity.shapes.items()}),
            machine=json.dumps(dict(identity.machine)),
            versions=json.dumps(dict(identity.versions)),
            space=json.dumps(identity.space.to_dict()),
            record_plan=json.dumps(asdict(identity.plan)),
            levels=json.dumps(LEVELS),
            workload=None if identity.workload is None else json.dumps(dict(identity.workload)),
        )
    )
    numbers = {key: number for number, key in enumerate(cells_by_key(cells))}
    connection.execute(
        insert(COMPILED),
        [{"id": number, "compile_key": key.key} for key, number in numbers.items()],
    )
    connection.execute(
        insert(CELL),
        [
            {
                "id": position,
                "compiled_id": numbers[cell.compile_key],
                "configuration": json.dumps(cell.to_dict(), sort_keys=True),
            }
            for position, cell in enumerate(cells)
        ],
    )


def _bring_up_to_date(connection: Connection, identity: SurfaceIdentity) -> None:
    """A file that an older version began gets the columns of this one, which may be null."""
    for table in METADATA.sorted_tables:
        known = {found["name"] for found in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                added = f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type}"
                connection.exec_driver_sql(added)
    values = {
        "model_sha256": identity.model_sha256,  # an older version may have called it otherwise
        "schema_version": SURFACE_SCHEMA_VERSION,
    }
    connection.execute(update(SURFACE).values(**values))


def _slice_row(taken: RecordedSlice) -> dict[str, Any]:
    return {
        "cell_id": taken.cell,
        "round": taken.round,
        "at_s": round(taken.at_s, 3),
        "duration_s": taken.duration_s,
        "completions": taken.completions,
        "occupancy": round(taken.occupancy, 4),
        "latencies": np.array(taken.latency_ticks, dtype="<u4").tobytes(),
        **{name: getattr(taken, name) for name in _COSTS},
    }


def _slice_of(row: Any, launch: int) -> RecordedSlice:
    ticks = np.frombuffer(row["latencies"], dtype="<u4")
    if ticks.size != len(LEVELS):
        message = f"slice {row['id']} has {ticks.size} latencies, not {len(LEVELS)}"
        raise ValueError(message)
    return RecordedSlice(
        cell=row["cell_id"],
        launch=launch,
        round=row["round"],
        at_s=row["at_s"],
        duration_s=row["duration_s"],
        completions=row["completions"],
        occupancy=row["occupancy"],
        latency_ticks=tuple(ticks.tolist()),
        **{name: row[name] for name in _COSTS},
    )


_COSTS = ("cpu_s", "rss_bytes", "peak_rss_bytes", "energy_j")
"""Columns of a slice that are fields of it, and that older files have not."""
