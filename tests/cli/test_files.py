"""What tuning writes at its end is what viewers write later, and the database is opened once."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autotune.cli import tune as command
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedRunner
from autotune.tuning.tune import tune
from tests.command import Autotune

STUDY = """
[model]
path = "model.onnx"
[goal]
max_latency = "20ms"
[budget]
duration = "60s"
"""


def content(file: Path) -> Any:
    """But for when it was written."""
    if file.suffix == ".html":
        return file.read_bytes()
    return json.loads(file.read_text()) | {"created_at": None}


@pytest.mark.parametrize("share", [0.0, 0.2], ids=["not raced", "raced"])
def test_the_files_of_a_night_are_those_of_the_viewers(
    autotune: Autotune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """The first time and when it goes on; nothing is opened again to write them."""
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "study.toml").write_text(f"{STUDY}[race]\nshare = {share}\n")
    monkeypatch.setattr(command, "run", partial(tune, runner=SimulatedRunner(noise=0.02)))
    opened: list[Path] = []
    read_only = StudyReader.read_only

    def counted(folder: Path) -> StudyReader:
        opened.append(folder)
        return read_only(folder)

    # To go on, the space that it was begun with and whether it may go on are read first.
    for budget, times in (("60s", 0), ("90s", 2)):
        opened.clear()
        with monkeypatch.context() as patch:
            patch.setattr(StudyReader, "read_only", counted)
            assert autotune("tune", tmp_path, "--budget", budget).code == 0
        assert len(opened) == times
        autotune("best", tmp_path, "--out", tmp_path / "again.json")
        autotune("report", tmp_path, "--out", tmp_path / "again.html")
        for name, again in (("best.json", "again.json"), ("report.html", "again.html")):
            assert content(tmp_path / name) == content(tmp_path / again)
