"""Races in the database: written round by round, and given back as they were written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from autotune.domain.doubts import Doubts
from autotune.domain.measurement import Feed
from autotune.domain.race import Contender, Dossier, End, LaunchReadings, Slice
from autotune.storage import codec
from autotune.storage.faults import faults_explained
from autotune.storage.reader import StudyReader
from autotune.storage.rows import fetch, rows_explained
from autotune.storage.schema import CONTENDER, LAUNCH, MACHINE, RACE, RESIDENT, SESSION, SLICE
from autotune.storage.sessions import SessionRow, session_of_row
from autotune.storage.writer import StudyWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRace:
    """A race as the database has it, whole or cut off."""

    number: int
    trials: int
    """Recorded trials when it began."""
    contenders: Sequence[Contender]
    """In the order in which they entered."""
    dossiers: Mapping[int, Dossier]
    """What is known of each, by position."""
    slices: Sequence[Slice]
    """By launch, round and turn."""
    readings: Sequence[LaunchReadings]
    """What every process took beside its slices, by launch; nothing before schema 6."""
    baseline: int | None
    """Position of the contender that ratios were taken to when it began."""
    tie_margin: float
    """The rule that it began with, as `feed` is."""
    feed: Feed
    doubts: Doubts
    """What could not be shown of answers, whenever they were given."""
    end: End | None
    """None when it was cut off."""
    duration_s: float
    noise: float | None
    """The machine's A/A noise when it began; None where it was not calibrated."""
    places: frozenset[str]
    """Digests of the machines and runtimes that it was held on: one, unless an older version put
    together what it should not have, or could not say."""

    @property
    def is_whole(self) -> bool:
        """Whether more time would add nothing; one that ran out of time may go on."""
        return self.end in {End.DECIDED, End.LAUNCHES, End.EMPTY}


class RaceLog:
    """Writes one race of the current session; each call is one transaction."""

    def __init__(self, store: StudyWriter, number: int) -> None:
        self._store = store
        self._engine: Engine = store.engine
        self._number = number
        self._launches: set[int] = set()

    @classmethod
    def begin(  # noqa: PLR0913 - the columns of a race
        cls,
        store: StudyWriter,
        contenders: Sequence[Contender],
        *,
        trials: int,
        baseline: int | None,
        feed: Feed,
        tie_margin: float,
        noise: float | None,
    ) -> "RaceLog":
        """Write down who races."""
        with faults_explained(store.name), store.engine.begin() as connection:
            result = connection.execute(
                insert(RACE).values(
                    session_id=store.session_id,
                    started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                    trials=trials,
                    baseline=baseline,
                    feed=feed,
                    tie_margin=tie_margin,
                    noise=noise,
                )
            )
            assert result.inserted_primary_key is not None  # noqa: S101 - for the type checker
            number: int = result.inserted_primary_key[0]
            connection.execute(
                insert(CONTENDER),
                [
                    {"race_id": number, "position": i, **codec.contender_row(contender, Dossier())}
                    for i, contender in enumerate(contenders)
                ],
            )
        return cls(store, number)

    @classmethod
    def resume(cls, store: StudyWriter, number: int) -> "RaceLog":
        """Go on with a race; until it ends again it counts as cut off."""
        log = cls(store, number)
        log.end(None, None)
        return log

    def keep(self, slices: Sequence[Slice], elapsed_s: float) -> None:
        """Write a round, and the session's time so far."""
        if not slices:
            return
        race = {"race_id": self._number, "machine_id": self._store.machine_id}
        begun = {p.launch: p for p in reversed(slices) if p.launch not in self._launches}
        with faults_explained(self._store.name), self._engine.begin() as connection:
            for launch, first in begun.items():
                connection.execute(
                    insert(LAUNCH).values(
                        **race,
                        launch=launch,
                        session_id=self._store.session_id,
                        at_s=first.at_s,
                    )
                )
            connection.execute(
                insert(SLICE), [{**race, **codec.slice_row(piece)} for piece in slices]
            )
            connection.execute(
                update(SESSION)
                .where(SESSION.c.id == self._store.session_id)
                .values(elapsed_s=elapsed_s)
            )
        self._launches |= begun.keys()

    def note(
        self, dossiers: Mapping[int, Dossier], readings: Sequence[LaunchReadings] = ()
    ) -> None:
        """Write what the last launch found out about the contenders and their processes."""
        with faults_explained(self._store.name), self._engine.begin() as connection:
            for position, dossier in dossiers.items():
                connection.execute(
                    update(CONTENDER)
                    .where(CONTENDER.c.race_id == self._number, CONTENDER.c.position == position)
                    .values(**codec.dossier_row(dossier))
                )
            process = (RESIDENT.c.launch, RESIDENT.c.contender)
            query = select(*process).where(RESIDENT.c.race_id == self._number)
            known = {tuple(row) for row in connection.execute(query)}
            new = [found for found in readings if (found.launch, found.contender) not in known]
            if new:
                rows = [{"race_id": self._number, **codec.resident_row(found)} for found in new]
                connection.execute(insert(RESIDENT), rows)

    def end(self, end: End | None, duration_s: float | None) -> None:
        """Write why it ended."""
        with faults_explained(self._store.name), self._engine.begin() as connection:
            connection.execute(
                update(RACE).where(RACE.c.id == self._number).values(end=end, duration_s=duration_s)
            )


