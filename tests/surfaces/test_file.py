"""A surface file is written group by group, read back as it was, gone on with as it began."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.failure import FailureKind
from autotune.domain.measurement import Feed
from autotune.errors import StorageError, StudyMismatchError
from autotune.space.configuration import Configuration
from autotune.space.dimensions import Api, PerformanceHint
from autotune.space.space import SearchSpace
from autotune.surfaces.file import SurfaceFile, _slice_of, _slice_row, load_surface
from autotune.surfaces.schema import CELL, METADATA, SURFACE_SCHEMA_VERSION
from autotune.surfaces.surface import (
    LEVELS,
    RecordedLaunch,
    RecordedSlice,
    RecordPlan,
    Surface,
    SurfaceIdentity,
    cells_by_key,
)
from tests.builders import make_failure, make_opening, make_trial
from tests.storage.studies import opened

SPACE = SearchSpace(
    {
        "device": ("CPU",),
        "threads_per_stream": (1,),
        "streams": (1, 2),
        "requests_per_stream": (1, 2),
        "batch": (1,),
        "pinning": (True, False),
        "precision": ("f32",),
        "api": (Api.ASYNC, Api.SYNC),
    },
    2,
)
HINTS = [Configuration(device="CPU", hint=hint) for hint in PerformanceHint]
CELLS = [*HINTS, *map(SPACE.configuration, SPACE.points())]
KEYS = list(cells_by_key(CELLS))
PLAN = RecordPlan(launches=2, rounds=2, slice_s=0.25, residents=3, feed=Feed.COPY, seed=7)
IDENTITY = SurfaceIdentity(
    name="demo",
    spec='[model]\npath = "né.onnx"\n',
    model_sha256="ab" * 32,
    shapes={"x": [1, 3, 48, 192], "ids": [1, 8]},
    machine={
        "cpu_model": "Z80",
        "logical_cpus": 2,
        "usable_cpus": 2,
        "openvino": "2026.4",
        "devices": {"CPU": "Z80"},
        "affinity_cpus": None,
    },
    versions={"python": "3.13.1", "openvino": "2026.4"},
    space=SPACE,
    plan=PLAN,
    started_at="2026-11-25T03:42:00+00:00",
)


def make_slice(cell: int, launch: int, number: int, **fields: Any) -> RecordedSlice:
    """A slice that differs from every other."""
    known: dict[str, Any] = {
        "at_s": 100.0 * launch + 10.0 * number + 0.125 * cell,
        "duration_s": 0.25 + 1e-9 * cell,
        "completions": 100 + cell,
        "occupancy": 0.9875,
        "latency_ticks": tuple(range(20_000 + cell, 20_000 + cell + len(LEVELS))),
        "cpu_s": 0.5 + 0.01 * number,
        "rss_bytes": 2**27 + cell,
        "peak_rss_bytes": 2**28 + cell,
        "energy_j": 3.5 + cell,
    }
    return RecordedSlice(cell=cell, launch=launch, round=number, **{**known, **fields})


def make_launch(key: int, launch: int, **fields: Any) -> RecordedLaunch:
    """All slices of a compile key in one launch."""
    known: dict[str, Any] = {
        "at_s": 100.0 * launch + key // PLAN.residents,
        "opening": make_opening(start_s=0.1 + 0.01 * key, output_error=None),
        "failure": None,
        "peak_rss_bytes": 2**28 + key,
        "slices": tuple(
            make_slice(cell, launch, number)
            for number in range(PLAN.rounds)
            for cell in cells_by_key(CELLS)[KEYS[key]]
        ),
    }
    return RecordedLaunch(key=KEYS[key], launch=launch, **{**known, **fields})


def make_failed(key: int, launch: int) -> RecordedLaunch:
    """A launch of which there is only the reason."""
    failure = make_failure(FailureKind.CRASH, exit_code=-11, stderr_tail="é\n\x00")
    return make_launch(key, launch, opening=None, failure=failure, peak_rss_bytes=None, slices=())


def groups(launches: int = PLAN.launches) -> Iterable[list[RecordedLaunch]]:
    """Everything, as it is recorded; the second key fails in the first launch."""
    for launch in range(launches):
        for first in range(0, len(KEYS), PLAN.residents):
            yield [
                make_failed(key, launch) if (key, launch) == (1, 0) else make_launch(key, launch)
                for key in range(first, min(first + PLAN.residents, len(KEYS)))
            ]


def begun(folder: Path, identity: SurfaceIdentity = IDENTITY) -> SurfaceFile:
    """The file as a recording opens it."""
    return SurfaceFile.begin(folder / "surface.db", identity, CELLS)


@cache
def _whole() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with closing(begun(Path(folder))) as file:
            for group in groups():
                file.keep(group)
        return (Path(folder) / "surface.db").read_bytes()


def whole(folder: Path) -> Path:
    """A file with a whole surface; made once, every test has a copy."""
    (folder / "surface.db").write_bytes(_whole())
    return folder / "surface.db"


def by_name(launches: Iterable[RecordedLaunch]) -> list[RecordedLaunch]:
    """In an order of their own."""
    return sorted(launches, key=lambda recorded: (recorded.launch, recorded.key.key))


def execute(file: Path, *statements: str) -> None:
    """By hand."""
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


# --- there and back


def test_a_surface_is_read_back_as_it_was_recorded(tmp_path: Path) -> None:
    """Identity, cells, launches with openings and failures, every slice with its latencies."""
    found = load_surface(whole(tmp_path))
    expected = [recorded for group in groups() for recorded in group]
    assert found.identity == IDENTITY
    assert found.cells == tuple(CELLS)
    assert by_name(found.launches) == by_name(
        replace(r, slices=tuple(sorted(r.slices, key=lambda s: s.at_s))) for r in expected
    )
    assert found.is_whole
    assert found == Surface(identity=IDENTITY, cells=tuple(CELLS), launches=found.launches)


def test_launches_are_in_the_order_in_which_they_were_recorded(tmp_path: Path) -> None:
    """By time, and within a group as they were given."""
    found = load_surface(whole(tmp_path)).launches
    assert [(r.key, r.launch) for r in found] == [
        (r.key, r.launch) for group in groups() for r in group
    ]


counts = st.integers(0, 2**31)


@given(
    st.builds(
        RecordedSlice,
        cell=counts,
        launch=counts,
        round=counts,
        at_s=st.integers(0, 10**8).map(lambda ms: ms / 1000),
        duration_s=st.floats(1e-6, 1e3),
        completions=st.integers(1, 2**31),
        occupancy=st.integers(0, 20_000).map(lambda share: share / 10_000),
        latency_ticks=st.lists(
            st.integers(0, 2**32 - 1), min_size=len(LEVELS), max_size=len(LEVELS)
        ).map(lambda ticks: tuple(sorted(ticks))),
    )
)
def test_a_slice_survives_its_row(piece: RecordedSlice) -> None:
    """From zero to the largest tick; times to a millisecond, occupancy to four digits."""
    assert _slice_of({**_slice_row(piece), "id": 1, "launch_id": 2}, piece.launch) == piece


def test_times_and_occupancy_are_rounded_and_durations_are_not(tmp_path: Path) -> None:
    """Rates are made of durations; the rest would only make the file larger."""
    piece = make_slice(0, 0, 0, at_s=1.23456789, duration_s=0.123456789012, occupancy=0.98765432)
    with closing(begun(tmp_path)) as file:
        file.keep([make_launch(0, 0, slices=(piece,))])
    (found,) = load_surface(tmp_path / "surface.db").launches[0].slices
    assert (found.at_s, found.duration_s, found.occupancy) == (1.235, 0.123456789012, 0.9877)


def test_every_row_belongs_to_another(tmp_path: Path) -> None:
    """SQLite finds nothing wrong with the file, and it is told apart from other databases."""
    with closing(sqlite3.connect(whole(tmp_path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA application_id").fetchone() == (0x61757466,)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert {table.name for table in METADATA.sorted_tables} <= tables


def test_every_column_that_is_no_key_has_its_meaning_beside_it() -> None:
    """The documentation is made of them."""
    for table in METADATA.sorted_tables:
        assert table.comment
        for column in table.columns:
            plain = not column.primary_key and not column.foreign_keys
            assert not plain or column.comment, f"{table.name}.{column.name}"


# --- stopped, and gone on with


def test_a_surface_is_whole_once_every_key_had_its_launches(tmp_path: Path) -> None:
    """Failed ones count: they will not be tried again."""
    parts = list(groups())
    with closing(begun(tmp_path)) as file:
        for group in parts[:-1]:
            file.keep(group)
            assert not load_surface(tmp_path / "surface.db").is_whole
        file.keep(parts[-1])
    assert load_surface(tmp_path / "surface.db").is_whole


def test_a_recording_of_the_first_schema_is_read_and_goes_on(tmp_path: Path) -> None:
    """What it did not know stays unknown, of what follows everything is kept."""
    costs = ("cpu_s", "rss_bytes", "peak_rss_bytes", "energy_j")
    first, *rest = groups()
    with closing(begun(tmp_path)) as file:
        file.keep(first)
    path = tmp_path / "surface.db"
    with closing(sqlite3.connect(path)) as connection:
        for column in costs:
            connection.execute(f"ALTER TABLE slice DROP COLUMN {column}")
        connection.execute("UPDATE surface SET schema_version = 1")
        connection.commit()
    before = path.read_bytes()
    unknown: dict[str, Any] = {
        "cpu_s": None,
        "rss_bytes": None,
        "peak_rss_bytes": None,
        "energy_j": None,
    }
    then = [
        replace(launch, slices=tuple(replace(taken, **unknown) for taken in launch.slices))
        for launch in first
    ]
    assert list(load_surface(path).launches) == then
    assert path.read_bytes() == before
    with closing(begun(tmp_path)) as file:
        for group in rest:
            file.keep(group)
    found = {(one.key, one.launch): one for one in load_surface(path).launches}
    now = [launch for group in rest for launch in group]
    assert [found[one.key, one.launch] for one in [*then, *now]] == [*then, *now]


def test_a_recording_goes_on_with_its_file(tmp_path: Path) -> None:
    """What is stored is known; when it began, and by which versions, stays as it was."""
    first, second, *rest = groups()
    with closing(begun(tmp_path)) as file:
        file.keep(first)
        file.keep(second)
    later = replace(
        IDENTITY,
        name="renamed",
        started_at="2027-01-01T00:00:00+00:00",
        versions={**IDENTITY.versions, "python": "3.14"},
        machine={**IDENTITY.machine, "system": "a newer kernel"},
    )
    with closing(begun(tmp_path, later)) as file:
        assert [(r.key, r.launch) for r in file.recorded()] == [
            (r.key, r.launch) for r in [*first, *second]
        ]
        for group in rest:
            file.keep(group)
    found = load_surface(tmp_path / "surface.db")
    assert found.identity == IDENTITY
    assert found.launches == load_surface(whole(_made(tmp_path / "other"))).launches


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_group_is_stored_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """Its second launch stands there already: neither it nor the first one is stored."""
    with closing(begun(tmp_path)) as file:
        file.keep([make_launch(0, 0)])
        with pytest.raises(StorageError, match="UNIQUE"):
            file.keep([make_launch(2, 0), make_launch(0, 0)])
        assert [r.key for r in file.recorded()] == [KEYS[0]]
        file.keep([])
        file.keep([make_launch(2, 0), make_launch(0, 1)])
    assert len(load_surface(tmp_path / "surface.db").launches) == 3


def test_an_empty_file_is_a_beginning(tmp_path: Path) -> None:
    """As a temporary name that was reserved; but there is nothing to load."""
    (tmp_path / "surface.db").touch()
    with pytest.raises(StorageError, match="holds no surface"):
        load_surface(tmp_path / "surface.db")
    begun(tmp_path).close()
    assert load_surface(tmp_path / "surface.db").launches == ()


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Here a file stands where the folder should be."""
    (tmp_path / "demo").write_text("")
    with pytest.raises((StorageError, NotADirectoryError), match=r"demo/surface\.db"):
        begun(tmp_path / "demo")


