"""`verify`, `compare` and the calibration as a user meets them: a tiny real model, real workers."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autotune.domain.race import State
from autotune.errors import EXIT_INTERRUPTED
from autotune.machines.ports import Runner
from autotune.racing.calibrate import calibrate
from autotune.racing.contest import contest
from autotune.racing.named import RacedModel
from autotune.racing.verify import verify
from autotune.space.configuration import Configuration
from autotune.testing import SimulatedRunner
from tests import models
from tests.command import Autotune

pytestmark = [pytest.mark.openvino, pytest.mark.usefixtures("home")]
LEAST = "1s"
"""The first launch is held whatever its time; it takes a few seconds, and shows the latency."""
ENOUGH = "16s"
"""For a second launch, and so for an interval of the throughput."""


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """The user's folder after a study of three trials and its race; not to be changed."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(model_folder / models.TINY, home)
    shutil.copy((model_folder / models.TINY).with_suffix(".bin"), home)
    folder = home / "studies" / "quick"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(
        f'[model]\npath = "../../{models.TINY}"\n[goal]\nmax_latency = "1s"\npercentile = 90.0\n'
        '[budget]\ntrials = 3\nduration = "20s"\n[race]\nshare = 0.5\n'
        '[measure]\nlimit = "1s"\nwarmup = "100ms"\n'
    )
    environment = {
        **os.environ,
        "AUTOTUNE_LOCK_DIR": str(tmp_path_factory.mktemp("locks")),
        "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state")),
    }
    done = subprocess.run(
        [sys.executable, "-m", "autotune", "tune", "studies/quick"],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    (home / "tune.txt").write_text(done.stdout)
    return home


@pytest.fixture
def home(tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the user stands."""
    found = shutil.copytree(tuned, tmp_path / "home")
    monkeypatch.chdir(found)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return found


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> SimulatedRunner:
    """Contests and calibrations on a simulated machine: nobody waits for them."""
    runner = SimulatedRunner(noise=0.02)

    def make(model: RacedModel, folder: Path) -> Runner:
        return runner

    monkeypatch.setattr("autotune.cli.verify.verify", partial(verify, runners=make))
    monkeypatch.setattr("autotune.cli.compare.contest", partial(contest, runners=make))
    monkeypatch.setattr("autotune.cli.doctor.calibrate", partial(calibrate, runners=make))
    return runner


def edit(home: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The study's best.json after somebody's hands were on it."""
    path = home / "studies" / "quick" / "best.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return path


def claim_less(values: dict[str, Any]) -> None:
    """Half the throughput: what a busy machine keeps as well."""
    for part in filter(None, (values["certificate"], values["measured"])):
        for name in ("throughput_per_s", "throughput_low_per_s"):
            part[name] = part[name] and part[name] / 2


def elsewhere(values: dict[str, Any]) -> None:
    """As tuned on another machine."""
    claim_less(values)
    values["machine"]["cpu_model"] = "Z80"


# --- what the race left behind


def test_tune_ends_with_its_race(tuned: Path) -> None:
    """Every launch is a line, then who was chosen and why, and the status of the file."""
    lines = (tuned / "tune.txt").read_text()
    best = json.loads((tuned / "studies" / "quick" / "best.json").read_text())
    assert "race of " in lines
    assert "chosen: " in lines
    assert f"best.json ({best['status']})" in lines
    assert best["status"] in {"certified", "provisional"}
    assert best["certificate"]["launches"] >= 1
    assert {c["state"] for c in best["certificate"]["contenders"]} <= set(State)
    assert " race" in (tuned / "studies" / "quick" / "tune.log").read_text()


def test_status_and_best_show_the_race(autotune: Autotune) -> None:
    """The chosen one is the best, whatever the search had liked; an impossible cap has none."""
    status = json.loads(autotune("status", "studies/quick", "--json").out)
    best = json.loads(autotune("best", "studies/quick", "--json").out)
    race = status["race"]
    assert race["status"] == best["status"]
    (chosen,) = [c for c in race["contenders"] if c["state"] == "chosen"]
    assert status["best_trial"] == best["trial"] == chosen["trial"]
    assert best["certificate"]["launches"] == race["launches"]
    for command in ("status", "best"):
        text = autotune(command, "studies/quick").out
        assert "race of " in text
        assert "chosen: " in text
    strict = autotune("best", "studies/quick", "--max-latency", "1us")
    assert (strict.code, "race of" in strict.out) == (3, False)


# --- verify


def test_a_true_file_holds(autotune: Autotune, home: Path) -> None:
    """Exit code 0, a table, and each claim in a line; of another machine only if told so."""
    edit(home, elsewhere)
    refused = autotune("verify", "studies/quick/best.json")
    assert refused.code == 1
    assert "cpu_model: 'Z80' then" in refused.err
    assert "--anyway" in refused.err

    done = autotune("verify", "studies/quick/best.json", "--anyway", "--budget", ENOUGH)
    assert done.code == 0, done.out + done.err
    assert "another machine or runtime than the file's: cpu_model: 'Z80'" in done.out
    assert "SLA p90 <= 1s: holds: 0 of " in done.out
    assert "throughput: holds" in done.out
    assert "studies/quick/best.json holds (" in done.out
    assert "launch 2" in done.out


def test_json_of_a_moved_model(autotune: Autotune, home: Path) -> None:
    """Nothing but JSON on the output; the model is where the option says."""
    edit(home, claim_less)
    (home / "elsewhere").mkdir()
    for suffix in (".xml", ".bin"):
        (home / models.TINY).with_suffix(suffix).rename(
            (home / "elsewhere" / models.TINY).with_suffix(suffix)
        )
    lost = autotune("verify", "studies/quick/best.json")
    assert (lost.code, "--model FILE" in lost.err) == (1, True)

    moved = ("--model", f"elsewhere/{models.TINY}")
    done = autotune("verify", "studies/quick/best.json", "--json", "--budget", LEAST, *moved)
    report = json.loads(done.out)
    assert report["comparison"] is None
    (found,) = report["files"]
    assert found["sla"] == "holds"
    assert found["holds"] == (found["throughput"] in {"holds", "relative"})
    assert done.code == (0 if found["holds"] else 4)
    assert found["throughput_per_s"] > 0
    assert (found["differences"], found["failure"]) == ([], None)
    assert "launch 1" in done.err


@pytest.mark.usefixtures("simulated")
def test_a_cap_that_does_not_hold_is_exit_code_4(autotune: Autotune, home: Path) -> None:
    """Somebody claims a latency that no configuration has."""

    def boast(values: dict[str, Any]) -> None:
        values["sla"]["cap_ms"] = 0.0001

    edit(home, boast)
    done = autotune("verify", "studies/quick/best.json", "--anyway")
    assert done.code == 4
    assert "SLA p90 <= 0.1us: does not hold" in done.out
    assert "requests over the cap" in done.out
    assert "studies/quick/best.json does not hold" in done.out


def test_several_files_are_verified_in_turn(
    autotune: Autotune, home: Path, simulated: SimulatedRunner
) -> None:
    """One that does not hold is enough for the exit code."""
    flow = simulated.predict(Configuration(device="CPU"))

    def honest(values: dict[str, Any]) -> None:
        values.update(certificate=None, status="unconfirmed", baselines=[], better_hint=None)
        values["measured"].update(throughput_per_s=1.0, throughput_low_per_s=1.0)

    assert flow.latency_ms < 1000
    edit(home, honest)
    shutil.copy("studies/quick/best.json", "studies/quick/b.json")
    edit(home, lambda values: values["measured"].update(throughput_low_per_s=1e9))
    files = ("studies/quick/b.json", "studies/quick/best.json")
    done = autotune("verify", *files, "--anyway", "--json", "--budget", "20s")
    report = json.loads(done.out)
    assert [one["file"] for one in report["files"]] == list(files)
    assert [one["holds"] for one in report["files"]] == [True, False]
    assert [one["name"] for one in report["comparison"]["contenders"]] == list(files)
    ratio = report["comparison"]["contenders"][1]["ratio_to_first"]
    assert ratio["low"] <= 1.0 <= ratio["high"]
    assert done.code == 4
    assert autotune("verify", files[0], "--anyway", "--budget", "20s").code == 0


def truncated(path: Path) -> None:
    """The disk was full."""
    path.write_text(path.read_text()[:200])


def foreign(path: Path) -> None:
    """Somebody else's JSON."""
    path.write_text('{"name": "best"}')


def newer(path: Path) -> None:
    """From the future."""
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))


