"""A study's evidence as one tuner writes it."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, inspect, select, update

from autotune.domain.doubts import Doubts
from autotune.domain.failure import Failure
from autotune.domain.measurement import Block, Measurement
from autotune.domain.place import Place
from autotune.domain.trial import Trial
from autotune.storage import codec
from autotune.storage.database import check_schema
from autotune.storage.faults import faults_explained
from autotune.storage.identity import Identity, identity_row, refuse_another
from autotune.storage.machines import machine_id
from autotune.storage.migrations import lay_out, migrate
from autotune.storage.owner import owner
from autotune.storage.reader import UNPROVEN, StudyReader
from autotune.storage.rows import rows_explained
from autotune.storage.schema import (
    BLOCK,
    EVENT,
    FAILURE,
    MACHINE,
    MEASUREMENT,
    REFERENCE,
    SCHEMA_VERSION,
    SESSION,
    STUDY,
)
from autotune.storage.sessions import places
from autotune.storage.sqlite import rebuilding, transaction


class StudyWriter(StudyReader):
    """The autotune tables of one study, for the one tuner that writes them."""

    def __init__(self, engine: Engine, name: object, study: str | None = None) -> None:
        super().__init__(engine, name, study)
        self.machine_id: int | None = None
        """The row of the machine that the session runs on; None before it begins."""
        self.place: Place | None = None
        """Where the session runs; None before it begins."""

    def begin(self, identity: Identity) -> None:
        """Create the tables and the study's row, or bring those of this study up to date.

        Raises:
            StudyMismatchError: the database holds another study, and is as it was; the message
                lists what differs.
            StorageError: it cannot be used.
        """
        version = self._version()
        study_id = None if version is None else self.rows.find()
        if study_id is not None:
            refuse_another(self.identity(), identity, self.name)
        is_older = version is not None and version < SCHEMA_VERSION
        with (
            faults_explained(self.name),
            rows_explained(self.name, "a session"),
            rebuilding(self.engine) if is_older else transaction(self.engine) as connection,
        ):
            if version is None:
                lay_out(connection)
            elif is_older:
                migrate(connection, version)
            if study_id is None:
                study_id = _create(connection, identity)
            _bring_up_to_date(connection, study_id, identity)

    def start_session(
        self, machine: dict[str, Any], versions: dict[str, str], why_no_energy: str | None = None
    ) -> None:
        """Begin to account for time; everything recorded from now on belongs to this session."""
        self.place = Place.of(machine, versions)
        with faults_explained(self.name), self.engine.begin() as connection:
            self.machine_id = machine_id(connection, self.place)
            result = connection.execute(
                insert(SESSION).values(
                    study_id=self.rows.study_id,
                    started_at=_now(),
                    elapsed_s=0.0,
                    machine=json.dumps(machine),
                    versions=json.dumps(versions),
                    why_no_energy=why_no_energy,
                    machine_id=self.machine_id,
                )
            )
            assert result.inserted_primary_key is not None  # noqa: S101 - for the type checker
            self.session_id = result.inserted_primary_key[0]

    def end_session(self, elapsed_s: float, reason: str) -> None:
        """Note the time spent and why the session ended."""
        self._write(
            update(SESSION)
            .where(SESSION.c.id == self.session_id)
            .values(elapsed_s=elapsed_s, end=reason)
        )

    def measured_elsewhere(self) -> frozenset[int]:
        """Numbers of the trials that were not measured where this session runs."""
        here = None if self.place is None else self.place.digest
        where, known = places(self.rows), self.rows.all(select(MACHINE.c.id, MACHINE.c.digest))
        digests = {row["id"]: row["digest"] for row in known}
        columns = (MEASUREMENT.c.trial_number, MEASUREMENT.c.session_id, MEASUREMENT.c.machine_id)
        query = select(*columns).where(*self.rows.searched)
        return frozenset(
            row["trial_number"]
            for row in self.rows.all(query)
            if digests.get(row["machine_id"], where[row["session_id"]]) != here
        )

    def record(self, trial: Trial, elapsed_s: float) -> None:
        """Write a trial's evidence and the time spent, in one transaction.

        Raises:
            StorageError: the database cannot be written.
        """
        common = {
            "study_id": self.rows.study_id,
            "session_id": self.session_id,
            "machine_id": self.machine_id,
            "trial_number": trial.number,
            "origin": trial.origin,
        }
        with faults_explained(self.name), self.engine.begin() as connection:
            if trial.measurement is not None:
                _write_measured(connection, common, trial, trial.measurement)
            elif trial.failure is not None:
                _write_failed(connection, common, trial, trial.failure)
            connection.execute(
                update(SESSION).where(SESSION.c.id == self.session_id).values(elapsed_s=elapsed_s)
            )

    def record_reference(self, key: str, at_s: float, block: Block) -> None:
        """Write a slice of the reference, whose configuration has this key."""
        self._write(
            insert(REFERENCE).values(
                session_id=self.session_id,
                at_s=at_s,
                configuration_key=key,
                **codec.block_row(block),
            )
        )

    def note(self, kind: str, **data: Any) -> None:
        """Write an event."""
        self._write(
            insert(EVENT).values(
                session_id=self.session_id,
                at=_now(),
                kind=kind,
                data=json.dumps(data, default=str),
            )
        )

    def doubt(self, doubts: Doubts) -> None:
        """Note what this session's inspection could not show, if that is not what is known."""
        if doubts != self.doubts():
            self.note(UNPROVEN, text=str(doubts), **doubts.to_dict())

    def _version(self) -> int | None:
        """Of the tables that are there; None where no study was begun in them."""
        with faults_explained(self.name), self.engine.connect() as connection:
            if not inspect(connection).has_table(STUDY.name):
                return None
            if connection.execute(select(STUDY.c.id)).first() is None:
                return None
        return check_schema(self.engine, self.name)

    def _write(self, statement: Any) -> None:
        with faults_explained(self.name), self.engine.begin() as connection:
            connection.execute(statement)


