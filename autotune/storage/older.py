"""A study of an older schema as the current one has it: for viewers, without writing to it."""

import sqlite3
from collections.abc import Collection
from typing import Any

from sqlalchemy import Engine, MetaData, Table, event

from autotune.storage.columns import BEFORE
from autotune.storage.schema import METADATA


def show_as_current(engine: Engine, metadata: MetaData = METADATA) -> None:
    """Let every connection of a read-only engine see the tables and columns of this version.

    What a later version added reads as it will once the study is brought up to date; a table that
    it added is empty. Views of the connection's own stand before the tables of the file: nothing is
    copied, and indexes are used through them.
    """

    @event.listens_for(engine, "connect")
    def _lay_views(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute("PRAGMA temp_store = MEMORY")  # views need no file, wherever this runs
        connection.execute("PRAGMA query_only = OFF")
        for table in metadata.tables.values():
            rows = connection.execute(f"PRAGMA main.table_info({table.name})")
            known = {row[1] for row in rows}
            if not known.issuperset(table.columns.keys()):
                connection.execute(f"CREATE TEMP VIEW {table.name} AS {as_current(table, known)}")
        connection.execute("PRAGMA query_only = ON")

    engine.dispose()


def as_current(table: Table, known: Collection[str]) -> str:
    """The query that gives a table of a file the columns of this version, in their order.

    Args:
        table: as it is now.
        known: the columns that the file has; none for a table that it has not.
    """
    columns = ", ".join(
        f"{f'main_table.{name}' if name in known else _before(table, name)} AS {name}"
        for name in table.columns.keys()  # noqa: SIM118 - of columns, not of names
    )
    source = f"FROM main.{table.name} AS main_table" if known else "WHERE 0"
    return f"SELECT {columns} {source}"


def _before(table: Table, name: str) -> str:
    """What a column was before there was one."""
    column = table.columns[name]
    if BEFORE in column.info:
        return str(column.info[BEFORE])
    default: Any = column.server_default
    return "NULL" if default is None else f"CAST('{default.arg}' AS {column.type})"
