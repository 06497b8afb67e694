"""A machine made of a recorded surface: the whole tuner runs against it on a virtual clock.

Speeds are those of the surface's cells. The noise is the recorded one: what the machine did over
time, in the order in which it happened; what launches differed by; and the latencies of the very
slices, relative to their mean, which Little's law gives for any speed.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.inspection import DeviceFacts, Inspection
from autotune.domain.measurement import TICK_MS, Block, Opening
from autotune.errors import DeviceError
from autotune.machines.fingerprint import Machine
from autotune.machines.ports import Load
from autotune.space.configuration import CompileKey, Configuration
from autotune.surfaces.fit import SurfaceFit, fit_surface
from autotune.surfaces.surface import LEVELS, RecordedLaunch, RecordedSlice, Surface

Reals = NDArray[np.float64]
_LEVELS = np.array(LEVELS)
_SHARES = (np.arange(400) + 0.5) / 400
_WEATHERS = 32
_WINDOW_S = 30.0
_LEAST_IN_WINDOW = 5
_BLOCK_S = 0.5
"""Within one, latencies have the spread of the slice that they are drawn from, and no other."""
_PAUSE_S = 0.3
"""Longest time between two slices of a round that counts as part of the recording."""
_SIDE_BY_SIDE = 0.6
"""Of the time that opening one after another takes: seven of the classifier took 2.2 instead of
3.8 s on two CPUs (docs/decisions/0008)."""


Layout = tuple[str, str]
"""Streams and threads, as the runtime reports them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Time of a request over what it takes undisturbed, as it was recorded."""

    at_s: Reals
    """Ends of the slices on the recording's clock, ascending; shape (slices,)."""
    slowness: Reals
    """Of each slice; shape (slices,)."""
    length_s: float
    """Of the whole recording; after its end comes its beginning."""

    def windows(self) -> list[Reals]:
        """The slices of every half minute that has a few."""
        numbers = np.floor(self.at_s / _WINDOW_S)
        parts = [self.slowness[numbers == number] for number in np.unique(numbers)]
        return [part for part in parts if part.size >= _LEAST_IN_WINDOW] or [self.slowness]

    def usual_speed(self) -> float:
        """Mean rate over the undisturbed one, in the median half minute."""
        return float(np.median([(1 / part).mean() for part in self.windows()]))

    def usual_slowness(self) -> Reals:
        """How slow a usual half minute is for its fastest request, …, its slowest; shape (shares,).

        The median over all half minutes of each quantile: a burst that only some of them know
        says nothing about the others. Of stretches as long as a block, as the latencies within one
        have their own spread; a slow stretch has fewer requests.
        """
        shares = (np.arange(_WEATHERS) + 0.5) / _WEATHERS
        count, each = max(1, round(self.length_s / _BLOCK_S)), round(_WINDOW_S / _BLOCK_S)
        stretches = np.array(
            [self.over(_BLOCK_S * n, _BLOCK_S * (n + 1)) for n in range(count)], dtype=np.float64
        )
        whole = [stretches[n : n + each] for n in range(0, count - each + 1, each)] or [stretches]
        found: Reals = np.median(
            [np.quantile(p, shares, method="inverted_cdf", weights=1 / p) for p in whole], axis=0
        )
        return found

    def over(self, begin_s: float, end_s: float) -> float:
        """Mean over a stretch of time, by rate; of the nearest slice where none ended in it."""
        begin, length = begin_s % self.length_s, min(end_s - begin_s, self.length_s)
        rest = begin + length - self.length_s  # beyond the end, from the beginning on
        first, last = np.searchsorted(self.at_s, [begin, begin + length])
        inside = self.slowness[first:last]
        if rest > 0:
            inside = np.concatenate([inside, self.slowness[: np.searchsorted(self.at_s, rest)]])
        if inside.size:
            return float(1 / (1 / inside).mean())
        around = (first - 1, first % self.at_s.size)
        nearest = min(around, key=lambda i: self._apart_s(begin, float(self.at_s[i])))
        return float(self.slowness[nearest])

    def _apart_s(self, one_s: float, other_s: float) -> float:
        apart = abs(one_s - other_s)
        return min(apart, self.length_s - apart)


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
        self._truths: dict[float, Reals] = {}

    @cached_property
    def _ordered(self) -> list[tuple[RecordedSlice, int]]:
        """All slices in time, each with the number of its launch."""
        return sorted(
            (
                (taken, number)
                for number, recorded in enumerate(self.surface.launches)
                for taken in recorded.slices
            ),
            key=lambda pair: (pair[0].at_s, pair[0].cell),
        )

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
                properties = self._opening(cell.compile_key).effective.properties
                return properties.get("INFERENCE_PRECISION_HINT")
        return None

    def layout(self, configuration: Configuration) -> Layout:
        """Streams and threads that a configuration really runs."""
        effective = self._opening(configuration.compile_key).effective.properties
        return effective.get("NUM_STREAMS", ""), effective.get("INFERENCE_NUM_THREADS", "")

    def effective_requests(self, cell: int) -> int:
        """Requests in flight of a cell."""
        configuration = self.surface.cells[cell]
        opening = self._opening(configuration.compile_key)
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
            (cell, launch): np.array([self._shape(taken) for taken in slices])
            for (cell, launch), slices in self.slices.items()
        }

    def _shape(self, taken: RecordedSlice) -> Reals:
        busy_s = taken.occupancy * self.effective_requests(taken.cell) * taken.duration_s
        mean_ms = 1000 * busy_s / taken.completions
        return np.array(taken.latency_ticks) * (TICK_MS / mean_ms)

    def _latency_ms(self, cell: int, percentile: float, slowness: Reals) -> float:
        rate = self.requests_per_s(cell) or 1.0
        found = []
        for recorded in self.launches[self.surface.cells[cell].compile_key]:
            taken = self.slices.get((cell, recorded.launch), [])
            if taken:
                mean_ms = 1000 * taken[0].occupancy * self.effective_requests(cell) / rate
                shapes = self.shapes[cell, recorded.launch]
                drawn = [np.interp(_SHARES, _LEVELS, shape) for shape in shapes]
                mixed = mean_ms * np.outer(np.concatenate(drawn), slowness)
                found.append(float(np.percentile(mixed, percentile)))
        return float(np.median(found))

    def _opening(self, key: CompileKey) -> Opening:
        return next(r.opening for r in self.launches[key] if r.opening is not None)


