"""Older databases brought up to date: one function for each version, one transaction for all."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Column, Connection, Table, inspect, select, text, update
from sqlalchemy.schema import CreateIndex, CreateTable

from autotune.domain.place import Place
from autotune.storage.columns import BEFORE
from autotune.storage.machines import machine_id
from autotune.storage.older import as_current
from autotune.storage.schema import (
    BLOCK,
    CONTENDER,
    FAILURE,
    MEASUREMENT,
    METADATA,
    REFERENCE,
    SCHEMA_VERSION,
    SESSION,
    SLICE,
    STUDY,
)


def lay_out(connection: Connection) -> None:
    """Create the tables of a database that holds no study yet.

    Those that an older version created before it was killed are made anew, as they are empty.
    """
    for table in reversed(METADATA.sorted_tables):
        known = inspect(connection).has_table(table.name) and _columns(connection, table.name)
        is_older = known and not known.issuperset(table.columns.keys())
        if is_older and connection.execute(select(table.c.id)).first() is None:
            table.drop(connection)
    METADATA.create_all(connection)
    for table in METADATA.sorted_tables:  # of one that was there already they are not created
        _create_indexes(connection, table)


def migrate(connection: Connection, version: int) -> None:
    """Bring the tables of existing studies to the current version.

    Tables that a version added are created first, as they are now.

    Args:
        connection: within a transaction that holds changes of tables, without foreign keys: tables
            are made anew.
        version: what they are.
    """
    METADATA.create_all(connection)
    for number in range(version, SCHEMA_VERSION):
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
        if column.split()[0] not in _columns(connection, table):
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


def _to_5(connection: Connection) -> None:
    """Sessions, measurements and failures say of which study they are, and trials of where."""
    for table in (SESSION, MEASUREMENT, FAILURE):
        _make_anew(connection, table)
    _create_indexes(connection, STUDY)


def _to_6(connection: Connection) -> None:
    """What a measurement cost beside time: its CPU time as far as its blocks tell."""
    _add_missing(connection, (SESSION, MEASUREMENT, BLOCK, REFERENCE, SLICE, CONTENDER))


def _to_7(connection: Connection) -> None:
    """What it took to prepare the inputs is on record."""
    _add_missing(connection, (MEASUREMENT, BLOCK, REFERENCE, SLICE))


def _to_8(connection: Connection) -> None:
    """What the guard found is on record."""
    _add_missing(connection, (MEASUREMENT,))


def _add_missing(connection: Connection, tables: Iterable[Table]) -> None:
    """Columns that may be null."""
    for table in tables:
        known = _columns(connection, table.name)
        for column in table.columns:
            if column.name not in known:
                _add(connection, table, column)


def _add(connection: Connection, table: Table, column: Column[Any]) -> None:
    """A column that may be null, with what it was before there was one."""
    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type}")
    if BEFORE in column.info:
        connection.exec_driver_sql(
            f"UPDATE {table.name} AS main_table SET {column.name} = {column.info[BEFORE]}"  # noqa: S608 - our own names
        )


def _make_anew(connection: Connection, table: Table) -> None:
    """Lay a table out as it is now, with its rules, which SQLite changes in no other way."""
    part, owned = f"{table.name}_part", _owned(connection, table)
    made = str(CreateTable(table).compile(connection)).replace(table.name, part, 1)
    current = as_current(table, _columns(connection, table.name))
    for statement in (
        f"DROP TABLE IF EXISTS {part}",
        made,
        f"INSERT INTO {part} {current}",
        f"DROP TABLE {table.name}",
        f"ALTER TABLE {part} RENAME TO {table.name}",
    ):
        connection.exec_driver_sql(statement)
    _create_indexes(connection, table)
    for statement in owned:
        connection.exec_driver_sql(statement)


def _owned(connection: Connection, table: Table) -> list[str]:
    """What makes a user's own triggers and indexes of a table again, which go with it."""
    query = (
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('trigger', 'index')"
    )
    ours = {str(index.name) for index in table.indexes}
    found = connection.exec_driver_sql(query, (table.name,)).all()
    return [sql for name, sql in found if sql is not None and name not in ours]


def _create_indexes(connection: Connection, table: Table) -> None:
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        connection.execute(CreateIndex(index, if_not_exists=True))


def _columns(connection: Connection, table: str) -> set[str]:
    return {found["name"] for found in inspect(connection).get_columns(table)}


_STEPS: dict[int, Callable[[Connection], None]] = {
    1: _to_2,
    2: _to_3,
    3: _to_4,
    4: _to_5,
    5: _to_6,
    6: _to_7,
    7: _to_8,
}
"""The step from each version to the next."""