def tampered(path: Path) -> None:
    """A property that autotune does not set."""
    values = json.loads(path.read_text())
    values["properties"]["CACHE_DIR"] = "/tmp/x"
    path.write_text(json.dumps(values))


def retrained(path: Path) -> None:
    """The model is another one than that of the file."""
    model = path.parent.parent.parent / models.TINY
    model.write_text(model.read_text() + " ")


def missing(path: Path) -> None:
    """No file at all."""
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "code", "says"),
    [
        (truncated, 1, "is no JSON file"),
        (foreign, 1, "is no valid best.json"),
        (newer, 1, "format 99 is newer"),
        (tampered, 2, "properties: CACHE_DIR: not what autotune writes"),
        (retrained, 1, "its SHA-256 differs"),
        (missing, 1, "cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(
    autotune: Autotune, home: Path, damage: Callable[[Path], None], code: int, says: str
) -> None:
    """In one line, before anything is measured."""
    damage(home / "studies" / "quick" / "best.json")
    done = autotune("verify", "studies/quick/best.json")
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert done.err.startswith("autotune: ")
    assert done.err.count("\n") == 1


@pytest.mark.usefixtures("simulated")
def test_it_counts_what_the_file_counts(autotune: Autotune, home: Path) -> None:
    """Items, not requests, and on the same data."""

    def eight(values: dict[str, Any]) -> None:
        values["model"]["items_per_request"] = 8

    edit(home, eight)
    words = ("verify", "studies/quick/best.json", "--anyway", "--budget", "20s")
    assert "8 items per request at batch 1; inputs: random" in autotune(*words).out
    found = json.loads(autotune(*words, "--json").out)["files"][0]
    assert (found["items_per_request"], found["data"]) == (8, "random")


@pytest.mark.parametrize("at", ["open", "advance"])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("command", ["verify", "compare"])
def test_sigterm_is_no_end_of_the_budget(
    autotune: Autotune,
    simulated: SimulatedRunner,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    count: int,
    at: str,
) -> None:
    """Nor is what comes next begun; before anybody had a turn as well as later."""
    plain, calls = getattr(simulated, at), itertools.count(1)

    def called(*given: Any) -> Any:
        if next(calls) == count:
            signal.raise_signal(signal.SIGTERM)
        return plain(*given)

    monkeypatch.setattr(simulated, at, called)
    shutil.copy("studies/quick/best.json", "studies/quick/b.json")
    files = ("studies/quick/b.json", "studies/quick/best.json")
    words = {
        "verify": ("verify", *files, "--anyway"),
        "compare": ("compare", "LATENCY", "THROUGHPUT", "--model", models.TINY),
    }
    done = autotune(*words[command], "--budget", "20s")
    assert done.code == EXIT_INTERRUPTED, done.out + done.err
    assert next(calls) <= count + 10


# --- compare


def test_compare_takes_every_form_of_a_name(autotune: Autotune) -> None:
    """A file, a trial and settings, on the model of the first; ratios are to the first."""
    names = ("studies/quick/best.json", "studies/quick:0", "streams=1,requests=1")
    done = autotune("compare", *names, "--json", "--budget", LEAST)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [c["name"] for c in found["contenders"]] == [names[0], "quick:0", names[2]]
    assert len({c["model"] for c in found["contenders"]}) == 1
    assert all(c["throughput_per_s"] > 0 and not c["failed"] for c in found["contenders"])
    first, *others = found["contenders"]
    assert first["ratio_to_first"] is None
    assert all(c["ratio_to_first"]["mean"] > 0 for c in others)
    assert found["goal"] == {
        "objective": "throughput",
        "percentile": 90.0,
        "cap_ms": 1000.0,
        "headroom": 0.0,
    }


@pytest.mark.usefixtures("simulated")
def test_compare_tells_in_words(autotune: Autotune) -> None:
    """Hints on a model that is given, judged by a cap that is given."""
    options = ("--model", models.TINY, "--max-latency", "1s", "--percentile", "80")
    done = autotune("compare", "THROUGHPUT", "latency", *options, "--budget", "20s")
    assert done.code == 0, done.err
    assert "judged by: highest throughput with p80 <= 1s" in done.out
    assert "CPU LATENCY hint: " in done.out
    assert "slower than CPU THROUGHPUT hint" in done.out
    assert done.out.rstrip().splitlines()[-1].startswith("equal is a difference below")


@pytest.mark.usefixtures("simulated")
def test_compare_by_what_is_asked_for(autotune: Autotune) -> None:
    """Items for each CPU-second, whatever the files were tuned for; the limits stay."""
    options = ("--model", models.TINY, "--objective", "efficiency", "--min-throughput", "1")
    done = autotune("compare", "THROUGHPUT", "latency", *options, "--budget", "20s", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["goal"]["objective"] == "efficiency"
    assert all(one["efficiency"] > 0 for one in found["contenders"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (
            ("compare", "LATENCY", "THROUGHPUT", "--model", models.TINY, "--objective", "pareto"),
            2,
            "--objective: 'pareto' is none of throughput, latency, efficiency",
        ),
        (("compare", "LATENCY"), 2, "compare takes two or more"),
        (("compare", "LATENCY", "THROUGHPUT"), 2, "give --model, or a best.json first"),
        (("compare", "LATENCY", "fast", "--model", models.TINY), 2, "'fast' is no setting"),
        (("compare", "LATENCY", "streams=0", "--model", models.TINY), 2, "no whole number"),
        (("compare", "gone.json", "LATENCY"), 2, "gone.json: there is no such file"),
        (("compare", "studies/quick:99", "LATENCY"), 2, "no measured trial of that number"),
        (("compare", "gone:1", "LATENCY"), 2, "no such study"),
        (("compare", "LATENCY", "THROUGHPUT", "--model", "gone.xml"), 1, "no such model file"),
        (
            ("compare", "LATENCY", "THROUGHPUT", "--model", models.TINY, "--budget", "2"),
            2,
            "--budget: ",
        ),
        (
            ("compare", "LATENCY", "THROUGHPUT", "--model", models.TINY, "--max-latency", "0ms"),
            2,
            "--max-latency: ",
        ),
        (
            ("compare", "LATENCY", "THROUGHPUT", "--model", models.TINY, "--percentile", "100"),
            2,
            "--percentile: must lie between 0 and 100",
        ),
        (("verify", "studies/quick/best.json", "--budget", "soon"), 2, "--budget: "),
        (("doctor", "--calibrate", "--budget", "0s"), 2, "--budget: "),
        (("doctor", "--calibrate", "--model", "gone.xml"), 1, "no such model file"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(
    autotune: Autotune, words: tuple[str, ...], code: int, says: str
) -> None:
    """The message names what is wrong, and the way out."""
    done = autotune(*words)
    assert (done.code, says in done.err) == (code, True), done.err
    assert done.err.startswith("autotune: ")
    assert done.err.count("\n") == 1


# --- the calibration


def test_the_calibration_is_kept_and_used(
    autotune: Autotune, home: Path, simulated: SimulatedRunner
) -> None:
    """It says what it found and where it is kept; the next race has its margin from it."""
    simulated.noise = 0.2
    done = autotune("doctor", "--calibrate", "--model", models.TINY, "--json", "--budget", "20s")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["model"] == models.TINY
    assert found["rounds"] >= 3
    assert found["tie_margin"] == min(0.1, found["noise"]) > 0.01
    assert Path(found["file"]).is_relative_to(home.parent / "state")
    assert "A/A race: launch 1" in done.err

    words = ("compare", "THROUGHPUT", "LATENCY", "--model", models.TINY, "--json")
    assert json.loads(autotune(*words).out)["tie_margin"] == found["tie_margin"]


@pytest.mark.usefixtures("simulated")
def test_the_calibration_in_words(autotune: Autotune, home: Path) -> None:
    """The noise, what follows from it, and the file."""
    done = autotune("doctor", "--calibrate", "--model", models.TINY, "--budget", "30s")
    assert done.code == 0, done.err
    assert "A/A race of the THROUGHPUT hint against itself, 30 s at most" in done.out
    assert "A/A noise: " in done.out
    assert re.search(r"call what differs by less than [\d.]+ % equal", done.out)
    assert f"wrote {home.parent / 'state' / 'autotune' / 'calibration.json'}" in done.out
