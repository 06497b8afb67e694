"""Gaussian process regression against the formulas of the textbook."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import check_grad

from autotune.stats import gaussian_process
from autotune.stats.gaussian_process import (
    GaussianProcess,
    HyperPrior,
    Settings,
    _negative_log_posterior,
    fit_settings,
)

Reals = NDArray[np.float64]


def kernel(a: Reals, b: Reals, settings: Settings) -> Reals:
    """Matérn 5/2 with a length for each feature, pair by pair."""
    found = np.empty((len(a), len(b)))
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            r = np.sqrt(5 * np.sum(((left - right) / settings.lengths) ** 2))
            found[i, j] = settings.amplitude**2 * (1 + r + r**2 / 3) * np.exp(-r)
    return found


def posterior(x: Reals, y: Reals, settings: Settings, at: Reals) -> tuple[Reals, Reals]:
    """Rasmussen and Williams 2006, equations 2.25 and 2.26, around the mean of the observations."""
    inverse = np.linalg.inv(kernel(x, x, settings) + settings.noise**2 * np.eye(len(x)))
    across = kernel(at, x, settings)
    mean = y.mean() + across @ inverse @ (y - y.mean())
    covariance = kernel(at, at, settings) - across @ inverse @ across.T
    return mean, np.sqrt(np.diag(covariance))


def some_data(observations: int, features: int, seed: int = 0) -> tuple[Reals, Reals]:
    """A smooth function of features between 0 and 5, and a little noise."""
    random = np.random.default_rng([observations, features, seed])
    x = random.uniform(0, 5, size=(observations, features))
    return x, np.sin(x).sum(axis=1) + 3.0 + 0.05 * random.normal(size=observations)


def some_settings(features: int, **values: float) -> Settings:
    """Another length for each feature."""
    known = {"amplitude": 1.3, "noise": 0.1, **values}
    return Settings(lengths=np.linspace(0.7, 2.5, features), **known)


# --- posterior


@pytest.mark.parametrize("features", [1, 2, 5])
@pytest.mark.parametrize("observations", [1, 2, 7, 40])
def test_the_posterior_is_that_of_the_textbook(observations: int, features: int) -> None:
    """Mean and standard deviation of the function, without the noise of an observation."""
    x, y = some_data(observations, features)
    at = np.random.default_rng(1).uniform(-2, 7, size=(30, features))
    settings = some_settings(features)
    mean, sd = GaussianProcess(x, y, settings).predict(at)
    expected_mean, expected_sd = posterior(x, y, settings, at)
    assert mean == pytest.approx(expected_mean, abs=1e-5)
    assert sd == pytest.approx(expected_sd, abs=1e-5)


def test_observations_are_met_where_there_is_no_noise() -> None:
    """Through every point, with nothing left to know there."""
    x, y = some_data(12, 2)
    mean, sd = GaussianProcess(x, y, some_settings(2, noise=1e-4)).predict(x)
    assert mean == pytest.approx(y, abs=1e-3)
    assert (sd < 1e-3).all()


def test_far_from_everything_nothing_is_known() -> None:
    """The mean of the observations, and the whole amplitude."""
    x, y = some_data(12, 2)
    mean, sd = GaussianProcess(x, y, some_settings(2)).predict(np.array([[1e3, -1e3]]))
    assert mean == pytest.approx([y.mean()])
    assert sd == pytest.approx([1.3])


def test_more_observations_leave_less_open() -> None:
    """Everywhere: what was observed does not even matter for that."""
    x, y = some_data(20, 2)
    at = np.random.default_rng(2).uniform(0, 5, size=(50, 2))
    _, few = GaussianProcess(x[:10], y[:10], some_settings(2)).predict(at)
    _, many = GaussianProcess(x, y, some_settings(2)).predict(at)
    assert (many <= few + 1e-9).all()


def test_a_repeated_observation_is_averaged() -> None:
    """Two values at one place: between them, and nothing is singular."""
    x, y = np.array([[1.0], [1.0]]), np.array([2.0, 4.0])
    mean, _ = GaussianProcess(x, y, some_settings(1, noise=1e-6)).predict(np.array([[1.0]]))
    assert mean == pytest.approx([3.0], abs=1e-3)


def test_order_does_not_matter() -> None:
    """Observations are a set."""
    x, y = some_data(15, 3)
    at = np.random.default_rng(3).uniform(0, 5, size=(10, 3))
    order = np.random.default_rng(4).permutation(15)
    found = GaussianProcess(x, y, some_settings(3)).predict(at)
    other = GaussianProcess(x[order], y[order], some_settings(3)).predict(at)
    assert np.allclose(found, other)


@given(st.integers(1, 60))
def test_chunks_change_nothing(chunk: int) -> None:
    """A large space is predicted piece by piece, with the same result and the same length."""
    x, y = some_data(8, 2)
    at = np.random.default_rng(5).uniform(0, 5, size=(50, 2))
    process = GaussianProcess(x, y, some_settings(2))
    whole = process.predict(at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gaussian_process, "_CHUNK", chunk)
        pieces = process.predict(at)
    assert np.allclose(whole, pieces, rtol=0, atol=1e-12)
    assert pieces[0].shape == pieces[1].shape == (50,)


def test_no_points_have_no_prediction() -> None:
    """Empty in, empty out."""
    x, y = some_data(4, 2)
    mean, sd = GaussianProcess(x, y, some_settings(2)).predict(np.empty((0, 2)))
    assert mean.shape == sd.shape == (0,)


# --- settings


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("observations", "features"), [(1, 1), (3, 2), (12, 4), (30, 7)])
def test_the_gradient_is_that_of_finite_differences(
    observations: int, features: int, seed: int
) -> None:
    """At the centre of the priors and away from it."""
    x, y = some_data(observations, features, seed)
    squares = (x[:, None, :] - x[None, :, :]) ** 2
    scaled = (y - y.mean()) / (y.std() or 1.0)
    centre = np.log([3.0] * features + [1.0, 0.1])
    sd = np.array([0.8] * features + [0.7, 0.5])
    at = centre + np.random.default_rng(seed).normal(size=len(centre))

    def value(settings: Reals) -> float:
        return _negative_log_posterior(settings, squares, scaled, centre, sd)[0]

    def gradient(settings: Reals) -> Reals:
        return _negative_log_posterior(settings, squares, scaled, centre, sd)[1]

    size = np.linalg.norm(gradient(at))
    assert check_grad(value, gradient, at, epsilon=1e-6) <= 1e-4 * (1 + size)


@pytest.mark.parametrize("features", [1, 3])
def test_the_posterior_of_the_settings_is_that_of_the_textbook(features: int) -> None:
    """Less the log likelihood (equation 2.30) and the log priors, but for a constant."""
    x, y = some_data(9, features)
    squares = (x[:, None, :] - x[None, :, :]) ** 2
    centre, sd = np.zeros(features + 2), np.full(features + 2, 0.7)

    def expected(logs: Reals) -> float:
        *lengths, amplitude, noise = np.exp(logs)
        settings = Settings(lengths=np.array(lengths), amplitude=amplitude, noise=noise)
        k = kernel(x, x, settings) + settings.noise**2 * np.eye(len(x))
        _, log_determinant = np.linalg.slogdet(k)
        fit = y @ np.linalg.inv(k) @ y
        return float(0.5 * fit + 0.5 * log_determinant + 0.5 * np.sum(((logs - centre) / sd) ** 2))

    first, second = (np.random.default_rng(seed).normal(0, 0.5, features + 2) for seed in (6, 7))
    found = [_negative_log_posterior(logs, squares, y, centre, sd)[0] for logs in (first, second)]
    assert found[1] - found[0] == pytest.approx(expected(second) - expected(first), rel=1e-4)


def test_settings_are_better_than_their_medians() -> None:
    """Their posterior density is higher than where the search for them began."""
    x, y = some_data(25, 3)
    prior = HyperPrior()
    found = fit_settings(x, y, prior)
    scale = y.std()
    centre = np.log([prior.length] * 3 + [prior.amplitude, prior.noise / scale])
    sd = np.array([prior.length_sd] * 3 + [prior.amplitude_sd, prior.noise_sd])
    squares = (x[:, None, :] - x[None, :, :]) ** 2
    logs = np.log([*found.lengths, found.amplitude / scale, found.noise / scale])
    before, after = (
        _negative_log_posterior(at, squares, (y - y.mean()) / scale, centre, sd)
        for at in (centre, logs)
    )
    assert after[0] < before[0]
    assert np.linalg.norm(after[1]) < 0.1 * np.linalg.norm(before[1])


def test_a_feature_without_influence_gets_a_long_length() -> None:
    """The one that decides gets a short one."""
    x, _ = some_data(40, 2)
    found = fit_settings(x, np.sin(2 * x[:, 0]), HyperPrior())
    assert found.lengths[1] > 3 * found.lengths[0]


def test_noise_is_told_from_signal() -> None:
    """Ten times the noise in the data is found as several times the noise."""
    x, _ = some_data(60, 1)
    signal = np.sin(x[:, 0])
    noise = np.random.default_rng(8).normal(size=60)
    quiet, loud = (fit_settings(x, signal + sd * noise, HyperPrior()) for sd in (0.01, 0.1))
    assert loud.noise > 3 * quiet.noise


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12),
    st.floats(-1e3, 1e3),
    st.floats(0.5, 50),
)
def test_settings_do_not_hang_on_the_zero(values: list[float], shift: float, factor: float) -> None:
    """A constant added to all observations changes nothing; every setting is finite and above 0."""
    rounded = np.round(np.array(values), 2)
    x = np.arange(len(values), dtype=float)[:, None] * factor / 50
    found = fit_settings(x, rounded, HyperPrior())
    moved = fit_settings(x, rounded + round(shift), HyperPrior())
    for one in (found, moved):
        assert np.isfinite([*one.lengths, one.amplitude, one.noise]).all()
        assert min(*one.lengths, one.amplitude, one.noise) > 0
    assert moved.amplitude == pytest.approx(found.amplitude, rel=1e-2)


# --- next to nothing to learn from


@pytest.mark.parametrize("value", [0.0, 7.25, -1e6])
def test_constant_data_are_continued(value: float) -> None:
    """No spread to scale by: the constant everywhere, and still some doubt far away."""
    x, _ = some_data(6, 2)
    y = np.full(6, value)
    process = GaussianProcess(x, y, fit_settings(x, y, HyperPrior()))
    mean, sd = process.predict(np.array([[2.0, 2.0], [100.0, 100.0]]))
    assert mean == pytest.approx([value, value])
    assert 0 < sd[0] < sd[1]


def test_one_observation_is_enough() -> None:
    """It is the mean everywhere, and is best known where it was made."""
    x, y = np.array([[1.0, 2.0]]), np.array([5.0])
    mean, sd = GaussianProcess(x, y, fit_settings(x, y, HyperPrior())).predict(
        np.array([[1.0, 2.0], [2.0, 2.0], [50.0, 2.0]])
    )
    assert mean == pytest.approx([5.0, 5.0, 5.0])
    assert sd[0] < sd[1] < sd[2]


def test_observations_at_one_place_are_enough() -> None:
    """A feature that never varied says nothing, and breaks nothing."""
    x, y = np.ones((4, 2)), np.array([1.0, 1.1, 0.9, 1.0])
    mean, sd = GaussianProcess(x, y, fit_settings(x, y, HyperPrior())).predict(np.ones((1, 2)))
    assert mean == pytest.approx([1.0])
    assert np.isfinite(sd).all()


def test_the_fit_finds_a_smooth_function() -> None:
    """Thirty observations predict what was not observed, and how well they do."""
    x, y = some_data(30, 2)
    at, truth = some_data(200, 2, seed=1)
    mean, sd = GaussianProcess(x, y, fit_settings(x, y, HyperPrior())).predict(at)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 0.3 * truth.std()
    assert np.mean(np.abs(mean - truth) <= 3 * np.hypot(sd, 0.05)) > 0.9
