"""Do claims hold as often as they say? Races on simulated machines with recorded noise, seeded.

Each race follows a search of its own, so that its contenders were chosen for looking fast: a hint
and two dozen configurations whose speeds differ by a few percent, one trial each; then the one to
five that looked best race the hint for a minute, and the race ends early where it is settled. What
it claims is compared with the truth of the machine *as it was meanwhile*: the mean over all
launches that might have been held in just that stretch of the recording; for a trial of the search,
in the half minute around it.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import norm

from autotune.domain.goal import Goal, Objective
from autotune.domain.measurement import Interval
from autotune.domain.race import RaceResult, Status
from autotune.domain.trial import Origin, Trial
from autotune.measuring.measure import Plan, measure
from autotune.racing.launch import Venue
from autotune.racing.nomination import contenders
from autotune.racing.plan import RacePlan
from autotune.racing.race import Race
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint
from autotune.testing import SimulatedCpu, SimulatedRunner, Weather
from tests.bench.figure import Figure, figure
from tests.bench.weather import LAUNCH_NOISE, NOISES, weather

_RACES = 2000
_RACE_S = 60.0
_SEARCHED = 24
_SPEED_SD = 0.03
"""Of the logarithm of the configurations' speeds, about that of the hint."""
_TAIL_SD = 0.03
_CPU = SimulatedCpu(cpus=2, item_ms=2.0, overhead_ms=0.0, serial=0.0, contention=0.0)
_STRETCH_S = 0.5
_AROUND_S = 30.0
"""For how long the interval of a trial is to hold."""


@dataclass(frozen=True, slots=True)
class Case:
    """One race."""

    seed: int
    noise: str
    strength: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed, as logarithms of claim over truth; None where nothing was."""

    throughput_low: float | None = None
    throughput_width: float | None = None
    latency_upper: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    search: tuple[tuple[float, float], ...] = ()
    """Ends of the search's intervals."""
    is_certified: bool = False
    loss: float = 0.0
    """How far the choice is below the best of those that raced, by truth."""


def run(races: int = _RACES) -> list[Figure]:
    """Coverage of every claim, over all noises, once and three times as strong."""
    found = []
    for noise in NOISES:
        for strength in (1.0, 3.0):
            cases = [Case(seed, noise, strength) for seed in range(races)]
            with ProcessPoolExecutor() as pool:
                claims = list(pool.map(race, cases, chunksize=8))
            found += _figures(f"{noise} noise x {strength:g}", claims)
    return found


def _figures(name: str, claims: Sequence[Claim]) -> list[Figure]:
    low = [c.throughput_low for c in claims if c.throughput_low is not None]
    certified = [c for c in claims if c.is_certified and c.latency_upper is not None]
    latency = [c.latency_upper for c in certified if c.latency_upper is not None]
    ratios = [
        (c.ratio_low, c.ratio_high)
        for c in claims
        if c.ratio_low is not None and c.ratio_high is not None
    ]
    searched = [pair for c in claims for pair in c.search]
    widths = [c.throughput_width for c in claims if c.throughput_width is not None]
    return [
        _coverage(f"{name}: throughput bound holds", [value <= 0 for value in low], 0.975),
        figure("  half-width", widths, "", "-"),
        _coverage("  certified latency bound holds", [value >= 0 for value in latency], 0.99),
        figure("  bound over truth, log", latency or [math.nan], "", "-"),
        _coverage("  ratio of the chosen to the hint holds", _inside(ratios), 0.95),
        _coverage("  its lower end holds", [a <= 0 for a, _ in ratios], 0.975),
        figure("  half-width", [(b - a) / 2 for a, b in ratios] or [math.nan], "", "-"),
        _coverage("  search interval holds", _inside(searched), 0.95),
        figure("  half-width", [(b - a) / 2 for a, b in searched] or [math.nan], "", "-"),
        figure("  certified", [len(certified) / len(claims)], "of races", "-"),
        figure("  choice below the best that raced, mean", [_mean_loss(claims)], "", "-"),
    ]


def _mean_loss(claims: Sequence[Claim]) -> float:
    return float(np.mean([c.loss for c in claims]))


def _inside(pairs: Sequence[tuple[float, float]]) -> list[bool]:
    return [a <= 0 <= b for a, b in pairs]


def _coverage(what: str, holds: Sequence[bool], nominal: float) -> Figure:
    """A share, with two standard errors of it below the nominal one as its bar."""
    count = max(1, len(holds))
    error = 2 * math.sqrt(nominal * (1 - nominal) / count)
    return figure(what, [sum(holds) / count], f"of {len(holds)}", f">= {nominal - error:.3f}")


def race(case: Case) -> Claim:
    """Search, race, and compare."""
    random = np.random.default_rng([case.seed, 7])
    count = 2 + case.seed % 5
    hint = Configuration(device="CPU", hint=PerformanceHint.THROUGHPUT)
    others = [
        Configuration(device=f"CPU.{n}", streams=2, threads_per_stream=1, num_requests=2)
        for n in range(_SEARCHED)
    ]
    slower = np.exp(random.normal(0.0, _SPEED_SD, _SEARCHED))
    runner = SimulatedRunner(
        cpu=_CPU,
        weather=weather(case.seed, case.strength, case.noise),
        launch_noise=LAUNCH_NOISE[case.noise],
        tail_noise=_TAIL_SD,
        slower={c.compile_key: float(s) for c, s in zip(others, slower, strict=True)},
        seed=case.seed,
    )
    assert runner.weather is not None
    usual_ms = _p99_ms(runner, hint, runner.weather, 0.0, _RACE_S)
    goal = Goal(Objective.THROUGHPUT, 99.0, usual_ms * float(random.uniform(1.1, 1.6)))
    trials: list[Trial] = []
    search: list[tuple[float, float]] = []
    for number, configuration in enumerate([hint, *others]):
        trials.append(_trial(runner, configuration, number, goal))
        ends = _search_ends(runner, trials[-1])
        search += [] if ends is None else [ends]
    entered, baseline = contenders(trials, goal)
    picked = [c for c in entered if not c.is_default][: count - 1]
    picked += [c for c in entered if c.is_default]
    begun_s = runner.clock()
    held = Race(
        picked,
        goal,
        RacePlan(budget_s=_RACE_S, of_one_search=True, seed=case.seed),
        Venue(
            open_model=lambda contender: runner.open(contender.configuration.compile_key),
            clock=runner.clock,
        ),
        baseline=None if baseline is None else len(picked) - 1,
    )
    result = held.hold()
    return _claim(runner, result, tuple(search), (begun_s, runner.clock()))


