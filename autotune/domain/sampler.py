"""How a study chooses what to try next, by name."""

from enum import StrEnum


class Sampler(StrEnum):
    """Names of the strategies, as study.toml has them."""

    AUTO = "auto"  # what replays on recorded surfaces speak for
    GP = "gp"  # Gaussian process: expected improvement within the cap
    TPE = "tpe"  # Optuna's tree-structured Parzen estimator
    RANDOM = "random"  # any configuration
    GRID = "grid"  # an evenly spread part of the space, ever finer
    EXHAUSTIVE = "exhaustive"  # everything, one compiled model after the other

    @property
    def learns(self) -> bool:
        """Whether it goes by what was measured; only then is a sweep of its kind."""
        return self in {Sampler.AUTO, Sampler.GP, Sampler.TPE}
