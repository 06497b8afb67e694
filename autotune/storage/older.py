"""Read a study of an older schema as the current one has it, without writing to it."""

import sqlite3
from typing import Any

from sqlalchemy import Engine, Table, event

from autotune.storage.schema import METADATA


def show_as_current(engine: Engine) -> None:
    """Let every connection of a read-only engine see the tables and columns of this version.

    What a later version added reads as its default, or as null; a table that it added is empty.
    Views of the connection's own stand before the tables of the file: nothing is copied, and
    indexes are used through them.
    """

    @event.listens_for(engine, "connect")
    def _lay_views(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute("PRAGMA temp_store = MEMORY")  # views need no file, wherever this runs
        connection.execute("PRAGMA query_only = OFF")
        for table in METADATA.tables.values():
            rows = connection.execute(f"PRAGMA main.table_info({table.name})")
            missing = set(table.columns.keys()) - {row[1] for row in rows}
            if missing:
                connection.execute(_view(table, missing))
        connection.execute("PRAGMA query_only = ON")

    engine.dispose()


def _view(table: Table, missing: set[str]) -> str:
    """The statement that makes a table look as it does now."""
    added = [f"{_default(table, name)} AS {name}" for name in sorted(missing)]
    if len(missing) == len(table.columns):
        return f"CREATE TEMP VIEW {table.name} AS SELECT {', '.join(added)} WHERE 0"
    columns = ", ".join(["main_table.*", *added])
    source = f"SELECT {columns} FROM main.{table.name} AS main_table"  # noqa: S608 - our own names
    return f"CREATE TEMP VIEW {table.name} AS {source}"


def _default(table: Table, name: str) -> str:
    default: Any = table.columns[name].server_default
    return "NULL" if default is None else f"'{default.arg}'"
