"""Whatever is fed to what reads files and messages: one message at most, no traceback, no hang."""

import contextlib
import copy
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.analysis.among import Among
from autotune.analysis.answer import answer
from autotune.analysis.comparison import Side
from autotune.analysis.evidence import Evidence
from autotune.analysis.frames import frame, to_csv, to_records
from autotune.analysis.story import story
from autotune.domain.goal import Goal, Objective
from autotune.domain.ranking import better_hint, ratio
from autotune.errors import AutotuneError, SpecError
from autotune.export.best_file import BestFile, read_best
from autotune.machines.protocol import parse_message
from autotune.report.chart import pareto_chart
from autotune.report.page import render_comparison
from autotune.report.page.comparison import comparison_view
from autotune.report.page.view import view_of
from autotune.report.story import story_json, story_lines
from autotune.report.words import why_nothing
from autotune.spec import parse_spec, to_toml
from autotune.storage.races import last_race
from autotune.storage.reader import StudyReader
from tests.export.test_best_file import make_best
from tests.report.studies import make_study

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
short = pytest.mark.short
_EXAMPLES = int(os.environ.get("AUTOTUNE_EXAMPLES", "30000"))
many = settings(
    max_examples=_EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
some = settings(many, max_examples=_EXAMPLES // 20)

STUDY = """
[model]
path = "model.onnx"
shape = "x:1,3,48,192"
[goal]
max_latency = "20ms"
percentile = 99.0
[budget]
duration = "3m"
until = "07:00"
[space]
streams = [1, 2]
batch = 4
precision = "bf16"
[measure]
limit = "3s"
[race]
share = 0.2
[search]
sampler = "auto"
seed = 1
"""
ANSWERS = (
    b'{"say": "ready"}',
    b'{"say": "failed", "kind": "lost", "message": "oh"}',
    b'{"say": "stopped", "peak_rss_bytes": 1}',
    (
        b'{"say": "opened", "effective": {"NUM_STREAMS": "1"}, "optimal_requests": 1, '
        b'"read_s": 0.1, "compile_s": 0.1, "first_inference_ms": 1.0, "output_error": 0.0}'
    ),
    (
        b'{"say": "block", "duration_s": 0.5, "latency_ticks": "ECcAAA==", "occupancy": 1.0, '
        b'"loop_cpu_s": 0.0, "process_cpu_s": 0.5, "steal_s": null, "pressure_s": null, '
        b'"throttled": null, "major_faults": 0, "clock_drift_s": 0.0}'
    ),
)

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["", "-1", "1e999", "\x00", "../../etc/passwd", "=1+1", "<script>"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
CUTS = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 8), st.binary(max_size=6)), max_size=4
)


