"""A core budget of one CPU beside a busy neighbour on another: where it ran, and what it claims.

Alone by name, as it takes five minutes and needs two CPUs that nobody else uses.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from autotune.domain.race import Status
from autotune.export.best_file import read_best
from autotune.host.cpus import affinity
from tests.bench.figure import Figure, figure
from tests.cli.placed import Watch, busy

_MODEL = Path("studies/models/classifier.onnx").resolve()
_STUDY = ("--shape", "1,3,48,192", "--max-latency", "30ms", "--budget", "100s")


def run() -> list[Figure]:
    """Tuned and verified, with a count and with a list."""
    first, last = min(affinity()), max(affinity())
    elsewhere, samples, certified, held = [], [], [], []
    with tempfile.TemporaryDirectory() as folder, busy(first):
        for name, cpus in (("count", "1"), ("list", f"{last}-{last}")):
            words = ("tune", str(_MODEL), *_STUDY, "--cpus", cpus, "--name", name)
            tuned, _ = _watched(folder, *words)
            path = Path(folder, "studies", name, "best.json")
            best = read_best(path)
            verified, code = _watched(folder, "verify", str(path), "--budget", "60s")
            mine = set() if best.core_budget is None else set(best.core_budget.cpus)
            for watch in (tuned, verified):
                ran = set().union(*watch.seen.values())
                elsewhere.append(len(ran - mine))
                samples.append(watch.samples)
            certified.append(best.status is Status.CERTIFIED)
            held.append(code == 0)
    return [
        figure("core budget of 1 CPU: others that a thread was seen on", elsewhere, "CPUs", "0"),
        figure("samples of field 39, each run", samples, "", "> 10,000"),
        figure("tuned beside a busy neighbour: certified", certified, "", "1"),
        figure("verified beside it: holds", held, "", "1"),
    ]


def _watched(folder: str, *words: str) -> tuple[Watch, int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "autotune", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with Watch(process.pid) as watch:
        code = process.wait()
    return watch, code
