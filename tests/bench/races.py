"""Races on the real runtime: what interleaving saves, A/A, idle residents, claims that hold."""

import contextlib
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
from scipy.special import stdtrit

from autotune.domain.goal import Goal, Objective
from autotune.export.best_file import read_best
from autotune.machines.ports import Load, OpenModel
from autotune.machines.workers import SubprocessRunner
from autotune.measuring.measure import arrival_of, warm_up
from autotune.racing.contest import contest
from autotune.racing.named import NamedContender, RacedModel, contender_of_words
from autotune.racing.verify import verify
from autotune.space.configuration import CompileKey
from autotune.stats.launches import launch_interval
from autotune.workload.workload import ModelSource
from tests.bench.figure import Figure, figure

_STUDIES = ("classifier", "recogniser", "squeezenet", "resnet50")
_GOAL = Goal(Objective.THROUGHPUT, 99.0, None)
_MODEL = RacedModel(
    path=Path("studies/models/classifier.onnx").resolve(), shapes={"x": [1, 3, 48, 192]}
)
_OTHER = "streams=2,threads_per_stream=1,requests=2,batch=4"
_PRECISE = math.log(1.03)
_APART_S = 4.0
_AA_RACES, _AA_S = 10, 60.0
BEST = Path("build") / "best"
"""Where the exports of `hold` are kept."""


def interleaving(pairs: int = 16, launches: int = 8, rounds: int = 5) -> list[Figure]:
    """Time to a 95 % interval of ±3 % for the ratio of two configurations, both ways in one run.

    Separate launches: each configuration in a process of its own, 4 s under load, one after the
    other. Slices: both resident, in turns of half a second; in one launch, where the interval is of
    this pair of processes, and over several launches, where it is of the configurations. The time
    that an interval takes follows from the cost and the variance of a pair, a round or a launch:
    the smallest n with t(n - 1) s / sqrt(n) <= ln 1.03. All kinds alternate, so that they see the
    same machine.
    """
    apart, apart_s, sliced, sliced_s = [], [], [], []
    with workplace() as (runner, named):
        for number in range(max(pairs, launches)):
            if number < pairs:
                begun = time.monotonic()
                rates = [_alone(runner, one) for one in named]
                apart.append(math.log(rates[1] / rates[0]))
                apart_s.append(time.monotonic() - begun)
            if number < launches:
                begun = time.monotonic()
                sliced.append(_turns(runner, named, rounds, first=number % 2))
                sliced_s.append(time.monotonic() - begun)
    means = [float(np.mean(logs)) for logs in sliced]
    within = math.sqrt(float(np.mean([np.var(logs, ddof=1) for logs in sliced])))
    needed_rounds = _needed(within)
    round_s = 2 * 0.52  # two slices with filling and draining
    opening_s = float(np.mean(sliced_s)) - rounds * round_s
    needed_apart = _needed(float(np.std(apart, ddof=1))) * float(np.mean(apart_s))
    needed_sliced = _needed(float(np.std(means, ddof=1))) * float(np.mean(sliced_s))
    ratio = math.exp(launch_interval(sliced).mean)
    return [
        figure(
            "separate 4 s launches: sd of the log ratio", [float(np.std(apart, ddof=1))], "", "-"
        ),
        figure("slices: sd of a launch's mean log ratio", [float(np.std(means, ddof=1))], "", "-"),
        figure("slices: sd of the log ratio of a round in a launch", [within], "", "-"),
        figure("separate launches: time to ±3 %", [needed_apart], "s", "-"),
        figure(
            "interleaving pays, one launch",
            [needed_apart / (opening_s + needed_rounds * round_s)],
            "times",
            ">= 4",
        ),
        figure("slices over launches: time to ±3 %", [needed_sliced], "s", "-"),
        figure("interleaving pays, over launches", [needed_apart / needed_sliced], "times", ">= 4"),
        figure("  the ratio by slices", [ratio], "", "-"),
        figure("  by separate launches", [math.exp(float(np.mean(apart)))], "", "-"),
    ]


def aa() -> list[Figure]:
    """Races of the THROUGHPUT hint against itself."""
    ratios, different, outside = [], 0, 0
    for seed in range(_AA_RACES):
        twins = [contender_of_words("THROUGHPUT", _MODEL) for _ in range(2)]
        race, _ = contest(twins, _GOAL, _AA_S, launches=6, seed=seed)
        result = race.result()
        ratio = result.standings[1].ratio
        if ratio is None or ratio.low is None or ratio.high is None:
            continue
        ratios.append(ratio.mean)
        margin = result.tie_margin
        different += ratio.high < 1 - margin or ratio.low > 1 / (1 - margin)
        outside += not ratio.low <= 1 <= ratio.high
    return [
        figure("A/A, real: ratio", ratios, "", "-"),
        figure(f"  called different in {len(ratios)} races", [different], "", "<= 1"),
        figure("  95 % intervals without 1", [outside], "", "-"),
    ]


