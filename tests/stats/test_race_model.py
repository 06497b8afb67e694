"""One model for all slices of a race: against dense matrices, simulated races, and symmetries."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.stats.posterior import Posterior, Prior
from autotune.stats.race_model import (
    Scales,
    Turns,
    _conditional,
    _evidence,
    _numbers,
    _tables,
    _unknowns,
    fit,
)

VAGUE = 0.5


def turns_from(rows: list[tuple[int, int, int, float]], hosts: list[int] | None = None) -> Turns:
    """Of (contender, launch, round, logarithm of speed)."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    contender, launch, number = (np.array(column, dtype=np.int64) for column in columns[:3])
    host = np.zeros(len(rows), dtype=np.int64) if hosts is None else np.array(hosts)
    return Turns(
        contender=contender,
        launch=launch,
        round=number,
        log_speed=np.array(columns[3], dtype=float),
        host=host,
    )


def race(seed: int, speeds: list[float], launches: int, rounds: int, **noise: float) -> Turns:
    """A complete race; noise are standard deviations of logarithms."""
    random = np.random.default_rng(seed)
    by_launch = random.normal(0, noise.get("launch", 0.01), (len(speeds), launches))
    by_round = random.normal(0, noise.get("round", 0.05), (launches, rounds))
    return turns_from(
        [
            (i, n, r, speed + by_launch[i, n] + by_round[n, r] + random.normal(0, noise["rest"]))
            for i, speed in enumerate(speeds)
            for n, r in product(range(launches), range(rounds))
        ]
    )


# --- the likelihood


def ragged(seed: int, hosts: int = 1) -> Turns:
    """A race with slices missing, and a contender that left after the first launch."""
    random = np.random.default_rng(seed)
    rows = [
        (i, n, r, float(random.normal(0, 0.1)))
        for n, r, i in product(range(4), range(3), range(4))
        if random.random() > 0.15 and not (i == 3 and n > 0)
    ]
    return turns_from(rows, [n % hosts for _, n, _, _ in rows])


@pytest.mark.parametrize("hosts", [1, 2])
@pytest.mark.parametrize("ratio", [0.001, 0.4, 30.0])
def test_sums_of_launches_are_what_dense_matrices_give(ratio: float, hosts: int) -> None:
    """The oracle writes the covariance of all slices down and inverts it."""
    turns = ragged(1, hosts)
    design, _, _ = _unknowns(turns, Prior.vague(4), Scales())
    found = _evidence(_tables(turns.log_speed, turns, design), np.array([ratio]))
    z = np.eye(100)[_numbers(turns.launch, turns.contender)]
    t = np.eye(100)[_numbers(turns.launch, turns.round)]
    t = t[:, t.any(axis=0)]
    v = np.eye(len(z)) + ratio * z @ z.T
    inverse = np.linalg.inv(v)
    rounds = t.T @ inverse @ t
    m = inverse - inverse @ t @ np.linalg.inv(rounds) @ t.T @ inverse
    y = turns.log_speed
    np.testing.assert_allclose(found.information[0], design.T @ m @ design, atol=1e-9)
    np.testing.assert_allclose(found.towards[0], design.T @ m @ y, atol=1e-9)
    assert found.square[0] == pytest.approx(y @ m @ y)
    log_det = np.linalg.slogdet(v)[1] + np.linalg.slogdet(rounds)[1]
    assert found.log_det[0] == pytest.approx(log_det)
    assert found.freedom == len(y) - t.shape[1]


def test_scales_are_weighed_by_their_marginal_likelihood() -> None:
    """The oracle is the density of all slices, with rounds as good as flat."""
    turns, prior, wide = ragged(2), Prior.vague(4), 1e3
    design, mean, covariances = _unknowns(turns, prior, Scales())
    covariance = covariances[0]
    z = np.eye(100)[_numbers(turns.launch, turns.contender)]
    t = np.eye(100)[_numbers(turns.launch, turns.round)]
    y, log_rests, ratios = turns.log_speed, np.log([0.02, 0.1, 0.2]), np.array([0.1, 1.0])

    def density(ratio: float, log_rest: float) -> float:
        v = math.exp(2 * log_rest) * (np.eye(len(y)) + ratio * z @ z.T)
        v += wide**2 * t @ t.T + design @ covariance @ design.T
        return float(-0.5 * np.linalg.slogdet(v)[1] - 0.5 * y @ np.linalg.solve(v, y))

    evidence = _evidence(_tables(y, turns, design), ratios)
    found = _conditional(evidence, mean, covariance, log_rests).log_likelihood
    dense = np.array([[density(ratio, at) for at in log_rests] for ratio in ratios])
    np.testing.assert_allclose(found - found[0, 0], dense - dense[0, 0], atol=1e-3)


# --- what it says of simulated races


@pytest.mark.parametrize(
    ("launches", "launch", "rest"),
    [(2, 0.01, 0.02), (3, 0.0, 0.02), (3, 0.03, 0.02), (5, 0.01, 0.01), (12, 0.02, 0.03)],
)
def test_intervals_hold_as_often_as_they_say(launches: int, launch: float, rest: float) -> None:
    """95 % intervals of a ratio, over 300 races of five contenders."""
    random, held = np.random.default_rng(3), []
    for seed in range(300):
        speeds = list(random.normal(0, 0.05, 5))
        found = fit(
            race(seed, speeds, launches, 4, launch=launch, rest=rest), Prior.vague(5, VAGUE)
        )
        low, high = found.interval(1, 0)
        held.append(low <= speeds[1] - speeds[0] <= high)
    assert np.mean(held) >= 0.91  # 95 %, less three standard errors of 300


