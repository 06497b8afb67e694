"""The process around a session: it speaks over its pipe, and does not outlive its parent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import models

pytestmark = pytest.mark.openvino


def life(*commands: dict[str, object]) -> tuple[int, list[dict[str, object]]]:
    """Exit code and answers of a worker that is given these commands, then the end of its input."""
    receive, send = os.pipe()
    command = [sys.executable, "-m", "autotune.worker", str(send)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[send]) as worker,
        os.fdopen(receive, "rb") as answers,
    ):
        os.close(send)
        assert worker.stdin is not None
        worker.stdin.write("".join(json.dumps(command) + "\n" for command in commands).encode())
        worker.stdin.flush()
        ready = answers.readline()
        worker.stdin.close()
        said = [json.loads(line) for line in (ready, *answers)]
        return worker.wait(60), said


def test_a_worker_leaves_at_the_end_of_its_input() -> None:
    """It has said that it is ready, and has answered what it was told."""
    code, answers = life({"do": "look", "path": None})
    assert code == 0
    assert [answer["say"] for answer in answers] == ["ready", "looked"]


def test_a_worker_leaves_when_told_to_close() -> None:
    """What comes after is not carried out."""
    code, answers = life({"do": "close"}, {"do": "look", "path": None})
    assert code == 0
    assert [answer["say"] for answer in answers] == ["ready"]


def test_an_inspection_says_what_it_goes_on_with(model_folder: Path, tmp_path: Path) -> None:
    """Before each compilation, so that each has its own time; the last word is what was found."""
    command: dict[str, object] = {
        "do": "inspect",
        "path": str(model_folder / models.TINY),
        "shapes": {},
        "inputs": None,
        "devices": ["CPU"],
        "reference": str(tmp_path / "reference.npz"),
        "try_batch": True,
    }
    _, answers = life(command)
    words = [answer["say"] for answer in answers]
    assert words[0] == "ready"
    assert words.count("progress") >= 3
    assert words[-1] == "inspected"
    assert all(answer["what"] for answer in answers if answer["say"] == "progress")


def test_a_worker_whose_parent_is_gone_already_does_not_begin() -> None:
    """The parent's death before the kernel was asked to watch it shows in the closed pipe."""
    read, write = os.pipe()
    os.close(write)
    command = [sys.executable, "-m", "autotune.worker", "1"]
    worker = subprocess.run(command, stdin=read, capture_output=True, check=False, timeout=60)
    os.close(read)
    assert (worker.returncode, worker.stdout) == (1, b"")


def test_a_worker_begins_under_a_limit_of_the_users_own() -> None:
    """Of the size of files, as `ulimit -f` sets it: a hard limit cannot be raised."""
    program = (
        "import ctypes, os, resource, sys\n"
        "ctypes.CDLL(None).prctl(24, 24, 0, 0, 0)  # the superuser's CAP_SYS_RESOURCE\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    receive, send = os.pipe()
    command = [sys.executable, "-c", program, "-m", "autotune.worker", str(send)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[send]) as worker:
        os.close(send)
        with os.fdopen(receive, "rb") as answers:
            assert json.loads(answers.readline())["say"] == "ready"
        assert worker.stdin is not None
        worker.stdin.close()
        assert worker.wait(60) == 0
