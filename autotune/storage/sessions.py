"""Starts of the tuner: when, where, with what, and for how long."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from autotune.domain.place import Place
from autotune.storage.rows import StudyRows, rows_explained
from autotune.storage.schema import SESSION


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One start of the tuner."""

    started_at: str
    elapsed_s: float
    end: str | None
    machine: dict[str, Any]
    versions: dict[str, str]
    why_no_energy: str | None = None
    """Why the energy of the CPU packages could not be read; None also where nobody looked."""

    @property
    def place(self) -> Place:
        """The machine and the runtime that it measured on."""
        return Place.of(self.machine, self.versions)


def session_of_row(row: Any) -> SessionRow:
    """The session in a row.

    Raises:
        ValueError: it holds none.
    """
    machine, versions = json.loads(row["machine"]), json.loads(row["versions"])
    if not isinstance(machine, dict) or not isinstance(versions, dict):
        message = "machine or versions are no table"
        raise ValueError(message)  # noqa: TRY004 - a fault of the row, as all others
    return SessionRow(
        started_at=row["started_at"],
        elapsed_s=row["elapsed_s"],
        end=row["end"],
        machine=machine,
        versions=versions,
        why_no_energy=row["why_no_energy"],
    )


def places(rows: StudyRows) -> dict[int, str]:
    """Digest of where each session ran, from what every version wrote of it.

    Raises:
        StorageError: it cannot be read.
    """
    found = rows.all(select(SESSION).where(rows.of(SESSION)))
    with rows_explained(rows.name, "a session"):
        return {row["id"]: session_of_row(row).place.digest for row in found}
