"""Bars of the statistics on simulated machines with recorded noise: seeded, no real time."""

import math
import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy.stats import binom, norm

from autotune.domain.goal import Goal, Objective, Sla, Verdict
from autotune.domain.measurement import TICK_MS
from autotune.domain.race import Contender, RaceResult, Status
from autotune.domain.trial import Origin, Trial
from autotune.measuring.measure import Plan, measure
from autotune.racing.launch import Venue
from autotune.racing.nomination import contenders
from autotune.racing.plan import RacePlan
from autotune.racing.race import Race
from autotune.space.configuration import Configuration
from autotune.spec import parse_spec
from autotune.stats.latency import percentile_bounds_ms
from autotune.stats.tail_test import log_e_pass, requests_needed, sla_verdict
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning.tune import tune
from tests.bench.figure import Figure, figure
from tests.bench.weather import LAUNCH_NOISE, mean_rate, weather

_NO_CAP = Goal(Objective.THROUGHPUT, 99.0, None)
_RACE_S = 60.0
_CPU = SimulatedCpu(cpus=2, item_ms=0.6, overhead_ms=0.0, serial=0.0, contention=0.0)


def e_values(sequences: int = 20_000, most: int = 20_000, block: int = 100) -> list[Figure]:
    """False `met` at a true over-rate of exactly 1 %, looked at after every block."""
    looks = np.arange(block, most + 1, block)
    found = []
    for alpha in (0.05, 0.01):
        # The most over-cap requests with which the test passes, for every look; -1 for none.
        limit = np.array([_most_over(int(n), alpha) for n in looks])
        counts = np.random.default_rng(1).binomial(block, 0.01, (sequences, looks.size))
        share = float((counts.cumsum(axis=1) <= limit).any(axis=1).mean())
        what = f"false met at a true over-rate of 1 %, alpha {alpha:g}, {sequences} sequences"
        found.append(figure(what, [share], "", f"<= {alpha:g}"))
    table = [requests_needed(x, 99.0) for x in (0, 1, 5, 10, 50)]
    sure = [requests_needed(x, 99.0, 0.01) for x in (0, 1, 5, 10, 50)]
    wrong = sum(a != b for a, b in zip(table, (417, 657, 1396, 2180, 7466), strict=True))
    wrong += sum(a != b for a, b in zip(sure, (608, 865, 1650, 2472, 7928), strict=True))
    found.append(figure("values of the design that differ", [wrong], "", "0"))
    sla = Sla(99.0, 10.0)
    early = [n for n in range(1, 417) if sla_verdict([n], [0], sla, 1) is Verdict.MET]
    early += [n for n in range(1, 608) if sla_verdict([n], [0], sla, 1, 0.01) is Verdict.MET]
    return [*found, figure("request counts that are met too early", [len(early)], "", "0")]


def _most_over(requests: int, alpha: float) -> int:
    passing = -1
    while passing < requests and log_e_pass(requests, passing + 1, 0.01) >= -math.log(alpha):
        passing += 1
    return passing


def bounds(draws: int = 10_000) -> list[Figure]:
    """Coverage of the upper and lower 95 % bounds of p99, in the worst of twelve cases."""
    generator = np.random.default_rng(2)
    samplers: dict[str, tuple[Callable[[int], np.ndarray], float]] = {
        "log-normal": (lambda n: generator.lognormal(0, 0.3, n), math.exp(0.3 * norm.ppf(0.99))),
        "bimodal": (
            lambda n: np.where(generator.random(n) < 0.95, 1.0, 3.0) + generator.random(n) * 0.1,
            3.08,  # 1 of 100 are above: the upper fifth of the second mode
        ),
        "heavy-tailed": (lambda n: 1 + generator.pareto(1.5, n), 0.01 ** (-1 / 1.5)),
        "tied": (lambda n: np.ceil(generator.exponential(1.0, n) * 2) / 2, 5.0),
    }
    upper, lower = [], []
    for draw, truth in samplers.values():
        for n in (300, 1000, 5000):
            misses_up = misses_low = 0
            for _ in range(draws):
                ticks = np.sort((draw(n) * 10_000).astype(np.uint32))
                low, high = percentile_bounds_ms(ticks, 99.0)
                misses_up += high is not None and high < truth - 2e-4
                misses_low += low is not None and low > truth + 2e-4
            upper.append(1 - misses_up / draws)
            lower.append(1 - misses_low / draws)
    return [
        figure(f"coverage of the upper bound, {draws} draws a case", upper, "", ">= 0.95 (lowest)"),
        figure("coverage of the lower bound", lower, "", ">= 0.95 (lowest)"),
        figure("exact coverage of the upper bound", _exact_coverage(), "", ">= 0.95 (lowest)"),
    ]


