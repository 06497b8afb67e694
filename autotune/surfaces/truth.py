"""What a recorded surface tells of its machine: true speeds and latencies, and its noise.

Speeds are those of the surface's cells. The noise is the recorded one: what the machine did over
time, in the order in which it happened; what launches differed by; and the latencies of the very
slices, relative to their mean, which Little's law gives for any speed.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from autotune.domain.arrival import mean_latency_ms, slot_time_s
from autotune.domain.measurement import TICK_MS, Opening
from autotune.space.configuration import CompileKey, Configuration
from autotune.surfaces.fit import Reals, SurfaceFit, fit_surface
from autotune.surfaces.noise import Noise
from autotune.surfaces.surface import LEVELS, RecordedLaunch, RecordedSlice, Surface

_LEVELS = np.array(LEVELS)
_SHARES = (np.arange(400) + 0.5) / 400
_PAUSE_S = 0.3
"""Longest time between two slices of a round that counts as part of the recording."""

Layout = tuple[str, str]
"""Streams and threads, as the runtime reports them."""


class RecordedMachine:
    """What a surface tells of its machine, worked out once for any number of replays."""

    def __init__(self, surface: Surface, noise: Noise | None = None, strength: float = 1.0) -> None:
        """Work out speeds and noise.

        Args:
            surface: what was recorded.
            noise: another machine's, for every layout alike; its own without one.
            strength: the power that slownesses are raised to, and what launches differ by.

        Raises:
            ValueError: the surface has no slices.
        """
        if not any(recorded.slices for recorded in surface.launches):
            message = "a surface without slices says nothing"
            raise ValueError(message)
        self.surface = surface
        self._noise = noise
        self._strength = strength
        self.cells = {cell: position for position, cell in enumerate(surface.cells)}
        self.launches: dict[CompileKey, list[RecordedLaunch]] = {}
        for recorded in surface.launches:
            self.launches.setdefault(recorded.key, []).append(recorded)
        self.slices: dict[tuple[int, int], list[RecordedSlice]] = {}
        for recorded in surface.launches:
            for taken in recorded.slices:
                self.slices.setdefault((taken.cell, taken.launch), []).append(taken)
        self._ordered = _in_time(surface)
        self._truths: dict[float, Reals] = {}

    @cached_property
    def fit(self) -> SurfaceFit:
        """Effects of cells and launches, and the rest."""
        slices = [taken for taken, _ in self._ordered]
        return fit_surface(
            np.array([taken.cell for taken in slices], dtype=np.int64),
            np.array([number for _, number in self._ordered], dtype=np.int64),
            np.array([taken.at_s for taken in slices]),
            np.log([taken.completions / taken.duration_s for taken in slices]),
        )

    @cached_property
    def noises(self) -> dict[Layout, Noise]:
        """What the machine did to each layout over time.

        One stalled CPU stops a stream of two threads, and only halves two streams of one: layouts
        differ in what the same burst does to them.
        """
        # The recording without the pauses in which models were opened.
        ends = np.array([taken.at_s for taken, _ in self._ordered])
        lasted = np.array([taken.duration_s for taken, _ in self._ordered])
        steps = np.diff(ends, prepend=ends[0] - lasted[0])
        clock_s = np.cumsum(np.minimum(steps, lasted + _PAUSE_S))
        layouts = [self.layout(self.surface.cells[taken.cell]) for taken, _ in self._ordered]
        if self._noise is not None:
            noise = replace(self._noise, slowness=self._noise.slowness**self._strength)
            return dict.fromkeys(layouts, noise)
        return {
            layout: Noise(
                at_s=clock_s[mine],
                slowness=np.exp(-self._strength * self.fit.rest[mine]),
                length_s=float(clock_s[-1]),
            )
            for layout in dict.fromkeys(layouts)
            for mine in [np.array([other == layout for other in layouts])]
        }

    @property
    def launch_sd(self) -> float:
        """What launches of one compile key differ by: standard deviation of the log rate."""
        return self._strength * self.fit.launch_sd

    def noise(self, cell: int) -> Noise:
        """What the machine did to a cell's layout."""
        return self.noises[self.layout(self.surface.cells[cell])]

    @property
    def default_precision(self) -> str | None:
        """What the runtime computes in by itself, as its hints show; None where they failed."""
        for cell in self.surface.cells:
            if cell.is_hint and any(r.opening for r in self.launches.get(cell.compile_key, [])):
                return _opening(self.launches[cell.compile_key]).effective.arithmetic or None
        return None

    def layout(self, configuration: Configuration) -> Layout:
        """Streams and threads that a configuration really runs."""
        effective = _opening(self.launches[configuration.compile_key]).effective.properties
        return effective.get("NUM_STREAMS", ""), effective.get("INFERENCE_NUM_THREADS", "")

    def effective_requests(self, cell: int) -> int:
        """Requests in flight of a cell."""
        configuration = self.surface.cells[cell]
        opening = _opening(self.launches[configuration.compile_key])
        return opening.effective.requests(configuration)

    def requests_per_s(self, cell: int) -> float | None:
        """The rate of a cell when nothing disturbs; None where it could not be measured."""
        rates = self.fit.cells
        return math.exp(rates[cell]) if cell < rates.size and not math.isnan(rates[cell]) else None

    @cached_property
    def throughputs(self) -> Reals:
        """True items per second of every cell: the mean in a usual half minute; shape (cells,).

        0 where it could not be measured. A batch of the model's own counts as one item: only
        ratios of these matter.
        """
        usual = {layout: noise.usual_speed() for layout, noise in self.noises.items()}
        found = np.zeros(len(self.surface.cells))
        for position, cell in enumerate(self.surface.cells):
            rate = self.requests_per_s(position)
            if rate is not None:
                found[position] = cell.batch_size * rate * usual[self.layout(cell)]
        return found

    def latencies_ms(self, percentile: float) -> Reals:
        """True percentile of every cell's request latency; shape (cells,).

        In a usual half minute, in the median of its launches; infinite where it could not be
        measured.
        """
        if percentile not in self._truths:
            slowness = {layout: noise.usual_slowness() for layout, noise in self.noises.items()}
            self._truths[percentile] = np.array(
                [
                    self._latency_ms(position, percentile, slowness[self.layout(cell)])
                    if self.requests_per_s(position) is not None
                    else math.inf
                    for position, cell in enumerate(self.surface.cells)
                ]
            )
        return self._truths[percentile]

    def optimum(self, percentile: float, cap_ms: float | None) -> int | None:
        """The cell with the highest throughput among those within the cap; None without any."""
        able = self.throughputs > 0
        if cap_ms is not None:
            able &= self.latencies_ms(percentile) <= cap_ms
        return int(np.argmax(np.where(able, self.throughputs, -1.0))) if able.any() else None

    @cached_property
    def shapes(self) -> dict[tuple[int, int], Reals]:
        """Latencies at `LEVELS` over their mean, of every cell and launch; (rounds, levels).

        The mean is what Little's law makes of the slice's own rate.
        """
        return {
            (cell, launch): np.array(
                [_shape(taken, self.effective_requests(cell)) for taken in slices]
            )
            for (cell, launch), slices in self.slices.items()
        }

    def _latency_ms(self, cell: int, percentile: float, slowness: Reals) -> float:
        rate = self.requests_per_s(cell) or 1.0
        found = []
        for recorded in self.launches[self.surface.cells[cell].compile_key]:
            taken = self.slices.get((cell, recorded.launch), [])
            if taken:
                mean_ms = mean_latency_ms(self.effective_requests(cell), rate, taken[0].occupancy)
                shapes = self.shapes[cell, recorded.launch]
                drawn = [np.interp(_SHARES, _LEVELS, shape) for shape in shapes]
                mixed = mean_ms * np.outer(np.concatenate(drawn), slowness)
                found.append(float(np.percentile(mixed, percentile)))
        return float(np.median(found))


def _in_time(surface: Surface) -> list[tuple[RecordedSlice, int]]:
    """All slices in time, each with the number of its launch."""
    return sorted(
        (
            (taken, number)
            for number, recorded in enumerate(surface.launches)
            for taken in recorded.slices
        ),
        key=lambda pair: (pair[0].at_s, pair[0].cell),
    )


def _opening(launches: Sequence[RecordedLaunch]) -> Opening:
    """Of the first launch that could be opened."""
    return next(launch.opening for launch in launches if launch.opening is not None)


def _shape(taken: RecordedSlice, requests: int) -> Reals:
    """Latencies of a slice at `LEVELS`, over their mean; shape (levels,)."""
    busy_s = slot_time_s(taken.occupancy, requests, taken.duration_s)
    mean_ms = 1000 * busy_s / taken.completions
    return np.array(taken.latency_ticks) * (TICK_MS / mean_ms)