def idle(seconds: float = 10.0) -> list[Figure]:
    """CPU that five idle residents take, one of them after a load."""
    with workplace() as (runner, named):
        key = named[0].contender.configuration.compile_key
        models = [runner.open(key) for _ in range(5)]
        try:
            warm_up(models[0], _load(models[0], named[0]), 1.0)
            children = psutil.Process().children(recursive=True)
            before = sum(sum(child.cpu_times()[:2]) for child in children)
            time.sleep(seconds)
            used = sum(sum(child.cpu_times()[:2]) for child in children) - before
        finally:
            for model in models:
                model.close()
    return [figure("CPU share of five idle residents", [used / seconds], "of a CPU", "< 0.01")]


def hold(between: Callable[[int], None] | None = None) -> list[Figure]:
    """Tune four example studies, then verify each three times, spread over twenty minutes.

    `between` is what happens between the first round of verifications and the second, and between
    that and the third; a pause of ten minutes each by default.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "studies"
        home.mkdir()
        (home / "models").symlink_to(Path("studies/models").resolve())
        for name in _STUDIES:
            found.append(_tune(home / name))
            print(f"  {found[-1]}", flush=True)
        for number in range(3):
            for name in _STUDIES:
                found.append(_verify(home / name, number))
                print(f"  {found[-1]}", flush=True)
            if number < 2:
                (between or _pause)(number)
    return found


def _tune(folder: Path) -> Figure:
    folder.mkdir()
    shutil.copy(Path("studies") / folder.name / "study.toml", folder)
    command = [sys.executable, "-m", "autotune", "tune", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    BEST.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "best.json", BEST / f"{folder.name}.json")
    best = read_best(folder / "best.json")
    gain = best.certificate.ratio_to_better_hint if best.certificate else None
    what = f"{folder.name}: {best.status} gain over the better hint"
    ends = [1.0] if gain is None else [gain.mean, gain.low or gain.mean, gain.high or gain.mean]
    return figure(what, ends, "times", ">= 1")


def _verify(folder: Path, number: int) -> Figure:
    checked, _, _ = verify(folder / "best.json", 120.0)
    seen = checked.standing.throughput
    what = (
        f"{folder.name}, verify {number + 1}: SLA {checked.sla}, throughput "
        f"{checked.throughput}; now over the claim"
    )
    share = (seen.mean if seen else 0.0) / checked.claim_per_s
    return figure(what, [share], "", "holds" if checked.holds else "DOES NOT HOLD")


def _pause(_: int) -> None:
    time.sleep(600)


@contextlib.contextmanager
def workplace() -> Iterator[tuple[SubprocessRunner, list[NamedContender]]]:
    """A runner for the classifier, and two configurations of it."""
    with tempfile.TemporaryDirectory() as folder:
        source = ModelSource(
            path=_MODEL.path,
            shapes=_MODEL.shapes,
            inputs=None,
        )
        runner = SubprocessRunner(source, Path(folder))
        runner.inspect(["CPU"], try_batch=True)
        yield runner, [contender_of_words("THROUGHPUT", _MODEL), contender_of_words(_OTHER, _MODEL)]


def _load(model: OpenModel, one: NamedContender) -> Load:
    configuration = one.contender.configuration
    return Load(arrival=arrival_of(model, configuration), limit_s=60.0)


def _open(runner: SubprocessRunner, one: NamedContender) -> OpenModel:
    key: CompileKey = one.contender.configuration.compile_key
    model = runner.open(key)
    warm_up(model, _load(model, one), 0.5)
    return model


def _alone(runner: SubprocessRunner, one: NamedContender) -> float:
    """Items per second of 4 s in a fresh process."""
    model = _open(runner, one)
    done = spent = 0.0
    try:
        with contextlib.closing(model.load(_load(model, one))) as blocks:
            for block in blocks:
                done += block.completions
                spent += block.duration_s
                if spent >= _APART_S:
                    break
    finally:
        model.close()
    return one.contender.configuration.batch_size * done / spent


def _turns(
    runner: SubprocessRunner, named: list[NamedContender], rounds: int, first: int
) -> list[float]:
    """Log ratios of the second over the first, in turns of half a second in one launch."""
    models = [_open(runner, one) for one in named]
    logs = []
    try:
        for number in range(rounds):
            order = (0, 1) if (number + first) % 2 == 0 else (1, 0)
            rates = {i: _slice(models[i], named[i]) for i in order}
            logs.append(math.log(rates[1] / rates[0]))
    finally:
        for model in models:
            model.close()
    return logs


def _slice(model: OpenModel, one: NamedContender) -> float:
    with contextlib.closing(model.load(_load(model, one))) as blocks:
        block = next(blocks)
    return one.contender.configuration.batch_size * block.completions / block.duration_s


def _needed(deviation: float) -> int:
    """Fewest values, at least three, whose mean is known to ±3 % at 95 %."""
    n = 3
    while float(stdtrit(n - 1, 0.975)) * deviation / math.sqrt(n) > _PRECISE:
        n += 1
    return n
