"""The reference: a resident baseline that gets a slice between trials, to see the machine drift."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from autotune.domain.failure import TrialFault
from autotune.domain.measurement import Block, Feed
from autotune.machines.ports import Load, Runner
from autotune.measuring.measure import arrival_of
from autotune.racing.residents import Residents
from autotune.space.configuration import CompileKey, Configuration

_SHARE = 0.05
"""Most of a study's time that the reference may take."""
_LEAST_READINGS = 3
_DRIFT = 0.1
_WARM_UP_S = 0.5
_MOST_FAULTS = 2
_ROOM = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """One slice of the reference."""

    at_s: float
    """On the runner's clock, at the end."""
    block: Block

    @property
    def per_s(self) -> float:
        """Requests per second."""
        return self.block.completions / self.block.duration_s


class Reference:
    """Opens its model at the first visit, and again after a fault; gives up after two."""

    def __init__(
        self,
        runner: Runner,
        configuration: Configuration,
        feed: Feed,
        *,
        need_bytes: int | None = None,
        keep: Callable[[Reading], None] = lambda _: None,
    ) -> None:
        self._runner = runner
        self.configuration = configuration
        self._feed = feed
        self._need_bytes = need_bytes or 0
        self._keep = keep
        self._residents: Residents[CompileKey] = Residents(
            runner.open, free_memory=runner.free_memory
        )
        self._faults = 0
        self._due_s = 0.0
        self.rates: list[float] = []
        """Requests per second of every slice. Its block, with a latency for every request, is
        stored and let go: a night has thousands of slices, and tens of kilobytes in each."""

    def visit(self) -> None:
        """Take a slice if it is time for one; a fault costs the slice, never the study."""
        begun_s = self._runner.clock()
        if begun_s < self._due_s or self._faults >= _MOST_FAULTS or not self._has_room():
            return
        try:
            reading = self._slice()
        except TrialFault:
            self._faults += 1
            return
        self.rates.append(reading.per_s)
        self._keep(reading)
        self._due_s = self._runner.clock() + (self._runner.clock() - begun_s) * (1 / _SHARE - 1)

    @property
    def departure(self) -> float | None:
        """Speed at the last reading over the median of all, less 1; None before three readings."""
        if len(self.rates) < _LEAST_READINGS:
            return None
        return self.rates[-1] / statistics.median(self.rates) - 1

    @property
    def is_off(self) -> bool:
        """Whether the machine is a tenth faster or slower than it usually was."""
        departure = self.departure
        return departure is not None and abs(departure) > _DRIFT

    def close(self) -> None:
        """Let the resident go."""
        self._residents.close()

    def _has_room(self) -> bool:
        """Whether one more resident leaves memory enough for the trials."""
        # More than that, so that there is no room where nothing is free and the need unknown.
        return bool(self._residents) or self._residents.has_room(_ROOM * self._need_bytes + 1)

    def _slice(self) -> Reading:
        key = self.configuration.compile_key
        if not self._residents:
            self._residents.enter(key)
            self._residents.warm_up(key, self._load(), _WARM_UP_S)
        block = self._residents.turn(key, self._load())
        return Reading(self._runner.clock(), block)

    def _load(self) -> Load:
        model = self._residents[self.configuration.compile_key]
        return Load(arrival=arrival_of(model, self.configuration), feed=self._feed, limit_s=30.0)
