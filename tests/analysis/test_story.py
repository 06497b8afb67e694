"""The story of a study: everything that happened, in order, told in lines and as JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from autotune.analysis.story import What, story
from autotune.domain.failure import FailureKind
from autotune.domain.measurement import Feed, Interval
from autotune.domain.race import Contender
from autotune.domain.trial import Origin
from autotune.errors import StorageError
from autotune.report.story import story_json, story_lines
from autotune.storage.races import RaceLog
from autotune.storage.writer import StudyWriter
from tests.builders import make_configuration, make_failure, make_measurement, make_trial
from tests.storage.studies import opened

MACHINE = {"cpu_model": "x", "usable_cpus": 2, "openvino": "2026.4"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyWriter]:
    """A study that was never started."""
    found = opened(tmp_path)
    yield found
    found.close()


def faster(number: int, per_s: float, **fields: Any) -> Any:
    """A feasible trial with this throughput."""
    throughput = Interval(per_s, 0.98 * per_s, 1.02 * per_s)
    return make_trial(
        number,
        configuration=make_configuration(batch_size=number + 1),
        measurement=make_measurement(throughput=throughput),
        **fields,
    )


def test_a_study_that_was_never_started_has_no_story(store: StudyWriter) -> None:
    """Nothing, and no fault."""
    assert story(store) == []
    assert story_lines([]) == []


def test_everything_is_told_in_order(store: StudyWriter) -> None:
    """Start, gains, failures, what was repaired, race, end; then the next session."""
    store.start_session(MACHINE, {"python": "3"})
    store.record(faster(0, 100.0, origin=Origin.SEED), elapsed_s=1.0)
    store.record(faster(1, 100.5), elapsed_s=2.0)  # no gain: half a percent
    store.record(
        make_trial(2, failure=make_failure(FailureKind.CRASH, exit_code=-11, stderr_tail="a\nb")),
        elapsed_s=3.0,
    )
    store.record(faster(3, 150.0), elapsed_s=4.0)
    store.note("accepted_change", text="cpu_model: 'x' then, 'y' now")
    RaceLog.begin(
        store,
        [Contender(name="trial 3", configuration=make_configuration(), trial=3)],
        trials=4,
        baseline=None,
        feed=Feed.BIND,
        tie_margin=0.01,
        noise=None,
    ).end(None, None)
    store.end_session(5.0, "budget")
    store.start_session({**MACHINE, "usable_cpus": 4}, {"python": "3"})

    found = story(store)
    assert [(one.session, one.what) for one in found if one.session == 2] == [
        (2, What.START),
        (2, What.END),
    ]
    first = [one for one in found if one.session == 1]
    assert first[0].what is What.START
    assert first[-1].what is What.END
    assert {one.what for one in first} == set(What)
    assert [one.data["trial"] for one in first if one.what is What.GAIN] == [0, 3]
    (failure,) = [one for one in first if one.what is What.FAILURE]
    assert (failure.data["kind"], failure.data["is_tried_again"]) == ("crash", False)
    assert found[-2].data["changes"] == ["usable_cpus: 2 then, 4 now"]

    told = "\n".join(story_lines(found))
    for part in (
        "session 1 begins: x, 2 CPUs, OpenVINO 2026.4",
        "trial 3 leads: 150/s at p99 1 ms",
        "trial 2 failed, phase load: crash: it broke (exit code -11)",
        "| b",
        "accepted change: cpu_model: 'x' then, 'y' now",
        "race of trial 3: cut off, or goes on",
        "session 1 ends after 5 s: its time was up",
        "changed: usable_cpus: 2 then, 4 now",
        "session 2 ends after 0 s: it was cut off, or goes on",
    ):
        assert part in told
    assert len(json.loads(json.dumps(story_json(found), allow_nan=False))) == len(found)


def test_a_machine_fault_is_tried_again_thrice(store: StudyWriter) -> None:
    """The story says of each whether the configuration gets another chance."""
    store.start_session(MACHINE, {})
    for number in range(3):
        store.record(make_trial(number, failure=make_failure(FailureKind.LOST)), elapsed_s=1.0)
    again = [one.data["is_tried_again"] for one in story(store) if one.what is What.FAILURE]
    assert again == [True, True, False]


def test_a_long_tail_is_cut(store: StudyWriter) -> None:
    """The last lines tell most, and how many were left out is said."""
    store.start_session(MACHINE, {})
    tail = "\n".join(f"line {number}" for number in range(40))
    store.record(make_trial(0, failure=make_failure(stderr_tail=tail)), elapsed_s=1.0)
    told = story_lines(story(store))
    assert any("(28 lines before)" in line for line in told)
    assert any("line 39" in line for line in told)
    assert not any("line 27" in line for line in told)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE autotune_session SET started_at = 'yesterday'",
        "UPDATE autotune_session SET machine = '[]'",
        "UPDATE autotune_event SET data = 'null'",
        "UPDATE autotune_event SET at = ''",
    ],
)
def test_a_damaged_history_is_one_message(store: StudyWriter, damage: str) -> None:
    """Whoever wrote the file may have written anything."""
    store.start_session(MACHINE, {})
    store.note("repaired", told=[], lost=[])
    with store.engine.begin() as connection:
        connection.execute(text(damage))
    with pytest.raises(StorageError, match="history cannot be read"):
        story(store)
