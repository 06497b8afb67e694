"""CPU time and memory as trials say them, against programs that run what they measured.

The exported Python program runs each configuration for itself. Its CPU time is `getrusage` of the
process without its own loop's thread (RUSAGE_THREAD); its memory is what `time -v` says. Only
configurations with requests in flight: one blocking request is computed by the loop's own thread.
"""

import json
import re
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from autotune.domain.trial import Trial
from autotune.export.best_file import write_best
from autotune.export.from_study import best_of_study
from autotune.export.to_targets import export
from autotune.storage.reader import StudyReader
from tests.bench.figure import Figure, figure

_SECONDS = 8.0
_STUDY = """
[model]
path = "{model}"
shape = "{shape}"
[goal]
objective = "latency"
[budget]
trials = 9
[space]
streams = [1, 2]
threads_per_stream = [1, 2]
requests_per_stream = [1, 2, 4]
batch = [1, 4]
pinning = false
api = "async"
[measure]
limit = "8s"
reference = false
[race]
share = 0.0
"""
_MODELS = {"classifier": "x:1,3,48,192", "resnet50": "1,3,224,224"}
_OUTSIDE = f"""
import json, resource, sys
sys.path.insert(0, ".")
import infer

def spent():
    whole, own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_THREAD))
    return whole.ru_utime + whole.ru_stime - own.ru_utime - own.ru_stime

compiled = infer.load()
infer.run(compiled, 2.0)
before = spent()
latencies, _ = infer.run(compiled, {_SECONDS})
# Those that filled the pool were finished, too.
requests = len(latencies) + infer.NUM_REQUESTS
print(json.dumps((spent() - before) / (infer.ITEMS * requests)))
"""


def run() -> list[Figure]:
    """Both models: every trial's claim over what the program does, one run of each."""
    found = []
    for name, shape in _MODELS.items():
        with tempfile.TemporaryDirectory() as home:
            pairs = _measured(Path(home), name, shape)
        cpu, memory = zip(*pairs, strict=True)
        found += [
            figure(f"{name}: CPU-seconds per item / getrusage outside", cpu, "", "1 ± 0.05 (each)"),
            figure(f"{name}: memory claimed / time -v outside", memory, "", ">= 1"),
        ]
    return found


def _measured(folder: Path, name: str, shape: str) -> list[tuple[float, float]]:
    model = (Path("studies/models") / f"{name}.onnx").resolve()
    (folder / "study.toml").write_text(_STUDY.format(model=model, shape=shape))
    tune = [sys.executable, "-m", "autotune", "tune", str(folder)]
    subprocess.run(tune, check=True, stdout=subprocess.DEVNULL)
    with closing(StudyReader.read_only(folder)) as store:
        trials = tuple(store.trials())
        return [
            _against(store, folder, trial, trials)
            for trial in trials
            if trial.measurement is not None and trial.reused_from is None
        ]


def _against(
    store: StudyReader, folder: Path, trial: Trial, trials: tuple[Trial, ...]
) -> tuple[float, float]:
    """CPU time and memory of a trial over those of the program that it is exported as."""
    assert trial.measurement is not None
    readings, best = trial.measurement.readings, folder / f"best{trial.number}.json"
    write_best(best_of_study(store, folder, trial, trials, store.identity().goal), best)
    program = folder / f"export{trial.number}"
    export(best, ["python"], program)
    command = ["/usr/bin/time", "-v", sys.executable, "-c", _OUTSIDE]
    place = program / "python"
    done = subprocess.run(command, cwd=place, check=True, capture_output=True, text=True)
    (kib,) = re.findall(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    assert readings.cpu_s_per_item is not None
    assert readings.peak_rss_bytes is not None
    ratios = (
        readings.cpu_s_per_item.mean / json.loads(done.stdout),
        readings.peak_rss_bytes / (1024 * int(kib)),
    )
    print(f"  {name_of(trial)}: {ratios[0]:.3f} {ratios[1]:.3f}", flush=True)
    return ratios


def name_of(trial: Trial) -> str:
    """For who watches."""
    assert trial.measurement is not None
    readings = trial.measurement.readings
    return f"#{trial.number} {trial.configuration}, {readings.cpu_s_per_item}"
