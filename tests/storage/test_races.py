"""A race is in the database round by round, and read back as it was written."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from autotune.domain.failure import FailureKind
from autotune.domain.measurement import Feed
from autotune.domain.race import Contender, Dossier, Dropped, End, Slice
from autotune.errors import StorageError
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.storage.races import RaceLog, StoredRace, last_race, session_of_last_race
from autotune.storage.reader import StudyReader
from autotune.storage.writer import StudyWriter
from tests.builders import (
    make_block,
    make_configuration,
    make_failure,
    make_opening,
    make_trial,
)
from tests.storage.studies import opened

HINT = Contender(
    name="CPU THROUGHPUT hint",
    configuration=Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT),
    trial=1,
    search_per_s=400.0,
    search_latency_ms=2.0,
)
FAST = Contender(name="trial 7", configuration=make_configuration(), trial=7, search_per_s=900.0)
LATE = Contender(name="trial 9", configuration=make_configuration(batch_size=2), trial=9)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyWriter]:
    """A study in its second session: a race belongs to one of them."""
    found = opened(tmp_path)
    found.start_session({"cpu_model": "x"}, {"python": "3"})
    found.start_session({"cpu_model": "x"}, {"python": "3"})
    yield found
    found.close()


def begin(store: StudyWriter, **fields: Any) -> RaceLog:
    """A race of three after ten trials."""
    values: dict[str, Any] = {
        "trials": 10,
        "baseline": 2,
        "feed": Feed.COPY,
        "tie_margin": 0.015,
        "noise": 0.012,
        **fields,
    }
    return RaceLog.begin(store, [FAST, LATE, HINT], **values)


def make_round(launch: int, number: int) -> list[Slice]:
    """The fast one and the hint, in the order of their turns; all within 1 ms."""
    at_s = 10.0 * launch + number
    fast = Slice(launch, number, 0, at_s + 0.5, make_block((1.0,) * 450))
    return [Slice(launch, number, 2, at_s, make_block((1.0,) * 200)), fast]


def stored(store: StudyReader) -> StoredRace:
    """The last race, which must be there."""
    found = last_race(store)
    assert found is not None
    return found


def damage(folder: Path, statement: str) -> None:
    """By hand."""
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_before_the_first_race_there_is_none(store: StudyWriter) -> None:
    """A study without a race is no fault."""
    assert last_race(store) is None


def test_a_race_is_read_back_as_it_was_written(store: StudyWriter, tmp_path: Path) -> None:
    """Contenders in order, what is known of them, every slice, and the end; by another reader."""
    log = begin(store)
    slices = [piece for launch in range(3) for n in range(4) for piece in make_round(launch, n)]
    for first in range(0, len(slices), 2):
        log.keep(slices[first : first + 2], elapsed_s=20.0 + first)
    dossiers = {
        0: Dossier(opening=make_opening(), peak_rss_bytes=2**28),
        1: Dossier(failure=make_failure(FailureKind.CRASH, exit_code=-11)),
    }
    log.note(dossiers)
    log.end(End.DECIDED, 33.5)

    reader = StudyReader.read_only(tmp_path)
    found = stored(reader)
    reader.close()
    assert (found.end, found.duration_s, found.trials) == (End.DECIDED, 33.5, 10)
    assert (found.noise, found.tie_margin) == (0.012, 0.015)
    assert (found.baseline, found.feed) == (2, Feed.COPY)
    assert [c.name for c in found.contenders] == ["trial 7", "trial 9", HINT.name]
    assert [c.configuration for c in found.contenders] == [
        contender.configuration for contender in (FAST, LATE, HINT)
    ]
    assert found.contenders[2] == HINT
    assert found.slices == slices
    assert found.dossiers == {**dossiers, 2: Dossier()}
    assert store.sessions()[-1].elapsed_s == 20.0 + len(slices) - 2


def test_a_race_that_was_cut_off_has_no_end(store: StudyWriter) -> None:
    """Every whole round is there, and the time of its last slice."""
    log = begin(store)
    for launch in range(3):
        for number in range(4):
            log.keep(make_round(launch, number), elapsed_s=1.0)
    found = stored(store)
    assert (found.end, found.duration_s) == (None, 23.5)


def test_a_round_is_written_whole_or_not_at_all(store: StudyWriter) -> None:
    """Its second slice stands there already: neither the first nor the time is kept."""
    log = begin(store)
    log.keep(make_round(0, 0), elapsed_s=5.0)
    twice = [Slice(0, 1, 2, 2.0, make_block()), *make_round(0, 0)[:1]]
    with pytest.raises(StorageError, match="UNIQUE"):
        log.keep(twice, elapsed_s=9.0)
    assert stored(store).slices == make_round(0, 0)
    assert store.sessions()[-1].elapsed_s == 5.0


def test_a_round_without_slices_changes_nothing(store: StudyWriter) -> None:
    """Everyone failed in it; the time is written with the next one."""
    log = begin(store)
    log.keep(make_round(0, 0), elapsed_s=5.0)
    log.keep([], elapsed_s=6.0)
    assert store.sessions()[-1].elapsed_s == 5.0


def test_the_last_race_counts(store: StudyWriter) -> None:
    """An earlier one stays in the file, and is not mixed with it."""
    first = begin(store)
    first.keep(make_round(0, 0), elapsed_s=1.0)
    first.end(End.DECIDED, 9.0)
    second = begin(store, trials=12, noise=None, baseline=None, feed=Feed.BIND)
    assert stored(store).trials == 10  # nothing was seen of the second yet
    second.keep(make_round(0, 0)[1:], elapsed_s=1.0)
    found = stored(store)
    assert (found.trials, found.end, len(found.slices)) == (12, None, 1)
    assert (found.noise, found.baseline, found.duration_s) == (None, None, 0.5)
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM autotune_race")).scalar() == 2


def test_a_race_says_where_each_launch_was_held(store: StudyWriter, tmp_path: Path) -> None:
    """Each launch its session and machine, each slice its machine; the last one names the race."""
    begin(store).keep(make_round(0, 0), elapsed_s=1.0)
    found = stored(store)
    assert store.place is not None
    assert found.places == {store.place.digest}
    store.start_session({"cpu_model": "x", "system": "Linux 7"}, {"python": "4"})
    again = RaceLog(store, found.number)
    again.keep(make_round(1, 0), elapsed_s=1.0)
    again.keep(make_round(1, 1), elapsed_s=2.0)

    assert stored(store).places == found.places  # another kernel is no other machine
    assert session_of_last_race(store).versions == {"python": "4"}
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
        launches = connection.execute(
            "SELECT launch, session_id, machine_id, at_s FROM autotune_launch"
        ).fetchall()
        machines = connection.execute("SELECT DISTINCT machine_id FROM autotune_slice").fetchall()
    assert launches == [(0, 2, 1, 0.0), (1, 3, 1, 10.0)]
    assert machines == [(1,)]


def test_a_race_of_two_machines_says_both(store: StudyWriter) -> None:
    """As an older version may have left it."""
    begin(store).keep(make_round(0, 0), elapsed_s=1.0)
    store.start_session({"cpu_model": "y"}, {"python": "3"})
    RaceLog(store, 1).keep(make_round(1, 0), elapsed_s=1.0)
    assert len(stored(store).places) == 2
    assert session_of_last_race(store).machine == {"cpu_model": "y"}


@pytest.mark.parametrize(("before", "places"), [("x", 1), ("y", 2)])
def test_slices_that_do_not_say_where_are_of_any_session_since(
    store: StudyWriter, tmp_path: Path, before: str, places: int
) -> None:
    """Those of the sessions before the race are not: a race of an older version is so."""
    store.start_session({"cpu_model": "z"}, {})
    store.start_session({"cpu_model": "x"}, {})
    begin(store).keep(make_round(0, 0), elapsed_s=1.0)
    store.start_session({"cpu_model": before}, {})
    damage(tmp_path, "UPDATE autotune_slice SET machine_id = NULL")
    damage(tmp_path, "DELETE FROM autotune_launch")
    with closing(StudyReader.read_only(tmp_path)) as reader:
        assert len(stored(reader).places) == places
        assert session_of_last_race(reader).machine == {"cpu_model": "x"}
    assert len(stored(store).places) == 1  # the session of now has not yet gone on with it


@pytest.mark.parametrize("why", Dropped)
def test_who_was_dropped_is_kept(store: StudyWriter, why: Dropped) -> None:
    """With the reason."""
    log = begin(store)
    log.keep(make_round(0, 0), elapsed_s=1.0)
    log.note({0: Dossier(opening=make_opening(unproven="empty"), dropped=why)})
    assert stored(store).dossiers[0] == Dossier(opening=make_opening(unproven="empty"), dropped=why)


def test_a_log_goes_on_with_a_stored_race(store: StudyWriter) -> None:
    """By its number, as after a crash; a later note replaces an earlier one."""
    log = begin(store)
    log.keep(make_round(0, 0), elapsed_s=1.0)
    log.note({0: Dossier(opening=make_opening(start_s=1.0))})
    again = RaceLog(store, stored(store).number)
    again.keep(make_round(1, 0), elapsed_s=2.0)
    again.note({0: Dossier(opening=make_opening(start_s=2.0), peak_rss_bytes=7)})
    again.end(End.LAUNCHES, 4.0)
    found = stored(store)
    assert found.slices == [*make_round(0, 0), *make_round(1, 0)]
    assert found.dossiers[0] == Dossier(opening=make_opening(start_s=2.0), peak_rss_bytes=7)
    assert found.end is End.LAUNCHES


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE autotune_race SET \"end\" = 'bored'",
        "UPDATE autotune_slice SET latencies = x'00'",
        "UPDATE autotune_contender SET configuration = '{'",
        "UPDATE autotune_contender SET opening = '{}'",
        'UPDATE autotune_contender SET failure = \'{"kind": "sulked"}\'',
    ],
)
def test_a_damaged_race_is_named_and_not_guessed(
    store: StudyWriter, tmp_path: Path, statement: str
) -> None:
    """The message names the file and the race."""
    log = begin(store)
    log.keep(make_round(0, 0), elapsed_s=1.0)
    damage(tmp_path, statement)
    with pytest.raises(StorageError, match=r"study\.db: race 1 cannot be read"):
        last_race(store)


def test_a_viewer_cannot_write_a_race(store: StudyWriter, tmp_path: Path) -> None:
    """Each way of writing is refused with what stands in the way."""
    begin(store)
    reader = StudyWriter.read_only(tmp_path)
    log = RaceLog(reader, 1)
    with pytest.raises(StorageError, match="make the folder writable"):
        begin(reader)
    with pytest.raises(StorageError, match="make the folder writable"):
        log.keep(make_round(0, 0), elapsed_s=1.0)
    with pytest.raises(StorageError, match="make the folder writable"):
        log.note({0: Dossier()})
    with pytest.raises(StorageError, match="make the folder writable"):
        log.end(End.DECIDED, 1.0)
    reader.close()


def test_slices_of_the_reference_are_kept_in_order(store: StudyWriter, tmp_path: Path) -> None:
    """With their session and time; trials do not see them."""
    assert store.reference() == []
    blocks = [make_block((1.0 + n,) * 10, steal_s=None if n else 0.1) for n in range(3)]
    for number, block in enumerate(blocks):
        store.record_reference("ab12", 2.5 * number, block)
    store.start_session({"cpu_model": "x"}, {"python": "4"})
    store.record_reference("ab12", 0.5, replace(blocks[0], duration_s=0.25))
    store.record(make_trial(0), elapsed_s=1.0)

    reader = StudyReader.read_only(tmp_path)
    found = reader.reference()
    assert found == [
        (2, 0.0, blocks[0]),
        (2, 2.5, blocks[1]),
        (2, 5.0, blocks[2]),
        (3, 0.5, replace(blocks[0], duration_s=0.25)),
    ]
    assert len(reader.trials()) == 1
    reader.close()


@pytest.mark.parametrize(
    ("machine", "key"), [({"cpu_model": "y"}, "ab12"), ({"cpu_model": "x"}, "cd34")]
)
def test_slices_of_another_machine_or_reference_are_not_put_together(
    store: StudyWriter, machine: dict[str, str], key: str
) -> None:
    """What looks like drift would be another machine, or another configuration."""
    for number in range(3):
        store.record_reference("ab12", float(number), make_block())
    store.start_session(machine, {"python": "3"})
    store.record_reference(key, 0.5, make_block(duration_s=0.25))
    assert [(session, at_s) for session, at_s, _ in store.reference()] == [(3, 0.5)]
