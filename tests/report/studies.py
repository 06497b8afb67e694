"""Studies of a simulated machine, to be reported."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from autotune.analysis.evidence import Evidence
from autotune.domain.failure import FailureKind, TrialFault
from autotune.report.page import render
from autotune.report.page.view import View, view_of
from autotune.space.configuration import CompileKey
from autotune.spec import build_spec
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedModel, SimulatedRunner
from autotune.tuning.tune import tune
from tests.builders import make_failure


class BrokenRunner(SimulatedRunner):
    """Nothing can be compiled."""

    def open(self, key: CompileKey) -> SimulatedModel:
        """Refused."""
        raise TrialFault(make_failure(FailureKind.COMPILE_ERROR, phase="open"))


def make_study(
    folder: Path,
    *,
    cap: str = "20ms",
    trials: int = 30,
    runner: Callable[[], SimulatedRunner] = SimulatedRunner,
    **sections: dict[str, Any],
) -> Path:
    """Tune so many trials without a race; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(b"weights")
    values: dict[str, Any] = {
        "model": {"path": "model.onnx"},
        "goal": {"max_latency": cap},
        "budget": {"trials": trials},
        "space": {"batch": [1, 4, 16], "pinning": [True, False], "requests_per_stream": [1, 2, 4]},
        "race": {"share": 0.0},
        **sections,
    }
    tune(build_spec(values, "study.toml"), folder, runner=runner())
    return folder


def evidence(folder: Path) -> Evidence:
    """What is stored."""
    with closing(StudyReader.read_only(folder)) as store:
        return Evidence.of(store)


def view(folder: Path) -> View:
    """What the page shows."""
    return view_of(evidence(folder))


def page(folder: Path) -> Path:
    """The page, written beside the study."""
    file = folder / "report.html"
    file.write_text(render(view(folder)), encoding="utf-8")
    return file
