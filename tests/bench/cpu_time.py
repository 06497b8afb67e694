"""CPU time and memory as trials say them, against programs that run what they measured.

The exported Python program runs each configuration for itself. Its CPU time is `getrusage` of the
process without its own loop's thread (RUSAGE_THREAD); its memory is what `time -v` says. Only
configurations with requests in flight: one blocking request is computed by the loop's own thread.

Worker and program take turns, and the median of their ratios counts: where a stream has two
threads, the machine has two speeds, for seconds or minutes each, and at the slow one, where one
thread spins while it waits for the other, an item costs twice as much.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from autotune.domain.trial import Trial
from autotune.export.best_file import write_best
from autotune.export.from_study import best_of_study
from autotune.export.to_targets import export
from autotune.machines.ports import Load, Runner
from autotune.machines.workers import SubprocessRunner
from autotune.measuring.measure import arrival_of
from autotune.measuring.readings import readings_of
from autotune.spec import parse_shapes
from autotune.storage.reader import StudyReader
from autotune.workload.workload import ModelSource
from tests.bench.figure import Figure, figure
from tests.bench.outside import timed

_SECONDS, _TURNS = 3.0, 5
_WARM_BLOCKS = 4
"""Two seconds, as the program has before it counts."""
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
limit = "3s"
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
    """Both models: what workers say of every configuration over what the program does."""
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
    shapes = parse_shapes(shape)
    runner = SubprocessRunner(ModelSource(path=model, shapes=shapes), folder / "workers")
    (folder / "workers").mkdir()
    runner.inspect(["CPU"], try_batch=True)
    with closing(StudyReader.read_only(folder)) as store:
        trials = tuple(store.trials())
        return [
            _against(runner, store, folder, trial, trials)
            for trial in trials
            if trial.measurement is not None and trial.reused_from is None
        ]


def _against(
    runner: Runner,
    store: StudyReader,
    folder: Path,
    trial: Trial,
    trials: tuple[Trial, ...],
) -> tuple[float, float]:
    """CPU time and memory of a configuration over those of the program that it is exported as."""
    assert trial.measurement is not None
    best = folder / f"best{trial.number}.json"
    write_best(best_of_study(store, folder, trial, trials, store.identity().goal), best)
    program = folder / f"export{trial.number}"
    export(best, ["python"], program)
    turns = [(_worker(runner, trial), _program(program / "python")) for _ in range(_TURNS)]
    cpu = statistics.median(ours[0] / theirs[0] for ours, theirs in turns)
    memory = max(ours[1] for ours, _ in turns) / max(theirs[1] for _, theirs in turns)
    seen = "; ".join(f"{1e3 * ours[0]:.3f} {1e3 * theirs[0]:.3f}" for ours, theirs in turns)
    print(f"  #{trial.number} {trial.configuration}: {cpu:.3f} {memory:.3f}; ms {seen}")
    sys.stdout.flush()
    return cpu, memory


def _worker(runner: Runner, trial: Trial) -> tuple[float, float]:
    """CPU-seconds for each item and the peak of memory, of a fresh worker."""
    assert trial.measurement is not None
    configuration = trial.configuration
    model = runner.open(configuration.compile_key)
    arrival = arrival_of(model, configuration)
    blocks = list(model.load(Load(arrival=arrival, limit_s=2.0 + _SECONDS)))[_WARM_BLOCKS:]
    readings = readings_of(model, blocks, configuration.batch_size)
    model.close()
    assert readings.cpu_s_per_item is not None
    assert readings.peak_rss_bytes is not None
    return readings.cpu_s_per_item.mean, readings.peak_rss_bytes


def _program(folder: Path) -> tuple[float, float]:
    """The same of the program, from outside."""
    said, peak = timed((sys.executable, "-c", _OUTSIDE), folder)
    return json.loads(said), peak
