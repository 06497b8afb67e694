"""A core budget as a user meets it: real workers beside a busy neighbour, watched from outside."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.export.best_file import read_best
from autotune.host.cpus import affinity
from tests import models
from tests.cli.placed import Watch, busy
from tests.command import Autotune

TWO = pytest.mark.skipif(len(affinity()) < 2, reason="needs two CPUs")
STUDY = (
    f'[model]\npath = "../../{models.TINY}"\n[goal]\nmax_latency = "1s"\npercentile = 90.0\n'
    '[budget]\ntrials = 3\nduration = "8s"\n[race]\nshare = 0.5\n'
    '[measure]\nlimit = "1s"\nwarmup = "100ms"\n'
)


@pytest.fixture
def home(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with a model, a study that is not begun, and nothing calibrated."""
    for name in (models.TINY, Path(models.TINY).with_suffix(".bin").name):
        shutil.copy(model_folder / name, tmp_path)
    (tmp_path / "studies" / "quick").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("AUTOTUNE_LOCK_DIR", str(tmp_path / "locks"))
    return tmp_path


def begin(home: Path, cpus: str) -> Path:
    """The study with a core budget."""
    folder = home / "studies" / "quick"
    (folder / "study.toml").write_text(f"{STUDY}[machine]\ncpus = {cpus}\n")
    return folder


