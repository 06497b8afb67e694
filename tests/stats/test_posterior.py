"""Probabilities and intervals of a mixture of normal distributions."""

import numpy as np
import pytest

from autotune.stats.posterior import Prior
from autotune.stats.race_model import fit
from tests.stats.test_race_model import race


def test_probabilities_are_those_of_draws() -> None:
    """Of being above, and of being equal: from formulas, and from a sample."""
    found = fit(race(1, [0.0, 0.01, 0.02], 4, 4, rest=0.02), Prior.vague(3))
    random = np.random.default_rng(0)
    nodes = random.choice(found.weights.size, 4000, p=found.weights)
    draws = np.array(
        [random.multivariate_normal(found.means[n], found.covariances[n]) for n in nodes]
    )
    off = draws[:, 2] - draws[:, 1]
    assert found.difference(2, 1) == pytest.approx(off.mean(), abs=1e-3)
    assert found.chance_above(2, 1) == pytest.approx((off > 0).mean(), abs=0.03)
    assert found.chance_equal(2, 1, 0.01) == pytest.approx((abs(off) < 0.01).mean(), abs=0.03)
    assert found.interval(2, 1) == pytest.approx(np.quantile(off, [0.025, 0.975]), abs=2e-3)
