"""A machine made of a recorded surface: the whole tuner runs against it on a virtual clock."""

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from autotune.domain.arrival import mean_latency_ms
from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.inspection import DeviceFacts, Inspection
from autotune.domain.measurement import TICK_MS, Block, Cached, Opening
from autotune.errors import DeviceError
from autotune.machines.fingerprint import Machine
from autotune.machines.ports import Load
from autotune.measuring.measure import arrival_of
from autotune.space.configuration import CompileKey
from autotune.space.dimensions import ARITHMETIC
from autotune.space.rows.variant import GIVEN
from autotune.surfaces.surface import LEVELS, RecordedLaunch, RecordedSlice
from autotune.surfaces.truth import RecordedMachine

_LEVELS = np.array(LEVELS)
_SIDE_BY_SIDE = 0.6
"""Of the time that opening one after another takes: seven of the classifier took 2.2 instead of
3.8 s on two CPUs (docs/decisions/0008)."""


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

    def inspect(
        self,
        devices: Sequence[str],
        *,
        try_batch: bool,  # noqa: ARG002 - as the protocol has it
        variant: str = GIVEN,  # noqa: ARG002 - likewise
    ) -> Inspection:
        """What must be known to derive the recorded space again."""
        identity = self.recorded.surface.identity
        known = identity.space.choices["device"]
        for device in devices:
            if device not in known:
                raise DeviceError(f"{device!r} was not recorded; the surface has {list(known)}")
        return Inspection(
            openvino=str(identity.machine.get("openvino", "")),
            devices={name: DeviceFacts(name=name, capabilities=(), streams=None) for name in known},
            default_precision=identity.space.choices[ARITHMETIC.name][0],
            precision_errors=dict.fromkeys(identity.space.choices[ARITHMETIC.name], 0.0),
            why_no_batch=None,
            static_shapes={name: list(shape) for name, shape in identity.shapes.items()},
            inputs=None,
            outputs=None,
            why_no_energy=None if self._has_energy() else "this recording has no energy",
        )

    def _has_energy(self) -> bool:
        slices = (taken for one in self.recorded.surface.launches for taken in one.slices)
        return all(taken.energy_j is not None for taken in slices)

    def accuracy(self, key: CompileKey) -> None:
        """Not recorded."""

    def cached(self, key: CompileKey) -> Cached:  # noqa: ARG002 - as the protocol has it
        """Not recorded."""
        return Cached(why_not="a recording has no model cache")

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
        self.load_peak_rss_bytes: int | None = None

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
            peaks = [s.peak_rss_bytes for s in slices if s.peak_rss_bytes is not None]
            self.load_peak_rss_bytes = max(peaks, default=None)

    def close(self) -> None:
        """No load after this."""
        self._is_open = False

    def _slices(self, load: Load) -> tuple[int, list[RecordedSlice]]:
        """The cell with this load, and its slices in this launch, or in any other."""
        recorded = self._runner.recorded
        for cell in recorded.surface.by_key[self._recorded.key]:
            configuration = recorded.surface.cells[cell]
            if arrival_of(self, configuration) == load.arrival:
                slices = recorded.slices.get((cell, self._recorded.launch), [])
                if slices:
                    return cell, slices
        how = "sync" if load.arrival.is_blocking else "async"
        message = f"{load.num_requests} requests ({how}) were not recorded"
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
        mean_ms = mean_latency_ms(load.num_requests, rate, taken.occupancy)
        relative = np.interp(self._random.random(count), _LEVELS, shape)
        ticks = np.ceil(np.round(mean_ms * relative / TICK_MS, 6))
        duration_s, requests = count / rate, count / taken.completions
        cpus = int(runner.recorded.surface.identity.machine.get("usable_cpus", 1))
        return Block(
            duration_s=duration_s,
            latency_ticks=np.sort(ticks).astype("<u4").tobytes(),
            occupancy=taken.occupancy,
            loop_cpu_s=0.0,
            process_cpu_s=None if taken.cpu_s is None else requests * taken.cpu_s,
            cpus=cpus,
            rss_bytes=taken.rss_bytes,
            energy_j=None if taken.energy_j is None else requests * taken.energy_j,
        )
