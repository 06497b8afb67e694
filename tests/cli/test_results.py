"""Questions to a stored study on the command line, on a simulated machine."""

import csv
import io
import itertools
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.command import Autotune
from tests.report.studies import BrokenRunner, make_study

OUTPUTS = (
    ("frame", "--csv", "a.csv"),
    ("frame", "--parquet", "a.parquet"),
    ("pareto", "--csv", "a.csv"),
    ("best", "--out", "a.json"),
    ("report", "--out", "a.html"),
    ("report", "--png", "a.png"),
)
"""Commands that write where they are told, and a name that they take."""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty trials, each with some use of memory."""
    folder = make_study(tmp_path_factory.mktemp("night") / "study")
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        connection.execute(
            "UPDATE autotune_measurement SET peak_rss_bytes = 104857600 * (1 + trial_number % 7)"
        )
    return folder


def needed(file: dict[str, Any]) -> int:
    """The memory of a process that only runs this: to open it, and under load."""
    costs = file["measured"]["costs"]
    return max(int(costs[f"{phase}_peak_rss_bytes"]) for phase in ("open", "load"))


def test_best_within_a_limit_of_memory(autotune: Autotune, night: Path) -> None:
    """Another trial than without, and one that keeps it."""
    free = json.loads(autotune("best", night, "--json").out)
    used = needed(free)
    done = autotune("best", night, "--max-memory", f"{used - 1}B", "--device", "cpu", "--json")
    found = json.loads(done.out)

    assert done.code == 0
    assert needed(found) < used
    assert found["measured"]["limits"] == [
        {"name": "max_memory", "limit": used - 1, "value": needed(found), "verdict": "met"}
        | {"bound": found["measured"]["limits"][0]["bound"]}
    ]
    assert found["trial"] != free["trial"]
    assert found["ratio_to_better_hint"] is not None  # the hints stay what it is compared with


def test_limits_are_said(autotune: Autotune, night: Path) -> None:
    """In the line above the table."""
    out = autotune("best", night, "--max-memory", "400MiB", "--device", "CPU").out

    assert "memory <= 400MiB, on CPU" in out.splitlines()[0]


def test_best_with_headroom_is_the_best_under_less(autotune: Autotune, night: Path) -> None:
    """The same trial as under the cap over 1.6; the file has the cap that was given."""
    plain = json.loads(autotune("best", night, "--json").out)
    cap_ms = plain["sla"]["cap_ms"]
    room = json.loads(autotune("best", night, "--headroom", "60%", "--json").out)
    less = json.loads(autotune("best", night, "--max-latency", f"{cap_ms / 1.6}ms", "--json").out)
    assert room["trial"] == less["trial"] != plain["trial"]
    assert room["sla"] == {**plain["sla"], "headroom": 0.6}
    assert plain["sla"]["headroom"] == 0.0
    said = autotune("best", night, "--headroom", "60%").out.splitlines()[0]
    assert f"{cap_ms:g}ms with 60 % headroom ({cap_ms / 1.6:g}ms)" in said


def test_what_would_be_met_leaves_the_headroom(autotune: Autotune, night: Path) -> None:
    """What is offered is a cap to be given: with it and the same headroom, something is met."""
    done = autotune("best", night, "--max-latency", "2ms", "--headroom", "60%")
    offered = re.search(r"p99 <= (\S+) would be met", done.out.replace("\n", " "))
    assert (done.code, offered is not None) == (3, True)
    assert offered is not None
    cap = offered.group(1)
    assert autotune("best", night, "--max-latency", cap, "--headroom", "60%").code == 0
    plain = autotune("best", night, "--max-latency", "2ms").out.replace("\n", " ")
    assert f"p99 <= {cap} would" not in plain


def test_headroom_is_a_percentage_of_a_cap(autotune: Autotune, night: Path, tmp_path: Path) -> None:
    """Without a sign it is refused, and without a cap."""
    done = autotune("best", night, "--headroom", "0.15")
    assert (done.code, "percent sign" in done.err) == (2, True)
    free = make_study(tmp_path / "free", goal={"objective": "latency"})
    done = autotune("best", free, "--headroom", "15%")
    assert (done.code, "give --max-latency" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-memory", "1MiB"), "memory <= 1MiB: met by none; the nearest is trial"),
        (("--min-throughput", "1000000"), "throughput >= 1000000/s: met by none; the nearest is"),
        (("--max-energy-per-item", "2J"), "energy per item <= 2J: not known of any trial"),
        (("--device", "GPU"), "within the limits: on GPU; measured were CPU"),
    ],
    ids=["memory", "throughput", "energy", "device"],
)
def test_nothing_within_the_limits(
    autotune: Autotune, night: Path, words: tuple[str, ...], said: str
) -> None:
    """As when nothing meets the cap: exit code 3, and why; the same as JSON."""
    done = autotune("best", night, *words)
    as_json = autotune("best", night, *words, "--json")

    assert done.code == as_json.code == 3
    assert said in done.out
    assert json.loads(as_json.out)["best"] is None


@pytest.mark.parametrize("text", ["5", "5X", "-1MiB", "0MiB", "much"])
def test_no_amount_of_memory(autotune: Autotune, night: Path, text: str) -> None:
    """A message with the units."""
    done = autotune("best", night, f"--max-memory={text}")

    assert done.code == 2
    assert "--max-memory" in done.err


def test_pareto_draws_and_lists(autotune: Autotune, night: Path) -> None:
    """The chart above the table; the cap is a line."""
    out = autotune("pareto", night).out

    assert out.startswith("items per second by p99 latency in ms")
    assert "o on the front" in out
    assert "measurements are on the front" in out.replace("\n", " ")


def test_pareto_of_another_percentile(autotune: Autotune, night: Path) -> None:
    """Judged anew from the stored requests."""
    found = json.loads(autotune("pareto", night, "--percentile", "50", "--json").out)

    assert found["goal"]["percentile"] == 50
    rates = [row["throughput_per_s"] for row in found["front"]]
    assert rates == sorted(rates)
    assert all(b > a * 1.01 for a, b in itertools.pairwise(rates))


def test_frame_is_csv_without_a_file(autotune: Autotune, night: Path) -> None:
    """For a pipe."""
    rows = list(csv.DictReader(io.StringIO(autotune("frame", night).out)))

    assert len(rows) >= 25
    assert float(rows[0]["throughput_per_s"]) > 0


def test_frame_writes_both_files(autotune: Autotune, night: Path, tmp_path: Path) -> None:
    """The same rows."""
    done = autotune(
        "frame", night, "--csv", tmp_path / "a.csv", "--parquet", tmp_path / "a.parquet"
    )

    assert done.code == 0
    assert len(pd.read_csv(tmp_path / "a.csv")) == len(pd.read_parquet(tmp_path / "a.parquet"))
    assert "measurements" in done.out


def test_an_output_that_cannot_be_written_is_named(
    autotune: Autotune, night: Path, tmp_path: Path
) -> None:
    """By every command that writes one."""
    for command, option, name in OUTPUTS:
        gone = tmp_path / "gone" / name
        done = autotune(command, night, option, gone)
        assert done.code == 1
        assert f"{gone}: cannot be written" in done.err


def test_no_output_replaces_a_study_or_a_model(autotune: Autotune, tmp_path: Path) -> None:
    """Whatever is called otherwise than what is written is left alone."""
    folder = make_study(tmp_path / "study", trials=4)
    before = {file: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    for command, option, name in OUTPUTS:
        for file in ("study.db", "study.toml", "model.onnx"):
            done = autotune(command, folder, option, folder / file)
            assert done.code == 2
            assert f"must end with {Path(name).suffix}" in done.err
    assert {file: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before


def test_what_was_raced_is_not_replaced_by_what_was_not(
    autotune: Autotune, night: Path, tmp_path: Path
) -> None:
    """A certificate takes a night."""
    kept = tmp_path / "best.json"
    race = make_study(tmp_path / "raced", trials=12, race={"share": 0.3})
    assert autotune("best", night, "--out", kept).code == 0
    assert autotune("best", race, "--out", kept).code == 0
    assert json.loads(kept.read_text())["certificate"] is not None
    done = autotune("best", night, "--out", kept)

    assert done.code == 2
    assert "give another name" in done.err
    assert json.loads(kept.read_text())["certificate"] is not None


def test_the_log_ends_with_what_was_chosen(autotune: Autotune, tmp_path: Path) -> None:
    """And lists those that raced, not those that might have."""
    race = make_study(tmp_path / "raced", trials=30, race={"share": 0.3})
    told = autotune("log", race).out
    (happened,) = [
        one for one in json.loads(autotune("log", race, "--json").out) if one["what"] == "race"
    ]

    assert "chosen: trial" in told
    assert len(happened["contenders"]) >= 3
    assert (" more had no turn" in told) is (happened["without_a_turn"] > 0)


def test_a_dash_is_the_output(autotune: Autotune, night: Path) -> None:
    """For a pipe, as anywhere."""
    assert autotune("frame", night, "--csv", "-").out == autotune("frame", night).out
    assert autotune("pareto", night, "--csv", "-").out.startswith("trial,")


def test_a_file_in_the_folder_will_do(autotune: Autotune, night: Path) -> None:
    """Shells complete to files; what lies elsewhere is called what it is."""
    assert autotune("pareto", night / "study.db").out == autotune("pareto", night).out
    assert "no such folder" in autotune("best", night / "gone").err


@pytest.mark.parametrize("name", ["study.db.backup", "study.db.schema4.backup"])
def test_a_copy_is_not_taken_for_the_study(autotune: Autotune, tmp_path: Path, name: str) -> None:
    """What it holds may be older: the message says how to look at it."""
    folder = make_study(tmp_path)
    (folder / name).write_bytes((folder / "study.db").read_bytes())
    done = autotune("status", folder / name)
    assert done.code == 2
    assert f"{name}: a copy of a study's database; to look at it, copy it" in done.err


def test_a_percentile_is_in_percent(autotune: Autotune, night: Path) -> None:
    """A share is asked about."""
    done = autotune("best", night, "--percentile", "0.99")

    assert done.code == 2
    assert "did you mean 99?" in done.err


def test_no_figure_is_cut_on_a_narrow_terminal(
    autotune: Autotune, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines may wrap there; a thousand is never what is left of ten."""
    for columns in ("30", "50", "80", "140"):
        monkeypatch.setenv("COLUMNS", columns)
        for command in ("pareto", "best", "status"):
            assert "\N{HORIZONTAL ELLIPSIS}" not in autotune(command, night).out


