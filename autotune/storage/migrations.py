"""Older databases brought up to date: one function for each version, one transaction each."""

import json
from collections.abc import Callable

from sqlalchemy import Connection, Engine, inspect, select, text, update

from autotune.domain.place import Place
from autotune.storage.machines import machine_id
from autotune.storage.schema import SCHEMA_VERSION, SESSION, SLICE, STUDY


def migrate(engine: Engine) -> None:
    """Bring the tables of an existing study to the current version; a new one needs nothing.

    Tables that a version added are there already: they are created where missing.
    """
    with engine.connect() as connection:
        version = connection.execute(select(STUDY.c.schema_version)).scalar_one_or_none()
    for number in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                # The driver begins none before a change of tables: a kill would leave half a step.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            _STEPS[number](connection)
            connection.execute(update(STUDY).values(schema_version=number + 1))


def _to_2(connection: Connection) -> None:
    """How requests were fed is on record; before, there was one way only."""
    connection.execute(
        text("ALTER TABLE autotune_measurement ADD COLUMN feed VARCHAR(8) NOT NULL DEFAULT 'bind'")
    )


def _to_3(connection: Connection) -> None:
    """Who began a study is on record; an older one belongs to whoever resumes it."""
    connection.execute(text("ALTER TABLE autotune_study ADD COLUMN owner TEXT"))


def _to_4(connection: Connection) -> None:
    """Where things were measured is on record, and what could not be proven or was dropped."""
    machine = "machine_id INTEGER REFERENCES autotune_machine (id)"
    for table, column in (
        ("autotune_study", "items_per_request INTEGER"),
        ("autotune_study", "fed TEXT"),
        ("autotune_measurement", "unproven TEXT"),
        ("autotune_contender", "dropped TEXT"),
        ("autotune_session", machine),
        ("autotune_slice", machine),
    ):
        # A table that an earlier step was to bring is the current one: it was just created.
        known = {found["name"] for found in inspect(connection).get_columns(table)}
        if column.split()[0] not in known:
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column}"))
    found = set()
    query = select(SESSION.c.id, SESSION.c.machine, SESSION.c.versions)
    for session, fingerprint, versions in connection.execute(query).all():
        place = Place.of(json.loads(fingerprint), json.loads(versions))
        number = machine_id(connection, place)
        found.add(number)
        connection.execute(update(SESSION).where(SESSION.c.id == session).values(machine_id=number))
    if len(found) == 1:  # of several, nobody knows any more which slice was measured where
        connection.execute(update(SLICE).values(machine_id=found.pop()))


_STEPS: dict[int, Callable[[Connection], None]] = {1: _to_2, 2: _to_3, 3: _to_4}
"""The step from each version to the next."""
