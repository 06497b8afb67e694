"""What the tuner itself costs beside measuring."""

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import optuna

from autotune.domain.events import Event, TrialFinished, TrialStarted
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Measurement
from autotune.domain.sampler import Sampler
from autotune.domain.trial import Trial
from autotune.search.choose import search_of
from autotune.space.dimensions import Api
from autotune.space.space import SearchSpace
from autotune.spec import parse_spec
from autotune.storage.optuna_study import study_in_memory
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.tune import tune
from tests.bench.figure import Figure, figure
from tests.domain.builders import make_trial

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


def storage(trials: int = 1000) -> list[Figure]:
    """Sampler and storage for each trial on a simulated machine, beside a plain Optuna loop.

    The two take turns, trial by trial, each with a database of its own on the same disk. A trial of
    ours also holds a simulated measurement with all its tests, which a plain loop has none of.
    """
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        plain = _PlainLoop(Path(folder) / "plain.db")
        begun = time.perf_counter()

        def hear(event: Event) -> None:
            nonlocal begun
            if isinstance(event, TrialFinished):
                ours.append(time.perf_counter() - begun)
                theirs.append(plain.trial())
                begun = time.perf_counter()

        model = Path(folder) / "model.onnx"
        model.write_bytes(b"simulated")
        text = _STUDY.format(model=model, trials=trials + 10) + "[space]\n" + _WIDE
        tune(
            parse_spec(text + "[race]\nshare = 0.0\n"),
            Path(folder),
            runner=SimulatedRunner(),
            on_event=hear,
        )
    found = []
    for at, bar in ((100, 0.10), (1000, 0.15), (5000, 0.30)):
        if at <= trials:
            near = slice(at - 10, at + 10)
            found += [
                figure(
                    f"a whole simulated trial around trial {at:,}", ours[near], "s", f"<= {bar}"
                ),
                figure(
                    f"  a trial of a plain Optuna loop around trial {at:,}", theirs[near], "s", "-"
                ),
            ]
    return found


def growth() -> list[Figure]:
    """As `storage`, up to 5,000 trials; a quarter of an hour."""
    return storage(5000)


class _PlainLoop:
    """Optuna's TPE over as many parameters, one constraint and attribute, in SQLite as it comes."""

    def __init__(self, path: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            storage=f"sqlite:///{path}",
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=0),
        )

    def trial(self) -> float:
        """One trial; seconds that it took."""
        begun = time.perf_counter()
        trial = self._study.ask()
        value = sum(
            trial.suggest_int(f"x{i}", 0, most) for i, most in enumerate((3, 3, 7, 15, 1, 2))
        )
        trial.set_constraint("latency", value / 20 - 1)
        trial.set_user_attr("configuration", str(trial.params))
        self._study.tell(trial, value)
        return time.perf_counter() - begun


def large_space() -> list[Figure]:
    """A space of 10^5 configurations: time of an ask, and memory of the process that searches."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        size, asks, peak_bytes, before_bytes = pool.submit(_search_large_space).result()
    return [
        figure(f"ask in a space of {size:,}, trials 20 to 140", asks[20:140], "s", "<= 0.3"),
        figure("  the slowest of them", [max(asks[20:140])], "s", "-"),
        figure("  ask by TPE, trials 150 to 170", asks[150:], "s", "<= 0.3"),
        figure("  peak memory of the process", [peak_bytes / 2**20], "MB", "<= 300"),
        figure("  of this before the search began", [before_bytes / 2**20], "MB", "-"),
    ]


def _search_large_space() -> tuple[int, list[float], int, int]:
    before = _peak_bytes()
    space = SearchSpace(
        {
            "device": ("CPU",),
            "threads_per_stream": tuple(range(1, 33)),
            "streams": tuple(range(1, 65)),
            "requests_per_stream": tuple(range(1, 9)),
            "batch": (1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 56, 64),
            "pinning": (True, False),
            "precision": ("f32", "bf16"),
            "api": (Api.ASYNC,),
        },
        64,
    )
    goal = Goal(Objective.THROUGHPUT, 99.0, 20.0)
    search = search_of(Sampler.AUTO, study_in_memory(goal), space, goal, seed=0, name="bench")
    runner = SimulatedRunner(cpu=SimulatedCpu(cpus=64))
    asks = []
    for number in range(170):  # a Gaussian process, and TPE after it
        begun = time.perf_counter()
        proposal = search.ask()
        asks.append(time.perf_counter() - begun)
        assert proposal is not None
        flow = runner.predict(proposal.configuration)
        search.tell(
            make_trial(
                number,
                proposal.configuration,
                throughput_per_s=flow.throughput_per_s,
                latency_ms=flow.latency_ms,
            )
        )
    return space.size, asks, _peak_bytes(), before


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


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
