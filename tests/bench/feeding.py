"""End to end against a loop that is written by hand, in alternating runs: what feeding costs."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from autotune.domain.arrival import Closed
from autotune.domain.measurement import Feed
from autotune.machines.ports import Load
from autotune.machines.workers import SubprocessRunner
from autotune.space.configuration import CompileKey
from autotune.spec import load_spec
from autotune.workload.workload import ModelSource
from tests.bench.figure import Figure, figure

_STUDY = Path("studies/photos")
_RUNS, _SECONDS = 7, 6
_HINT = {"PERFORMANCE_HINT": "THROUGHPUT"}


def run() -> list[Figure]:
    """Pictures of 1280x720 for the detector, with overlap and without."""
    obtain(_STUDY)
    found = []
    for name, requests in (("overlapped, 4 requests", 4), ("one by one", None)):
        rates, feeds, ours, theirs = [], [], [], []
        for _ in range(_RUNS):
            rate, prepare_ms = _ours(requests)
            by_hand = _by_hand(requests)
            rates.append(rate / by_hand["throughput_per_s"])
            feeds.append(prepare_ms / by_hand["feeding_ms"])
            ours.append(rate)
            theirs.append(by_hand["throughput_per_s"])
        found += [
            figure(f"{name}: rate / by hand", rates, "", "1 ± 0.05 (median)"),
            figure(f"{name}: feeding time / by hand", feeds, "", "1 ± 0.05 (median)"),
            figure(f"{name}: autotune", ours, "items/s", "-"),
            figure(f"{name}: by hand", theirs, "items/s", "-"),
        ]
    return found


def obtain(study: Path) -> None:
    """An example study's model and data."""
    for script in ("fetch_model.py", "make_data.py"):
        command = [sys.executable, f"studies/{script}", "--study", str(study)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _ours(requests: int | None) -> tuple[float, float]:
    """Items per second, and milliseconds to prepare one; after a warm-up of a second."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "photos"
        pictures.mkdir()
        for picture in sorted((_STUDY / "data" / "photos").glob("*1280x720*")):
            (pictures / picture.name).symlink_to(picture.resolve())
        spec = load_spec(_STUDY)
        said = spec.workload.model_copy(update={"inputs": str(pictures)})
        source = ModelSource(
            path=(_STUDY / spec.model.path).resolve(),
            shapes={"x": [1, 3, 320, 320]},
            workload=said.within(_STUDY.resolve()),
        )
        runner = SubprocessRunner(source, Path(folder))
        runner.inspect(["CPU"], try_batch=False)
        model = runner.open(CompileKey("CPU", tuple(_HINT.items()), 1))
        try:
            arrival = Closed(requests or 1, is_blocking=requests is None)
            load = Load(arrival=arrival, feed=Feed.END_TO_END, limit_s=_SECONDS + 1)
            blocks = list(model.load(load))[2:]
        finally:
            model.close()
    done = sum(block.completions for block in blocks)
    spent_s = sum(block.prepare_s or 0.0 for block in blocks)
    return done / sum(block.duration_s for block in blocks), 1000 * spent_s / done


def _by_hand(requests: int | None) -> dict[str, float]:
    how = ["--sync"] if requests is None else ["--requests", str(requests)]
    hint = [f"--property={key}={value}" for key, value in _HINT.items()]
    command = [sys.executable, str(_STUDY / "by_hand.py"), *how, *hint, "--seconds", str(_SECONDS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
