"""An exported configuration against OpenVINO's own benchmark_app, in alternating runs."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from autotune.domain.arrival import Closed
from autotune.export.deployment import load_best
from autotune.machines.ports import Load
from autotune.machines.workers import SubprocessRunner
from autotune.space.configuration import CompileKey
from autotune.workload.workload import ModelSource
from tests.bench.figure import Figure, figure

_RUNS = 5
_SECONDS = 10
_INPUTS = {"classifier": "x", "recogniser": "x"}


def run() -> list[Figure]:
    """Both models; a study is tuned first where there is no best.json yet."""
    found = []
    for name, port in _INPUTS.items():
        path = Path("studies") / name / "best.json"
        if not path.exists() or load_best(path).best.certificate is None:
            subprocess.run(
                [sys.executable, "-m", "autotune", "tune", str(path.parent)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        certificate = load_best(path).best.certificate
        assert certificate is not None
        ratios, ours, theirs = [], [], []
        for _ in range(_RUNS):
            ours.append(_ours(path))
            theirs.append(_theirs(path, port))
            ratios.append(ours[-1] / theirs[-1])
        found += [
            figure(f"{name}: autotune / benchmark_app throughput", ratios, "", "1 ± 0.03 (median)"),
            figure(f"{name}: autotune", ours, "items/s", "-"),
            figure(f"{name}: benchmark_app", theirs, "items/s", "-"),
            figure(
                f"{name}: {load_best(path).best.status} throughput over benchmark_app now",
                [certificate.throughput_per_s / one for one in theirs],
                "",
                "-",
            ),
        ]
    return found


def _ours(path: Path) -> float:
    """Items per second of the exported configuration in a fresh worker, after a warm-up of 1 s."""
    deployment = load_best(path)
    best = deployment.best
    with tempfile.TemporaryDirectory() as folder:
        source = ModelSource(
            path=deployment.model_path,
            shapes=best.model.shapes,
            inputs=None,
        )
        runner = SubprocessRunner(source, Path(folder))
        runner.inspect([best.device], try_batch=False)
        key = CompileKey(best.device, tuple(sorted(best.properties.items())), best.batch_size)
        model = runner.open(key)
        try:
            load = Load(arrival=Closed(best.num_requests), limit_s=_SECONDS + 1)
            blocks = list(model.load(load))[2:]
        finally:
            model.close()
    done = sum(block.completions for block in blocks)
    return best.batch_size * done / sum(block.duration_s for block in blocks)


def _theirs(path: Path, port: str) -> float:
    """Items per second by benchmark_app with the same properties, requests and batch."""
    best = load_best(path).best
    shape = ",".join(str(size) for size in next(iter(best.model.shapes.values())))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "load_config.json"
        config.write_text(json.dumps({best.device: best.properties}))
        command = [
            str(Path(sys.executable).with_name("benchmark_app")),
            *("-m", str((path.parent / best.model.path).resolve()), "-d", best.device),
            *("-load_config", str(config), "-nireq", str(best.num_requests)),
            *("-b", str(best.batch_size), "-shape", f"{port}[{shape}]", "-layout", f"{port}[NCHW]"),
            *("-ip", "f32", "-t", str(_SECONDS), "-api", best.beside["api"]),
            *("-report_type", "no_counters", "-json_stats", "-report_folder", folder),
        ]
        subprocess.run(command, check=True, capture_output=True)
        report = json.loads((Path(folder) / "benchmark_report.json").read_text())
    return float(report["execution_results"]["throughput"])
