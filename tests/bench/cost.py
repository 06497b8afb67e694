"""What the tuner itself costs beside measuring."""

import tempfile
import time
from itertools import pairwise
from pathlib import Path

from autotune.domain.events import Event, TrialFinished, TrialStarted
from autotune.domain.measurement import Measurement
from autotune.domain.trial import Trial
from autotune.execution.simulated import SimulatedRunner
from autotune.spec import parse_spec
from autotune.tuner import tune
from tests.bench.figure import Figure, figure

_STUDY = """
[model]
path = "{model}"
shape = "x:1,3,48,192"
[goal]
max_latency = "10ms"
[budget]
trials = {trials}
"""


class _Watch:
    """Wall time of every trial."""

    def __init__(self) -> None:
        self.trials: list[tuple[float, Trial]] = []
        self._begun = 0.0

    def hear(self, event: Event) -> None:
        """Start and stop the watch."""
        if isinstance(event, TrialStarted):
            self._begun = time.perf_counter()
        elif isinstance(event, TrialFinished):
            self.trials.append((time.perf_counter() - self._begun, event.trial))


def overhead() -> list[Figure]:
    """Wall time of real trials less compiling and measuring, by whether the model was open."""
    new, loops = [], []
    for wall_s, measured in _real_trials(""):
        new.append(wall_s - measured.measure_s - measured.opening.compile_s)
        if measured.latency.p50_ms > 0.5:
            loops.append(measured.occupancy)
    # One compile key only: every trial but the first of a kind finds its model open.
    again = [wall_s - measured.measure_s for wall_s, measured in _real_trials(_ONE_KEY)[3:]]
    return [
        figure("overhead of a trial with a new compile key, compiling apart", new, "s", "<= 1.5"),
        figure("overhead of another request count", again, "s", "<= 0.2"),
        figure("occupancy of requests above 0.5 ms", loops, "", ">= 0.97"),
    ]


def _real_trials(space: str) -> list[tuple[float, Measurement]]:
    """Wall time and measurement of a dozen trials of the classifier, measured for a second each."""
    watch = _Watch()
    model = Path("studies/models/classifier.onnx").resolve()
    text = _STUDY.format(model=model, trials=12) + '[measure]\nlimit = "1s"\n' + space
    with tempfile.TemporaryDirectory() as folder:
        tune(parse_spec(text), Path(folder), on_event=watch.hear)
    return [
        (wall_s, trial.measurement)
        for wall_s, trial in watch.trials
        if trial.measurement is not None and trial.reused_from is None
    ]


def storage() -> list[Figure]:
    """Sampler and storage for each trial, on a simulated machine, at 100 and 1,000 trials."""
    stamps: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, TrialFinished):
            stamps.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(b"simulated")
        spec = parse_spec(_STUDY.format(model=model, trials=1010) + "[space]\n" + _WIDE)
        tune(spec, Path(folder), runner=SimulatedRunner(), on_event=hear)
    steps = [after - before for before, after in pairwise(stamps)]
    return [
        figure("a whole simulated trial around trial 100", steps[90:110], "s", "-"),
        figure("a whole simulated trial around trial 1,000", steps[990:1010], "s", "<= 0.15"),
    ]


_ONE_KEY = """
[space]
streams = 1
threads_per_stream = 1
requests_per_stream = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
batch = 1
pinning = true
precision = "f32"
"""

_WIDE = """
requests_per_stream = [1, 2, 3, 4, 5, 6, 7, 8]
batch = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32]
precision = ["f32", "bf16", "f16"]
"""