def _trial(runner: SimulatedRunner, configuration: Configuration, number: int, goal: Goal) -> Trial:
    model = runner.open(configuration.compile_key)
    measured = measure(model, configuration, goal, Plan(limit_s=3.0, longest_s=12.0))
    origin = Origin.SEED if configuration.is_hint else Origin.SAMPLED
    return Trial(number=number, configuration=configuration, origin=origin, measurement=measured)


def _search_ends(runner: SimulatedRunner, trial: Trial) -> tuple[float, float] | None:
    """Ends of the last trial's interval over the truth of its half minute; None without any."""
    measured = trial.measurement
    assert measured is not None
    assert runner.weather is not None
    middle_s = runner.clock() - measured.measure_s / 2
    half_minute = runner.weather.slowness(middle_s - _AROUND_S / 2, middle_s + _AROUND_S / 2)
    seen, truth = measured.throughput, _rate(runner, trial.configuration) / half_minute
    if seen.low is None or seen.high is None or seen.low <= 0:
        return None
    return math.log(seen.low / truth), math.log(seen.high / truth)


def _claim(
    runner: SimulatedRunner,
    result: RaceResult,
    search: tuple[tuple[float, float], ...],
    stretch_s: tuple[float, float],
) -> Claim:
    winner = result.winner
    if winner is None or winner.throughput is None or winner.throughput.low is None:
        return Claim(search=search)
    assert runner.weather is not None
    configuration = winner.contender.configuration
    truth = _rate(runner, configuration) / runner.weather.slowness(*stretch_s)
    ran = [_rate(runner, s.contender.configuration) for s in result.standings if s.slices]
    low = math.log(max(winner.throughput.low, 1e-3) / truth)
    upper_ms, ratio = winner.latency_upper_ms, _log_ratio(runner, result)
    true_ms = _p99_ms(runner, configuration, runner.weather, *stretch_s)
    return Claim(
        throughput_low=low,
        throughput_width=math.log(winner.throughput.mean / truth) - low,
        latency_upper=None if upper_ms is None else math.log(upper_ms / true_ms),
        ratio_low=None if ratio is None else ratio[0],
        ratio_high=None if ratio is None else ratio[1],
        search=search,
        is_certified=result.status is Status.CERTIFIED,
        loss=1 - _rate(runner, configuration) / max(ran),
    )


def _log_ratio(runner: SimulatedRunner, result: RaceResult) -> tuple[float, float] | None:
    winner, hint = result.winner, result.better_hint
    if winner is None or hint is None or winner is hint:
        return None
    ratio: Interval | None = winner.ratio
    if ratio is None or ratio.low is None or ratio.high is None:
        return None
    truth = _rate(runner, winner.contender.configuration) / _rate(
        runner, hint.contender.configuration
    )
    return math.log(ratio.low / truth), math.log(ratio.high / truth)


def _rate(runner: SimulatedRunner, configuration: Configuration) -> float:
    """Items per second while nothing disturbs, in the mean over launches."""
    planted = runner.slower.get(configuration.compile_key, 1.0)
    launches = math.exp(runner.launch_noise**2 / 2)
    return runner.predict(configuration).throughput_per_s / planted * launches


@cache
def _quantiles(noise_bytes: bytes, shape: int) -> np.ndarray:
    return np.quantile(np.frombuffer(noise_bytes).reshape(shape), (np.arange(400) + 0.5) / 400)


def _p99_ms(
    runner: SimulatedRunner,
    configuration: Configuration,
    seen: Weather,
    begin_s: float,
    end_s: float,
) -> float:
    """The 99th percentile of latency over a stretch of the recording, in the median launch.

    Of a mixture: slices as slow as the stretch has them, each with the recorded spread.
    """
    planted = runner.slower.get(configuration.compile_key, 1.0)
    flow = runner.predict(configuration)
    begins = np.arange(begin_s, end_s, _STRETCH_S)
    slowness = np.array([seen.slowness(at, at + _STRETCH_S) for at in begins])
    spread = _quantiles(np.ascontiguousarray(seen.spread).tobytes(), seen.spread.size)
    # Launches differ in speed and in tail; a pooled percentile sees all of them.
    parts = norm.ppf((np.arange(15) + 0.5) / 15)
    launches = np.exp(parts * math.hypot(runner.launch_noise, runner.tail_noise))
    # Requests of a slow slice are fewer: weights by rate.
    mixed = np.multiply.outer(np.multiply.outer(slowness, launches), spread)
    weights = np.broadcast_to((1 / slowness)[:, None, None], mixed.shape)
    order = np.argsort(mixed, axis=None)
    total = np.cumsum(weights.ravel()[order])
    position = int(np.searchsorted(total, 0.99 * total[-1]))
    return flow.latency_ms * planted * float(mixed.ravel()[order[position]])
