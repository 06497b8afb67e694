"""How long `autotune --help` takes, and what it imports."""

import subprocess
import sys
import time

from tests.bench.figure import Figure, figure

_HEAVY = ("openvino", "optuna", "pandas", "numpy", "sqlalchemy", "pydantic")


def run() -> list[Figure]:
    """Five runs, alternating with a bare interpreter."""
    helps, bare = [], []
    for _ in range(5):
        helps.append(_seconds([sys.executable, "-m", "autotune", "--help"]))
        bare.append(_seconds([sys.executable, "-c", "pass"]))
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "autotune", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    names = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in imported.splitlines()}
    heavy = sorted(names.intersection(_HEAVY))
    return [
        figure("autotune --help", helps, "s", "<= 0.4"),
        figure("python -c pass beside it", bare, "s", "-"),
        figure(f"heavy packages imported by --help {heavy}", [len(heavy)], "", "0"),
    ]


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun
