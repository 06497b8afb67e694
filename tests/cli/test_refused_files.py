"""A file that this version does not read is refused by every command, in one line, untouched."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from autotune.testing import SimulatedCpu, SimulatedRunner
from tests.command import Autotune, Done
from tests.test_artefacts import ARTEFACTS, VIEWERS

COMMANDS: dict[str, Sequence[str]] = {
    **VIEWERS,
    "report of two": ("report", "{}", "{}", "--out", "{}/report.html"),
    "tune": ("tune", "{}", "--trust", "--anyway"),
}
SURFACE_COMMANDS: dict[str, Sequence[str]] = {
    "replay": ("replay", "{}/surface.db", "--trials", "2", "--seeds", "1"),
    "record": ("record", "{}"),
}


def execute(file: Path, *statements: str) -> None:
    """By hand."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def versioned(value: str) -> Callable[[Path], None]:
    """Its tables say that they are of this version."""

    def change(file: Path) -> None:
        table = "surface" if file.name == "surface.db" else "autotune_study"
        execute(
            file,
            "PRAGMA writable_schema = ON",
            f"UPDATE sqlite_schema SET sql = replace(sql, 'schema_version INTEGER NOT NULL', "  # noqa: S608 - of this file
            f"'schema_version INTEGER') WHERE name = '{table}'",
        )
        execute(file, f"UPDATE {table} SET schema_version = {value}")  # noqa: S608 - of this file

    return change


def truncated(part: float) -> Callable[[Path], None]:
    """Its end is missing."""

    def change(file: Path) -> None:
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * part)])

    return change


def of_unknown_space(file: Path) -> None:
    """A later version chose something that this one does not know."""
    table = "surface" if file.name == "surface.db" else "autotune_study"
    execute(file, f"UPDATE {table} SET space = json_set(space, '$.warp', json('[1, 2]'))")  # noqa: S608 - of this file


def of_unknown_configurations(file: Path) -> None:
    """And measured it."""
    tables = (
        ("cell",) if file.name == "surface.db" else ("autotune_measurement", "autotune_failure")
    )
    change = "SET configuration = json_set(configuration, '$.warp', 2)"
    execute(file, *(f"UPDATE {table} {change}" for table in tables))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "of the next schema": versioned("schema_version + 1000"),
    "of schema 99": versioned("99"),
    "of schema 0": versioned("0"),
    "of schema -1": versioned("-1"),
    "of no schema": versioned("NULL"),
    "of a schema in words": versioned("'five'"),
    "of half a schema": versioned("4.5"),
    "of an unknown space": of_unknown_space,
    "of unknown configurations": of_unknown_configurations,
    "without its end": truncated(0.9),
    "without most of it": truncated(0.2),
    "without all but a few bytes": truncated(0.001),
}
WAYS_OUT = "upgrade|restore a copy|record it again|the autotune that wrote it|move this file away"


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever measures does so on a simulated machine."""

    def simulated(*_: object, **__: object) -> SimulatedRunner:
        return SimulatedRunner(cpu=SimulatedCpu(cpus=2, speed={"bf16": 1.5, "f32": 1.0}))

    monkeypatch.setattr("autotune.tuning.prepare.SubprocessRunner", simulated)


def contents(folder: Path) -> dict[str, bytes]:
    """Every database in it, and whatever lies beside one."""
    return {path.name: path.read_bytes() for path in folder.glob("*.db*")}


def check(done: Done, file: Path, before: dict[str, bytes]) -> None:
    """One line that names the file and the way out; nothing was written."""
    assert done.code == 1, done.out + done.err
    assert str(file) in done.err.replace("\n", ""), done.err
    assert re.search(WAYS_OUT, " ".join(done.err.split())), done.err
    assert done.err.count("autotune: ") == 1, done.err
    assert "Traceback" not in done.err
    assert contents(file.parent) == before


FILES: dict[str, tuple[str, dict[str, Sequence[str]]]] = {
    "schema1": ("study.db", COMMANDS),
    "schema4": ("study.db", COMMANDS),
    "surface": ("surface.db", SURFACE_COMMANDS),
    "surface4": ("surface.db", SURFACE_COMMANDS),
}
"""Artefacts, the file of each, and who uses it."""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_every_command_refuses_the_file(
    autotune: Autotune, tmp_path: Path, name: str, damage: str
) -> None:
    """Whether it is read or gone on with."""
    folder = Path(shutil.copytree(ARTEFACTS / name, tmp_path / "copy"))
    for model in ("model.xml", "model.bin"):
        shutil.copy(ARTEFACTS / model, folder)
    database, commands = FILES[name]
    DAMAGES[damage](folder / database)
    before = contents(folder)
    for words in commands.values():
        done = autotune(*(word.format(folder) for word in words))
        check(done, folder / database, before)