def test_a_study_with_only_failures(autotune: Autotune, tmp_path: Path) -> None:
    """Every question has an answer, none a traceback."""
    folder = make_study(tmp_path / "broken", trials=4, runner=BrokenRunner)

    assert autotune("best", folder).code == 3
    said = autotune("best", folder).out
    assert autotune("best", folder, "--max-latency", "1ms").out == said
    assert autotune("best", folder, "--max-latency", "1ms", "--max-memory", "1GiB").code == 3
    assert "could be measured" in autotune("pareto", folder).out
    assert autotune("frame", folder).out.startswith("trial,")
    assert autotune("report", folder).code == 0


def test_an_empty_study(autotune: Autotune, tmp_path: Path) -> None:
    """Begun, and nothing measured yet."""
    folder = make_study(tmp_path / "empty", trials=1)
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        connection.execute("DELETE FROM autotune_block")
        connection.execute("DELETE FROM autotune_measurement")

    assert "nothing was measured yet" in autotune("best", folder, "--max-latency", "1ms").out
    assert "nothing was measured yet" in autotune("pareto", folder).out
    assert autotune("report", folder).code == 0
    assert autotune("report", folder, "--png", tmp_path / "a.png").code == 0
    assert autotune("report", folder, folder, "--out", tmp_path / "c.html").code == 0
    assert len(autotune("frame", folder).out.splitlines()) == 1


