"""The Gaussian process: its acquisition in exact figures, and how soon it finds what is there."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from autotune.domain.goal import Goal, Objective
from autotune.domain.sampler import Sampler
from autotune.domain.trial import Trial
from autotune.search.choose import search_of
from autotune.search.gp import (
    MOST_OBSERVED,
    Gp,
    candidates,
    features,
    items_in_flight,
    log_expected_improvement,
    observed,
)
from autotune.search.points import PointTable
from autotune.search.search import Proposal, Search
from autotune.space.configuration import Configuration
from autotune.space.dimensions import Api
from autotune.space.space import Point, SearchSpace
from autotune.storage.optuna_study import study_in_memory
from tests.domain.builders import make_trial
from tests.search.conftest import CAPPED
from tests.search.surface import LARGE, advance, failed, make_space, measured, missed
from tests.space.test_space import point_at, spaces

SMALL = make_space()
UNCAPPED = Goal(Objective.THROUGHPUT, 99, None)
LOWEST = Goal(Objective.LATENCY, 99, None)
TIGHT = Goal(Objective.THROUGHPUT, 99, 30)
"""What a third of the small space meets."""
Outcome = Callable[[Proposal], Trial]


def new_search(space: SearchSpace = LARGE, goal: Goal = CAPPED, seed: int = 0) -> Search:
    """A search by Gaussian process, of a study that nobody else has."""
    study = study_in_memory(goal)
    return search_of(Sampler.GP, study, space, goal, seed=seed, name="study.db")


def tell_all(search: Search, space: SearchSpace, points: list[Point], outcome: Outcome) -> None:
    """Have these points tried."""
    for point in points:
        search.tell(outcome(search.begin(space.configuration(point), point)))


def tailed(proposal: Proposal) -> Trial:
    """As `measured`, but the percentile lies above the mean, the more so the more streams run."""
    trial, streams = measured(proposal), proposal.configuration.streams or 1
    assert trial.measurement is not None
    latency = trial.measurement.latency
    slower = replace(latency, goal_ms=latency.goal_ms * (1.2 + 0.02 * streams))
    return replace(trial, measurement=replace(trial.measurement, latency=slower))


def results(configurations: list[Configuration], outcome: Outcome = measured) -> np.ndarray:
    """Throughput and latency of each; shape (configurations, 2)."""
    trials = [outcome(Proposal(0, configuration)).measurement for configuration in configurations]
    return np.array([(m.throughput_per_s, m.latency.goal_ms) for m in trials if m is not None])


def all_of(space: SearchSpace) -> list[Configuration]:
    """Every configuration of a space."""
    return [space.configuration(point) for point in space.points()]


# --- expected improvement


def log_integral(z: float) -> float:
    """Log of E[max(f, 0)] for f ~ N(z, 1), by numerical integration of t φ(t − z) over t > 0.

    With φ(−z) taken out in front, so that it does not underflow where z is far below zero.
    """
    if z < 0:
        factor, _ = quad(lambda t: t * math.exp(t * z - t**2 / 2), 0, 12, epsabs=0, limit=500)
        return -(z**2) / 2 - math.log(2 * math.pi) / 2 + math.log(factor)
    low, high = max(0.0, z - 12), z + 12
    value, _ = quad(lambda t: t * math.exp(-((t - z) ** 2) / 2), low, high, points=[z], limit=500)
    return math.log(value) - math.log(2 * math.pi) / 2


@pytest.mark.parametrize(
    "z", [-30.0, -12.0, -5.0, -2.0, -1.001, -1.0, -0.999, -0.1, 0.0, 0.1, 1.0, 5.0, 30.0]
)
@pytest.mark.parametrize(("sd", "best"), [(1.0, 0.0), (0.01, 7.0), (20.0, -3.0)])
def test_expected_improvement_is_the_integral(z: float, sd: float, best: float) -> None:
    """On both sides of where the formula changes, and far below where it underflows."""
    found = log_expected_improvement(np.array([best + sd * z]), np.array([sd]), best)
    assert found[0] == pytest.approx(math.log(sd) + log_integral(z), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("z", [-100.0, -1e3, -1e4])
def test_a_hopeless_improvement_still_has_a_logarithm(z: float) -> None:
    """Far below the best it goes as φ(z) / z²; among hopeless points the least hopeless counts."""
    found = log_expected_improvement(np.array([z]), np.array([1.0]), 0.0)
    expected = -(z**2) / 2 - math.log(2 * math.pi) / 2 - 2 * math.log(-z)
    assert found[0] == pytest.approx(expected, abs=1e-3)


@given(st.lists(st.floats(-1e6, 1e3), min_size=2, max_size=20), st.floats(1e-3, 1e3))
def test_a_higher_mean_never_promises_less(z: list[float], sd: float) -> None:
    """It is finite wherever the mean lies, and grows with it."""
    found = log_expected_improvement(sd * np.array(sorted(z)), np.full(len(z), sd), 0.0)
    assert np.isfinite(found).all()
    assert all(after >= before - 1e-3 for before, after in pairwise(found))


@given(st.floats(-50, 50), st.floats(0.01, 10), st.floats(1.01, 10))
def test_a_less_known_function_promises_more(mean: float, sd: float, factor: float) -> None:
    """At the same mean, a wider belief has the larger expected improvement."""
    found = log_expected_improvement(np.full(2, mean), np.array([sd, factor * sd]), 0.0)
    assert found[1] >= found[0] - 1e-9


# --- features


@given(spaces())
def test_items_in_flight_are_requests_times_batch(space: SearchSpace) -> None:
    """What the configuration of each point says; a blocking request is one."""
    table = PointTable(space)
    expected = [
        (configuration.num_requests or 0) * configuration.batch_size
        for configuration in all_of(space)
    ]
    assert items_in_flight(table).tolist() == expected


@given(spaces())
def test_different_points_have_different_features(space: SearchSpace) -> None:
    """Otherwise one would be known by the other. No feature is the same for all."""
    found = features(PointTable(space))
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == space.size == len(found)
    if space.size > 1:
        assert (np.ptp(found, axis=0) > 0).all()


def test_a_doubling_is_one() -> None:
    """The batch, and with it the items in flight; threads, and with them all threads."""
    table = PointTable(make_space(batch=(1, 2, 8)))
    found = features(table)

    def at(**values: int) -> np.ndarray:
        row = table.row(point_at(table.space, **values))
        assert row is not None
        return np.asarray(found[row])

    assert sorted(at(batch=2) - at(batch=1)) == [0, 0, 0, 0, 1, 1]
    assert sorted(at(batch=8) - at(batch=2)) == [0, 0, 0, 0, 2, 2]
    assert sorted(at(threads_per_stream=4) - at()) == [0, 0, 0, 0, 2, 2]
    assert sorted(at(streams=2) - at()) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    "choices",
    [
        {"device": ("CPU", "GPU")},
        {"pinning": (True, False)},
        {"precision": ("f32", "bf16", "f16")},
        {"api": (Api.ASYNC, Api.SYNC)},
    ],
    ids=["device", "pinning", "precision", "api"],
)
def test_what_has_no_order_is_told_apart(choices: dict[str, Any]) -> None:
    """One feature for each choice but the first; no choice is between two others."""
    table = PointTable(make_space(**choices))
    found, ((name, values),) = features(table), choices.items()
    rows = [table.row(point_at(table.space, **{name: value})) for value in values]
    assert found.shape[1] == 6 + len(values) - 1
    for index, row in enumerate(rows):
        difference = np.abs(found[row] - found[rows[0]])
        assert difference.sum() == (index > 0)


def test_a_space_of_one_point_has_a_feature() -> None:
    """That says nothing, but has the right shape."""
    only = make_space(threads_per_stream=(2,), streams=(2,), requests_per_stream=(1,), batch=(1,))
    assert features(PointTable(only)).tolist() == [[0.0]]


# --- what is observed


def test_what_is_observed_are_logarithms() -> None:
    """Of the objective, and of the percentile over the cap, at the rows of the table."""
    table, search = PointTable(SMALL), new_search(SMALL)
    point = list(SMALL.points())[5]
    proposal = search.begin(SMALL.configuration(point), point)
    search.tell(make_trial(0, proposal.configuration, throughput_per_s=50, latency_ms=20))
    seen = observed(search._study, table)
    assert seen.rows.tolist() == [5]
    assert seen.log_value.tolist() == [math.log(50)]
    assert seen.log_over == pytest.approx([math.log(2)])
    assert seen.failed.size == 0


@pytest.mark.parametrize("goal", [CAPPED, UNCAPPED, LOWEST], ids=["capped", "uncapped", "latency"])
def test_failures_are_kept_apart(goal: Goal) -> None:
    """A failure has no throughput to learn from; a clear miss has."""
    table, search, points = PointTable(SMALL), new_search(SMALL, goal), list(SMALL.points())
    tell_all(search, SMALL, points[:2], failed)
    tell_all(search, SMALL, points[2:4], missed)
    tell_all(search, SMALL, points[4:6], measured)
    seen = observed(search._study, table)
    assert seen.failed.tolist() == [0, 1]
    assert seen.rows.tolist() == [2, 3, 4, 5]
    assert seen.log_value.size == seen.log_over.size == 4


def test_hints_outside_and_what_was_lost_are_not_observed() -> None:
    """They lie nowhere in the space, or show nothing."""
    search = new_search(SMALL)
    search.tell(measured(search.begin(Configuration(device="CPU"), None)))
    proposal = search.ask()
    assert proposal is not None
    search.forget(proposal.number)
    assert search.ask() is not None  # and one is running
    seen = observed(search._study, PointTable(SMALL))
    assert seen.rows.size == seen.failed.size == 0


# --- how soon it finds what is there


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("outcome", [measured, tailed])
def test_the_constrained_optimum_is_found_within_few_trials(seed: int, outcome: Outcome) -> None:
    """Little's law says where the cap lies: 30 trials out of more than a thousand points."""
    throughput, latency = results(all_of(LARGE), outcome).T
    optimum = throughput[latency <= 10].max()
    search, best = new_search(seed=seed), 0.0
    for _ in range(30):
        proposal = search.ask()
        assert proposal is not None
        trial = outcome(proposal)
        search.tell(trial)
        assert trial.measurement is not None
        if trial.measurement.latency.goal_ms <= 10:
            best = max(best, trial.measurement.throughput_per_s)
    assert best >= 0.99 * optimum


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("cap_ms", "share", "expected"), [(10, 0.02, 0.4), (60, 0.31, 0.75)])
def test_proposals_are_feasible(cap_ms: float, share: float, expected: float, seed: int) -> None:
    """After the first draws, many times more of them than of the space are at the cap or below."""
    _, everywhere = results(all_of(LARGE)).T
    assert np.mean(everywhere <= cap_ms) <= share
    goal = Goal(Objective.THROUGHPUT, 99, cap_ms)
    _, latency = results(advance(new_search(goal=goal, seed=seed), 23)[3:]).T
    assert np.mean(latency <= 1.1 * cap_ms) >= expected


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_cap_is_found_from_far_outside(seed: int) -> None:
    """While nothing is feasible, it goes where that is likeliest: eight points of a thousand."""
    goal = Goal(Objective.THROUGHPUT, 99, 7)
    throughput, latency = results(all_of(LARGE)).T
    assert np.mean(latency <= 7) < 0.01
    search, points = new_search(goal=goal, seed=seed), list(LARGE.points())
    slow = np.flatnonzero(latency > 70)
    tell_all(search, LARGE, [points[row] for row in slow[:: len(slow) // 4]], measured)
    found = results(advance(search, 15))
    within = found[found[:, 1] <= 7]
    assert len(within)
    assert within[:, 0].max() >= 0.99 * throughput[latency <= 7].max()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_a_cap_the_fastest_is_found(seed: int) -> None:
    """Throughput alone."""
    fastest = results(all_of(LARGE))[:, 0].max()
    found = results(advance(new_search(goal=UNCAPPED, seed=seed), 30))
    assert found[:, 0].max() >= 0.99 * fastest


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_cap_that_everything_meets_is_no_cap(seed: int) -> None:
    """The constraint is clipped there, and must not be taken for a limit."""
    goal = Goal(Objective.THROUGHPUT, 99, 1e5)
    fastest = results(all_of(LARGE))[:, 0].max()
    found = results(advance(new_search(goal=goal, seed=seed), 30))
    assert found[:, 0].max() >= 0.99 * fastest


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("goal", [LOWEST, Goal(Objective.LATENCY, 99, 10)], ids=["alone", "capped"])
def test_the_lowest_latency_is_found(goal: Goal, seed: int) -> None:
    """Where latency is the goal, whether there is a cap beside it or not."""
    lowest = results(all_of(LARGE))[:, 1].min()
    found = results(advance(new_search(goal=goal, seed=seed), 30))
    assert found[:, 1].min() <= 1.01 * lowest


def test_a_long_study_goes_on() -> None:
    """Only the latest trials are learnt from; proposals are as good as ever, and new."""
    search, points = new_search(), list(LARGE.points())
    tell_all(search, LARGE, points[:: LARGE.size // (MOST_OBSERVED + 20)], measured)
    proposed = advance(search, 5)
    throughput, latency = results(all_of(LARGE)).T
    assert len(set(proposed)) == 5
    assert results(proposed)[:, 0].mean() > 2 * throughput.mean()
    assert results(proposed)[:, 0].max() <= throughput.max()
    assert results(proposed)[:, 1].max() <= latency.max()


# --- failures


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("broken", [0, 1], ids=["pinned", "unpinned"])
def test_failures_push_proposals_away(broken: int, seed: int) -> None:
    """Of two points that promise the same, the one that is farther from a failure is tried."""
    space = make_space(
        threads_per_stream=(1,),
        streams=(1,),
        requests_per_stream=(1,),
        batch=(1, 2, 4, 8, 16),
        pinning=(True, False),
    )
    search = new_search(space, UNCAPPED, seed)
    tell_all(search, space, [p for p in space.points() if space.values(p)["batch"] <= 4], measured)
    search.take(p for p in space.points() if space.values(p)["batch"] == 16)
    pinning = space.choices["pinning"]
    tell_all(search, space, [point_at(space, batch=16, pinning=pinning[broken])], failed)
    proposal = search.ask()
    assert proposal is not None
    assert proposal.configuration.batch_size == 8
    assert proposal.configuration.pinning == pinning[1 - broken]


def half_broken(search: Search, trials: int) -> tuple[list[bool], float]:
    """Trials of a model that is too large for memory at batches of 16 and more.

    Returns:
        Which of them failed, and the best throughput of the others.
    """
    broken, best = [], 0.0
    for _ in range(trials):
        proposal = search.ask()
        assert proposal is not None
        broken.append(proposal.configuration.batch_size >= 16)
        trial = failed(proposal) if broken[-1] else measured(proposal)
        search.tell(trial)
        best = max(best, trial.measurement.throughput_per_s if trial.measurement else 0.0)
    return broken, best


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_best_of_what_works_is_found(seed: int) -> None:
    """Although the throughput promises most just where everything fails."""
    works = [c for c in all_of(LARGE) if c.batch_size < 16]
    _, best = half_broken(new_search(goal=UNCAPPED, seed=seed), 30)
    assert best >= 0.99 * results(works)[:, 0].max()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_region_that_fails_is_left(seed: int) -> None:
    """It costs a few trials, not most of them: a third of the space fails."""
    broken, _ = half_broken(new_search(goal=UNCAPPED, seed=seed), 50)
    assert sum(broken) <= 50 / 3


def test_failures_alone_teach_nothing() -> None:
    """Until three trials have shown something, it draws; and never the same."""
    search, proposed = new_search(SMALL), set()
    for _ in range(SMALL.size):
        proposal = search.ask()
        assert proposal is not None
        proposed.add(proposal.configuration)
        search.tell(failed(proposal))
    assert len(proposed) == SMALL.size


# --- the chance of an improvement


def test_nothing_free_leaves_no_chance() -> None:
    """Whatever was found."""
    search = new_search(SMALL)
    search.take(SMALL.points())
    assert search.chance_of_improvement(0.01) == 0.0


def test_too_little_is_known_to_say() -> None:
    """Fewer than three results."""
    search = new_search(SMALL)
    for _ in range(3):
        assert search.chance_of_improvement(0.01) == 1.0
        advance(search, 1)
    assert search.chance_of_improvement(0.01) <= 1.0


def test_while_nothing_is_feasible_there_is_every_chance() -> None:
    """Any feasible point would be an improvement."""
    search, points = new_search(SMALL), list(SMALL.points())
    tell_all(search, SMALL, points[::3], missed)
    assert search.chance_of_improvement(0.01) == 1.0
    search.take(points)
    assert search.chance_of_improvement(0.01) == 0.0


@pytest.mark.parametrize("goal", [TIGHT, UNCAPPED, LOWEST], ids=["capped", "uncapped", "latency"])
def test_little_chance_is_left_where_everything_near_was_measured(goal: Goal) -> None:
    """Only the worst few are still free."""
    search = new_search(SMALL, goal)
    axis = 1 if goal is LOWEST else 0
    order = np.argsort(results(all_of(SMALL))[:, axis])
    bad_last = order if goal is LOWEST else order[::-1]
    points = list(SMALL.points())
    tell_all(search, SMALL, [points[row] for row in bad_last[:-4]], measured)
    assert search.chance_of_improvement(0.01) < 0.01


def test_chance_is_large_while_the_best_is_unknown() -> None:
    """Only small batches were tried, and larger ones were better each time."""
    search = new_search(goal=UNCAPPED)
    slow = [p for p in LARGE.points() if LARGE.values(p)["batch"] <= 4]
    tell_all(search, LARGE, slow[:: len(slow) // 15], measured)
    assert search.chance_of_improvement(0.01) > 0.2


@given(st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_a_larger_improvement_is_less_likely(by: float, more: float) -> None:
    """A probability, and one that falls."""
    search = new_search(SMALL, TIGHT)
    tell_all(search, SMALL, list(SMALL.points())[::3], measured)
    small, large = (search.chance_of_improvement(share) for share in (by, by + more))
    assert 0.0 <= large <= small <= 1.0


def test_the_chance_does_not_hang_on_the_sampler() -> None:
    """A study that chooses at random may end as well when nothing better is in sight."""
    study, table = study_in_memory(TIGHT), PointTable(SMALL)
    search = search_of(Sampler.RANDOM, study, SMALL, TIGHT, seed=0, name="study.db")
    advance(search, 12)
    table.take(point for point in SMALL.points() if search.is_taken(point))
    expected = Gp(table, TIGHT).chance_of_improvement(study, table, 0.01)
    assert 0 < expected < 1
    assert search.chance_of_improvement(0.01) == expected


# --- gains


def test_what_is_known_to_be_worse_promises_nothing() -> None:
    """Log gains of measured points are far below that of the point that is proposed."""
    search, table = new_search(SMALL, UNCAPPED), PointTable(SMALL)
    tell_all(search, SMALL, list(SMALL.points())[::3], measured)
    strategy = Gp(table, UNCAPPED)
    seen = observed(search._study, table)
    gains = strategy.log_gains(seen, np.arange(SMALL.size))
    worst = seen.rows[np.argmin(seen.log_value)]
    assert gains.shape == (SMALL.size,)
    assert gains[worst] < gains.max() - 10


def test_the_choice_is_the_largest_gain() -> None:
    """Among the free points."""
    search, table = new_search(SMALL, TIGHT), PointTable(SMALL)
    known = list(SMALL.points())[::4]
    tell_all(search, SMALL, known, measured)
    table.take(known)
    strategy = Gp(table, TIGHT)
    gains = strategy.log_gains(observed(search._study, table), table.free)
    trial = optuna.create_study().ask()._get_latest_trial()
    row = strategy.choose(search._study, trial, table, np.random.default_rng(0))
    assert gains[table.free.tolist().index(row)] == pytest.approx(gains.max())


# --- candidates


def test_in_a_small_space_every_free_point_is_a_candidate() -> None:
    """Nothing is left to chance where it need not be."""
    search, table = new_search(SMALL, TIGHT), PointTable(SMALL)
    known = list(SMALL.points())[::4]
    tell_all(search, SMALL, known, measured)
    table.take(known)
    rows = candidates(table, observed(search._study, table), TIGHT, np.random.default_rng(0))
    assert rows.tolist() == table.free.tolist()


def test_of_a_large_space_a_part_and_the_neighbours_of_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another part at each trial; none that is taken; always what is next to the best."""
    monkeypatch.setattr("autotune.search.gp._MOST_CANDIDATES", 20)
    search, table = new_search(LARGE, TIGHT), PointTable(LARGE)
    known = list(LARGE.points())[:: LARGE.size // 12]
    tell_all(search, LARGE, known, measured)
    table.take(known)
    seen = observed(search._study, table)
    parts = [candidates(table, seen, TIGHT, np.random.default_rng(seed)) for seed in range(5)]
    within = np.where(seen.log_over <= 0, seen.log_value, -np.inf)
    best = table.indices[seen.rows[np.argmax(within)]]
    near = table.free[np.abs(table.indices[table.free] - best).sum(axis=1) <= 2]
    assert np.isfinite(within).any()
    assert near.size
    for part in parts:
        assert set(part) < set(table.free)
        assert set(near) <= set(part)
        assert (np.diff(part) > 0).all()
    assert len({tuple(part) for part in parts}) == 5


def test_a_part_of_the_space_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimum is found in a few dozen trials all the same."""
    monkeypatch.setattr("autotune.search.gp._MOST_CANDIDATES", LARGE.size // 8)
    space = all_of(LARGE)
    rates = results(space)
    within = rates[:, 1] <= (CAPPED.cap_ms or math.inf)
    optimum = rates[within, 0].max()
    found = results(advance(new_search(LARGE, CAPPED), 60))
    assert found[found[:, 1] <= (CAPPED.cap_ms or math.inf), 0].max() >= 0.97 * optimum


def test_a_latency_of_zero_has_a_logarithm() -> None:
    """Rounded down by a clock, it is small, and no reason to end."""
    search, table = new_search(SMALL, LOWEST), PointTable(SMALL)

    def instant(proposal: Proposal) -> Trial:
        trial = measured(proposal)
        assert trial.measurement is not None
        latency = replace(trial.measurement.latency, goal_ms=0.0)
        return replace(trial, measurement=replace(trial.measurement, latency=latency))

    tell_all(search, SMALL, list(SMALL.points())[:5], instant)
    assert np.isfinite(observed(search._study, table).log_value).all()
