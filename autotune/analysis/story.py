"""What happened in a study, in order, as its tables have it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from autotune.domain.goal import Goal
from autotune.domain.history import History
from autotune.domain.ranking import improvements
from autotune.domain.trial import Trial
from autotune.storage.reader import StudyReader
from autotune.storage.rows import rows_explained
from autotune.storage.schema import CONTENDER, EVENT, FAILURE, MEASUREMENT, RACE, SESSION


class What(StrEnum):
    """Kinds of occurrences."""

    START = "start"
    GAIN = "gain"  # a trial that was more than 1 % better than all before
    FAILURE = "failure"
    RACE = "race"
    EVENT = "event"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One thing that happened."""

    at: datetime
    """With its zone."""
    session: int
    """Which start of the tuner, from 1."""
    what: What
    data: dict[str, Any]
    """What there is to say of it; see `story`."""


def story(store: StudyReader) -> list[Occurrence]:
    """Every start and end, gain, failure, race and event of a study, in order.

    The data of each, by kind:

    - start: `machine`, `versions`, and `changes` against the session before, a list of texts.
    - gain: `trial`, `configuration`, `throughput_per_s`, `latency_ms`.
    - failure: `trial`, `configuration`, `kind`, `phase`, `message`, `exit_code`, `stderr_tail`, and
      `is_tried_again`.
    - race: `contenders` that were launched (all of them until it ends), how many were left
      `without_a_turn`, `end` (null while it goes on or when it was cut off), `duration_s`.
    - event: `kind`, and what was noted with it.
    - end: `reason` (null while it goes on or when it was cut off), `elapsed_s`.

    Raises:
        StorageError: the database cannot be read.
    """
    with rows_explained(store.name, "its history"):
        query = select(SESSION).where(store.rows.of(SESSION))
        rows = store.rows.all(query.order_by(SESSION.c.id))
        places = {row["id"]: number for number, row in enumerate(rows, start=1)}
        found = [
            *_sessions(rows),
            *_trials(store, places),
            *_races(store, places),
            *_events(store, places),
        ]
    order = [What.START, What.EVENT, What.FAILURE, What.GAIN, What.RACE, What.END]
    return sorted(found, key=lambda one: (one.session, one.at, order.index(one.what)))


def _sessions(rows: Sequence[dict[str, Any]]) -> list[Occurrence]:
    found: list[Occurrence] = []
    before: dict[str, Any] = {}
    for number, row in enumerate(rows, start=1):
        begun, elapsed_s = datetime.fromisoformat(row["started_at"]), float(row["elapsed_s"])
        machine, versions = json.loads(row["machine"]), json.loads(row["versions"])
        known = {**machine, **versions}
        changes = [
            f"{key}: {before[key]} then, {known.get(key)} now"
            for key in before
            if before[key] != known.get(key)
        ]
        found += [
            Occurrence(
                at=begun,
                session=number,
                what=What.START,
                data={"machine": machine, "versions": versions, "changes": changes},
            ),
            Occurrence(
                at=begun + timedelta(seconds=elapsed_s),
                session=number,
                what=What.END,
                data={"reason": row["end"], "elapsed_s": elapsed_s},
            ),
        ]
        before = known
    return found


def _trials(store: StudyReader, places: dict[int, int]) -> list[Occurrence]:
    """Gains and failures."""
    measured = select(
        MEASUREMENT.c.trial_number, MEASUREMENT.c.measured_at, MEASUREMENT.c.session_id
    ).where(store.rows.of(MEASUREMENT), MEASUREMENT.c.trial_number.is_not(None))
    columns = (FAILURE.c.trial_number, FAILURE.c.failed_at, FAILURE.c.session_id)
    failed = select(*columns).where(store.rows.of(FAILURE))
    when = {
        number: (datetime.fromisoformat(at), places[session])
        for query in (measured, failed)
        for number, at, session in _tuples(store, query)
    }
    trials, goal = store.trials(), store.identity().goal
    last = {trial.configuration: trial.number for trial in trials}
    history = History(trials)
    return [
        *(
            _failure(
                trial,
                *when[trial.number],
                is_tried_again=trial.number != last[trial.configuration] or history.is_open(trial),
            )
            for trial in trials
            if trial.failure
        ),
        *(_gain(trials[i], goal, *when[trials[i].number]) for i in improvements(trials, goal)),
    ]


def _failure(trial: Trial, at: datetime, session: int, *, is_tried_again: bool) -> Occurrence:
    failure = trial.failure
    assert failure is not None  # noqa: S101 - the caller has looked
    return Occurrence(
        at=at,
        session=session,
        what=What.FAILURE,
        data={
            "trial": trial.number,
            "configuration": str(trial.configuration),
            "kind": failure.kind.value,
            "phase": failure.phase,
            "message": failure.message,
            "exit_code": failure.exit_code,
            "stderr_tail": failure.stderr_tail,
            "is_tried_again": is_tried_again,
        },
    )


def _gain(trial: Trial, goal: Goal, at: datetime, session: int) -> Occurrence:
    measured = trial.measurement
    assert measured is not None  # noqa: S101 - only measured trials gain
    return Occurrence(
        at=at,
        session=session,
        what=What.GAIN,
        data={
            "trial": trial.number,
            "configuration": str(trial.configuration),
            "throughput_per_s": measured.throughput_per_s,
            "percentile": goal.percentile,
            "latency_ms": measured.latency.goal_ms,
        },
    )


def _races(store: StudyReader, places: dict[int, int]) -> list[Occurrence]:
    all_of: dict[int, list[str]] = {}
    launched: dict[int, list[str]] = {}
    columns = (CONTENDER.c.race_id, CONTENDER.c.name, CONTENDER.c.opening, CONTENDER.c.failure)
    contenders = select(*columns).where(store.rows.of(CONTENDER)).order_by(CONTENDER.c.id)
    for race, name, opening, failure in _tuples(store, contenders):
        all_of.setdefault(race, []).append(name)
        if opening is not None or failure is not None:
            launched.setdefault(race, []).append(name)
    found = []
    for row in store.rows.all(select(RACE).where(store.rows.of(RACE)).order_by(RACE.c.id)):
        names = all_of.get(row["id"], [])
        # While it goes on, everyone may still have a turn.
        raced = names if row["end"] is None else launched.get(row["id"], [])
        found.append(
            Occurrence(
                at=datetime.fromisoformat(row["started_at"]),
                session=places[row["session_id"]],
                what=What.RACE,
                data={
                    "contenders": raced,
                    "without_a_turn": len(names) - len(raced),
                    "end": row["end"],
                    "duration_s": row["duration_s"],
                },
            )
        )
    return found


def _events(store: StudyReader, places: dict[int, int]) -> list[Occurrence]:
    return [
        Occurrence(
            at=datetime.fromisoformat(row["at"]),
            session=places[row["session_id"]],
            what=What.EVENT,
            data={**json.loads(row["data"]), "kind": row["kind"]},
        )
        for row in store.rows.all(select(EVENT).where(store.rows.of(EVENT)).order_by(EVENT.c.id))
    ]


def _tuples(store: StudyReader, query: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.rows.all(query)]