def test_latency_studies_are_answered_too(autotune: Autotune, tmp_path: Path) -> None:
    """Another percentile, with and without a cap."""
    goal = {"objective": "latency", "percentile": 90.0}
    folder = make_study(tmp_path / "latency", trials=10, goal=goal)
    found = json.loads(autotune("best", folder, "--percentile", "50", "--json").out)
    table = pd.read_csv(io.StringIO(autotune("frame", folder).out))

    assert found["measured"]["latency_ms"]["p50"] == table["latency_p50_ms"].min()


def test_one_trial(autotune: Autotune, tmp_path: Path) -> None:
    """A chart of one point, a front of one."""
    folder = make_study(tmp_path / "one", trials=1)

    assert "1 of 1 measurements" in autotune("pareto", folder).out.replace("\n", " ")
    assert autotune("best", folder, "--max-latency", "1s").code in {0, 3}
    assert autotune("report", folder).code == 0


def test_the_front_is_of_what_keeps_the_limits(autotune: Autotune, tmp_path: Path) -> None:
    """What may not be deployed hides nothing that may."""
    goal = {"objective": "pareto", "max_memory": "135MiB"}
    folder = make_study(tmp_path / "front", goal=goal)
    front = json.loads(autotune("pareto", folder, "--json").out)["front"]
    assert front
    assert all(
        max(row["open_peak_rss_bytes"], row["load_peak_rss_bytes"]) <= 135 * 2**20 for row in front
    )
    table = autotune("frame", folder, "--csv", "-").out
    rows = list(csv.DictReader(io.StringIO(table)))
    assert any(float(row["load_peak_rss_bytes"] or 0) > 135 * 2**20 for row in rows)
