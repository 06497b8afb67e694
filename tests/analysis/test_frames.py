import csv
import io
import json

from autotune.analysis.frames import COLUMNS, frame, to_csv, to_records
from autotune.domain.configuration import Configuration, PerformanceHint
from tests.builders import make_failure, make_trial


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


def test_empty_study_has_an_empty_frame() -> None:
    """No measurement, no row, all columns."""
    assert frame([]).shape == (0, len(COLUMNS))


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
