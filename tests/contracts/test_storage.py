"""What every database must do for studies: SQLite's file today, another by a line in `BACKENDS`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from autotune.analysis.story import story
from autotune.domain.doubts import Doubts
from autotune.domain.failure import FailureKind
from autotune.domain.fed import Fed
from autotune.domain.goal import Goal, Objective, Verdict
from autotune.domain.measurement import Feed, Flag, Interval, Readings, StopReason
from autotune.domain.race import Contender, Dossier, Dropped, End, LaunchReadings, Slice
from autotune.domain.trial import Origin, Trial
from autotune.errors import StorageError, StudyMismatchError
from autotune.storage.races import RaceLog, last_race
from autotune.storage.reader import StudyReader
from autotune.storage.schema import EVENT, METADATA
from autotune.storage.sqlite import durable_engine, file_url
from autotune.storage.writer import StudyWriter
from tests.builders import (
    make_block,
    make_configuration,
    make_failure,
    make_measurement,
    make_opening,
    make_trial,
)
from tests.storage.studies import IDENTITY

BACKENDS: dict[str, Callable[[Path], str]] = {
    "SQLite file": lambda folder: file_url(folder / "study.db"),
}
"""By name, the address of a database that is empty, given a folder of the test's own."""

OTHER = replace(IDENTITY, name="another", model_sha256="cd" * 32, space={"cpus": 2, "batch": [8]})
MACHINES = ({"cpu_model": "x"}, {"cpu_model": "y"})
VERSIONS = {"python": "3"}
ODD_BLOCK = make_block(
    (0.0001, 1.0, 400_000.0),
    duration_s=1.5,
    occupancy=0.25,
    steal_s=0.5,
    pressure_s=0.0,
    throttled=3,
    major_faults=7,
    clock_drift_s=-0.25,
    cpus=2,
    rss_bytes=2**27,
    energy_j=12.5,
)
TRIALS: dict[str, Trial] = {
    "measured": make_trial(0, origin=Origin.SEED),
    "failed": make_trial(
        1, failure=make_failure(FailureKind.CRASH, exit_code=-11, stderr_tail="é\n🎈")
    ),
    "reused": make_trial(2, configuration=make_configuration(batch_size=2), reused_from=0),
    "with everything": make_trial(
        3,
        measurement=make_measurement(
            opening=make_opening(
                output_error=1e-9,
                unproven="its output is empty",
                cached_compile_s=0.05,
                cached_first_inference_ms=1.5,
                why_not_cached="the device has no model cache",
                peak_rss_bytes=2**26,
            ),
            blocks=(ODD_BLOCK, make_block(), ODD_BLOCK),
            verdict=Verdict.UNCLEAR,
            stop_reason=StopReason.LIMIT,
            throughput=Interval(200.0, 1e-3, 1e9),
            over_cap=5,
            flags=frozenset(Flag),
            feed=Feed.COPY,
            readings=Readings(
                cpu_s_per_item=Interval(1e-3, 0.9e-3, 1.1e-3),
                energy_j_per_item=Interval(0.5, None, None),
                steady_rss_bytes=2**25,
                open_peak_rss_bytes=2**26,
                load_peak_rss_bytes=2**27,
            ),
        ),
    ),
    "with nothing that may be missing": make_trial(
        4,
        measurement=make_measurement(
            opening=make_opening(output_error=None),
            verdict=None,
            throughput=Interval(200.0, None, None),
            peak_rss_bytes=None,
        ),
    ),
}


READINGS = [
    LaunchReadings(
        launch=0,
        contender=position,
        read_s=0.1,
        compile_s=0.4,
        first_inference_ms=3.0,
        open_peak_rss_bytes=peak,
        load_peak_rss_bytes=2**27,
        steady_rss_bytes=peak,
    )
    for position, peak in enumerate((2**26, None))
]


