"""A limit of memory and the objective of efficiency on real models: what was chosen, from outside.

Both alone by name, as they take ten and eight minutes.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from autotune.export.best_file import BestFile, read_best
from tests.bench.figure import Figure, figure
from tests.bench.outside import timed

_MODELS = Path("studies/models").resolve()
_RUNS = 5
_MOST = 300_000_000
"""Bytes: on two CPUs ResNet-50 takes 280 MB with one item in a request, and is fastest with five or
six, by a tenth, in 305 MB (one stream) to 400 MB (two)."""
_MEMORY = """
[model]
path = "{folder}/resnet50.onnx"
[goal]
objective = "throughput"
{limit}
[budget]
duration = "80s"
[search]
seed = {seed}
[space]
batch = [1, 2, 3, 4, 5, 6]
"""
_EFFICIENCY = """
[model]
path = "{folder}/{model}.onnx"
{shape}
[goal]
objective = "{objective}"
max_latency = "50ms"
percentile = 95.0
[budget]
duration = "100s"
"""
_SHAPES = {"classifier": 'shape = "x:1,3,48,192"', "squeezenet": ""}


def memory() -> list[Figure]:
    """Studies with a limit of memory, and one without; each exported and run for itself."""
    with tempfile.TemporaryDirectory() as home:
        plain = _peak(_tuned(Path(home, "plain"), _MEMORY.format(folder=_MODELS, limit="", seed=0)))
        limited = [
            _peak(_tuned(Path(home, f"limited{seed}"), _limited(seed))) for seed in range(_RUNS)
        ]
    return [
        figure("memory of the fastest / limit, from outside", [plain / _MOST], "", "> 1"),
        figure(
            "memory of what is chosen under the limit / limit, from outside",
            [peak / _MOST for peak in limited],
            "",
            "<= 1 (each)",
        ),
    ]


def efficiency() -> list[Figure]:
    """The pick of a study of efficiency in one race with that of a study of throughput."""
    found = []
    for model in _SHAPES:
        with tempfile.TemporaryDirectory() as home:
            fast, efficient = (
                _tuned(Path(home, objective), _objective(model, objective))
                for objective in ("throughput", "efficiency")
            )
            ratio = _compared(fast, efficient)
        found.append(
            figure(
                f"{model}: items per CPU-second, of the most efficient / of the fastest",
                [ratio["low"], ratio["mean"], ratio["high"]],
                "",
                ">= 1.11, or a tie",
            )
        )
    return found


def _limited(seed: int) -> str:
    limit = f'max_memory = "{_MOST // 1_000_000}MB"'
    return _MEMORY.format(folder=_MODELS, limit=limit, seed=seed)


def _objective(model: str, objective: str) -> str:
    return _EFFICIENCY.format(
        folder=_MODELS, model=model, shape=_SHAPES[model], objective=objective
    )


def _tuned(folder: Path, study: str) -> Path:
    """The best.json of a study; what it says is printed."""
    folder.mkdir()
    (folder / "study.toml").write_text(study)
    _autotune("tune", str(folder))
    path = folder / "best.json"
    print(f"  {folder.name}: {_words(read_best(path))}", flush=True)
    return path


def _words(best: BestFile) -> str:
    seen = best.certificate or best.measured
    costs = seen.costs
    assert costs is not None
    properties = {name: best.properties[name] for name in sorted(best.properties)}
    return (
        f"{best.status}, {seen.throughput_per_s:.4g}/s, CPU {1e3 * (costs.cpu_s_per_item or 0):.4g}"
        f" ms per item, peaks {costs.open_peak_rss_bytes} and {costs.load_peak_rss_bytes} bytes,"
        f" batch {best.batch_size}, {best.num_requests} requests, {properties}"
    )


def _peak(best: Path) -> int:
    """Bytes that the exported program takes at most, as `time -v` says."""
    _autotune("export", str(best), "--to", "python", "--out", str(best.parent / "out"))
    command = (sys.executable, "infer.py", "--seconds", "3")
    _, peak = timed(command, best.parent / "out" / "python")
    print(f"  {best.parent.name}: {peak} bytes from outside", flush=True)
    return peak


def _compared(first: Path, second: Path) -> dict[str, float]:
    """Items per CPU-second of the second over those of the first, in one race."""
    words = ("compare", str(first), str(second), "--objective", "efficiency", "--json")
    found: dict[str, Any] = json.loads(_autotune(*words))
    (ratio,) = [
        one["ratio_to_first"] for one in found["contenders"] if one["ratio_to_first"] is not None
    ]
    return {name: ratio[name] for name in ("low", "mean", "high")}


def _autotune(*words: str) -> str:
    command = [sys.executable, "-m", "autotune", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