NARROW = SearchSpace({**SPACE.choices, "streams": (1,)}, 2)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"model_sha256": "cd" * 32}, "the model file is another one"),
        ({"shapes": {"x": [1, 3, 48, 320]}}, "shapes: .*192.* then, .*320.* now"),
        ({"plan": replace(PLAN, launches=3)}, "plan: .*launches=2.* then, .*launches=3.* now"),
        ({"plan": replace(PLAN, slice_s=0.5)}, "slice_s=0.25"),
        ({"plan": replace(PLAN, feed=Feed.BIND)}, "copy"),
        ({"space": NARROW}, r"streams: \[1, 2\] then, \[1\] now"),
        ({"machine": {**IDENTITY.machine, "cpu_model": "6502"}}, "cpu_model: 'Z80' then, '6502'"),
        ({"machine": {**IDENTITY.machine, "usable_cpus": 1}}, "usable_cpus: 2 then, 1 now"),
        ({"machine": {**IDENTITY.machine, "openvino": "2027.0"}}, "openvino: '2026.4' then"),
        ({"machine": {**IDENTITY.machine, "devices": {"CPU": "6502"}}}, "devices: .*6502.* now"),
        ({"versions": {**IDENTITY.versions, "openvino": "2027.0"}}, "openvino package: .*2027.0"),
    ],
)
def test_the_surface_of_something_else_is_refused(
    tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    """With what differs and the way out; the file stays as it was."""
    file = whole(tmp_path)
    before = file.read_bytes()
    with pytest.raises(StudyMismatchError, match=rf"(?s)surface\.db: .*{words}.*--out"):
        begun(tmp_path, replace(IDENTITY, **other))
    assert file.read_bytes() == before


def test_a_digest_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """The same model, of which 0.1 did not see every file: from now on, its digest is of all."""
    begun(tmp_path).close()
    now = replace(IDENTITY, model_sha256="cd" * 32, earlier_sha256=(IDENTITY.model_sha256,))
    begun(tmp_path, now).close()
    begun(tmp_path, replace(now, earlier_sha256=())).close()
    with pytest.raises(StudyMismatchError, match="the model file is another one"):
        begun(tmp_path, replace(IDENTITY, earlier_sha256=()))


def test_every_difference_is_told(tmp_path: Path) -> None:
    """Not only the first."""
    begun(tmp_path).close()
    machine = {**IDENTITY.machine, "cpu_model": "6502", "openvino": "2027.0"}
    other = replace(IDENTITY, model_sha256="cd" * 32, machine=machine, space=NARROW)
    with pytest.raises(StudyMismatchError) as caught:
        begun(tmp_path, other)
    for words in ("model file", "6502", "2027.0", "streams"):
        assert words in str(caught.value)


# --- what is no surface


def text_file(file: Path) -> None:
    """Not a database at all."""
    file.write_text("Dear diary, " * 100)


def study_database(file: Path) -> None:
    """Ours, but a study's."""
    store = opened(file.parent)
    store.start_session({}, {})
    store.record(make_trial(0), elapsed_s=1.0)
    store.close()
    (file.parent / "study.db").rename(file)


def newer(file: Path) -> None:
    """From the future."""
    execute(whole(file.parent), "UPDATE surface SET schema_version = schema_version + 1")


def without_a_row(file: Path) -> None:
    """Killed between its tables and its first row."""
    execute(whole(file.parent), "DELETE FROM surface")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (text_file, "not a database"),
        (study_database, "holds no surface; make one with: autotune record"),
        (
            newer,
            f"schema {SURFACE_SCHEMA_VERSION + 1}; this version reads {SURFACE_SCHEMA_VERSION}",
        ),
        (without_a_row, "never begun; remove the file"),
    ],
)
@pytest.mark.parametrize("use", ["record", "replay"])
def test_a_file_that_is_no_surface_is_refused_untouched(
    tmp_path: Path, make: Callable[[Path], None], words: str, use: str
) -> None:
    """By a recording before it writes anything, and by a replay."""
    file = tmp_path / "surface.db"
    make(file)
    before = file.read_bytes()
    with pytest.raises(StorageError, match=rf"surface\.db: .*{words}"):
        begun(tmp_path) if use == "record" else load_surface(file)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) in (
        ["surface.db"],
        ["logs", "surface.db"],
    )


