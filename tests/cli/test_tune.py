"""`autotune tune` as a user meets it: real workers and a tiny real model."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import models
from tests.command import Autotune

pytestmark = [pytest.mark.openvino, pytest.mark.usefixtures("home")]
QUICK = '[measure]\nlimit = "300ms"\nwarmup = "50ms"\n[race]\nshare = 0.0\n'


@pytest.fixture
def home(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's own with a model in it, where the user stands."""
    shutil.copytree(model_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def study(home: Path) -> Path:
    """A study that takes seconds."""
    folder = home / "studies" / "quick"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(
        f'[model]\npath = "../../{models.TINY}"\n[goal]\nmax_latency = "50ms"\npercentile = 90.0\n'
        f"[budget]\ntrials = 4\n{QUICK}"
    )
    return folder


def test_the_whole_path(autotune: Autotune, study: Path) -> None:
    """Tune, look, ask, continue: from a model file to a best.json that deploys."""
    done = autotune("tune", "studies/quick")
    assert done.code == 0, done.err
    assert len([line for line in done.out.splitlines() if line.startswith("trial ")]) == 4
    assert (study / "tune.log").read_text().count(" trial ") >= 4

    best = json.loads((study / "best.json").read_text())
    assert best["status"] == "unconfirmed"
    assert {baseline["name"] for baseline in best["baselines"]} == {"CPU LATENCY", "CPU THROUGHPUT"}

    status = json.loads(autotune("status", "studies/quick", "--json").out)
    assert (status["trials"], status["running_pid"], status["last_end"]) == (4, None, "trials")

    front = json.loads(autotune("pareto", "studies/quick", "--json", "--csv", "front.csv").out)
    assert front["front"]
    assert (study.parent.parent / "front.csv").read_text().startswith("trial,origin")

    again = autotune("best", "studies/quick", "--max-latency", "40ms", "--json", "--out", "b.json")
    assert json.loads(again.out)["sla"] == {"percentile": 90.0, "cap_ms": 40.0, "headroom": 0.0}
    assert (study.parent.parent / "b.json").exists()

    more = autotune("tune", "studies/quick", "--trials", "5")
    assert "continued after 4 trials" in more.out
    assert len([line for line in more.out.splitlines() if line.startswith("trial ")]) == 1


def test_all_faults_of_a_study_file_are_reported_together(autotune: Autotune, study: Path) -> None:
    """A misspelt key comes with a suggestion, beside the other faults."""
    (study / "study.toml").write_text(
        '[model]\npat = "x"\n[goal]\nmax_latency = "0ms"\n[budgett]\ntrials = 1\n'
    )
    done = autotune("tune", "studies/quick")

    assert done.code == 2
    assert all(word in done.err for word in ("'path'", "more than zero", "'budget'"))


def test_nothing_meets_the_cap(autotune: Autotune, study: Path) -> None:
    """Exit code 3, and how far the nearest miss is off."""
    text = (
        (study / "study.toml")
        .read_text()
        .replace("50ms", "1us")
        .replace("trials = 4", "trials = 3")
    )
    (study / "study.toml").write_text(text)
    done = autotune("tune", "studies/quick")

    assert done.code == 3
    assert "times the cap" in done.out
    assert not (study / "best.json").exists()


def test_changes_since_the_study_began_are_refused(
    autotune: Autotune, study: Path, home: Path
) -> None:
    """Another goal, model, machine or runtime: each is named, and no trial is added."""
    assert autotune("tune", "studies/quick", "--trials", "1").code == 0
    text = (study / "study.toml").read_text()

    (study / "study.toml").write_text(text.replace("50ms", "60ms"))
    assert "the goal has changed" in autotune("tune", "studies/quick").err
    (study / "study.toml").write_text(text)

    model = home / models.TINY
    model.write_text(model.read_text() + " ")
    assert "the model file has changed" in autotune("tune", "studies/quick").err
    model.write_text(model.read_text()[:-1])

    with sqlite3.connect(study / "study.db") as database:
        database.execute(
            "update autotune_session set machine = json_set(machine, '$.openvino', '2020.1')"
        )
    refused = autotune("tune", "studies/quick")
    assert "openvino: '2020.1' then" in refused.err
    assert refused.code == 1
    assert autotune("tune", "studies/quick", "--trials", "2", "--anyway").code == 0


def test_a_file_that_is_no_database_is_refused(autotune: Autotune, study: Path) -> None:
    """The file is named and stays as it is."""
    (study / "study.db").write_text("this is no database, but a text of some length" * 50)
    done = autotune("tune", "studies/quick")

    assert (done.code, "not a database" in done.err) == (1, True), done.err
    assert (study / "study.db").read_text().startswith("this is no database")


def test_a_second_tuner_is_refused_with_the_first_one_s_pid(
    autotune: Autotune, study: Path, home: Path
) -> None:
    """One measurement on a machine; a viewer is welcome meanwhile. Ctrl-C ends after the trial."""
    first = subprocess.Popen(
        [sys.executable, "-m", "autotune", "tune", "studies/quick", "--trials", "1000"],
        cwd=home,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_for_line(first, "trial 0 ")
        second = autotune("tune", "studies/quick")
        assert (second.code, f"process {first.pid}" in second.err) == (1, True)
        seen = json.loads(autotune("status", "studies/quick", "--json").out)
        assert seen["running_pid"] == first.pid
        first.send_signal(signal.SIGINT)
        out, _ = first.communicate(timeout=60)
    finally:
        first.kill()

    assert first.returncode == 130
    assert "go on with: autotune tune studies/quick" in out
    assert (study / "best.json").exists()


def test_ctrl_c_twice_stops_at_once(study: Path, home: Path) -> None:
    """Everything recorded is kept, and no worker is left."""
    tuner = subprocess.Popen(
        [sys.executable, "-m", "autotune", "tune", "studies/quick", "--trials", "1000"],
        cwd=home,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_for_line(tuner, "trial 0 ")
        time.sleep(0.5)  # into the next trial
        tuner.send_signal(signal.SIGINT)
        time.sleep(0.2)
        tuner.send_signal(signal.SIGINT)
        tuner.communicate(timeout=60)
    finally:
        tuner.kill()

    assert tuner.returncode == 130
    with sqlite3.connect(study / "study.db") as database:
        states = {state for (state,) in database.execute("select state from trials")}
    assert "RUNNING" not in states


def test_inspect_and_devices(autotune: Autotune) -> None:
    """What a model takes, and what the machine has."""
    ports = json.loads(autotune("inspect", models.TWO_INPUTS, "--json").out)
    devices = json.loads(autotune("devices", "--json").out)

    assert {port["name"] for port in ports["inputs"]} == {"ids", "x"}
    assert "CPU" in devices
    assert "need --shape" in autotune("inspect", models.DYNAMIC).out


def _wait_for_line(process: subprocess.Popen[str], start: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return
    pytest.fail(f"no line began with {start!r}")
