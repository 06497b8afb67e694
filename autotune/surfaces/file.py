"""A surface file: one SQLite database for one recorded surface, written group by group.

Its tables are documented by their comments. Latencies are kept at `LEVELS` only, so that a surface
of several hundred cells stays below a megabyte.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy import (
    URL,
    Column,
    Engine,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    insert,
    inspect,
    select,
    update,
)

from autotune.domain.measurement import Feed
from autotune.domain.place import differences
from autotune.errors import StorageError, StudyMismatchError
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.space import SearchSpace
from autotune.storage import codec
from autotune.storage.faults import faults_explained
from autotune.storage.rows import fetch, rows_explained
from autotune.storage.sqlite import check_access, make_durable, read_only_engine
from autotune.surfaces.surface import (
    LEVELS,
    RecordedLaunch,
    RecordedSlice,
    RecordPlan,
    Surface,
    SurfaceIdentity,
    cells_by_key,
)

SURFACE_SCHEMA_VERSION = 1
_APPLICATION_ID = 0x61757466  # "autf": what tools such as file(1) see

METADATA = MetaData()

SURFACE = Table(
    "surface",
    METADATA,
    Column("id", Integer, primary_key=True, comment="Always 1: a file holds one surface."),
    Column("schema_version", Integer, nullable=False, comment="Version of these tables."),
    Column("name", Text, nullable=False, comment="Name of the study that was recorded."),
    Column("started_at", Text, nullable=False, comment="UTC, ISO 8601."),
    Column("spec", Text, nullable=False, comment="The study as TOML."),
    Column("model_sha256", Text, nullable=False, comment="Digest of the model file."),
    Column("shapes", Text, nullable=False, comment="JSON: shapes of the inputs."),
    Column("machine", Text, nullable=False, comment="JSON: fingerprint of machine and runtime."),
    Column("versions", Text, nullable=False, comment="JSON: versions of Python and packages."),
    Column("space", Text, nullable=False, comment="JSON: choices of every dimension, and CPUs."),
    Column("record_plan", Text, nullable=False, comment="JSON: launches, rounds, slices."),
    Column("levels", Text, nullable=False, comment="JSON: shares at which latencies are kept."),
    comment="What was recorded, where and how; one row.",
)

COMPILED = Table(
    "compiled",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("compile_key", String(12), nullable=False, unique=True, comment="Digest of the key."),
    comment="One row for each compile key.",
)

CELL = Table(
    "cell",
    METADATA,
    Column("id", Integer, primary_key=True, comment="Position, from 0."),
    Column("compiled_id", ForeignKey("compiled.id"), nullable=False, index=True),
    Column("configuration", Text, nullable=False, comment="JSON: as requested."),
    comment="One row for each configuration: the hints first, then the whole space.",
)

LAUNCH = Table(
    "launch",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("compiled_id", ForeignKey("compiled.id"), nullable=False, index=True),
    Column("launch", Integer, nullable=False, comment="Which set of fresh processes, from 0."),
    Column("at_s", Float, nullable=False, comment="Seconds of recording when its group began."),
    Column("opening", Text, comment="JSON: times and read-back properties; null on failure."),
    Column("failure", Text, comment="JSON: why there is nothing."),
    Column("peak_rss_bytes", Integer, comment="High-water mark of the worker's memory."),
    UniqueConstraint("compiled_id", "launch"),
    comment="One row for each fresh process.",
)

SLICE = Table(
    "slice",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("launch_id", ForeignKey("launch.id"), nullable=False, index=True),
    Column("cell_id", ForeignKey("cell.id"), nullable=False, index=True),
    Column("round", Integer, nullable=False, comment="Which round of its launch, from 0."),
    Column("at_s", Float, nullable=False, comment="Seconds of recording at its end."),
    Column("duration_s", Float, nullable=False, comment="From one completion to a later one."),
    Column("completions", Integer, nullable=False, comment="Requests, not items."),
    Column("occupancy", Float, nullable=False, comment="Busy share of a request slot's time."),
    Column(
        "latencies",
        LargeBinary,
        nullable=False,
        comment="Little-endian uint32: nearest-rank latencies at the levels, ticks of 100 ns.",
    ),
    comment="One row for each turn of a cell.",
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
        is_new = not path.exists() or not path.stat().st_size
        engine = create_engine(URL.create("sqlite", database=str(path.absolute())))
        make_durable(engine)
        found = cls(engine, path)
        with faults_explained(path):
            if is_new:
                found._create(identity, cells)
            else:
                _check(engine, path)
                stored = _identity(engine, path)
                _compare(stored, identity, path)
                if stored.model_sha256 != identity.model_sha256:
                    with engine.begin() as connection:
                        known = update(SURFACE).values(model_sha256=identity.model_sha256)
                        connection.execute(known)
        return found

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

    def _create(self, identity: SurfaceIdentity, cells: Sequence[Configuration]) -> None:
        METADATA.create_all(self._engine)
        keys = cells_by_key(cells)
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
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
                )
            )
            connection.execute(
                insert(COMPILED),
                [{"id": number, "compile_key": key.key} for number, key in enumerate(keys)],
            )
            numbers = {key: number for number, key in enumerate(keys)}
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
            _check(engine, path)
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
    )


def _check(engine: Engine, path: Path) -> None:
    """Refuse what is no surface, or one of another schema."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(SURFACE.name):
            raise StorageError(
                f"{path}: this file holds no surface; make one with: autotune record STUDY"
            )
        version = connection.execute(select(SURFACE.c.schema_version)).scalar_one_or_none()
    if version is None:
        raise StorageError(f"{path}: the recording was never begun; remove the file")
    if version != SURFACE_SCHEMA_VERSION:
        raise StorageError(
            f"{path}: a surface of schema {version}; this version reads "
            f"{SURFACE_SCHEMA_VERSION}: record it again, or use the autotune that wrote it"
        )


def _compare(stored: SurfaceIdentity, current: SurfaceIdentity, path: Path) -> None:
    faults = []
    if stored.model_sha256 not in {current.model_sha256, *current.earlier_sha256}:
        faults.append("the model file is another one")
    if dict(stored.shapes) != dict(current.shapes):
        faults.append(f"shapes: {stored.shapes} then, {current.shapes} now")
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


def _slice_row(taken: RecordedSlice) -> dict[str, Any]:
    return {
        "cell_id": taken.cell,
        "round": taken.round,
        "at_s": round(taken.at_s, 3),
        "duration_s": taken.duration_s,
        "completions": taken.completions,
        "occupancy": round(taken.occupancy, 4),
        "latencies": np.array(taken.latency_ticks, dtype="<u4").tobytes(),
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
    )
