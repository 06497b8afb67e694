"""Older databases brought up to date: one function for each version, one transaction each."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, select, text, update

from autotune.storage.schema import SCHEMA_VERSION, STUDY


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


_STEPS: dict[int, Callable[[Connection], None]] = {1: _to_2, 2: _to_3}
"""The step from each version to the next."""
