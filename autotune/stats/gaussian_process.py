"""Gaussian process regression for a few hundred observations at most: SciPy's parts, MAP settings.

Matérn 5/2 kernel with one length for each feature, constant mean, Gaussian noise (Rasmussen and
Williams 2006, chapters 2, 4 and 5). Lengths, amplitude and noise are at the maximum of their
posterior under log-normal priors: with a dozen observations the likelihood alone would follow any
chance pattern.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Reals = NDArray[np.float64]

_ITERATIONS = 25
_CHUNK = 8192
_JITTER = 1e-8
_ROOT5 = float(np.sqrt(5.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperPrior:
    """Log-normal priors, as medians and standard deviations of the logarithm."""

    length: float = 3.0
    """In units of the features."""
    length_sd: float = 0.8
    amplitude: float = 1.0
    """In standard deviations of the observations."""
    amplitude_sd: float = 0.7
    noise: float = 0.02
    """In the observations' own unit."""
    noise_sd: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a Gaussian process believes before it sees anything."""

    lengths: Reals
    """How far one must go along each feature for another value; shape (features,)."""
    amplitude: float
    """Standard deviation of the function, in the observations' unit."""
    noise: float
    """Standard deviation of one observation, in the observations' unit."""


def fit_settings(x: Reals, y: Reals, prior: HyperPrior) -> Settings:
    """Settings of maximal posterior density.

    Args:
        x: features; shape (observations, features).
        y: values; shape (observations,), at least one.
        prior: of the settings.
    """
    scale = _spread(y)
    features = x.shape[1]
    centre = np.log([prior.length] * features + [prior.amplitude, prior.noise / scale])
    sd = np.array([prior.length_sd] * features + [prior.amplitude_sd, prior.noise_sd])
    squares = (x[:, None, :] - x[None, :, :]) ** 2
    found = minimize(
        _negative_log_posterior,
        centre,
        args=(squares, (y - y.mean()) / scale, centre, sd),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(centre - 3 * sd, centre + 3 * sd, strict=True)),
        options={"maxiter": _ITERATIONS},
    )
    lengths, amplitude, noise = _unpacked(found.x)
    return Settings(lengths=lengths, amplitude=amplitude * scale, noise=noise * scale)


class GaussianProcess:
    """A posterior over functions of the features."""

    def __init__(self, x: Reals, y: Reals, settings: Settings) -> None:
        """Take in the observations.

        Args:
            x: features; shape (observations, features).
            y: values; shape (observations,), at least one.
            settings: as `fit_settings` finds them.
        """
        self._x = x
        self._settings = settings
        self._mean = float(y.mean())
        k = self._covariance(x)
        k[np.diag_indices_from(k)] += settings.noise**2 + _JITTER * settings.amplitude**2
        self._factor = cholesky(k, lower=True)
        self._weights = cho_solve((self._factor, True), y - self._mean)

    def predict(self, x: Reals) -> tuple[Reals, Reals]:
        """Posterior mean and standard deviation of the function, without noise; shape (points,)."""
        means, sds = np.empty(len(x)), np.empty(len(x))
        variance = self._settings.amplitude**2
        for begin in range(0, len(x), _CHUNK):  # a large space must not become a large matrix
            part = slice(begin, begin + _CHUNK)
            across = self._covariance(x[part])
            means[part] = self._mean + across @ self._weights
            solved = solve_triangular(self._factor, across.T, lower=True, check_finite=False)
            sds[part] = np.sqrt(np.maximum(variance - (solved**2).sum(axis=0), 1e-12))
        return means, sds

    def _covariance(self, x: Reals) -> Reals:
        distance = _distance(x, self._x, self._settings.lengths)
        found: Reals = self._settings.amplitude**2 * _matern(distance)
        return found


def _spread(y: Reals) -> float:
    spread = float(y.std())
    return spread if spread > 1e-6 else 1.0


def _negative_log_posterior(
    settings: Reals, squares: Reals, y: Reals, centre: Reals, sd: Reals
) -> tuple[float, Reals]:
    """Less the log of the posterior of the settings, but for a constant; and its gradient."""
    lengths, amplitude, noise = _unpacked(settings)
    scaled = squares / lengths**2  # (n, n, features)
    distance = np.sqrt(scaled.sum(axis=2))
    signal = amplitude**2 * _matern(distance)
    k = signal.copy()
    k[np.diag_indices_from(k)] += noise**2 + _JITTER
    factor = cholesky(k, lower=True, check_finite=False)
    weights = cho_solve((factor, True), y, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(len(y)), check_finite=False)
    off = (settings - centre) / sd
    value = float(0.5 * y @ weights + np.log(np.diag(factor)).sum() + 0.5 * off @ off)
    # d/ds of -log likelihood is tr((K^-1 - w w') dK/ds) / 2.
    slope = 0.5 * (inverse - np.outer(weights, weights))
    # dk/dr over r for Matern 5/2: -(5/3) a^2 (1 + sqrt5 r) exp(-sqrt5 r).
    by_distance = (5 / 3) * amplitude**2 * (1 + _ROOT5 * distance) * np.exp(-_ROOT5 * distance)
    gradient = np.empty_like(settings)
    gradient[:-2] = np.einsum("ij,ijk->k", slope * by_distance, scaled)
    gradient[-2] = 2 * (slope * signal).sum()
    gradient[-1] = 2 * noise**2 * np.trace(slope)
    return value, gradient + off / sd


def _unpacked(settings: Reals) -> tuple[Reals, float, float]:
    return np.exp(settings[:-2]), float(np.exp(settings[-2])), float(np.exp(settings[-1]))


def _distance(a: Reals, b: Reals, lengths: Reals) -> Reals:
    """Scaled Euclidean distances; shape (len(a), len(b))."""
    left, right = a / lengths, b / lengths
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    found: Reals = np.sqrt(np.maximum(squares - 2 * left @ right.T, 0.0))
    return found


def _matern(distance: Reals) -> Reals:
    scaled = _ROOT5 * distance
    found: Reals = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    return found
