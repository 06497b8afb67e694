"""A study from options: its file, every wrong argument, and nothing left behind."""

import shutil
from pathlib import Path

import pytest

from tests import models
from tests.command import Autotune

pytestmark = [pytest.mark.openvino, pytest.mark.usefixtures("home")]


@pytest.fixture
def home(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's own with a model in it, where the user stands."""
    shutil.copytree(model_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_study_is_written_so_that_it_can_be_repeated(autotune: Autotune, home: Path) -> None:
    """The options become a study.toml with three comment lines."""
    done = autotune(
        *("tune", models.DYNAMIC, "--max-latency", "20ms", "--percentile", "90"),
        *("--shape", "1,3,8,8", "--trials", "1", "--budget", "5s", "--name", "mine"),
    )

    text = (home / "studies" / "mine" / "study.toml").read_text()
    assert done.code == 0, done.err
    assert text.splitlines()[0].startswith("# Question: ")
    assert 'shape = "1,3,8,8"' in text


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("tune", "gone.onnx", "--max-latency", "5ms"), 1, "there is no such model file"),
        (("tune", "bad.onnx", "--max-latency", "5ms"), 1, "bad.onnx: cannot be read"),
        (("tune", models.TINY), 2, "--max-latency is missing"),
        (("tune", models.TINY, "--max-latency", "20"), 2, "write a number with a unit"),
        (("tune", models.TINY, "--max-latency", "0ms"), 2, "must be more than zero"),
        (("tune", models.TINY, "--max-latency=-3ms"), 2, "is not a duration"),
        (("tune", models.TINY, "--max-latency", "5ms", "--percentile", "100"), 2, "--percentile"),
        (("tune", models.TINY, "--max-latency", "5ms", "--budget", "0s"), 2, "--budget"),
        (("tune", models.TINY, "--max-latency", "5ms", "--trials", "0"), 2, "--trials"),
        (("tune", models.TINY, "--max-latency", "5ms", "--until", "25:00"), 2, "--until"),
        (("tune", models.TINY, "--max-latency", "5ms", "--objective", "fast"), 2, "--objective"),
        (("tune", models.TINY, "--max-latency", "5ms", "--name", "../x"), 2, "--name"),
        (("tune", models.TINY, "--max-latency", "5ms", "--device", "GPU"), 1, "'GPU' is not here"),
        (
            ("tune", models.TINY, "--max-latency", "5ms", "--shape", "y:1,3,32,32"),
            1,
            "no input is named 'y'",
        ),
        (
            ("tune", models.TINY, "--max-latency", "5ms", "--shape", "1,3"),
            1,
            "cannot take the shape",
        ),
        (("tune", models.TINY, "--max-latency", "5ms", "--shape", "one"), 2, "is no shape"),
        (("tune", models.DYNAMIC, "--max-latency", "5ms"), 1, "x: [?,3,8,8] f32"),
        (("tune", "studies/none"), 1, "there is no such model file"),
        (("status", "studies/none"), 2, "no such folder"),
        (("frobnicate",), 2, "No such command"),
    ],
)
def test_a_wrong_argument_is_one_clear_message(
    autotune: Autotune, home: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    """The message names what is wrong; the exit code is as documented; nothing is left behind."""
    (home / "bad.onnx").write_text("no model")
    before = sorted(path.name for path in home.iterdir())
    done = autotune(*words)

    assert (done.code, says in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    assert sorted(path.name for path in home.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_named(autotune: Autotune, home: Path) -> None:
    """Nothing can be made below a file; the same words as for a read-only folder."""
    (home / "studies").write_text("in the way")
    done = autotune("tune", models.TINY, "--max-latency", "5ms")

    assert (done.code, "cannot be written" in done.err) == (1, True), done.err
