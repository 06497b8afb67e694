"""What a study asks of answers: by which metric, on which samples, and how much may be lost."""

from dataclasses import dataclass
from pathlib import Path

from autotune.workload.metrics import Metric
from autotune.workload.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The guard of a study."""

    metric: Metric
    max_drop: float
    is_relative: bool = False
    """Whether that is a share of the reference's own accuracy."""
    asked: Workload
    """Where samples come from; those that are held out among them."""
    inputs: Path | None = None
    """The same as `[model] inputs` says it."""
    is_split: bool = True
    """Whether every other sample is for calibration, and was so not held out."""
    most: int = 1000
    """So many are held out."""
    labels: Path | None = None
    """The right answers, one for each sample."""

    def held(self, samples: int) -> list[int]:
        """Numbers of the samples that are held out, of so many.

        >>> from autotune.workload.metrics import Metric
        >>> Guard(metric=Metric(name="cosine"), max_drop=0, asked=Workload()).held(5)
        [1, 3]
        """
        return list(range(1 if self.is_split else 0, samples, 2 if self.is_split else 1))[
            : self.most
        ]

    def is_part(self, samples: int) -> bool:
        """Whether there may be more samples than the so many that were read."""
        inputs = self.asked.inputs
        return inputs is not None and samples >= inputs.most

    def calibrating(self, samples: int) -> list[int]:
        """Numbers of the samples that calibration may see: none that is held out.

        Of samples that were given for nothing but the guard there are none.
        """
        return list(range(0, samples, 2)) if self.is_split else []