def _create(connection: Connection, identity: Identity) -> int:
    """The row of a new study."""
    result = connection.execute(
        insert(STUDY).values(
            schema_version=SCHEMA_VERSION, created_at=_now(), **identity_row(identity)
        )
    )
    assert result.inserted_primary_key is not None  # noqa: S101 - for the type checker
    number: int = result.inserted_primary_key[0]
    return number


def _bring_up_to_date(connection: Connection, study_id: int, identity: Identity) -> None:
    """What may change of a study's row."""
    # Whoever got here began it, or said that it can be trusted.
    values = {"owner": owner()}
    # An older version may have called the same model otherwise.
    values["model_sha256"] = identity.model_sha256
    if identity.fed is not None:
        values["fed"] = json.dumps(identity.fed.to_dict())
    for name, value in values.items():
        is_another = STUDY.c[name].is_distinct_from(value)
        change = update(STUDY).where(STUDY.c.id == study_id, is_another)
        connection.execute(change.values({name: value}))


def _write_measured(
    connection: Connection, common: dict[str, Any], trial: Trial, measurement: Measurement
) -> None:
    row = codec.measurement_row(measurement)
    # A reused measurement keeps what was requested this time, and no blocks of its own.
    row["configuration"] = json.dumps(trial.configuration.to_dict(), sort_keys=True)
    row["configuration_key"] = trial.configuration.key
    row["compile_key"] = trial.configuration.compile_key.key
    result = connection.execute(
        insert(MEASUREMENT).values(
            **common, **row, phase="search", measured_at=_now(), reused_from=trial.reused_from
        )
    )
    assert result.inserted_primary_key is not None  # noqa: S101 - for the type checker
    number = result.inserted_primary_key[0]
    if trial.reused_from is None:
        connection.execute(
            insert(BLOCK),
            [
                {"measurement_id": number, "position": i, **codec.block_row(block)}
                for i, block in enumerate(measurement.blocks)
            ],
        )


def _write_failed(
    connection: Connection, common: dict[str, Any], trial: Trial, failure: Failure
) -> None:
    connection.execute(
        insert(FAILURE).values(
            **common,
            **codec.failure_row(failure),
            failed_at=_now(),
            configuration=json.dumps(trial.configuration.to_dict(), sort_keys=True),
            configuration_key=trial.configuration.key,
        )
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
