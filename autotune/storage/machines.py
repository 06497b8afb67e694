"""Rows of the machines that a study was measured on."""

import json

from sqlalchemy import Connection, insert, select

from autotune.domain.place import Place
from autotune.storage.schema import MACHINE


def machine_id(connection: Connection, place: Place) -> int:
    """The row of a place, made if it is not there."""
    query = select(MACHINE.c.id).where(MACHINE.c.digest == place.digest)
    found: int | None = connection.execute(query).scalar_one_or_none()
    if found is not None:
        return found
    result = connection.execute(
        insert(MACHINE).values(
            digest=place.digest,
            hardware=json.dumps(dict(place.hardware), sort_keys=True),
            runtime=json.dumps(dict(place.runtime), sort_keys=True),
        )
    )
    assert result.inserted_primary_key is not None  # noqa: S101 - for the type checker
    number: int = result.inserted_primary_key[0]
    return number