def test_a_missing_file_is_told_how_to_make_one(tmp_path: Path) -> None:
    """And none is made; nor is a folder one."""
    for path in (tmp_path / "surface.db", tmp_path):
        with pytest.raises(StorageError, match="there is no such surface; make one with: autotune"):
            load_surface(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE slice SET latencies = x'00010203'",
        "UPDATE slice SET latencies = x'000102'",
        "UPDATE slice SET latencies = x''",
        "UPDATE cell SET configuration = '{'",
        "UPDATE cell SET configuration = '{}'",
        "UPDATE launch SET opening = '{}' WHERE opening IS NOT NULL",
        "UPDATE launch SET opening = 'null' WHERE opening IS NOT NULL",
        'UPDATE launch SET failure = \'{"kind": "sulked"}\' WHERE failure IS NOT NULL',
        "UPDATE surface SET space = '{}'",
        'UPDATE surface SET record_plan = \'{"feed": "spoon"}\'',
        "UPDATE surface SET machine = 'Z80'",
        "UPDATE surface SET levels = '[0.5, 1.0]'",
        "UPDATE launch SET compiled_id = compiled_id + 99",
        "UPDATE slice SET launch_id = 99",
    ],
)
def test_a_damaged_surface_is_named_and_not_guessed(tmp_path: Path, statement: str) -> None:
    """Latencies of the wrong length, JSON that is none or of another kind, rows of nobody."""
    file = whole(tmp_path)
    execute(file, statement)
    with pytest.raises(StorageError, match=r"surface\.db: "):
        load_surface(file)


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    """Its second half is missing."""
    file = whole(tmp_path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(StorageError, match=r"surface\.db: "):
        load_surface(file)


# --- reading only


def test_loading_leaves_the_file_untouched(tmp_path: Path) -> None:
    """To the byte, with nothing beside it; also by a path relative to another folder."""
    file = whole(tmp_path)
    before = file.read_bytes(), file.stat().st_mtime_ns
    for _ in range(2):
        load_surface(file)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert [path.name for path in tmp_path.iterdir()] == ["surface.db"]


@pytest.mark.parametrize("name", ["with space.db", "100%.db", "what?.db", "a#b.db"])
def test_any_file_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Names that mean something in an address are names all the same."""
    monkeypatch.chdir(tmp_path)
    with closing(SurfaceFile.begin(Path(name), IDENTITY, CELLS)) as file:
        file.keep([make_launch(0, 0)])
        assert len(file.recorded()) == 1
    assert len(load_surface(Path(name)).launches) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_surface_can_be_read_while_it_is_recorded(tmp_path: Path) -> None:
    """A reader sees the groups that are stored."""
    with closing(begun(tmp_path)) as file:
        for number, group in enumerate(groups()):
            assert len(load_surface(tmp_path / "surface.db").by_key) == len(KEYS)
            file.keep(group)
            assert len(load_surface(tmp_path / "surface.db").launches) == sum(
                len(part) for part in list(groups())[: number + 1]
            )


def test_a_slice_takes_little_space(tmp_path: Path) -> None:
    """A surface of several hundred cells is meant to be kept beside the code."""
    with closing(begun(tmp_path)) as file:
        file.keep([make_launch(key, n) for n in range(100) for key in range(len(KEYS))])
        slices = sum(len(r.slices) for r in file.recorded())
    assert (tmp_path / "surface.db").stat().st_size < 500 * slices
    with closing(sqlite3.connect(tmp_path / "surface.db")) as connection:
        (cells,) = connection.execute(f"SELECT count(*) FROM {CELL.name}").fetchone()  # noqa: S608
        (size,) = connection.execute("SELECT max(length(latencies)) FROM slice").fetchone()
    assert cells == len(CELLS)
    assert size == 4 * len(LEVELS) == np.dtype("<u4").itemsize * len(LEVELS)
