"""A study's evidence as anyone reads it."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, func, select

from autotune.domain.doubts import Doubts
from autotune.domain.measurement import Block, Measurement
from autotune.domain.trial import Origin, Trial
from autotune.errors import StorageError
from autotune.space.configuration import Configuration
from autotune.storage import codec
from autotune.storage.database import DATABASE, open_read_only
from autotune.storage.identity import Identity, refuse_unknown, stored_identity
from autotune.storage.rows import StudyRows, rows_explained
from autotune.storage.schema import BLOCK, EVENT, FAILURE, MEASUREMENT, REFERENCE, SESSION
from autotune.storage.sessions import SessionRow, places, session_of_row

OF_WORKLOAD = ("inputs", "plans", "graph", "states")
"""Kinds of events that say what was found of the workload."""
OF_VARIANTS = "variants"
"""The kind of those that say which variants are not tried, and why."""
FINDINGS = ("items", "no_batch", "doubt", "random_inputs", *OF_WORKLOAD, OF_VARIANTS)
"""Kinds of events that say what inspection found."""
UNPROVEN = "unproven"
"""The kind of event that says what a session could not show of answers, its own and older ones."""
_SLAB = 200
"""Trials whose blocks are in memory at once."""


class StudyReader:
    """The autotune tables of one study."""

    session_id: int | None = None
    """The session that is being written; None for viewers and before it begins."""

    def __init__(self, engine: Engine, name: object, study: str | None = None) -> None:
        """Read a study.

        Args:
            engine: of its database.
            name: what messages call the database: its path.
            study: its name in a database of several; None for the only one.
        """
        self.engine = engine
        self.name = name
        self.rows = StudyRows(engine, name, study)

    @classmethod
    def read_only(cls, folder: Path) -> Self:
        """For viewers.

        Raises:
            StorageError: there is no readable study.
        """
        found = cls(open_read_only(folder), folder / DATABASE)
        try:
            refuse_unknown(found.rows)
        except StorageError:
            found.close()
            raise
        return found

    def close(self) -> None:
        """Let the file go."""
        self.engine.dispose()

    def identity(self) -> Identity:
        """What the study is."""
        return stored_identity(self.rows)

    def sessions(self) -> list[SessionRow]:
        """Every start of the tuner, in order."""
        rows = self.rows.all(select(SESSION).where(self.rows.of(SESSION)).order_by(SESSION.c.id))
        with rows_explained(self.name, "a session"):
            return [session_of_row(row) for row in rows]

    def session_of(self, trial_number: int) -> SessionRow:
        """The session in which a trial was measured; one that was reused, when it first was."""
        mine = self.rows.of(MEASUREMENT)
        own = select(func.coalesce(MEASUREMENT.c.reused_from, MEASUREMENT.c.trial_number)).where(
            mine, MEASUREMENT.c.trial_number == trial_number
        )
        query = (
            select(SESSION)
            .join(MEASUREMENT)
            .where(mine, MEASUREMENT.c.trial_number == own.scalar_subquery())
        )
        row = self.rows.one(query)
        with rows_explained(self.name, "a session"):
            return session_of_row(row)

    def reference(self) -> list[tuple[int, float, Block]]:
        """Session, seconds since its start, and block of the reference's slices, in order.

        Those that can be compared with the last one: of its configuration, and of where it ran.
        """
        query = select(REFERENCE).where(self.rows.of(REFERENCE))
        rows = self.rows.all(query.order_by(REFERENCE.c.id))
        if not rows:
            return []
        where = places(self.rows)
        with rows_explained(self.name, "a slice of the reference"):
            what = [(row["configuration_key"], where[row["session_id"]]) for row in rows]
            return [
                (row["session_id"], row["at_s"], codec.block_of(row))
                for row, one in zip(rows, what, strict=True)
                if one == what[-1]
            ]

    def findings(self) -> list[tuple[str, str]]:
        """What the last session's inspection found that bears on every number: kinds and texts."""
        last = select(func.max(SESSION.c.id)).where(self.rows.of(SESSION)).scalar_subquery()
        query = select(EVENT).where(EVENT.c.session_id == last, EVENT.c.kind.in_(FINDINGS))
        rows = self.rows.all(query.order_by(EVENT.c.id))
        with rows_explained(self.name, "an event"):
            return [(row["kind"], str(json.loads(row["data"])["text"])) for row in rows]

    def doubts(self) -> Doubts:
        """What the last inspection could not show, and so holds against older evidence as well.

        Nothing where no session of this version had a look.
        """
        mine = self.rows.of(EVENT)
        last = select(func.max(EVENT.c.id)).where(mine, EVENT.c.kind == UNPROVEN)
        rows = self.rows.all(select(EVENT).where(EVENT.c.id == last.scalar_subquery()))
        with rows_explained(self.name, "an event"):
            return Doubts.from_dict(json.loads(rows[0]["data"])) if rows else Doubts()

    def trials(self) -> list[Trial]:
        """Every recorded trial by number, without blocks: the statistics are what was stored.

        What a later session could not prove is unproven, though it was measured before.
        """
        doubts = self.doubts()
        measured = self.rows.all(select(MEASUREMENT).where(*self.rows.searched))
        failed = self.rows.all(select(FAILURE).where(self.rows.of(FAILURE)))
        trials = [doubts.of(_measured_trial(self.name, row)) for row in measured]
        trials += [_failed_trial(self.name, row) for row in failed]
        return sorted(trials, key=lambda trial: trial.number)

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
            .where(self.rows.of(MEASUREMENT), MEASUREMENT.c.trial_number == trial_number)
            .order_by(BLOCK.c.position)
        )
        rows = self.rows.all(query)
        with rows_explained(self.name, f"a block of trial {trial_number}"):
            return tuple(codec.block_of(row) for row in rows)

    def latencies(self) -> Iterator[tuple[int, list[bytes]]]:
        """Number of each measured trial, and the latencies of its counted blocks, in order.

        In slabs, so that a night's worth of blocks is never in memory at once.
        """
        query = (
            select(MEASUREMENT.c.trial_number, BLOCK.c.latencies)
            .join_from(BLOCK, MEASUREMENT)
            .where(*self.rows.searched)
            .where(BLOCK.c.position >= MEASUREMENT.c.warmup_blocks)
            .order_by(MEASUREMENT.c.trial_number, BLOCK.c.position)
        )
        numbers = self.rows.all(
            select(MEASUREMENT.c.trial_number)
            .where(*self.rows.searched)
            .order_by(MEASUREMENT.c.trial_number)
        )
        for at in range(0, len(numbers), _SLAB):
            slab = numbers[at : at + _SLAB]
            between = MEASUREMENT.c.trial_number.between(
                slab[0]["trial_number"], slab[-1]["trial_number"]
            )
            rows = self.rows.all(query.where(between))
            with rows_explained(self.name, "a block"):
                for number, mine in itertools.groupby(rows, key=lambda row: row["trial_number"]):
                    yield number, [codec.unpack_ticks(row["latencies"]) for row in mine]

    def moments(self) -> dict[int, float]:
        """When each trial ended: seconds of the study, the time of earlier sessions included."""
        before, begun = {}, {}
        spent_s = 0.0
        sessions = select(SESSION).where(self.rows.of(SESSION))
        for row in self.rows.all(sessions.order_by(SESSION.c.id)):
            with rows_explained(self.name, "a session"):
                before[row["id"]] = spent_s
                begun[row["id"]] = datetime.fromisoformat(row["started_at"])
                spent_s += row["elapsed_s"]
        found: dict[int, float] = {}
        for table, at in ((MEASUREMENT, MEASUREMENT.c.measured_at), (FAILURE, FAILURE.c.failed_at)):
            query = select(table.c.trial_number, table.c.session_id, at).where(self.rows.of(table))
            for row in self.rows.all(query.where(table.c.trial_number.is_not(None))):
                with rows_explained(self.name, "a time"):
                    session = row["session_id"]
                    ago = datetime.fromisoformat(row[at.key]) - begun[session]
                    found[row["trial_number"]] = before[session] + ago.total_seconds()
        return found


def _measured_trial(name: object, row: Any) -> Trial:
    with rows_explained(name, f"measurement {row['id']}"):
        measurement: Measurement = codec.measurement_of(row, ())
        return Trial(
            number=row["trial_number"],
            configuration=measurement.configuration,
            origin=Origin(row["origin"]),
            measurement=measurement,
            reused_from=row["reused_from"],
        )


def _failed_trial(name: object, row: Any) -> Trial:
    with rows_explained(name, f"failure {row['id']}"):
        return Trial(
            number=row["trial_number"],
            configuration=Configuration.from_dict(json.loads(row["configuration"])),
            origin=Origin(row["origin"]),
            failure=codec.failure_of(row),
        )