def spoilt(text: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """A text with some of it taken out, and something else in its place."""
    for at, length, instead in cuts:
        begin = at % (len(text) + 1)
        text = text[:begin] + instead + text[begin + length :]
    return text


@short
@many
@given(CUTS)
def test_a_study_file(cuts: list[tuple[int, int, bytes]]) -> None:
    """A spec, or all its faults in words."""
    text = spoilt(STUDY.encode(), cuts).decode(errors="replace")
    with contextlib.suppress(SpecError):
        spec = parse_spec(text)
        assert parse_spec(to_toml(spec)) == spec


@short
@many
@given(st.sampled_from(ANSWERS), CUTS, st.binary(max_size=40))
def test_a_worker_s_message(
    answer: bytes, cuts: list[tuple[int, int, bytes]], noise: bytes
) -> None:
    """An answer, or a fault in words."""
    for line in (spoilt(answer, cuts), noise):
        with contextlib.suppress(ValueError):
            assert parse_message(line).say


def test_a_worker_s_message_guided_by_coverage() -> None:
    """The same, by a fuzzer that knows which bytes lead to new code."""
    command = [sys.executable, "-m", "tests.faults.fuzz_messages", "-runs=50000", "-seed=1"]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Done 50000 runs" in ended.stderr


BEST = make_best().model_dump(mode="json")
PATHS: list[tuple[Any, ...]] = []


def _collect(value: Any, path: tuple[Any, ...]) -> None:
    PATHS.append(path)
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            _collect(inner, (*path, key))


_collect(BEST, ())


@short
@many
@given(st.sampled_from(PATHS), ANYTHING, CUTS)
def test_a_best_json(
    tmp_path_factory: pytest.TempPathFactory,
    path: tuple[Any, ...],
    value: Any,
    cuts: list[tuple[int, int, bytes]],
) -> None:
    """A file, or one message; any field may hold anything, and any bytes may be others."""
    whole: Any = copy.deepcopy(BEST)
    if path:
        place = whole
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    else:
        whole = value
    file = Path(str(tmp_path_factory.getbasetemp())) / "best.json"
    file.write_bytes(spoilt(json.dumps(whole).encode(), cuts))
    with contextlib.suppress(AutotuneError):
        assert isinstance(read_best(file), BestFile)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The database of a study of eight trials and a race."""
    return make_study(tmp_path / "study", trials=8, race={"share": 0.2}) / "study.db"


def _columns(file: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as connection:
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'autotune_%'"
            )
        ]
        return [
            (table, row[1])
            for table in tables
            for row in connection.execute(f"PRAGMA table_info({table})")
        ]


@short
@some
@given(st.data())
def test_a_row_of_the_database(study: Path, data: st.DataObject) -> None:
    """Viewers read it, or say in one message what is wrong; figures are finite."""
    table, column = data.draw(st.sampled_from(_columns(study)))
    value = data.draw(
        st.none()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats()
        | st.text(max_size=20)
        | st.binary(max_size=20)
        | ANYTHING.map(json.dumps)
    )
    with closing(sqlite3.connect(study)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        kept = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()  # noqa: S608
        value = _within(kept, value, data)
        try:
            connection.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608
            connection.commit()
        except (sqlite3.Error, UnicodeEncodeError):
            return
    try:
        for view in VIEWS:
            with (
                contextlib.suppress(AutotuneError),
                closing(StudyReader.read_only(study.parent)) as store,
            ):
                view(store)
    finally:
        with closing(sqlite3.connect(study)) as connection:
            for key, old in kept:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? WHERE rowid = ?",  # noqa: S608
                    (old, key),
                )
            connection.commit()


def _within(kept: list[Any], value: Any, data: st.DataObject) -> Any:
    """The value, or where a cell holds fields as JSON, one of them replaced by anything."""
    cells = [cell for _, cell in kept if isinstance(cell, str) and cell.startswith("{")]
    if not cells or not data.draw(st.booleans()):
        return value
    fields = json.loads(cells[-1])
    if not fields:
        return value
    return json.dumps({**fields, data.draw(st.sampled_from(sorted(fields))): data.draw(ANYTHING)})


def _see_answers(store: StudyReader) -> None:
    for goal in (store.identity().goal, Goal(Objective.THROUGHPUT, 90.0, 3.0)):
        for device, asked in ((None, goal), ("CPU", goal.within({"max_memory": 2**28}))):
            found = answer(store, asked, Among(device=device))
            assert why_nothing(found.trials, asked)
            assert ratio(found.best, better_hint(found.trials, asked), asked) != 0


def _see_front(store: StudyReader) -> None:
    goal = store.identity().goal
    trials = [trial for trial in store.trials() if trial.measurement is not None]
    assert pareto_chart(trials, trials[:2], goal).plain
    to_csv(frame(trials))


def _see_comparison(store: StudyReader) -> None:
    goal = store.identity().goal
    side = Side.of(store, "a", goal)
    render_comparison(comparison_view([side, side], goal))


def _see_trials(store: StudyReader) -> None:
    json.dumps(to_records(frame(store.trials())), allow_nan=False)


def _see_story(store: StudyReader) -> None:
    told = story(store)
    assert story_lines(told) is not None
    json.dumps(story_json(told), allow_nan=False)


def _see_report(store: StudyReader) -> None:
    shown = view_of(Evidence.of(store))
    json.dumps(shown.data, allow_nan=False)
    assert shown.answer


VIEWS: tuple[Callable[[StudyReader], Any], ...] = (
    StudyReader.identity,
    StudyReader.sessions,
    StudyReader.reference,
    lambda store: store.blocks(0),
    last_race,
    _see_trials,
    _see_story,
    _see_report,
    _see_answers,
    _see_front,
    _see_comparison,
)
