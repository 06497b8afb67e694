"""The classifier's exports against each other: the same load in three programs, in turns."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import openvino

from autotune.export.deployment import load_best
from autotune.export.to_targets import export
from tests.bench.figure import Figure, figure

_BEST = Path("studies/classifier/best.json")
_TARGETS = ("benchmark_app", "python", "cpp", "onnxruntime")
_ROUNDS = 7
_SECONDS = 8


def run() -> list[Figure]:
    """A study is tuned first where there is no best.json yet; one run of each in every round."""
    if not _BEST.exists():
        subprocess.run(
            [sys.executable, "-m", "autotune", "tune", str(_BEST.parent)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        export(_BEST, _TARGETS, folder)
        build(folder / "cpp")
        rates = {name: [0.0] * _ROUNDS for name in _TARGETS}
        for number in range(_ROUNDS):
            # Every other round backwards, so that no target always comes after the same one.
            for name in _TARGETS[:: 1 if number % 2 else -1]:
                rates[name][number] = _rate(name, folder / name)
    return [
        *(figure(f"export {name}", rates[name], "items/s", "-") for name in _TARGETS),
        *(
            figure(
                f"export {name} / benchmark_app",
                [
                    mine / theirs
                    for mine, theirs in zip(rates[name], rates["benchmark_app"], strict=True)
                ],
                "",
                "-" if name == "onnxruntime" else "1 ± 0.05 (median)",
            )
            for name in _TARGETS[1:]
        ),
    ]


def build(folder: Path) -> None:
    """The exported C++ program, with optimisation."""
    home = Path(openvino.__file__).parent / "cmake"
    release = "-DCMAKE_BUILD_TYPE=Release"
    for command in (
        ["cmake", "-S", ".", "-B", "build", release, f"-DOpenVINO_DIR={home}"],
        ["cmake", "--build", "build"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _rate(name: str, folder: Path) -> float:
    """Items per second that one run prints."""
    commands = {
        "benchmark_app": ["sh", "benchmark.sh", "-t", str(_SECONDS)],
        "python": [sys.executable, "infer.py", "--seconds", str(_SECONDS)],
        "cpp": ["build/infer", os.path.relpath(_model(), folder), "--seconds", str(_SECONDS)],
        "onnxruntime": [sys.executable, "session.py", "--seconds", str(_SECONDS)],
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        commands[name],
        cwd=folder,
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    if name == "benchmark_app":
        return float(re.findall(r"Throughput:\s+([\d.]+) FPS", done.stdout)[0])
    return float(json.loads(done.stdout.splitlines()[-1])["throughput_per_s"])


def _model() -> Path:
    return load_best(_BEST).model_path
