"""Thousands of trials: whether the tuner grows, slows, or leaves anything.

First on a simulated machine, as fast as search and storage go, then on a tiny real model.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil

from autotune.domain.events import Event, TrialFinished
from autotune.spec import parse_spec
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.tune import tune
from tests import models
from tests.bench.figure import Figure, figure

_SIMULATED = int(os.environ.get("SOAK_SIMULATED", "5000"))
_REAL = int(os.environ.get("SOAK_REAL", "1500"))
_SETTLED = 200
_STUDY = """
[model]
path = "{model}"
[goal]
max_latency = "50ms"
percentile = 90.0
[budget]
trials = {trials}
[space]
requests_per_stream = [1, 2, 3, 4, 5, 6, 7, 8]
batch = [BATCHES]
pinning = [true, false]
[measure]
limit = "500ms"
warmup = "50ms"
[race]
share = 0.0
""".replace("BATCHES", ", ".join(map(str, range(1, 65))))


@dataclass(frozen=True, slots=True)
class Sample:
    """The tuner after one of its trials."""

    at_s: float
    rss_bytes: int
    descriptors: int
    children: int

    @classmethod
    def of(cls, process: psutil.Process) -> "Sample":
        """As it is now."""
        return cls(
            time.monotonic(),
            process.memory_info().rss,
            process.num_fds(),
            len(process.children(recursive=True)),
        )


def run() -> list[Figure]:
    """Both forms; the second one takes three quarters of an hour."""
    return [*simulated(), *real()]


def simulated() -> list[Figure]:
    """5,000 trials, or as many as SOAK_SIMULATED says; a quarter of an hour."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        samples = pool.submit(_simulated_samples, _SIMULATED).result()
    return _figures(f"{_SIMULATED:,} simulated trials", samples)


def real() -> list[Figure]:
    """1,500 trials of a tiny model, or as many as SOAK_REAL says."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        subprocess.run([sys.executable, models.__file__, home], check=True)
        (folder / "study.toml").write_text(_STUDY.format(model=models.TINY, trials=_REAL))
        samples, code = _watched(folder)
    what = f"{_REAL:,} real trials"
    return [figure(f"{what}: exit code", [code], "", "0"), *_figures(what, samples)]


def _figures(what: str, samples: list[Sample]) -> list[Figure]:
    first = min(_SETTLED, len(samples) // 2)
    settled = samples[first:]
    spent = np.diff([sample.at_s for sample in samples])
    tenth = len(spent) // 10
    early, late = spent[first : first + tenth], spent[-tenth:]
    grown = (max(s.rss_bytes for s in settled) - settled[0].rss_bytes) / 2**20
    return [
        figure(f"{what}: growth after the first {first}, at most", [grown], "MiB", "<= 20"),
        figure("  memory at the end", [settled[-1].rss_bytes / 2**20], "MiB", "-"),
        figure("  descriptors after each trial", [s.descriptors for s in settled], "", "no growth"),
        figure("  children after each trial", [s.children for s in settled], "", "no growth"),
        figure(
            "  time of a trial, the last tenth over the first",
            [float(np.median(late) / np.median(early))],
            "",
            "-" if what.endswith("simulated trials") else "<= 1.5",
        ),
    ]


def _simulated_samples(trials: int) -> list[Sample]:
    """In a process that does nothing else."""
    samples: list[Sample] = []
    process = psutil.Process()

    def hear(event: Event) -> None:
        if isinstance(event, TrialFinished):
            samples.append(Sample.of(process))

    with tempfile.TemporaryDirectory() as home:
        os.environ["AUTOTUNE_LOCK_DIR"] = home  # it disturbs nobody's measurement
        (Path(home) / "model.onnx").write_bytes(b"simulated")
        # As fast as a tiny real model: blocks of ten thousand requests.
        cpu = SimulatedCpu(cpus=8, item_ms=0.05, overhead_ms=0.3)
        tune(
            parse_spec(_STUDY.format(model="model.onnx", trials=trials)),
            Path(home),
            runner=SimulatedRunner(cpu=cpu, noise=0.1),
            on_event=hear,
        )
    return samples


def _watched(folder: Path) -> tuple[list[Sample], int]:
    command = [sys.executable, "-m", "autotune", "tune", str(folder)]
    samples: list[Sample] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tuner:
        process = psutil.Process(tuner.pid)
        assert tuner.stdout is not None
        for line in tuner.stdout:
            if line.startswith("trial "):
                try:
                    samples.append(Sample.of(process))
                except psutil.NoSuchProcess:
                    break
    return samples, tuner.returncode