def _exact_coverage() -> list[float]:
    """Without the chance of the draws, for values that are never equal: from the rank it takes."""
    found = []
    for n in (300, 1000, 5000):
        ticks = np.arange(1, n + 1, dtype=np.uint32)
        upper_ms = percentile_bounds_ms(ticks, 99.0)[1]
        above = n - round((upper_ms or 0.0) / TICK_MS)
        found.append(1 - float(binom.cdf(above, n, 0.01)))
    return found


def twins(seeds: int = 200) -> list[Figure]:
    """A configuration against itself, and against a twin that is 5 % slower: 60 s races."""
    found = []
    for strength in (1.0, 3.0):
        name = "recorded noise" if strength == 1 else "three times the recorded noise"
        equal = [_twins(seed, 1.0, strength) for seed in range(seeds)]
        slower = [_twins(seed, 1.05, strength) for seed in range(seeds)]
        means = [ratio for ratio, _, _ in equal]
        found += [
            figure(f"A/A, {name}: mean ratio", [float(np.mean(means))], "", "1 ± 0.005"),
            figure("  called different", [_share(d for _, d, _ in equal)], "", "<= 0.05"),
            figure("  95 % interval without 1", [_share(x for _, _, x in equal)], "", "-"),
            figure("  5 % slower twin found", [_share(d for _, d, _ in slower)], "", ">= 0.9"),
        ]
    return found


def _twins(seed: int, slower: float, strength: float) -> tuple[float, bool, bool]:
    """The ratio, whether a tie is excluded, and whether the interval leaves out 1."""
    a, b = _configuration(pinning=True), _configuration(pinning=False)
    runner = SimulatedRunner(
        cpu=_CPU,
        weather=weather(seed, strength),
        launch_noise=LAUNCH_NOISE["first"],
        slower={b.compile_key: slower},
        seed=seed,
    )
    result = _race(runner, [_named("A", a), _named("B", b)], seed, drops=False)
    ratio, margin = result.standings[1].ratio, result.tie_margin
    if ratio is None or ratio.low is None or ratio.high is None:
        return math.nan, False, False
    is_different = ratio.high < 1 - margin or ratio.low > 1 / (1 - margin)
    return ratio.mean, is_different, not ratio.low <= 1 <= ratio.high


def curse(seeds: int = 60, equal: int = 100) -> list[Figure]:
    """The best of 100 equal configurations: what the search says, and what the race claims."""
    naive, claims, means = [], [], []
    for seed in range(seeds):
        runner = SimulatedRunner(
            cpu=_CPU, weather=weather(seed), launch_noise=LAUNCH_NOISE["first"], seed=seed
        )
        configuration = _configuration(pinning=True)
        truth = runner.predict(configuration).throughput_per_s * mean_rate()
        trials = [_trial(runner, configuration, number) for number in range(equal)]
        seen = [t.measurement.throughput_per_s for t in trials if t.measurement]
        naive.append(max(seen) / truth - 1)
        entered, _ = contenders(trials, _NO_CAP)
        winner = _race(runner, entered, seed).winner
        if winner is not None and winner.throughput is not None:
            claims.append((winner.throughput.low or 0.0) / truth - 1)
            means.append(winner.throughput.mean / truth - 1)
    return [
        figure(
            f"best of {equal} equals: claim - truth, mean", [float(np.mean(claims))], "", "<= 0.005"
        ),
        figure("  race mean - truth", [float(np.mean(means))], "", "-"),
        figure("  naive best single measurement - truth", [float(np.mean(naive))], "", "-"),
    ]


def _trial(runner: SimulatedRunner, configuration: Configuration, number: int) -> Trial:
    model = runner.open(configuration.compile_key)
    measured = measure(model, configuration, _NO_CAP, Plan(limit_s=3.0, longest_s=3.0))
    return Trial(
        number=number, configuration=configuration, origin=Origin.SAMPLED, measurement=measured
    )