@dataclass(kw_only=True)
class RecordedRunner:
    """A `Runner` on a recorded machine, whose seconds are counted, not spent."""

    recorded: RecordedMachine
    seed: int = 0

    def __post_init__(self) -> None:
        self._now_s = 0.0
        self._openings = 0
        self._share = 1.0
        length_s = max(noise.length_s for noise in self.recorded.noises.values())
        self.start_s = float(np.random.default_rng(self.seed).uniform(0.0, length_s))
        """Second of the recording at which the virtual clock begins."""

    def clock(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def free_memory(self) -> None:
        """Nobody knows: it was not recorded."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds

    def machine(self, facts: Inspection) -> Machine:  # noqa: ARG002 - as the protocol has it
        """The machine of the recording."""
        return Machine(**self.recorded.surface.identity.machine)

    def inspect(self, devices: Sequence[str], *, try_batch: bool) -> Inspection:  # noqa: ARG002
        """What must be known to derive the recorded space again."""
        identity = self.recorded.surface.identity
        known = identity.space.choices["device"]
        for device in devices:
            if device not in known:
                raise DeviceError(f"{device!r} was not recorded; the surface has {list(known)}")
        return Inspection(
            openvino=str(identity.machine.get("openvino", "")),
            devices={name: DeviceFacts(name=name, capabilities=(), streams=None) for name in known},
            default_precision=identity.space.choices["precision"][0],
            precision_errors=dict.fromkeys(identity.space.choices["precision"], 0.0),
            why_no_batch=None,
            static_shapes={name: list(shape) for name, shape in identity.shapes.items()},
            inputs=None,
            outputs=None,
        )

    @contextmanager
    def side_by_side(self, keys: Sequence[CompileKey]) -> Iterator[None]:
        """In `_SIDE_BY_SIDE` of their times, which are those of each alone."""
        self._share = _SIDE_BY_SIDE if len(keys) > 1 else 1.0
        try:
            yield
        finally:
            self._share = 1.0

    def open(self, key: CompileKey) -> "RecordedModel":
        """One of the recorded launches of this key, as long as it took to open."""
        launches = self.recorded.launches.get(key)
        if not launches:
            asked = " ".join(f"{name}={value}" for name, value in key.properties)
            message = f"{key.device} {asked}, batch {key.batch_size}: was not recorded"
            raise TrialFault(Failure(FailureKind.INVALID_CONFIGURATION, message, "open"))
        self._openings += 1
        random = np.random.default_rng([self.seed, int(key.key, 16), self._openings])
        recorded = launches[int(random.integers(len(launches)))]
        if recorded.opening is None:
            self.advance(1.0)
            raise TrialFault(
                recorded.failure or Failure(FailureKind.LOST, "nothing was recorded", "open")
            )
        opening = recorded.opening
        self.advance(self._share * (opening.start_s + opening.read_s + opening.compile_s))
        return RecordedModel(self, recorded, opening, random)


class RecordedModel:
    """An `OpenModel` on the runner's clock."""

    def __init__(
        self,
        runner: RecordedRunner,
        recorded: RecordedLaunch,
        opening: Opening,
        random: np.random.Generator,
    ) -> None:
        self._runner = runner
        self._recorded = recorded
        self._random = random
        self._is_open = True
        self._launch = math.exp(float(random.normal(0.0, runner.recorded.launch_sd)))
        self.opening = opening
        self.peak_rss_bytes: int | None = None

    @property
    def is_open(self) -> bool:
        """Until it is closed."""
        return self._is_open

    def load(self, load: Load) -> Generator[Block]:
        """Blocks of the cell with this many requests; filling and draining take their time.

        Raises:
            TrialFault: the model is closed, or this load was not recorded.
        """
        if not self._is_open:
            raise TrialFault(Failure(FailureKind.LOST, "the model is no longer open", "load"))
        cell, slices = self._slices(load)
        round_s = load.num_requests / (self._runner.recorded.requests_per_s(cell) or 1.0)
        self._runner.advance(2 * round_s)  # filled, and one round that is not counted
        end_s = self._runner.clock() + load.limit_s
        try:
            while self._runner.clock() < end_s:
                block = self._block(load, cell, slices)
                self._runner.advance(block.duration_s)
                yield block
        finally:
            self._runner.advance(round_s)
            self.peak_rss_bytes = self._recorded.peak_rss_bytes

    def close(self) -> None:
        """No load after this."""
        self._is_open = False

    def _slices(self, load: Load) -> tuple[int, list[RecordedSlice]]:
        """The cell with this load, and its slices in this launch, or in any other."""
        recorded = self._runner.recorded
        for cell in recorded.surface.by_key[self._recorded.key]:
            configuration = recorded.surface.cells[cell]
            requests = self.opening.effective.requests(configuration)
            if requests == load.num_requests and configuration.api is load.api:
                slices = recorded.slices.get((cell, self._recorded.launch), [])
                if slices:
                    return cell, slices
        message = f"{load.num_requests} requests ({load.api}) were not recorded"
        raise TrialFault(Failure(FailureKind.INVALID_CONFIGURATION, message, "load"))

    def _block(self, load: Load, cell: int, slices: Sequence[RecordedSlice]) -> Block:
        runner = self._runner
        usual = runner.recorded.requests_per_s(cell) or 1.0
        now_s = runner.start_s + runner.clock()
        least_s = max(load.block_s, load.block_requests / usual)
        slowness = self._launch * runner.recorded.noise(cell).over(now_s, now_s + least_s)
        rate = usual / slowness
        count = max(load.block_requests, math.ceil(load.block_s * rate))
        drawn = int(self._random.integers(len(slices)))
        taken, shape = slices[drawn], runner.recorded.shapes[cell, self._recorded.launch][drawn]
        mean_ms = 1000 * taken.occupancy * load.num_requests / rate
        relative = np.interp(self._random.random(count), _LEVELS, shape)
        ticks = np.ceil(np.round(mean_ms * relative / TICK_MS, 6))
        duration_s = count / rate
        cpus = int(runner.recorded.surface.identity.machine.get("usable_cpus", 1))
        return Block(
            duration_s=duration_s,
            latency_ticks=np.sort(ticks).astype("<u4").tobytes(),
            occupancy=taken.occupancy,
            loop_cpu_s=0.0,
            process_cpu_s=duration_s * cpus,
            cpus=cpus,
        )