def test_noise_of_the_machine_is_learnt_from_all_contenders() -> None:
    """Both scales come near the truth, from far off."""
    found = fit(race(5, [0.0] * 8, 30, 5, launch=0.03, rest=0.008), Prior.vague(8))
    assert found.launch == pytest.approx(0.03, rel=0.2)
    assert found.rest == pytest.approx(0.008, rel=0.1)


def test_more_launches_tell_more() -> None:
    """Four times as many, half the width, about."""
    widths = []
    for launches in (5, 20):
        found = fit(race(6, [0.0, 0.0], launches, 4, rest=0.02), Prior.vague(2, VAGUE))
        low, high = found.interval(1, 0)
        widths.append(high - low)
    assert 1.5 < widths[0] / widths[1] < 3.0


def test_hosts_of_one_class_differ_and_that_is_no_certainty() -> None:
    """Twenty launches on one host say less of all hosts than ten on each of two."""
    one = race(7, [0.0, 0.02], 20, 4, rest=0.01)
    host = (one.launch % 2).astype(np.int64)
    two = Turns(
        contender=one.contender,
        launch=one.launch,
        round=one.round,
        log_speed=one.log_speed + 0.05 * host * one.contender,
        host=host,
    )
    apart, alike = (fit(turns, Prior.vague(2, VAGUE)) for turns in (two, one))
    assert np.ptp(apart.interval(1, 0)) > 2 * np.ptp(alike.interval(1, 0))
    assert apart.difference(1, 0) == pytest.approx(alike.difference(1, 0) + 0.025, abs=0.01)


# --- symmetries and edges


def numbers(found: Posterior, one: int, other: int) -> list[float]:
    """What is said of two."""
    return [found.difference(one, other), *found.interval(one, other)]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(-20, 20), st.permutations(range(3)))
def test_units_names_and_order_change_nothing(seed: int, shift: float, order: list[int]) -> None:
    """Another unit of speed, contenders in another order, slices in another order."""
    turns = race(seed, [0.0, 0.02, 0.05], 3, 3, rest=0.02)
    rows = np.random.default_rng(seed).permutation(turns.log_speed.size)
    moved = Turns(
        contender=np.array(order)[turns.contender][rows],
        launch=turns.launch[rows] + 7,
        round=turns.round[rows],
        log_speed=turns.log_speed[rows] + shift,
        host=turns.host[rows],
    )
    there, here = fit(moved, Prior.vague(3)), fit(turns, Prior.vague(3))
    assert numbers(there, order[1], order[0]) == pytest.approx(numbers(here, 1, 0), abs=1e-6)
    assert there.chance_above(order[2], order[0]) == pytest.approx(
        here.chance_above(2, 0), abs=1e-6
    )


@pytest.mark.parametrize("noise", [{"rest": 0.0, "launch": 0.0, "round": 0.0}, {"rest": 0.0}])
def test_without_noise_what_is_seen_is_what_is(noise: dict[str, Any]) -> None:
    """No division by a variance of zero."""
    found = fit(race(8, [0.0, 0.1], 12, 3, **{"launch": 0.0, **noise}), Prior.vague(2, VAGUE))
    assert found.difference(1, 0) == pytest.approx(0.1, abs=1e-4)
    assert found.chance_above(1, 0) > 0.9999


def test_before_the_first_slice_the_prior_is_all_there_is() -> None:
    """And afterwards, of a contender that had no turn; wider than it says, as it may be wrong."""
    prior = Prior(mean=np.array([0.0, 0.3]), covariance=np.diag([0.01, 0.04]))
    found = fit(turns_from([]), prior)
    assert found.difference(1, 0) == pytest.approx(0.3)
    low, high = found.interval(1, 0)
    assert low < 0.3 - 1.96 * 0.05**0.5
    assert (low + high) / 2 == pytest.approx(0.3, abs=1e-6)
    alone = fit(turns_from([(0, 0, r, 5.0 + 0.01 * r) for r in range(3)]), prior)
    assert alone.difference(1, 0) == pytest.approx(0.3, abs=1e-6)


def test_a_prior_that_was_wrong_is_given_up() -> None:
    """Told to be within 3 % of one another, they are 30 % apart, and that is seen."""
    prior = Prior(mean=np.zeros(4), covariance=0.03**2 * np.eye(4))
    found = fit(race(9, [0.0, 0.1, 0.2, 0.3], 5, 4, rest=0.02), prior)
    assert found.difference(3, 0) == pytest.approx(0.3, abs=0.03)
    low, high = found.interval(3, 0)
    assert low < 0.3 < high


def test_one_slice_says_a_little() -> None:
    """Of each of two: the ratio that was seen, with a wide interval."""
    found = fit(turns_from([(0, 0, 0, 0.0), (1, 0, 0, 0.1)]), Prior.vague(2, VAGUE))
    low, high = found.interval(1, 0)
    assert low < found.difference(1, 0) < high
    assert found.difference(1, 0) == pytest.approx(0.1, abs=0.01)
    assert high - low > 0.05