def _check_positions(contenders: int, positions: Iterable[int | None]) -> None:
    if any(position is not None and not 0 <= position < contenders for position in positions):
        message = f"a position outside of its {contenders} contenders"
        raise ValueError(message)


def session_of_last_race(store: StudyReader) -> SessionRow:
    """The session of the last race's last launch: where and with what it was measured.

    Of a race of an older version, which kept no launches, the session that began it.
    """
    race = _last_with_slices(store)
    launched = (
        select(SESSION)
        .join(LAUNCH, LAUNCH.c.session_id == SESSION.c.id)
        .where(LAUNCH.c.race_id == race)
        .order_by(LAUNCH.c.launch.desc())
    )
    begun = select(SESSION).join(RACE, RACE.c.session_id == SESSION.c.id).where(RACE.c.id == race)
    rows = fetch(store.engine, store.name, launched.limit(1))
    (row,) = rows or fetch(store.engine, store.name, begun)
    with rows_explained(store.name, "a session"):
        return session_of_row(row)


def _last_with_slices(store: StudyReader) -> Any:
    """The number of the race that counts: one without a slice, cut off so early, has no say."""
    return select(func.max(SLICE.c.race_id)).where(store.rows.of(SLICE)).scalar_subquery()


def _places(
    store: StudyReader, race: Mapping[str, Any], slices: Sequence[Mapping[str, Any]]
) -> frozenset[str]:
    """Where the slices of a race were measured.

    Slices of an older version may not say: those may be of any session from the race's own on.
    """
    numbers = {row["machine_id"] for row in slices}
    digests = {
        row["id"]: row["digest"]
        for row in fetch(store.engine, store.name, select(MACHINE.c.id, MACHINE.c.digest))
    }
    found = {digests[number] for number in numbers if number is not None}
    if None in numbers:
        query = select(SESSION).where(store.rows.of(SESSION), SESSION.c.id >= race["session_id"])
        if store.session_id is not None:
            query = query.where(SESSION.c.id < store.session_id)
        sessions = fetch(store.engine, store.name, query)
        found |= {session_of_row(row).place.digest for row in sessions}
    return frozenset(found)


def last_race(store: StudyReader) -> StoredRace | None:
    """The study's last race of which there is a slice; None without any.

    Raises:
        StorageError: the database cannot be read, or holds what is no race.
    """

    def rows(query: Any) -> list[dict[str, Any]]:
        return fetch(store.engine, store.name, query)

    found = rows(select(RACE).where(RACE.c.id == _last_with_slices(store)))
    if not found:
        return None
    race = found[0]
    contender_rows = rows(
        select(CONTENDER).where(CONTENDER.c.race_id == race["id"]).order_by(CONTENDER.c.position)
    )
    slice_rows = rows(
        select(SLICE)
        .where(SLICE.c.race_id == race["id"])
        .order_by(SLICE.c.launch, SLICE.c.round, SLICE.c.id)
    )
    resident_rows = rows(
        select(RESIDENT)
        .where(RESIDENT.c.race_id == race["id"])
        .order_by(RESIDENT.c.launch, RESIDENT.c.id)
    )
    with rows_explained(store.name, f"race {race['id']}"):
        known = [codec.contender_of(dict(row)) for row in contender_rows]
        slices = [codec.slice_of(dict(row)) for row in slice_rows]
        readings = [codec.resident_of(row) for row in resident_rows]
        end = None if race["end"] is None else End(race["end"])
        feed = Feed(race["feed"])
        positions = [race["baseline"], *(piece.contender for piece in slices)]
        _check_positions(len(known), [*positions, *(found.contender for found in readings)])
        places = _places(store, race, slice_rows)
    items = store.identity().items_per_request
    return StoredRace(
        number=race["id"],
        trials=race["trials"],
        contenders=[replace(contender, items_per_request=items) for contender, _ in known],
        dossiers={i: dossier for i, (_, dossier) in enumerate(known)},
        slices=slices,
        readings=readings,
        baseline=race["baseline"],
        tie_margin=race["tie_margin"],
        feed=feed,
        doubts=store.doubts(),
        end=end,
        duration_s=race["duration_s"] or max((piece.at_s for piece in slices), default=0.0),
        noise=race["noise"],
        places=places,
    )