def sla(seeds: int = 300) -> list[Figure]:
    """Whole studies near the cap, with latencies that differ between launches by 3 % and 8 %."""
    found = []
    for noise in (0.03, 0.08):
        jobs = [(seed, noise) for seed in range(seeds)]
        with ProcessPoolExecutor() as pool:
            ends = list(pool.map(_study, jobs, chunksize=4))
        certified = [over for status, over, _ in ends if status == Status.CERTIFIED]
        exported = [over for status, over, _ in ends if status is not None]
        naive = [over for _, _, over in ends if over is not None]
        found += [
            figure(
                f"p99 noise {noise:.0%}, {seeds} studies: certified exports over the cap",
                [sum(certified) / max(1, len(certified))],
                f"of {len(certified)}",
                "<= 0.01",
            ),
            figure("  all exports over the cap", [_share(exported)], f"of {len(exported)}", "-"),
            figure("  best single trial over the cap", [_share(naive)], f"of {len(naive)}", "-"),
        ]
    return found


_STUDY = """
[model]
path = "{model}"
[goal]
max_latency = "{cap}ms"
[budget]
trials = 40
[space]
batch = {batches}
requests_per_stream = [1, 2, 3]
pinning = true
[search]
seed = {seed}
"""
_SPREAD = 0.02


def _study(job: tuple[int, float]) -> tuple[str | None, bool, bool | None]:
    """Status of the export, whether it is truly over the cap, and whether the naive best is."""
    seed, noise = job
    # A dear request and cheap items: the more in a batch the better, until the cap is reached.
    cpu = SimulatedCpu(cpus=4, item_ms=2.0, overhead_ms=8.0)
    runner = SimulatedRunner(
        cpu=cpu, noise=_SPREAD, tail_noise=noise, launch_noise=LAUNCH_NOISE["first"], seed=seed
    )
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        os.environ["AUTOTUNE_LOCK_DIR"] = folder  # simulated machines are not in each other's way
        model = Path(folder) / "model.onnx"
        model.write_bytes(b"simulated")
        cap_ms = 20.0 + seed % 17
        text = _STUDY.format(model=model, cap=cap_ms, batches=list(range(1, 25)), seed=seed)
        outcome = tune(parse_spec(text), Path(folder), runner=runner)
    met = [t for t in outcome.trials if t.measurement and t.measurement.verdict is Verdict.MET]
    naive = max(met, key=_throughput, default=None)
    is_over = None if naive is None else _true_p99_ms(runner, naive) > cap_ms
    if outcome.best is None or outcome.race is None:
        return None, False, is_over
    return str(outcome.race.status), _true_p99_ms(runner, outcome.best) > cap_ms, is_over


def _throughput(trial: Trial) -> float:
    return 0.0 if trial.measurement is None else trial.measurement.throughput_per_s


def _true_p99_ms(runner: SimulatedRunner, trial: Trial) -> float:
    """The 99th percentile in the median launch: two log-normal factors, of block and of request."""
    latency_ms = runner.predict(trial.configuration).latency_ms
    return latency_ms * math.exp(math.sqrt(2) * _SPREAD * float(norm.ppf(0.99)) - _SPREAD**2)


def _memory_folder() -> str | None:
    """Where files cost no disk, if there is such a place: the figures do not depend on it."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _race(
    runner: SimulatedRunner, entered: list[Contender], seed: int, *, drops: bool = True
) -> RaceResult:
    plan = RacePlan(budget_s=_RACE_S, drops=drops, seed=seed)
    venue = Venue(
        open_model=lambda contender: runner.open(contender.configuration.compile_key),
        clock=runner.clock,
    )
    return Race(entered, _NO_CAP, plan, venue, baseline=0).hold()


def _configuration(*, pinning: bool) -> Configuration:
    return Configuration(
        device="CPU",
        streams=2,
        threads_per_stream=1,
        pinning=pinning,
        precision="f32",
        num_requests=2,
    )


def _named(name: str, configuration: Configuration) -> Contender:
    return Contender(name=name, configuration=configuration)


def _share(values: Iterable[bool]) -> float:
    found = list(values)
    return sum(found) / max(1, len(found))
