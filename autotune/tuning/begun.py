"""A study that was begun: its space, its machine, and whether it may go on here."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from autotune.errors import StorageError, StudyMismatchError
from autotune.machines.fingerprint import Machine
from autotune.space.space import SearchSpace
from autotune.storage.database import DATABASE
from autotune.storage.reader import StudyReader

T = TypeVar("T")


def begun_space(folder: Path) -> SearchSpace | None:
    """The space of the study in a folder; None where none was begun, or none can be read."""
    return _of_begun(folder, lambda store: SearchSpace.from_dict(store.identity().space))


def begun_machine(folder: Path) -> Mapping[str, Any]:
    """Fingerprint of the machine that the study in a folder was begun on; empty for a new one."""
    return _of_begun(folder, lambda store: store.sessions()[0].machine) or {}


def _of_begun(folder: Path, ask: Callable[[StudyReader], T]) -> T | None:
    """What a study says of itself; None where none was begun, or it cannot say.

    Whoever opens it for writing says what is wrong with it.
    """
    if not (folder / DATABASE).is_file():
        return None
    try:
        with contextlib.closing(StudyReader.read_only(folder)) as store:
            return ask(store)
    except (StorageError, LookupError, ValueError, TypeError):
        return None


def check_machine(store: StudyReader, machine: Machine, *, anyway: bool) -> list[str]:
    """Refuse another machine or runtime, unless told to go on; returns what to tell the user.

    Raises:
        StudyMismatchError: lists what differs.
    """
    sessions = store.sessions()
    differences = machine.differences(sessions[-1].machine) if sessions else []
    if not differences:
        return []
    listed = "\n  ".join(differences)
    if anyway:
        return [f"continued on another machine or runtime: {'; '.join(differences)}"]
    raise StudyMismatchError(
        f"{store.name}: this is not where the study was begun:\n  {listed}\n"
        "numbers of two machines must not be mixed: begin another study under a new --name, "
        "or go on with --anyway"
    )
