"""A study's evidence: written by one tuner, read by anyone."""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Column, Engine, func, insert, inspect, select, update

from autotune.domain.doubts import Doubts
from autotune.domain.fed import Fed
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Block, Measurement
from autotune.domain.place import Place
from autotune.domain.trial import Origin, Trial
from autotune.errors import StorageError, StudyMismatchError
from autotune.space.configuration import Configuration
from autotune.storage import codec
from autotune.storage.database import (
    check_schema,
    faults_explained,
    fetch,
    open_read_only,
    rows_explained,
)
from autotune.storage.machines import machine_id
from autotune.storage.migrations import migrate
from autotune.storage.owner import owner
from autotune.storage.schema import (
    BLOCK,
    EVENT,
    FAILURE,
    MEASUREMENT,
    METADATA,
    REFERENCE,
    SCHEMA_VERSION,
    SESSION,
    STUDY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a study must keep for its numbers to belong together."""

    name: str
    spec: str
    """The study as TOML, when it began."""
    model_sha256: str
    inputs: dict[str, Any]
    """Shapes by input name, and the digest of the file with input data."""
    goal: Goal
    space: dict[str, Any]
    items_per_request: int = 1
    """Items in a request at batch 1."""
    fed: Fed | None = None
    """What the model is fed with; None in a study of an older version. May change."""
    earlier_sha256: tuple[str, ...] = ()
    """What earlier versions called this model; not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One start of the tuner."""

    started_at: str
    elapsed_s: float
    end: str | None
    machine: dict[str, Any]
    versions: dict[str, str]

    @property
    def place(self) -> Place:
        """The machine and the runtime that it measured on."""
        return Place.of(self.machine, self.versions)


FINDINGS = ("items", "no_batch", "doubt", "random_inputs")
"""Kinds of events that say what inspection found."""
_UNPROVEN = "unproven"
"""The kind of event that says what a session could not show of answers, its own and older ones."""
_SLAB = 200
"""Trials whose blocks are in memory at once."""
_MOST_ITEMS = 65536


class StudyStore:
    """The autotune tables of one study."""

    def __init__(self, engine: Engine, name: object) -> None:
        self._engine = engine
        self._name = name
        self._session_id: int | None = None
        self._machine_id: int | None = None
        self._place: Place | None = None

    @classmethod
    def read_only(cls, folder: Path) -> Self:
        """For viewers.

        Raises:
            StorageError: there is no readable study.
        """
        return cls(open_read_only(folder), folder / "study.db")

    @property
    def name(self) -> object:
        """What messages call the database: its path."""
        return self._name

    def close(self) -> None:
        """Let the file go."""
        self._engine.dispose()

    @property
    def engine(self) -> Engine:
        """For read-only queries of analyses."""
        return self._engine

    def begin(self, identity: Identity) -> None:
        """Create the tables and the study's row, or bring those of this study up to date.

        Raises:
            StudyMismatchError: the database holds another study, and is as it was; the message
                lists what differs.
            StorageError: it cannot be used.
        """
        is_new = not self._is_begun()
        if not is_new:
            check_schema(self._engine, self._name)
            self.refuse_another(identity)
        with faults_explained(self._name), rows_explained(self._name, "a session"):
            METADATA.create_all(self._engine)
            migrate(self._engine)
            with self._engine.begin() as connection:
                if is_new:
                    connection.execute(
                        insert(STUDY).values(
                            id=1,
                            schema_version=SCHEMA_VERSION,
                            created_at=_now(),
                            name=identity.name,
                            spec=identity.spec,
                            model_sha256=identity.model_sha256,
                            inputs=json.dumps(identity.inputs),
                            goal=json.dumps(asdict(identity.goal)),
                            space=json.dumps(identity.space),
                            items_per_request=identity.items_per_request,
                        )
                    )
                # Whoever got here began it, or said that it can be trusted.
                mine = owner()
                others = STUDY.c.owner.is_distinct_from(mine)
                connection.execute(update(STUDY).where(others).values(owner=mine))
                # An older version may have called the same model otherwise.
                connection.execute(
                    update(STUDY)
                    .where(STUDY.c.model_sha256 != identity.model_sha256)
                    .values(model_sha256=identity.model_sha256)
                )
                if identity.fed is not None:
                    fed = json.dumps(identity.fed.to_dict())
                    others = STUDY.c.fed.is_distinct_from(fed)
                    connection.execute(update(STUDY).where(others).values(fed=fed))

    def refuse_another(self, identity: Identity) -> None:
        """Compare the study with what is to go on with it; nothing is written.

        Raises:
            StudyMismatchError: it is another study; the message lists what differs.
        """
        _compare(self.identity(), identity, self._name)

    def _is_begun(self) -> bool:
        """Whether there is a study in it."""
        with faults_explained(self._name), self._engine.connect() as connection:
            if not inspect(connection).has_table(STUDY.name):
                return False
            return connection.execute(select(STUDY.c.id)).first() is not None

    @property
    def session_id(self) -> int | None:
        """The session that is being written; None for viewers and before it begins."""
        return self._session_id

    @property
    def machine_id(self) -> int | None:
        """The row of the machine that the session runs on; None as for `session_id`."""
        return self._machine_id

    @property
    def place(self) -> Place | None:
        """Where the session runs; None as for `session_id`."""
        return self._place

    def identity(self) -> Identity:
        """What the study is."""
        row = self._one(select(*self._columns_of_study()))
        with rows_explained(self._name, "what the study is"):
            stored = json.loads(row["goal"])
            goal = Goal(
                Objective(stored["objective"]),
                stored["percentile"],
                stored["cap_ms"],
                _share(stored.get("headroom", 0.0)),
            )
            _ = goal.sla  # which checks its values
            items = row.get("items_per_request") or 1
            if not 1 <= items <= _MOST_ITEMS:
                message = f"{items} items in a request"
                raise ValueError(message)
            return Identity(
                name=row["name"],
                spec=row["spec"],
                model_sha256=row["model_sha256"],
                inputs=json.loads(row["inputs"]),
                goal=goal,
                space=json.loads(row["space"]),
                items_per_request=items,
                fed=Fed.from_dict(json.loads(row["fed"])) if row.get("fed") else None,
            )

    def items_per_request(self) -> int | None:
        """How throughput is counted in the study that is there; None before it is begun."""
        return self.identity().items_per_request if self._is_begun() else None

    def _columns_of_study(self) -> list[Column[Any]]:
        """Those that are there: before it is brought up to date, a study is to be compared."""
        with faults_explained(self._name):
            known = {found["name"] for found in inspect(self._engine).get_columns(STUDY.name)}
        return [column for column in STUDY.columns if column.name in known]

    def start_session(self, machine: dict[str, Any], versions: dict[str, str]) -> None:
        """Begin to account for time; everything recorded from now on belongs to this session."""
        self._place = Place.of(machine, versions)
        with faults_explained(self._name), self._engine.begin() as connection:
            self._machine_id = machine_id(connection, self._place)
            result = connection.execute(
                insert(SESSION).values(
                    started_at=_now(),
                    elapsed_s=0.0,
                    machine=json.dumps(machine),
                    versions=json.dumps(versions),
                    machine_id=self._machine_id,
                )
            )
            assert result.inserted_primary_key is not None  # noqa: S101 - for the type checker
            self._session_id = result.inserted_primary_key[0]

    def end_session(self, elapsed_s: float, reason: str) -> None:
        """Note the time spent and why the session ended."""
        self._write(
            update(SESSION)
            .where(SESSION.c.id == self._session_id)
            .values(elapsed_s=elapsed_s, end=reason)
        )

    def sessions(self) -> list[SessionRow]:
        """Every start of the tuner, in order."""
        rows = self._all(select(SESSION).order_by(SESSION.c.id))
        with rows_explained(self._name, "a session"):
            return [session_of_row(row) for row in rows]

    def session_of(self, trial_number: int) -> SessionRow:
        """The session in which a trial was measured; one that was reused, when it first was."""
        own = select(func.coalesce(MEASUREMENT.c.reused_from, MEASUREMENT.c.trial_number)).where(
            MEASUREMENT.c.trial_number == trial_number
        )
        query = (
            select(SESSION)
            .join(MEASUREMENT)
            .where(MEASUREMENT.c.trial_number == own.scalar_subquery())
        )
        row = self._one(query)
        with rows_explained(self._name, "a session"):
            return session_of_row(row)

    def measured_elsewhere(self) -> frozenset[int]:
        """Numbers of the trials that were not measured where this session runs."""
        here = None if self._place is None else self._place.digest
        others = {session for session, place in self._places().items() if place != here}
        columns = (MEASUREMENT.c.trial_number, MEASUREMENT.c.session_id)
        query = select(*columns).where(MEASUREMENT.c.trial_number.is_not(None))
        rows = self._all(query)
        return frozenset(row["trial_number"] for row in rows if row["session_id"] in others)

    def record(self, trial: Trial, elapsed_s: float) -> None:
        """Write a trial's evidence and the time spent, in one transaction.

        Raises:
            StorageError: the database cannot be written.
        """
        with faults_explained(self._name), self._engine.begin() as connection:
            common = {
                "session_id": self._session_id,
                "trial_number": trial.number,
                "origin": trial.origin,
            }
            if trial.measurement is not None:
                row = codec.measurement_row(trial.measurement)
                # A reused measurement keeps what was requested this time, and no blocks of its own.
                row["configuration"] = json.dumps(trial.configuration.to_dict(), sort_keys=True)
                row["configuration_key"] = trial.configuration.key
                row["compile_key"] = trial.configuration.compile_key.key
                result = connection.execute(
                    insert(MEASUREMENT).values(
                        **common,
                        **row,
                        phase="search",
                        measured_at=_now(),
                        reused_from=trial.reused_from,
                    )
                )
                assert result.inserted_primary_key is not None  # noqa: S101 - for the type checker
                if trial.reused_from is None:
                    measurement_id = result.inserted_primary_key[0]
                    connection.execute(
                        insert(BLOCK),
                        [
                            {
                                "measurement_id": measurement_id,
                                "position": i,
                                **codec.block_row(block),
                            }
                            for i, block in enumerate(trial.measurement.blocks)
                        ],
                    )
            elif trial.failure is not None:
                connection.execute(
                    insert(FAILURE).values(
                        **common,
                        **codec.failure_row(trial.failure),
                        failed_at=_now(),
                        configuration=json.dumps(trial.configuration.to_dict(), sort_keys=True),
                        configuration_key=trial.configuration.key,
                    )
                )
            connection.execute(
                update(SESSION).where(SESSION.c.id == self._session_id).values(elapsed_s=elapsed_s)
            )

    def record_reference(self, key: str, at_s: float, block: Block) -> None:
        """Write a slice of the reference, whose configuration has this key."""
        self._write(
            insert(REFERENCE).values(
                session_id=self._session_id,
                at_s=at_s,
                configuration_key=key,
                **codec.block_row(block),
            )
        )

    def reference(self) -> list[tuple[int, float, Block]]:
        """Session, seconds since its start, and block of the reference's slices, in order.

        Those that can be compared with the last one: of its configuration, and of where it ran.
        """
        rows = self._all(select(REFERENCE).order_by(REFERENCE.c.id))
        if not rows:
            return []
        places = self._places()
        with rows_explained(self._name, "a slice of the reference"):
            what = [(row["configuration_key"], places[row["session_id"]]) for row in rows]
            return [
                (row["session_id"], row["at_s"], codec.block_of(row))
                for row, one in zip(rows, what, strict=True)
                if one == what[-1]
            ]

    def note(self, kind: str, **data: Any) -> None:
        """Write an event."""
        self._write(
            insert(EVENT).values(
                session_id=self._session_id,
                at=_now(),
                kind=kind,
                data=json.dumps(data, default=str),
            )
        )

    def findings(self) -> list[tuple[str, str]]:
        """What the last session's inspection found that bears on every number: kinds and texts."""
        last = select(func.max(SESSION.c.id)).scalar_subquery()
        query = select(EVENT).where(EVENT.c.session_id == last, EVENT.c.kind.in_(FINDINGS))
        rows = self._all(query.order_by(EVENT.c.id))
        with rows_explained(self._name, "an event"):
            return [(row["kind"], str(json.loads(row["data"])["text"])) for row in rows]

    def doubt(self, doubts: Doubts) -> None:
        """Note what this session's inspection could not show, if that is not what is known."""
        if doubts != self.doubts():
            self.note(_UNPROVEN, text=str(doubts), **doubts.to_dict())

    def doubts(self) -> Doubts:
        """What the last inspection could not show, and so holds against older evidence as well.

        Nothing where no session of this version had a look.
        """
        last = select(func.max(EVENT.c.id)).where(EVENT.c.kind == _UNPROVEN)
        rows = self._all(select(EVENT).where(EVENT.c.id == last.scalar_subquery()))
        with rows_explained(self._name, "an event"):
            return Doubts.from_dict(json.loads(rows[0]["data"])) if rows else Doubts()

    def trials(self) -> list[Trial]:
        """Every recorded trial by number, without blocks: the statistics are what was stored.

        What a later session could not prove is unproven, though it was measured before.
        """
        doubts = self.doubts()
        measured = [
            doubts.of(self._trial(row))
            for row in self._all(select(MEASUREMENT).where(MEASUREMENT.c.trial_number.is_not(None)))
        ]
        failed = [self._failed_trial(row) for row in self._all(select(FAILURE))]
        return sorted(measured + failed, key=lambda trial: trial.number)

    def with_blocks(self, trial: Trial) -> Trial:
        """The same trial, its measurement complete with blocks."""
        if trial.measurement is None:
            return trial
        number = trial.number if trial.reused_from is None else trial.reused_from
        return replace(trial, measurement=replace(trial.measurement, blocks=self.blocks(number)))

    def blocks(self, trial_number: int) -> tuple[Block, ...]:
        """Blocks of a trial's own measurement, warm-up first."""
        query = (
            select(BLOCK)
            .join(MEASUREMENT)
            .where(MEASUREMENT.c.trial_number == trial_number)
            .order_by(BLOCK.c.position)
        )
        rows = self._all(query)
        with rows_explained(self._name, f"a block of trial {trial_number}"):
            return tuple(codec.block_of(row) for row in rows)

    def latencies(self) -> Iterator[tuple[int, list[bytes]]]:
        """Number of each measured trial, and the latencies of its counted blocks, in order.

        In slabs, so that a night's worth of blocks is never in memory at once.
        """
        query = (
            select(MEASUREMENT.c.trial_number, BLOCK.c.latencies)
            .join_from(BLOCK, MEASUREMENT)
            .where(MEASUREMENT.c.trial_number.is_not(None))
            .where(BLOCK.c.position >= MEASUREMENT.c.warmup_blocks)
            .order_by(MEASUREMENT.c.trial_number, BLOCK.c.position)
        )
        numbers = self._all(
            select(MEASUREMENT.c.trial_number)
            .where(MEASUREMENT.c.trial_number.is_not(None))
            .order_by(MEASUREMENT.c.trial_number)
        )
        for at in range(0, len(numbers), _SLAB):
            slab = numbers[at : at + _SLAB]
            between = MEASUREMENT.c.trial_number.between(
                slab[0]["trial_number"], slab[-1]["trial_number"]
            )
            rows = self._all(query.where(between))
            with rows_explained(self._name, "a block"):
                for number, mine in itertools.groupby(rows, key=lambda row: row["trial_number"]):
                    yield number, [codec.unpack_ticks(row["latencies"]) for row in mine]

    def moments(self) -> dict[int, float]:
        """When each trial ended: seconds of the study, the time of earlier sessions included."""
        before, begun = {}, {}
        spent_s = 0.0
        for row in self._all(select(SESSION).order_by(SESSION.c.id)):
            with rows_explained(self._name, "a session"):
                before[row["id"]] = spent_s
                begun[row["id"]] = datetime.fromisoformat(row["started_at"])
                spent_s += row["elapsed_s"]
        found: dict[int, float] = {}
        for table, at in ((MEASUREMENT, MEASUREMENT.c.measured_at), (FAILURE, FAILURE.c.failed_at)):
            query = select(table.c.trial_number, table.c.session_id, at)
            for row in self._all(query.where(table.c.trial_number.is_not(None))):
                with rows_explained(self._name, "a time"):
                    session = row["session_id"]
                    ago = datetime.fromisoformat(row[at.key]) - begun[session]
                    found[row["trial_number"]] = before[session] + ago.total_seconds()
        return found

    def _places(self) -> dict[int, str]:
        """Digest of where each session ran, from what every version wrote of it."""
        rows = self._all(select(SESSION))
        with rows_explained(self._name, "a session"):
            return {row["id"]: session_of_row(row).place.digest for row in rows}

    def _trial(self, row: Any) -> Trial:
        with rows_explained(self._name, f"measurement {row['id']}"):
            measurement: Measurement = codec.measurement_of(row, ())
            return Trial(
                number=row["trial_number"],
                configuration=measurement.configuration,
                origin=Origin(row["origin"]),
                measurement=measurement,
                reused_from=row["reused_from"],
            )

    def _failed_trial(self, row: Any) -> Trial:
        with rows_explained(self._name, f"failure {row['id']}"):
            return Trial(
                number=row["trial_number"],
                configuration=Configuration.from_dict(json.loads(row["configuration"])),
                origin=Origin(row["origin"]),
                failure=codec.failure_of(row),
            )

    def _write(self, statement: Any) -> None:
        with faults_explained(self._name), self._engine.begin() as connection:
            connection.execute(statement)

    def _all(self, query: Any) -> list[dict[str, Any]]:
        return fetch(self._engine, self._name, query)

    def _one(self, query: Any) -> dict[str, Any]:
        rows = self._all(query)
        if len(rows) != 1:
            raise StorageError(f"{self._name}: a row is missing, or there once too often")
        return rows[0]


def session_of_row(row: Any) -> SessionRow:
    """The session in a row."""
    machine, versions = json.loads(row["machine"]), json.loads(row["versions"])
    if not isinstance(machine, dict) or not isinstance(versions, dict):
        message = "machine or versions are no table"
        raise ValueError(message)  # noqa: TRY004 - a fault of the row, as all others
    return SessionRow(
        started_at=row["started_at"],
        elapsed_s=row["elapsed_s"],
        end=row["end"],
        machine=machine,
        versions=versions,
    )


def _compare(stored: Identity, current: Identity, name: object) -> None:
    faults = []
    if stored.model_sha256 not in {current.model_sha256, *current.earlier_sha256}:
        faults.append("the model file has changed since the study began")
    if stored.inputs != current.inputs:
        faults.append(f"shape or inputs have changed: {stored.inputs} then, {current.inputs} now")
    if stored.items_per_request != current.items_per_request:
        faults.append(
            f"the items in a request have changed: {stored.items_per_request} then, "
            f"{current.items_per_request} now; [model] items = {stored.items_per_request} counts "
            "them as then"
        )
    if stored.goal != current.goal:
        faults.append(f"the goal has changed: {stored.goal} then, {current.goal} now")
    for dimension, choices in stored.space.items():
        now = current.space.get(dimension)
        if now != choices:
            faults.append(f"the space has changed: {dimension} {choices} then, {now} now")
    if faults:
        way_out = (
            "restore what it was, or begin another study under a new --name. "
            "(Another cap needs no new measurement: autotune best STUDY --max-latency …)"
        )
        listed = "\n  ".join(faults)
        message = f"{name}: this study cannot go on:\n  {listed}\n{way_out}"
        raise StudyMismatchError(message)


def _share(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    message = f"{value!r} is no headroom"
    raise ValueError(message)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
