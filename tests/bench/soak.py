"""Two hours of tuning a tiny model: whether the tuner grows, slows, or leaves anything."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from tests import models
from tests.bench.figure import Figure, figure

_HOURS = float(os.environ.get("SOAK_HOURS", "2"))
_SETTLED = 200
_STUDY = f"""
[model]
path = "{models.TINY}"
[goal]
max_latency = "50ms"
percentile = 90.0
[budget]
duration = "{_HOURS * 60:.0f}m"
[space]
requests_per_stream = [1, 2, 3, 4, 5, 6, 7, 8]
batch = [{", ".join(map(str, range(1, 65)))}]
pinning = [true, false]
[measure]
limit = "500ms"
warmup = "50ms"
[race]
share = 0.0
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The tuner after one of its trials."""

    at_s: float
    rss_bytes: int
    descriptors: int
    children: int


def run() -> list[Figure]:
    """Tune in a process of its own, and look at it after every trial."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        subprocess.run([sys.executable, models.__file__, home], check=True)
        (folder / "study.toml").write_text(_STUDY)
        samples, code = _watched(folder)
    first = min(_SETTLED, len(samples) // 2)
    settled = samples[first:]
    spent = np.diff([sample.at_s for sample in samples])
    tenth = len(spent) // 10
    early, late = spent[first : first + tenth], spent[-tenth:]
    grown = (max(s.rss_bytes for s in settled) - settled[0].rss_bytes) / 2**20
    return [
        figure(f"trials in {_HOURS:g} h", [len(samples)], "", ">= 3000"),
        figure("exit code", [code], "", "0"),
        figure(f"growth of the tuner after {first} trials, at most", [grown], "MiB", "<= 20"),
        figure("  its memory at the end", [settled[-1].rss_bytes / 2**20], "MiB", "-"),
        figure("descriptors after each trial", [s.descriptors for s in settled], "", "no growth"),
        figure("children after each trial", [s.children for s in settled], "", "no growth"),
        figure(
            "time of a trial, the last tenth over the first",
            [float(np.median(late) / np.median(early))],
            "",
            "<= 1.5",
        ),
    ]


def _watched(folder: Path) -> tuple[list[Sample], int]:
    command = [sys.executable, "-m", "autotune", "tune", str(folder)]
    samples: list[Sample] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tuner:
        process = psutil.Process(tuner.pid)
        assert tuner.stdout is not None
        for line in tuner.stdout:
            if line.startswith("trial "):
                try:
                    samples.append(
                        Sample(
                            time.monotonic(),
                            process.memory_info().rss,
                            process.num_fds(),
                            len(process.children(recursive=True)),
                        )
                    )
                except psutil.NoSuchProcess:
                    break
    return samples, tuner.returncode
