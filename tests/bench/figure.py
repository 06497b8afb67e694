"""One measured figure beside its bar."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """A median with the range seen; the bar is what the project asks of it."""

    what: str
    median: float
    low: float
    high: float
    runs: int
    unit: str
    bar: str

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.median:.4g} {self.unit} "
            f"({self.low:.4g} to {self.high:.4g}, n = {self.runs}); bar {self.bar}"
        )


def figure(what: str, values: Sequence[float], unit: str, bar: str) -> Figure:
    """The figure of several runs."""
    return Figure(what, statistics.median(values), min(values), max(values), len(values), unit, bar)
