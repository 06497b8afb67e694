"""Exported programs of workloads against the loop that measured them, in alternating runs.

Of each example study a way to serve it is settled, and a short session chooses the rest.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from autotune.export.to_targets import export
from autotune.machines.ports import Load
from autotune.machines.workers import SubprocessRunner
from autotune.measuring.measure import arrival_of
from autotune.racing.named import NamedContender, contender_of_file
from tests.bench.exports import build
from tests.bench.feeding import obtain
from tests.bench.figure import Figure, figure

_WAYS = (
    ("photos", 'preprocessing = ["host"]'),
    ("frames", 'preprocessing = ["graph"]'),
    ("lines", 'shape_plan = ["dynamic"]'),
    ("lines", 'shape_plan = ["buckets:8"]'),
    ("sentences", 'shape_plan = ["dynamic"]'),
    ("sentences", 'shape_plan = ["buckets:3"]'),
)
_ROUNDS = 5
_SECONDS = 8


def run() -> list[Figure]:
    """Python and C++ of each."""
    found = []
    for study, way in _WAYS:
        with tempfile.TemporaryDirectory() as home:
            folder = _tuned(study, way, Path(home))
            found += _against(f"{study}, {way}", folder)
    return found


def _tuned(study: str, way: str, home: Path) -> Path:
    """A copy of an example study that was tuned for three quarters of a minute."""
    source, folder = Path("studies") / study, home / study
    obtain(source)
    (home / "models").symlink_to(Path("studies/models").resolve())
    folder.mkdir()
    shutil.copytree(source / "data", folder / "data")
    for file in source.glob("*.py"):
        shutil.copy(file, folder)
    text = (source / "study.toml").read_text(encoding="utf-8")
    before, _, after = text.partition("[space]\n")
    _, _, after = after.partition("\n")
    (folder / "study.toml").write_text(f"{before}[space]\n{way}\n{after}", encoding="utf-8")
    command = [sys.executable, "-m", "autotune", "tune", str(folder), "--budget", "45s"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def _against(name: str, folder: Path) -> list[Figure]:
    """Each round has a run of all, every other one backwards."""
    named, out = contender_of_file(folder / "best.json"), folder / "export"
    export(folder / "best.json", ("python", "cpp"), out)
    subprocess.run([sys.executable, "samples.py"], cwd=out / "cpp", check=True)
    build(out / "cpp")
    ways: dict[str, Callable[[], float]] = {
        "autotune": lambda: _ours(named),
        "python": lambda: _theirs([sys.executable, "infer.py"], out / "python"),
        "cpp": lambda: _theirs(["build/infer"], out / "cpp"),
    }
    rates: dict[str, list[float]] = {one: [] for one in ways}
    for number in range(_ROUNDS):
        for one in list(ways)[:: 1 if number % 2 else -1]:
            rates[one].append(ways[one]())
    chosen = named.contender.configuration
    return [
        figure(f"{name} ({chosen}): autotune", rates["autotune"], "items/s", "-"),
        *(
            figure(
                f"{name}: {one} / autotune",
                [a / b for a, b in zip(rates[one], rates["autotune"], strict=True)],
                "",
                bar,
            )
            for one, bar in (("python", "1 ± 0.05 (median)"), ("cpp", "-"))
        ),
    ]


def _ours(named: NamedContender) -> float:
    """Items per second in a fresh worker, after a warm-up."""
    configuration, best = named.contender.configuration, named.best
    assert best is not None
    assert named.feed is not None
    with tempfile.TemporaryDirectory() as folder:
        runner = SubprocessRunner(named.model, Path(folder))
        runner.inspect([best.device], try_batch=best.batch_size > 1)
        model = runner.open(configuration.compile_key)
        try:
            arrival = arrival_of(model, configuration)
            load = Load(arrival=arrival, feed=named.feed, limit_s=_SECONDS + 2)
            blocks = list(model.load(load))[4:]
        finally:
            model.close()
    done = sum(block.completions for block in blocks)
    return best.batch_size * done / sum(block.duration_s for block in blocks)


def _theirs(command: list[str], folder: Path) -> float:
    """Items per second that one run prints."""
    done = subprocess.run(
        [*command, "--seconds", str(_SECONDS)],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(done.stdout)["throughput_per_s"])
