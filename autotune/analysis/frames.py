"""Stored evidence as a pandas frame: one row for each measurement, units in the names."""

import io
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from autotune.analysis.mixture import mix_fed, padding_of
from autotune.analysis.preparation import preparation
from autotune.domain.accuracy import Accuracy
from autotune.domain.measurement import Measurement
from autotune.domain.trial import Trial
from autotune.errors import UsageError
from autotune.space.dimension import Dimension
from autotune.space.dimensions import REQUESTS, TABLE
from autotune.storage.identity import Identity
from autotune.storage.reader import StudyReader
from autotune.workload.mix import Mix

COLUMNS = {
    "trial": "number of the trial",
    "origin": "seed, warm, sampled or sweep",
    "configuration": "in words",
    **{one.column: one.holds for one in TABLE},
    "throughput_per_s": "mean items per second",
    "throughput_low_per_s": "lower end of the 95 % interval",
    "throughput_high_per_s": "upper end",
    "latency_goal_ms": "the percentile of the study's goal",
    "latency_p50_ms": "median request latency",
    "latency_p90_ms": "90th percentile",
    "latency_p95_ms": "95th percentile",
    "latency_p99_ms": "99th percentile",
    "latency_max_ms": "slowest request",
    "requests": "requests measured",
    "over_cap": "of these, slower than the cap",
    "verdict": "met, missed, unclear; missing without a cap",
    "stop_reason": "why the measurement ended",
    "occupancy": "share of time in which a request slot was busy",
    "loop_cpu_share": "CPU share of the load loop",
    "cpu_s_per_item": "CPU-seconds for each item, without what drives the load",
    "cpu_s_per_item_low": "lower end of the 95 % interval; missing before schema 6",
    "cpu_s_per_item_high": "upper end",
    "energy_j_per_item": "joules of all CPU packages of the machine for each item, whoever used "
    "them; missing where they cannot be read",
    "compile_s": "compile_model",
    "first_inference_ms": "first request after compiling",
    "cached_compile_s": "compile_model from a model cache; missing without `[measure] cached`",
    "cached_first_inference_ms": "first request of a model from the cache; likewise",
    "measure_s": "time under load",
    "peak_rss_bytes": "memory of the worker at most, with the proof of its answers",
    "open_peak_rss_bytes": "memory at most until the first answer: reading and compiling",
    "load_peak_rss_bytes": "memory at most under load",
    "steady_rss_bytes": "memory under load, the median over the blocks",
    "padding_share": "volume that is computed beyond that of the items, over theirs: 0.25 for a "
    "quarter more; missing where there is one shape",
    "prepare_ms": "to prepare the inputs of a request, the mean; missing unless `[measure] feed` "
    "is end-to-end",
    "prepare_share": "of the mean latency, what preparing takes; likewise",
    "prepare_busy": "share of the time in which the feeding thread prepares inputs; likewise",
    "accuracy": "of the answers, by the study's metric; missing without a guard",
    "accuracy_drop": "what it loses against the model as it was given; likewise",
    "accuracy_drop_high": "upper end of the 95 % interval of that; likewise",
    "accuracy_verdict": "identical, met or unclear; likewise",
    "flags": "reasons to doubt, separated by spaces",
    "unproven": "why the answers could not be shown to be those of single requests",
    "reused_from": "trial that measured the same effective configuration",
}
"""Every column and what it holds."""
_TYPES = {bool: "boolean", int: "Int64"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _type(one: Dimension) -> str:
    """The type of a dimension's column; a request count is the one that was used."""
    if one is REQUESTS or (one.type is int and one.default is not None):
        return "int64"
    return _TYPES.get(one.type, "str")


_TEXT = (
    "origin",
    "configuration",
    "verdict",
    "stop_reason",
    "accuracy_verdict",
    "flags",
    "unproven",
)
_WHOLE = ("trial", "requests", "over_cap")
_MEMORY = ("open_peak_rss_bytes", "load_peak_rss_bytes", "steady_rss_bytes")
_WHOLE_OR_MISSING = ("peak_rss_bytes", *_MEMORY, "reused_from")
TYPES = {
    **dict.fromkeys(COLUMNS, "float64"),
    **dict.fromkeys(_TEXT, "str"),
    **dict.fromkeys(_WHOLE, "int64"),
    **dict.fromkeys(_WHOLE_OR_MISSING, "Int64"),
    **{one.column: _type(one) for one in TABLE},
}
"""Every column's type, also where a study has no row."""


def frame(
    study: str | Path | StudyReader | Sequence[Trial], identity: Identity | None = None
) -> pd.DataFrame:
    """One row for each trial with a measurement, columns as in `COLUMNS`.

    Args:
        study: its folder, its open store, or some of its trials.
        identity: with some trials, their study, without which nothing is known of its mix of shapes
            and of the items in a request.

    Raises:
        StorageError: there is no readable study in the folder.
    """
    if isinstance(study, str | Path):
        with closing(StudyReader.read_only(Path(study))) as store:
            return frame(store)
    if isinstance(study, StudyReader):
        return frame(study.trials(), study.identity())
    mix = None if identity is None else mix_fed(identity.fed)
    items = None if identity is None else identity.items_per_request
    rows = [_row(trial) | _workload(trial, mix, items) for trial in study if trial.measurement]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(TYPES)


def to_records(table: pd.DataFrame) -> list[dict[str, object]]:
    """JSON-ready rows: what is missing is None, never NaN."""
    records: list[dict[str, object]] = json.loads(
        table.to_json(orient="records", double_precision=10)
    )
    return records


def to_csv(table: pd.DataFrame) -> str:
    """The table as text; no cell is a formula where a spreadsheet opens it."""
    return table.map(_no_formula).to_csv(index=False)


def to_parquet(table: pd.DataFrame) -> bytes:
    """The table as a Parquet file.

    Raises:
        UsageError: pyarrow is not installed.
    """
    buffer = io.BytesIO()
    try:
        table.to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError:
        message = "--parquet needs pyarrow: pip install 'openvino-autotune[parquet]'"
        raise UsageError(message) from None
    return buffer.getvalue()


def _no_formula(value: object) -> object:
    """A text that a spreadsheet would calculate, with an apostrophe before it (OWASP)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _row(trial: Trial) -> dict[str, object]:
    measurement, configuration = trial.measurement, trial.configuration
    assert measurement is not None  # noqa: S101 - filtered by the caller
    latency = measurement.latency
    return {
        "trial": trial.number,
        "origin": trial.origin.value,
        "configuration": str(configuration),
        **{one.column: one.of(configuration) for one in TABLE},
        REQUESTS.column: measurement.num_requests,
        "throughput_per_s": measurement.throughput.mean,
        "throughput_low_per_s": measurement.throughput.low,
        "throughput_high_per_s": measurement.throughput.high,
        "latency_goal_ms": latency.goal_ms,
        "latency_p50_ms": latency.p50_ms,
        "latency_p90_ms": latency.p90_ms,
        "latency_p95_ms": latency.p95_ms,
        "latency_p99_ms": latency.p99_ms,
        "latency_max_ms": latency.max_ms,
        "requests": latency.requests,
        "over_cap": measurement.over_cap,
        "verdict": measurement.verdict and measurement.verdict.value,
        "stop_reason": measurement.stop_reason.value,
        "occupancy": measurement.occupancy,
        "loop_cpu_share": measurement.loop_cpu_share,
        **_costs(measurement),
        "measure_s": measurement.measure_s,
        "peak_rss_bytes": measurement.peak_rss_bytes,
        **_accuracy(measurement.opening.accuracy),
        "flags": " ".join(sorted(measurement.flags)),
        "unproven": measurement.opening.unproven,
        "reused_from": trial.reused_from,
    }


def _accuracy(found: Accuracy | None) -> dict[str, object]:
    """What the guard found."""
    drop = None if found is None else found.drop
    return {
        "accuracy": found and found.value,
        "accuracy_drop": drop and drop.seen,
        "accuracy_drop_high": drop and drop.high,
        "accuracy_verdict": found and found.verdict.value,
    }


def _workload(trial: Trial, mix: Mix | None, items: int | None) -> dict[str, object]:
    """What is of items, of padding, and of preparing them."""
    configuration = trial.configuration
    assert trial.measurement is not None  # noqa: S101 - filtered by the caller
    found = preparation(
        trial.measurement, None if items is None else items * configuration.batch_size
    )
    return {
        "padding_share": None if mix is None else padding_of(configuration, mix),
        "prepare_ms": found and found.prepare_ms,
        "prepare_share": found and found.share,
        "prepare_busy": found and found.busy,
    }


def _costs(measurement: Measurement) -> dict[str, object]:
    """What it cost beside time under load."""
    opening, readings = measurement.opening, measurement.readings
    cpu, energy = readings.cpu_s_per_item, readings.energy_j_per_item
    return {
        "cpu_s_per_item": cpu and cpu.mean,
        "cpu_s_per_item_low": cpu and cpu.low,
        "cpu_s_per_item_high": cpu and cpu.high,
        "energy_j_per_item": energy and energy.mean,
        "compile_s": opening.compile_s,
        "first_inference_ms": opening.first_inference_ms,
        "cached_compile_s": opening.cached_compile_s,
        "cached_first_inference_ms": opening.cached_first_inference_ms,
        **{name: getattr(readings, name) for name in _MEMORY},
    }