def watched(*words: str) -> tuple[Watch, subprocess.CompletedProcess[str]]:
    """Run autotune as a process of its own, and see where its workers run, from their start on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "autotune", *words],
        env={**os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with Watch(process.pid) as watch:
        out, errors = process.communicate(timeout=110)
    return watch, subprocess.CompletedProcess(words, process.returncode, out, errors)


def only_on(watch: Watch, cpus: set[int]) -> bool:
    """Whether every thread of every worker was only ever seen there, and allowed nowhere else."""
    assert watch.samples > 50
    assert len(watch.seen) > 2
    ran = set().union(*watch.seen.values())
    may = set().union(*watch.allowed.values())
    return ran <= cpus and may == {frozenset(cpus)}


@TWO
@pytest.mark.openvino
@pytest.mark.parametrize("cpus", ["1", '"{last}-{last}"'])
def test_every_thread_of_every_worker_stays_on_its_cpu(home: Path, cpus: str) -> None:
    """Tuned and verified beside a busy neighbour; a count finds the CPU that is idle."""
    first, last = min(affinity()), max(affinity())
    folder = begin(home, cpus.format(last=last))
    with busy(first, niceness=19):  # other tests run beside this one
        tuned, done = watched("tune", "studies/quick")
        assert done.returncode == 0, done.stderr
        best = read_best(folder / "best.json")
        assert best.budget is not None
        (held,) = best.budget.cpus
        # Others use this machine as well, so which CPU a count finds is known to nobody.
        assert held == last or "-" not in cpus
        assert only_on(tuned, {held})
        words = f"core budget: 1 of {os.cpu_count()} CPUs: {held}"
        assert words in done.stdout
        if "-" not in cpus:  # one of the two is enough: both files say a list
            verified, shown = watched("verify", "studies/quick/best.json", "--budget", "1s")
            assert shown.returncode in {0, 4}, shown.stderr
            assert only_on(verified, {held})
            assert words in shown.stdout
    assert best.effective["INFERENCE_NUM_THREADS"] == "1"
    assert best.machine["usable_cpus"] == 1


SMALL = "[space]\nstreams = 1\nthreads_per_stream = 1\nrequests_per_stream = 1\nbatch = 1\n"


@TWO
@pytest.mark.openvino
@pytest.mark.parametrize(
    "words",
    [
        ("compare", "LATENCY", "THROUGHPUT", "--model", models.TINY, "--budget", "1s"),
        ("doctor", "--calibrate", "--budget", "6s"),
        ("record", "studies/quick", "--launches", "1", "--rounds", "1", "--slice", "50ms"),
    ],
    ids=lambda words: words[0],
)
def test_whoever_measures_stays_on_the_cpus_that_are_asked_for(
    home: Path, words: tuple[str, ...]
) -> None:
    """Races, a recording, and the worker that writes the sample model."""
    study = begin(home, "1") / "study.toml"
    study.write_text(study.read_text() + SMALL)
    last = max(affinity())
    watch, done = watched(*words, "--cpus", f"{last}-{last}")
    assert done.returncode == 0, done.stderr
    assert only_on(watch, {last})


# --- what is refused, and what is said


@pytest.mark.parametrize(
    ("cpus", "says"),
    [
        ("", "'' is empty; write a count such as 6"),
        ("0", "'0' is no count of CPUs: at least 1"),
        ("0,0", "'0,0' names CPU 0 twice"),
        ("3-1", "'3-1': 3-1 runs backwards; write 1-3"),
        ("few", "'few': 'few' is no number"),
        ("60000", "'60000': 60000 CPUs are more than"),
        ("60000-60001", "'60000-60001': CPUs 60000-60001: not there, or outside of"),
    ],
)
def test_every_command_refuses_alike(home: Path, autotune: Autotune, cpus: str, says: str) -> None:
    """The option, the value, what is allowed; no folder is made and nothing is measured."""
    begin(home, "1")
    (home / "best.json").write_text("{}")
    for words in (
        ("tune", models.TINY, "--max-latency", "20ms", "--name", "new"),
        ("record", "studies/quick"),
        ("verify", "best.json"),
        ("compare", "LATENCY", "THROUGHPUT", "--model", models.TINY),
        ("doctor",),
        ("doctor", "--calibrate"),
    ):
        done = autotune(*words, "--cpus", cpus)
        assert done.code == 2, words
        assert f"--cpus: {says}" in done.err, words
    assert not (home / "studies" / "new").exists()


def test_a_study_file_is_refused_with_its_key(home: Path, autotune: Autotune) -> None:
    """Whether it is no budget at all, or none that can be held here."""
    begin(home, '"1-0"')
    done = autotune("tune", "studies/quick")
    assert (done.code, "[machine] cpus: '1-0': 1-0 runs backwards" in done.err) == (2, True)
    begin(home, "60000")
    done = autotune("tune", "studies/quick")
    assert (done.code, "[machine] cpus: '60000': 60000 CPUs are" in done.err) == (2, True)
    assert not (home / "studies" / "quick" / "study.db").exists()


def test_an_option_is_settled_by_the_study_that_is_there(home: Path, autotune: Autotune) -> None:
    """As every other one is."""
    begin(home, "1")
    done = autotune("tune", "studies/quick", "--cpus", "1")
    assert done.code == 2
    assert "--cpus is settled in" in done.err


@pytest.mark.openvino
def test_a_study_goes_on_with_its_cpus_and_is_another_with_others(
    home: Path, autotune: Autotune
) -> None:
    """The choice is remembered; another budget is another machine; verify takes another if told."""
    folder = begin(home, "1")
    assert autotune("tune", "studies/quick", "--trials", "1").code == 0
    held = read_best(folder / "best.json").budget
    assert held is not None
    assert autotune("tune", "studies/quick", "--trials", "2").code == 0
    assert read_best(folder / "best.json").budget == held
    status = json.loads(autotune("status", "studies/quick", "--json").out)
    assert status["core_budget"] == str(held)
    begin(home, f'"{held.listed}-{held.listed}"')
    refused = autotune("tune", "studies/quick", "--trials", "3")
    assert refused.code == 1
    assert f"core_budget: '1' then, '{held.listed}-{held.listed}' now" in refused.err
    for command in ("status", "best", "pareto", "log"):
        assert f"core budget: {held}" in autotune(command, "studies/quick").out
    autotune("report", "studies/quick")
    assert str(held) in (folder / "report.html").read_text()


@pytest.mark.openvino
def test_verify_holds_the_budget_of_the_file(home: Path, autotune: Autotune) -> None:
    """Refused where its CPUs are not here; another one is held where it is asked for, and said."""
    folder = begin(home, "1")
    assert autotune("tune", "studies/quick", "--trials", "1").code == 0
    path = folder / "best.json"
    values = json.loads(path.read_text())
    values["core_budget"]["cpus"] = [60000]
    path.write_text(json.dumps(values))
    refused = autotune("verify", str(path), "--budget", "1s")
    assert refused.code == 1
    assert "its core budget cannot be held here: '60000-60000': CPU 60000: not there" in refused.err
    assert "--cpus" in refused.err
    last = max(affinity())
    other = autotune("verify", str(path), "--budget", "1s", "--cpus", f"{last}-{last}")
    assert other.code in {0, 4}, other.err
    assert f"core_budget: '1' then, '{last}-{last}' now" in other.out
    values["core_budget"]["count"] = 2
    path.write_text(json.dumps(values))
    edited = autotune("verify", str(path))
    assert edited.code == 2
    assert "core_budget: asked, count and cpus contradict each other" in edited.err
