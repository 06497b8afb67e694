"""Every command that measures can wait for its turn, and be stopped meanwhile."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autotune.cli import tune as command
from autotune.errors import BusyError
from autotune.machines.locks import study_lock
from tests.cli.test_night import ROOT, STUDY
from tests.command import Autotune
from tests.machines.test_locks import hold
from tests.report.studies import make_study

MEASURING: dict[str, tuple[str, ...]] = {
    "tune": ("tune", "study"),
    "verify": ("verify", "study/best.json"),
    "compare": ("compare", "LATENCY", "THROUGHPUT", "--model", "study/model.onnx"),
    "record": ("record", "study"),
    "doctor": ("doctor",),
    "calibrate": ("doctor", "--calibrate", "--model", "study/model.onnx"),
}


@pytest.fixture(scope="module")
def done_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that can be continued."""
    folder = make_study(tmp_path_factory.mktemp("done") / "study", trials=6)
    (folder / "study.toml").write_text(STUDY)
    return folder


@pytest.fixture
def home(
    done_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autotune: Autotune
) -> Path:
    """The user's folder, with a study and its best.json."""
    shutil.copytree(done_study, tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert autotune("best", "study", "--out", "study/best.json").code == 0
    return tmp_path


@pytest.fixture
def measuring() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that measures."""
    with hold() as holder:
        yield holder
        holder.kill()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", MEASURING)
def test_it_waits_as_long_as_it_is_told(
    autotune: Autotune, measuring: subprocess.Popen[bytes], command: str
) -> None:
    """One line says for whom; when the time is up it is refused, as it is at once without."""
    refused = f"another measurement runs on this machine by process {measuring.pid}"
    without = autotune(*MEASURING[command])
    assert without.code == 1
    assert refused in without.out + without.err
    assert "waiting for it" not in without.out + without.err

    done = autotune(*MEASURING[command], "--wait", "300ms")
    assert done.code == 1
    waits = [line for line in done.out.splitlines() if "waiting for it, 1s at most" in line]
    assert len(waits) == 1
    assert refused in waits[0]
    if command != "doctor":  # which says it in its table
        assert "it was waited for" in done.err
    assert done.err.count("\n") <= 1


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", [name for name in MEASURING if name != "doctor"])
def test_a_lock_that_cannot_be_taken_is_one_line(
    autotune: Autotune, lock_folder: Path, command: str
) -> None:
    """With the file, what it is, and what to do; waiting for it would not help."""
    (lock_folder / "autotune-machine.lock").symlink_to("elsewhere")
    done = autotune(*MEASURING[command], "--wait", "2h")
    assert done.code == 1
    assert done.err.startswith(f"autotune: {lock_folder}/autotune-machine.lock: cannot be locked: ")
    assert done.err.count("\n") == 1


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", MEASURING)
@pytest.mark.parametrize("wait", ["5", "0s", "soon", ""])
def test_a_wrong_time_is_named(autotune: Autotune, command: str, wait: str) -> None:
    """With the option."""
    done = autotune(*MEASURING[command], "--wait", wait)
    assert (done.code, "--wait: " in done.err) == (2, True), done.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study that was never started."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def waiting(folder: Path) -> subprocess.Popen[str]:
    """The tuner, once it has said that it waits."""
    words = ("tests.cli.night", "none", "end", str(folder), "--wait", "2h")
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    if "waiting for it, 2h at most" not in said:
        process.kill()
        pytest.fail(f"{said}{process.communicate()[0]}")
    return process


def test_it_begins_when_the_other_has_ended(
    folder: Path, measuring: subprocess.Popen[bytes]
) -> None:
    """The wait is no part of the budget, and stands in the log."""
    with waiting(folder) as process:
        measuring.kill()
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert f"by process {measuring.pid}; of " in (folder / "tune.log").read_text()
    assert (folder / "best.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("measuring")
def test_it_can_be_stopped_while_it_waits(folder: Path, number: signal.Signals) -> None:
    """Once is enough, and nothing is written."""
    with waiting(folder) as process:
        process.send_signal(number)
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not (folder / "study.db").exists()
    assert not (folder / "best.json").exists()


def test_whoever_waits_for_a_study_leaves_its_files_alone(folder: Path) -> None:
    """The one who tunes it writes them."""
    with hold(str(folder)) as holder:
        with waiting(folder) as process:
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=100)
        holder.kill()
    assert process.returncode == 130, said
    assert {path.name for path in folder.iterdir()} <= {
        *("model.onnx", "study.toml", "tune.log", ".lock", "logs")
    }


@pytest.fixture
def new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a study that a model's file will begin; the user stands beside the model."""
    (folder / "study.toml").unlink()
    monkeypatch.chdir(folder)
    return folder / "studies" / "model"


BEGIN = ("tune", "model.onnx", "--max-latency", "20ms", "--trials", "4")


def gives_up(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Path], object]) -> None:
    """A tuner that waits in vain for the machine, while it holds the study."""

    def run(_: Any, folder: Path, **__: Any) -> None:
        with study_lock(folder):
            meanwhile(folder)
        raise BusyError("another measurement runs on this machine")

    monkeypatch.setattr(command, "run", run)


def test_a_start_that_gives_up_leaves_nothing(
    autotune: Autotune, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what it made, and nobody has touched."""
    gives_up(monkeypatch, lambda folder: (folder / "logs").mkdir())
    assert autotune(*BEGIN).code == 1
    assert not new.parent.exists()


def test_a_start_that_gives_up_leaves_a_study_that_others_wait_for(
    autotune: Autotune, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one tunes it as if nothing had been."""
    others: list[subprocess.Popen[str]] = []
    gives_up(monkeypatch, lambda _: others.append(waiting(new)))
    assert autotune(*BEGIN).code == 1
    with others.pop() as other:
        said, _ = other.communicate(timeout=100)
    assert other.returncode == 0, said
    assert (new / "study.toml").exists()
    assert (new / "best.json").exists()


@pytest.mark.parametrize("name", ["study.toml", "notes.txt", "tune.log"])
def test_a_start_that_gives_up_leaves_what_others_wrote(
    autotune: Autotune, new: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Edits of the study file as well as files of the user's own."""

    def edit(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.write("# mine\n")

    gives_up(monkeypatch, edit)
    assert autotune(*BEGIN).code == 1
    assert (new / name).read_text().endswith("# mine\n") or name == "tune.log"
    assert (new / "study.toml").exists()


def test_a_start_that_gives_up_leaves_a_study_that_another_has_begun(
    autotune: Autotune, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came first to the lock."""
    holders: list[subprocess.Popen[bytes]] = []

    def run(_: Any, folder: Path, **__: Any) -> None:
        holders.append(hold(str(folder)))
        raise BusyError("the study is being tuned already")

    monkeypatch.setattr(command, "run", run)
    assert autotune(*BEGIN).code == 1
    with holders.pop() as holder:
        assert (new / "study.toml").exists()
        holder.kill()