@dataclass(frozen=True)
class Database:
    """One that several programs have open."""

    url: str
    opened: ExitStack

    def writer(self, study: str | None = None) -> StudyWriter:
        """A tuner's, with connections of its own."""
        found = StudyWriter(durable_engine(self.url), self.url, study)
        self.opened.callback(found.close)
        return found

    def reader(self, study: str | None = None) -> StudyReader:
        """A viewer's."""
        found = StudyReader(durable_engine(self.url), self.url, study)
        self.opened.callback(found.close)
        return found

    def begun(self, study: str | None = None, machine: int = 0) -> StudyWriter:
        """A study with a session on a machine."""
        found = self.writer(study)
        found.begin(OTHER if study == OTHER.name else IDENTITY)
        found.start_session(MACHINES[machine], VERSIONS)
        return found


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each kind in turn, with nothing in it."""
    with ExitStack() as opened:
        yield Database(BACKENDS[request.param](tmp_path), opened)


def raced(store: StudyWriter, per_round: float = 1.0) -> RaceLog:
    """A race of two, of which the second is dropped after its first slice."""
    contenders = [
        Contender(name="a", configuration=make_configuration(), trial=0, search_per_s=200.0),
        Contender(name="b", configuration=make_configuration(streams=1), open_s=0.5),
    ]
    log = RaceLog.begin(
        store, contenders, trials=2, baseline=1, feed=Feed.COPY, tie_margin=0.01, noise=0.002
    )
    log.keep([Slice(0, 0, 0, per_round, ODD_BLOCK), Slice(0, 0, 1, per_round, make_block())], 9.0)
    known = {1: Dossier(opening=make_opening(), dropped=Dropped.SLOWER, peak_rss_bytes=2**30)}
    log.note(known, READINGS[:1])
    log.note(known, READINGS)
    return log


# --- begun, and gone on with


def test_a_study_is_begun_once_and_resumed_as_it_is(database: Database) -> None:
    """By whoever opens it: the first text of it stays."""
    database.begun()
    again = database.writer()
    again.begin(replace(IDENTITY, spec="another text", fed=Fed(data="real")))
    assert database.reader().identity() == replace(IDENTITY, fed=Fed(data="real"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_sha256": "cd" * 32}, "the model file has changed"),
        ({"inputs": {"shapes": {"x": [1]}}}, "shape or inputs have changed: shapes.x: "),
        (
            {"inputs": {"shapes": {}, "workload": {"inputs_sha256": "b"}}},
            "shape or inputs have changed: .*workload.inputs: another content",
        ),
        ({"goal": Goal(Objective.LATENCY, 99.0, None)}, "the goal has changed"),
        ({"space": {"cpus": 2, "batch": [1, 2]}}, "the space has changed"),
        ({"items_per_request": 8}, "the items in a request have changed"),
    ],
)
def test_another_identity_is_refused(
    database: Database, change: dict[str, object], words: str
) -> None:
    """With what differs; what is stored stays."""
    database.begun()
    with pytest.raises(StudyMismatchError, match=words):
        database.writer().begin(replace(IDENTITY, **change))  # type: ignore[arg-type]
    assert database.reader().identity() == IDENTITY


def test_what_is_not_there_is_not_made_up(database: Database) -> None:
    """Nor is another study taken for it."""
    database.begun()
    with pytest.raises(StorageError, match="holds no study another"):
        database.reader("another").trials()


# --- every kind of value


@pytest.mark.parametrize("kind", TRIALS)
def test_a_trial_is_read_back_as_it_was_recorded(database: Database, kind: str) -> None:
    """To the last bit of its latencies, and by another connection."""
    store, wanted = database.begun(), TRIALS[kind]
    for trial in {0: TRIALS["measured"], wanted.number: wanted}.values():
        store.record(trial, elapsed_s=1.0)
    reader = database.reader()
    (found,) = [trial for trial in reader.trials() if trial.number == wanted.number]
    assert reader.with_blocks(found) == wanted
    if wanted.measurement is not None and wanted.reused_from is None:
        counted = [block.latency_ticks for block in wanted.measurement.counted]
        assert dict(reader.latencies())[wanted.number] == counted


def test_sessions_are_read_back_in_order(database: Database) -> None:
    """With the time that each took, and why it ended."""
    for number, machine in enumerate(MACHINES):
        store = database.begun(machine=number)
        store.record(make_trial(number), elapsed_s=1.5)
        if number:
            store.end_session(2.5, "budget")
        assert store.place is not None
        assert database.reader().session_of(number).machine == machine
    first, second = database.reader().sessions()
    assert (first.machine, first.elapsed_s, first.end) == (MACHINES[0], 1.5, None)
    assert (second.machine, second.elapsed_s, second.end) == (MACHINES[1], 2.5, "budget")
    assert second.versions == VERSIONS
    assert set(database.reader().moments()) == {0, 1}


def test_what_inspection_found_is_read_back(database: Database) -> None:
    """Of the last session; and what it doubts goes for what was measured before."""
    store = database.begun()
    store.note("items", text="as 8")
    store.record(make_trial(0, configuration=make_configuration(batch_size=2)), elapsed_s=1.0)
    store.start_session(MACHINES[0], VERSIONS)
    store.note("random_inputs", text="é")
    store.note("paused", text="for a while")
    store.doubt(Doubts(batch="all zero"))
    reader = database.reader()
    assert reader.findings() == [("random_inputs", "é")]
    assert reader.doubts() == Doubts(batch="all zero")
    (trial,) = reader.trials()
    assert trial.measurement is not None
    assert trial.measurement.opening.unproven == "all zero"


def test_the_reference_is_read_back(database: Database) -> None:
    """Session, time and block."""
    store = database.begun()
    store.record_reference("ab", 0.5, ODD_BLOCK)
    store.record_reference("ab", 1.5, make_block())
    session = store.session_id
    assert database.reader().reference() == [
        (session, 0.5, ODD_BLOCK),
        (session, 1.5, make_block()),
    ]


def test_a_race_is_read_back(database: Database) -> None:
    """Who raced, every slice, who was dropped, where, and why it ended."""
    log = raced(database.begun())
    cut_off = last_race(database.reader())
    assert cut_off is not None
    assert cut_off.end is None
    log.end(End.DECIDED, 12.5)
    race = last_race(database.reader())
    assert race is not None
    assert (race.end, race.duration_s, race.noise, race.trials) == (End.DECIDED, 12.5, 0.002, 2)
    assert [piece.block for piece in race.slices] == [ODD_BLOCK, make_block()]
    assert [contender.name for contender in race.contenders] == ["a", "b"]
    assert race.dossiers[1].dropped is Dropped.SLOWER
    assert race.dossiers[1].opening == make_opening()
    assert race.readings == READINGS
    assert len(race.places) == 1


# --- several studies, several machines


def test_two_studies_do_not_see_each_other(database: Database) -> None:
    """Each has its own trial 0, sessions, events, reference and race; the last one is of each."""
    names = (IDENTITY.name, OTHER.name)
    stores = {name: database.begun(name, machine=number) for number, name in enumerate(names)}
    for number, (name, store) in enumerate(stores.items()):
        store.record(make_trial(0, configuration=make_configuration(streams=1 + number)), 1.0)
        store.record(make_trial(1, failure=make_failure(message=name)), elapsed_s=2.0 + number)
        store.note("items", text=name)
        store.doubt(Doubts(batch=name))
        store.record_reference("ab", float(number), make_block())
        raced(store, per_round=1.0 + number)
    for number, name in enumerate(names):
        reader = database.reader(name)
        measured, failed = reader.trials()
        assert reader.identity().name == name
        assert (measured.number, measured.configuration.streams) == (0, 1 + number)
        assert failed.failure is not None
        assert failed.failure.message == name
        assert [s.machine for s in reader.sessions()] == [MACHINES[number]]
        assert reader.session_of(0).machine == MACHINES[number]
        assert (reader.findings(), reader.doubts().batch) == ([("items", name)], name)
        assert [at_s for _, at_s, _ in reader.reference()] == [float(number)]
        assert set(reader.moments()) == {0, 1}
        assert [of for of, _ in reader.latencies()] == [0]
        assert len(reader.blocks(0)) == 3
        race = last_race(reader)
        assert race is not None
        assert {piece.at_s for piece in race.slices} == {1.0 + number}
        texts = [one.data["text"] for one in story(reader) if "text" in one.data]
        assert texts[0] == name
        assert stores[name].measured_elsewhere() == frozenset()


def test_of_several_studies_one_must_be_named(database: Database) -> None:
    """Rather than any of them be taken."""
    for name in (IDENTITY.name, OTHER.name):
        database.begun(name)
    with pytest.raises(StorageError, match="holds 2 studies; name one"):
        database.reader().trials()


def test_every_row_leads_to_its_study(database: Database) -> None:
    """Whatever table it is in: half of the rows are of either."""
    for name in (IDENTITY.name, OTHER.name):
        store = database.begun(name)
        for trial in TRIALS.values():
            store.record(trial, elapsed_s=1.0)
        store.note("items", text=name)
        store.record_reference("ab", 1.0, make_block())
        raced(store)
    readers = [database.reader(name) for name in (IDENTITY.name, OTHER.name)]
    for table in METADATA.sorted_tables:
        if table.name != "autotune_machine":  # which may be of both
            every = {row["id"] for row in readers[0].rows.all(select(table.c.id))}
            parts = [
                {r["id"] for r in one.rows.all(select(table.c.id).where(one.rows.of(table)))}
                for one in readers
            ]
            assert parts[0], table.name
            assert len(parts[0]) == len(parts[1])
            assert parts[0] | parts[1] == every
            assert not parts[0] & parts[1]


def test_two_hosts_measure_for_one_study(database: Database) -> None:
    """At the same time, each in its session: every trial and every launch says where it was."""
    here, there = (database.begun(machine=number) for number in range(2))
    for number in range(6):
        trial = make_trial(number) if number % 3 else make_trial(number, failure=make_failure())
        (there if number % 2 else here).record(trial, elapsed_s=float(number))
    assert [trial.number for trial in database.reader().trials()] == list(range(6))
    assert here.measured_elsewhere() == {1, 5}
    assert there.measured_elsewhere() == {2, 4}
    assert here.machine_id != there.machine_id
    assert database.reader().session_of(5).machine == MACHINES[1]


# --- while others look, and when something breaks


def test_a_reader_sees_what_is_committed(database: Database) -> None:
    """At once, while a transaction is open; and the rest when it is closed."""
    store, reader = database.begun(), database.reader()
    store.record(make_trial(0), elapsed_s=1.0)
    event = {"session_id": store.session_id, "at": "now", "kind": "items", "data": '{"text": "x"}'}
    with store.engine.begin() as connection:
        connection.execute(insert(EVENT).values(event))
        assert len(reader.trials()) == 1
        assert reader.findings() == []
    assert reader.findings() == [("items", "x")]


def test_a_trial_is_recorded_whole_or_not_at_all(database: Database) -> None:
    """A number that stands there already breaks a rule: neither row nor block nor time stays."""
    store = database.begun()
    store.record(make_trial(0), elapsed_s=1.0)
    with pytest.raises(StorageError):
        store.record(make_trial(0), elapsed_s=99.0)
    reader = database.reader()
    assert [reader.with_blocks(trial) for trial in reader.trials()] == [make_trial(0)]
    assert reader.sessions()[0].elapsed_s == 1.0
    store.record(make_trial(1), elapsed_s=2.0)
    assert len(reader.trials()) == 2


def test_a_round_of_a_race_is_kept_whole_or_not_at_all(database: Database) -> None:
    """Its second slice stands there already."""
    log = raced(database.begun())
    again = [Slice(0, 1, 0, 2.0, make_block()), Slice(0, 0, 1, 2.0, make_block())]
    with pytest.raises(StorageError):
        log.keep(again, 99.0)
    race = last_race(database.reader())
    assert race is not None
    assert len(race.slices) == 2
    assert database.reader().sessions()[0].elapsed_s == 9.0
