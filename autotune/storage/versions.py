"""The version of the tables in a file, and what to say of one that this program does not read."""

from dataclasses import dataclass

from sqlalchemy import Engine, Table, inspect, select

from autotune.errors import StorageError
from autotune.storage.faults import faults_explained


@dataclass(frozen=True, slots=True, kw_only=True)
class Versioned:
    """Tables of one kind of file; the rows of one of them have the version of all."""

    table: Table
    """Has a column `schema_version`."""
    current: int
    """What this program writes."""
    absent: str
    """What to say of a file without the table,"""
    unbegun: str
    """of one without a row in it,"""
    damaged: str
    """of one whose version is none that was ever written,"""
    newer: str
    """and of one that is newer: {found} and {current} stand for the versions."""

    def check(self, engine: Engine, name: object) -> int:
        """The version of a file's tables.

        Args:
            engine: of the file.
            name: what messages call it.

        Raises:
            StorageError: it cannot be read by this program, with the way out.
        """
        with faults_explained(name), engine.connect() as connection:
            if not inspect(connection).has_table(self.table.name):
                raise StorageError(f"{name}: {self.absent}")
            found = set(connection.execute(select(self.table.c.schema_version)).scalars())
        if not found:
            raise StorageError(f"{name}: {self.unbegun}")
        version = found.pop()
        if found or not isinstance(version, int) or version < 1:
            raise StorageError(f"{name}: {self.damaged}")
        if version > self.current:
            words = self.newer.format(found=version, current=self.current)
            raise StorageError(f"{name}: {words}")
        return version
