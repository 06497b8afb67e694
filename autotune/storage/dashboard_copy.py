"""A copy of a study's database that optuna-dashboard can read whole.

optuna-dashboard 0.21 reads the constraints of Optuna before version 5, one list for each trial
under one key; Optuna 5 writes one attribute for each constraint. The copy has both, and figures
that the dashboard's table can sort by. The study itself stays as it is.
"""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage

from autotune.errors import StorageError
from autotune.storage.backup import read_only_uri
from autotune.storage.database import DATABASE
from autotune.storage.optuna_study import optuna_faults_explained
from autotune.storage.sqlite import CONNECT_ARGS, file_url

_PREFIX, _LEGACY = "constraints:", "constraints"
_METRICS = "study:metric_names"
_SHOWN = (
    "throughput_per_s",
    "throughput_low_per_s",
    "latency_goal_ms",
    "latency_p99_ms",
    "verdict",
    "requests",
    "peak_rss_bytes",
)
"""Columns of a measurement that become attributes of its trial."""


def dashboard_copy(folder: Path, target: Path, metrics: list[str]) -> RDBStorage:
    """Copy the database in `folder` to `target` and open it for the dashboard.

    Args:
        folder: of the study.
        target: the file to write.
        metrics: names of the objectives, in the study's order.

    Raises:
        StorageError: it cannot be read, or holds no study of this Optuna.
    """
    source = folder / DATABASE
    try:
        with (
            contextlib.closing(sqlite3.connect(read_only_uri(source), uri=True)) as original,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy)
            with copy:
                _add_constraints(copy)
                _add_figures(copy)
                _name_metrics(copy, metrics)
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise StorageError(f"{source}: cannot be copied for the dashboard: {error}") from error
    with optuna_faults_explained(source):
        return RDBStorage(file_url(target), engine_kwargs={"connect_args": CONNECT_ARGS})


def _add_constraints(copy: sqlite3.Connection) -> None:
    """Each trial's constraints as one list, in the order of their names."""
    found: dict[int, list[float]] = {}
    for trial, value in copy.execute(
        "SELECT trial_id, value_json FROM trial_system_attributes "
        "WHERE key LIKE ? ORDER BY trial_id, key",
        (f"{_PREFIX}%",),
    ):
        found.setdefault(trial, []).append(float(json.loads(value)))
    rows = [(trial, _LEGACY, json.dumps(values)) for trial, values in found.items()]
    _insert(copy, "trial_system_attributes", rows)


def _add_figures(copy: sqlite3.Connection) -> None:
    """What was measured as attributes; what failed as the kind of its failure."""
    numbers = dict(copy.execute("SELECT number, trial_id FROM trials"))
    rows: list[tuple[int, str, str]] = []
    columns = ", ".join(_SHOWN)
    for number, *values in copy.execute(
        f"SELECT trial_number, {columns} FROM autotune_measurement "  # noqa: S608 - our own names
        "WHERE trial_number IS NOT NULL"
    ):
        shown = zip(_SHOWN, values, strict=True)
        if number in numbers:
            rows += [(numbers[number], name, json.dumps(v)) for name, v in shown if v is not None]
    for number, kind in copy.execute("SELECT trial_number, kind FROM autotune_failure"):
        if number in numbers:
            rows.append((numbers[number], "failure", json.dumps(kind)))
    _insert(copy, "trial_user_attributes", rows)


def _name_metrics(copy: sqlite3.Connection, metrics: list[str]) -> None:
    (study,) = copy.execute("SELECT study_id FROM studies").fetchone() or (None,)
    if study is not None:
        copy.execute(
            "INSERT OR REPLACE INTO study_system_attributes (study_id, key, value_json) "
            "VALUES (?, ?, ?)",
            (study, _METRICS, json.dumps(metrics)),
        )


def _insert(copy: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    copy.executemany(
        f"INSERT OR REPLACE INTO {table} (trial_id, key, value_json) VALUES (?, ?, ?)",  # noqa: S608 - our own names
        rows,
    )
