"""What viewers take for a study of ten thousand trials, and a front of 100,000 points."""

import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from autotune.analysis.pareto import pareto_front
from autotune.analysis.what_if import measurement_under
from autotune.domain.failure import FailureKind
from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Block, Interval
from autotune.domain.trial import Origin, Trial
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimensions import Api, PerformanceHint
from autotune.space.space import SearchSpace
from autotune.spec import build_spec, to_toml
from autotune.storage.identity import Identity
from autotune.storage.optuna_study import open_study
from autotune.storage.writer import StudyWriter
from tests.bench.figure import Figure, figure
from tests.builders import make_block, make_failure, make_measurement, make_opening

TRIALS = 10_000
_BLOCKS, _REQUESTS = 5, 400
_RUNS = 5
_GOAL = Goal(Objective.THROUGHPUT, 99.0, 20.0)
_SPACE = SearchSpace(
    {
        "device": ("CPU",),
        "threads_per_stream": tuple(range(1, 17)),
        "streams": tuple(range(1, 17)),
        "requests_per_stream": (1, 2, 3, 4),
        "batch": (1, 2, 4, 8, 16),
        "pinning": (True, False),
        "precision": ("f32",),
        "api": (Api.ASYNC,),
    },
    cpus=16,
)


def make_night(folder: Path, trials: int = TRIALS) -> Path:
    """A study of so many trials on a machine of 16 CPUs, as the tuner would have recorded it."""
    values = {"model": {"path": "m.onnx"}, "goal": {"max_latency": "20ms"}}
    spec = build_spec(values, "study.toml")
    (folder / "study.toml").write_text(to_toml(spec))
    identity = Identity(
        name="night",
        spec=to_toml(spec),
        model_sha256="ab" * 32,
        inputs={"shapes": {}, "data_sha256": None},
        goal=_GOAL,
        space=_SPACE.to_dict(),
    )
    _, engine = open_study(folder, identity.name, identity.goal)
    with closing(StudyWriter(engine, folder / "study.db")) as store:
        store.begin(identity)
        store.start_session({"cpu_model": "x", "cpus": 16}, {"openvino": "2026.4.1"})
        generator = np.random.default_rng(1)
        for number in range(trials):
            store.record(_trial(number, generator), elapsed_s=2.0 * number)
    return folder


def _trial(number: int, generator: np.random.Generator) -> Trial:
    configuration = _configuration(number, generator)
    origin = Origin.SEED if number < 2 else Origin.SAMPLED
    if number > 2 and generator.random() < 0.02:
        failure = make_failure(FailureKind.RUNTIME_ERROR, stderr_tail="x" * 400)
        return Trial(number=number, configuration=configuration, origin=origin, failure=failure)
    streams, threads = configuration.streams or 16, configuration.threads_per_stream or 1
    requests = configuration.num_requests or streams
    batch = configuration.batch_size
    rate = 900 * (streams * threads) ** 0.8 * batch**0.15 * min(1, requests / streams)
    rate *= float(np.exp(generator.normal(0, 0.02)))
    mean_ms = 1000 * requests * batch / rate
    blocks = tuple(_block(mean_ms, generator) for _ in range(_BLOCKS))
    opening = make_opening(
        effective=Effective(
            {
                **{f"PROPERTY_{i}": "value" for i in range(40)},
                "NUM_STREAMS": str(streams),
                "INFERENCE_NUM_THREADS": str(streams * threads),
            },
            streams,
        )
    )
    plain = make_measurement(
        configuration=configuration,
        opening=opening,
        num_requests=requests,
        blocks=blocks,
        warmup_blocks=1,
        throughput=Interval(rate, 0.99 * rate, 1.01 * rate),
        peak_rss_bytes=int(2**27 * (1 + batch / 4 + streams / 8)),
    )
    return Trial(
        number=number,
        configuration=configuration,
        origin=origin,
        measurement=measurement_under(plain, _GOAL),
    )


def _configuration(number: int, generator: np.random.Generator) -> Configuration:
    if number < 2:
        hint = PerformanceHint.LATENCY if number else PerformanceHint.THROUGHPUT
        return Configuration(device="CPU", hint=hint)
    threads = int(generator.integers(1, 17))
    streams = int(generator.integers(1, 16 // threads + 1))
    return Configuration(
        device="CPU",
        streams=streams,
        threads_per_stream=threads,
        pinning=bool(generator.integers(2)),
        precision="f32",
        batch_size=int(2 ** generator.integers(0, 5)),
        num_requests=streams * int(generator.integers(1, 5)),
    )


def _block(mean_ms: float, generator: np.random.Generator) -> Block:
    return make_block(generator.gamma(30, mean_ms / 30, _REQUESTS).tolist())


def run() -> list[Figure]:
    """Every viewer as a command of its own, and the front in this process."""
    with tempfile.TemporaryDirectory() as home:
        folder = make_night(Path(home))
        commands = {
            "best for another cap": ("best", "--max-latency", "8ms", "--percentile", "95"),
            "best for memory and device": ("best", "--max-memory", "500MiB", "--device", "CPU"),
            "pareto": ("pareto",),
            "status": ("status",),
            "report": ("report",),
            "frame": ("frame", "--csv", str(folder / "frame.csv")),
        }
        bars = {"best for another cap": "1", "best for memory and device": "1", "report": "8"}
        found = [
            figure(
                f"{TRIALS} trials: {name}",
                [_seconds(words[0], str(folder), *words[1:]) for _ in range(_RUNS)],
                "s",
                bars.get(name, "-"),
            )
            for name, words in commands.items()
        ]
        size = (folder / "report.html").stat().st_size / 2**20
        found.append(figure(f"report of {TRIALS} trials: size", [size], "MiB", "10"))
        paints = [_paints(folder / "report.html") for _ in range(_RUNS)]
        found.append(figure("its first paint in Chromium", [one for one, _ in paints], "s", "3"))
        found.append(figure("until all is drawn", [one for _, one in paints], "s", "-"))
    generator = np.random.default_rng(0)
    rate, latency = generator.random(100_000), generator.random(100_000)
    found.append(
        figure(
            "front of 100,000 measurements",
            [_clocked(rate, latency) for _ in range(_RUNS)],
            "s",
            "0.2",
        )
    )
    return found


def _seconds(*words: str) -> float:
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "autotune", *words], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begin


def _paints(file: Path) -> tuple[float, float]:
    """Seconds to the first contentful paint, and until every chart is drawn."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=["--no-sandbox"],
        )
        page = browser.new_page()
        begin = time.perf_counter()
        page.goto(file.as_uri(), wait_until="commit")
        page.wait_for_selector("html[data-drawn=yes]", timeout=120_000)
        drawn = time.perf_counter() - begin
        name = "first-contentful-paint"
        at_ms = page.evaluate(f"performance.getEntriesByName('{name}')[0].startTime")
        browser.close()
    return at_ms / 1000, drawn


def _clocked(rate: np.ndarray, latency: np.ndarray) -> float:
    begin = time.perf_counter()
    pareto_front(rate, latency)
    return time.perf_counter() - begin
