"""Rows read back, each value of its column's type: anybody may have written the file."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, select

from autotune.errors import StorageError
from autotune.storage.faults import faults_explained
from autotune.storage.schema import MEASUREMENT, STUDY

_LARGEST = 1e15
"""Of numbers: what is measured is smaller, and its square is still one."""
_WAYS = ("session_id", "race_id", "measurement_id")
"""Columns that lead from a row to its study, where it does not name that itself."""


class StudyRows:
    """The rows of one study of a database."""

    def __init__(self, engine: Engine, name: object, study: str | None = None) -> None:
        """Look nowhere yet.

        Args:
            engine: of the database.
            name: what messages call it: its path.
            study: its name in a database of several; None for the only one.
        """
        self.engine = engine
        self.name = name
        self._study = study
        self._study_id: int | None = None

    @property
    def study_id(self) -> int:
        """The row of the study.

        Raises:
            StorageError: it is not there, or of several no one was named.
        """
        if self._study_id is None:
            found = self.find()
            if found is None:
                raise StorageError(f"{self.name}: this database holds no study {self._study or ''}")
            self._study_id = found
        return self._study_id

    def find(self) -> int | None:
        """The row of the study; None before it is begun.

        Raises:
            StorageError: of several no one was named, or the database cannot be read.
        """
        rows = self.all(select(STUDY.c.id, STUDY.c.name))
        found = [row["id"] for row in rows if self._study in {None, row["name"]}]
        if len(found) > 1:
            raise StorageError(f"{self.name}: holds {len(found)} studies; name one of them")
        return found[0] if found else None

    def of(self, table: Table) -> ColumnElement[bool]:
        """The condition that a row of a table is of this study."""
        return of_study(table, self.study_id)

    @property
    def searched(self) -> tuple[ColumnElement[bool], ...]:
        """The conditions that a measurement is of one of the study's trials."""
        return self.of(MEASUREMENT), MEASUREMENT.c.trial_number.is_not(None)

    def all(self, query: Any) -> list[dict[str, Any]]:
        """As `fetch`."""
        return fetch(self.engine, self.name, query)

    def one(self, query: Any) -> dict[str, Any]:
        """The only row of a query.

        Raises:
            StorageError: as for `fetch`; or there is none, or another one.
        """
        rows = self.all(query)
        if len(rows) != 1:
            raise StorageError(f"{self.name}: a row is missing, or there once too often")
        return rows[0]


@contextlib.contextmanager
def rows_explained(name: object, what: str) -> Iterator[None]:
    """Turn what a row should not have into a `StorageError`: anybody may have written it."""
    try:
        yield
    except _UNREADABLE as error:
        raise StorageError(f"{name}: {what} cannot be read: {error}") from error


def of_study(table: Table, study_id: int) -> ColumnElement[bool]:
    """The condition that a row is of a study.

    Args:
        table: one of ours but `autotune_machine`, which belongs to no study.
        study_id: the row of the study.
    """
    if table is STUDY:
        return STUDY.c.id == study_id
    if "study_id" in table.c:
        return table.c.study_id == study_id
    way = next(table.c[name] for name in _WAYS if name in table.c)
    (key,) = way.foreign_keys
    owner = key.column.table
    return way.in_(select(owner.c.id).where(of_study(owner, study_id)))


def fetch(engine: Engine, name: object, query: Any) -> list[dict[str, Any]]:
    """All rows of a query over our tables, every value of its column's type.

    SQLite keeps whatever it is given: text in a column of numbers, infinity, a null where none may
    be. Anybody may have written the file, and what is read is not to surprise anybody later.

    Raises:
        StorageError: the database cannot be read, or holds what it should not.
    """
    with (
        faults_explained(name),
        rows_explained(name, f"a row of {_tables(query)}"),
        engine.connect() as connection,
    ):
        found = connection.execute(query).all()
        columns = zip(*found, strict=True)
        names = []
        for column, values in zip(query.selected_columns, columns, strict=False):
            names.append(column.key)
            kind, may_be_null = column.type.python_type, bool(column.nullable)
            if not _is_sound(values, kind, may_be_null=may_be_null):
                for value in values:
                    _check(column.key, value, kind, may_be_null=may_be_null)
        return [dict(zip(names, row, strict=True)) for row in found]


def _tables(query: Any) -> str:
    return ", ".join(dict.fromkeys(str(table) for table in query.columns_clause_froms))


def _is_sound(values: Sequence[object], kind: type, *, may_be_null: bool) -> bool:
    """Whether a column is what it should be at first glance; most are, and that is quick."""
    kinds = {float, int} if kind is float else {kind}
    if not set(map(type, values)) <= (kinds | {type(None)} if may_be_null else kinds):
        return False
    return kind is not float or all(v is None or abs(v) <= _LARGEST for v in values)  # type: ignore[arg-type]  # numbers by now


def _check(key: str, value: object, kind: type, *, may_be_null: bool) -> None:
    if value is None:
        if not may_be_null:
            raise ValueError(f"{key} is missing")
    elif kind is float:
        if not isinstance(value, float | int) or not abs(value) <= _LARGEST:
            raise ValueError(f"{key} is {_short(value)}, and no number")
    elif not isinstance(value, kind):
        raise ValueError(f"{key} is {_short(value)}, and no {kind.__name__}")


def _short(value: object) -> str:
    return repr(value)[:80]


_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
