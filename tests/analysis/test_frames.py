import csv
import io
import json
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

import autotune
from autotune.analysis.frames import COLUMNS, TYPES, frame, to_csv, to_parquet, to_records
from autotune.domain.measurement import Interval, Readings
from autotune.errors import StorageError, UsageError
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.storage.reader import StudyReader
from tests.builders import make_failure, make_measurement, make_opening, make_trial
from tests.report.studies import make_study


def test_one_row_for_each_measurement() -> None:
    """Failed trials have no row; columns are the documented ones, in order."""
    table = frame([make_trial(0), make_trial(1, failure=make_failure()), make_trial(2)])

    assert list(table.columns) == list(COLUMNS)
    assert table["trial"].tolist() == [0, 2]


def test_records_have_none_for_what_is_missing() -> None:
    """JSON never has NaN: a hint has no streams of its own, and they are null."""
    hint = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
    records = to_records(frame([make_trial(0, configuration=hint), make_trial(1)]))

    assert records[0]["streams"] is None
    assert records[1]["streams"] == 2
    assert "NaN" not in json.dumps(records, allow_nan=False)


def test_what_could_not_be_proven_is_in_the_frame() -> None:
    """With its reason; missing where there is none."""
    opening = make_opening(unproven="outputs are empty")
    trials = [make_trial(0), make_trial(1, measurement=make_measurement(opening=opening))]
    assert [row["unproven"] for row in to_records(frame(trials))] == [None, "outputs are empty"]


def test_what_it_costs_beside_time_is_in_the_frame() -> None:
    """CPU time with its interval, memory by phase, cold and cached starts; else it is missing."""
    readings = Readings(
        cpu_s_per_item=Interval(2e-3, 1.9e-3, 2.1e-3),
        energy_j_per_item=Interval(0.5, None, None),
        steady_rss_bytes=2**25,
        open_peak_rss_bytes=2**26,
        load_peak_rss_bytes=2**27,
    )
    opening = make_opening(cached_compile_s=0.05, cached_first_inference_ms=1.5)
    known = make_measurement(readings=readings, opening=opening)
    row, none = to_records(frame([make_trial(0, measurement=known), make_trial(1)]))
    names = ("cpu_s_per_item", "cpu_s_per_item_low", "cpu_s_per_item_high", "energy_j_per_item")
    assert [row[name] for name in names] == [2e-3, 1.9e-3, 2.1e-3, 0.5]
    memory = ("open_peak_rss_bytes", "load_peak_rss_bytes", "steady_rss_bytes")
    assert [row[name] for name in memory] == [2**26, 2**27, 2**25]
    assert (row["cached_compile_s"], row["cached_first_inference_ms"]) == (0.05, 1.5)
    assert {none[name] for name in (*names, *memory, "cached_compile_s")} == {None}


def test_empty_study_has_an_empty_frame() -> None:
    """No measurement, no row, all columns."""
    assert frame([]).shape == (0, len(COLUMNS))


def test_types_are_the_documented_ones_with_and_without_rows() -> None:
    """Nobody who reads a frame is surprised by an empty study, or by a hint without streams."""
    hint = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
    for table in (frame([]), frame([make_trial(0)]), frame([make_trial(0, configuration=hint)])):
        assert {name: str(kind) for name, kind in table.dtypes.items()} == TYPES


def test_parquet_gives_the_frame_back() -> None:
    """Types, units and what is missing."""
    hint = Configuration(device="CPU", hint=PerformanceHint.LATENCY)
    table = frame([make_trial(0, configuration=hint), make_trial(1)])
    again = pd.read_parquet(io.BytesIO(to_parquet(table)))

    pd.testing.assert_frame_equal(again, table)


@pytest.mark.usefixtures("without_pyarrow")
def test_parquet_without_pyarrow_says_what_to_install() -> None:
    """It is an extra."""
    with pytest.raises(UsageError, match=r"autotune\[parquet\]"):
        to_parquet(frame([make_trial(0)]))


def test_a_folder_a_store_and_trials_give_the_same_frame(tmp_path: Path) -> None:
    """As the package offers it."""
    folder = make_study(tmp_path / "study", trials=6)
    with closing(StudyReader.read_only(folder)) as store:
        whole = autotune.frame(store)
        pd.testing.assert_frame_equal(autotune.frame(store.trials()), whole)

    assert len(whole) >= 5
    pd.testing.assert_frame_equal(autotune.frame(folder), whole)
    pd.testing.assert_frame_equal(autotune.frame(str(folder)), whole)
    with pytest.raises(StorageError):
        autotune.frame(tmp_path / "gone")


def test_no_cell_of_a_csv_is_a_formula() -> None:
    """Whatever somebody wrote into a database, a spreadsheet shows it as text; numbers stay."""
    table = frame([make_trial(0)])
    table["configuration"] = '=HYPERLINK("http://example.com")'
    table["device"], table["origin"], table["precision"] = "@SUM(1)", "+1", "-2"
    table["throughput_low_per_s"] = -3.5
    (row,) = csv.DictReader(io.StringIO(to_csv(table)))
    assert row["configuration"] == '\'=HYPERLINK("http://example.com")'
    assert (row["device"], row["origin"], row["precision"]) == ("'@SUM(1)", "'+1", "'-2")
    assert row["throughput_low_per_s"] == "-3.5"
    assert row["verdict"] == "met"
