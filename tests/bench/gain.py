"""What three minutes of tuning the classifier gain over OpenVINO's THROUGHPUT hint."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from autotune.export.deployment import load_best
from tests.bench.figure import Figure, figure


def run() -> list[Figure]:
    """One fresh study, and the audit of its trials."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "studies" / "classifier"
        study.mkdir(parents=True)
        shutil.copy("studies/classifier/study.toml", study)
        (study.parent / "models").symlink_to(Path("studies/models").resolve())
        subprocess.run(
            [sys.executable, "-m", "autotune", "tune", str(study)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        best = load_best(study / "best.json").best
    hint = next(b for b in best.baselines if b.name == "CPU THROUGHPUT")
    gain = best.measured.throughput_per_s / hint.throughput_per_s
    return [
        figure("classifier, p99 <= 10 ms, 3 min: best / THROUGHPUT hint", [gain], "", "> 1"),
        figure("its p99 latency", [best.measured.latency_ms.p99], "ms", "<= 10"),
    ]
