"""A machine made of formulas: the whole tuner runs against it on a virtual clock, nothing sleeps.

Without noise every number is exactly what `SimulatedRunner.predict` says.
"""

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from autotune.domain.accuracy import Accuracy
from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.inspection import DeviceFacts, Inspection, ModelPort
from autotune.domain.measurement import TICK_MS, Block, Cached, Opening
from autotune.errors import DeviceError, ModelError
from autotune.machines.fingerprint import Machine
from autotune.machines.guards import refuse_inaccurate
from autotune.machines.ports import Load
from autotune.space.all_devices import expanded
from autotune.space.configuration import CompileKey, Configuration
from autotune.space.dimensions import PROPERTIES
from autotune.space.rows.variant import GIVEN, VARIANT
from autotune.testing.cpu import Flow, SimulatedCpu
from autotune.testing.weather import Weather

_NO_ENERGY = "a simulated machine without idle_w has no energy counters"
_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}


@dataclass(kw_only=True)
class SimulatedRunner:
    """A `Runner` whose seconds are counted, not spent."""

    cpu: SimulatedCpu = field(default_factory=SimulatedCpu)
    noise: float = 0.0
    """Standard deviation of the logarithm of every block's speed and of every latency."""
    weather: Weather | None = None
    """What a real machine did, in place of `noise`: shared by whoever runs at a time."""
    launch_noise: float = 0.0
    """Standard deviation of the logarithm of every opened model's speed."""
    tail_noise: float = 0.0
    """Standard deviation of the logarithm of every opened model's latencies, at equal speed."""
    slower: Mapping[CompileKey, float] = field(default_factory=dict)
    """How many times longer requests of a key take: a planted difference."""
    seed: int = 0
    start_s: float = 0.6
    compile_s: float = 0.4
    cached_s: float | None = 0.1
    """What compiling from a model cache takes; None where there is none."""
    faults: Mapping[CompileKey, Iterable[Failure]] = field(default_factory=dict)
    """What goes wrong with a key: each opening takes the next failure until there is none left. It
    strikes after the first block where its phase is load, and instead of the opening otherwise."""
    fault_s: float = 0.0
    """What a failed opening costs, such as a deadline."""
    why_no_batch: str | None = None
    unproven_batch: str | None = None
    unproven_precisions: Mapping[str, str] = field(default_factory=dict)
    items_per_request: int = 1
    """What inspection finds."""
    fed_warnings: tuple[str, ...] = ()
    variants: Mapping[str, Accuracy] = field(default_factory=dict)
    """Other files of the model, and what the guard finds of each."""
    first_dimension: int = 1
    openvino: str = "simulated"
    opened: list[CompileKey] = field(default_factory=list)
    """Every key asked for, in order."""

    def __post_init__(self) -> None:
        self._now_s = 0.0
        self._openings = 0
        self._guarded: set[str] = set()
        self._keys: dict[CompileKey, CompileKey] = {}
        self._faults = {key: iter(failures) for key, failures in self.faults.items()}

    def clock(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def free_memory(self) -> None:
        """Nobody knows: a formula has no memory."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds

    def machine(self, facts: Inspection) -> Machine:
        """The same wherever the simulation runs."""
        return Machine(
            cpu_model="simulated CPU",
            logical_cpus=self.cpu.cpus,
            usable_cpus=self.cpu.cpus,
            memory_bytes=8 * 2**30,
            system="simulation",
            openvino=facts.openvino,
            devices={name: device.name for name, device in facts.devices.items()},
        )

    def inspect(
        self, devices: Sequence[str], *, try_batch: bool, variant: str = GIVEN
    ) -> Inspection:
        """A model with one image-like input, on a CPU; a variant is one that `variants` has."""
        if variant != GIVEN and variant not in self.variants:
            raise ModelError(f"{variant}: there is no such model file")
        for device in expanded(devices, ["CPU"]):
            if device != "CPU":
                raise DeviceError(f"{device!r} is not here: the runtime has CPU")
        self.advance(self.start_s + self.compile_s)
        return Inspection(
            openvino=self.openvino,
            devices={
                "CPU": DeviceFacts(
                    name="simulated CPU",
                    capabilities=tuple(_CAPABILITIES[name] for name in self.cpu.speed),
                    streams=(1, self.cpu.cpus),
                )
            },
            default_precision=self.cpu.default,
            precision_errors={name: 0.0 if name == "f32" else 0.01 for name in self.cpu.speed},
            why_no_batch=self.why_no_batch if try_batch else None,
            unproven_batch=self.unproven_batch if try_batch else None,
            untrusted=dict(self.unproven_precisions),
            unproven_precisions={"CPU": dict(self.unproven_precisions)},
            static_shapes={"x": [self.first_dimension, 3, 32, 32]},
            inputs=(ModelPort(name="x", shape="[1,3,32,32]", type="f32"),),
            outputs=(ModelPort(name="y", shape="[1,10]", type="f32"),),
            items_per_request=self.items_per_request,
            fed_warnings=self.fed_warnings,
            why_no_energy=None if self.cpu.idle_w is not None else _NO_ENERGY,
        )

    def open(self, key: CompileKey) -> "SimulatedModel":
        """Resident after `start_s + compile_s`, unless a fault stands against it."""
        self.opened.append(self._keys.setdefault(key, key))
        unknown = sorted({name for name, _ in key.properties} - set(PROPERTIES))
        if unknown:
            message = f"NotFound: Unsupported property {unknown[0]} by CPU plugin."
            raise TrialFault(Failure(FailureKind.INVALID_CONFIGURATION, message, "open"))
        failure = next(self._faults.get(key, iter(())), None)
        if failure is not None and failure.phase != "load":
            self.advance(self.fault_s)
            raise TrialFault(failure)
        accuracy = self.accuracy(key)
        refuse_inaccurate(accuracy)
        self.advance(self.start_s + self.compile_s)
        self._openings += 1
        return SimulatedModel(self, key, failure, self._openings, accuracy)

    def accuracy(self, key: CompileKey) -> Accuracy | None:
        """As `variants` has it, for the time of an opening; None of the model itself."""
        name = dict(key.model).get(VARIANT.name, GIVEN)
        found = self.variants.get(name)
        if found is not None and name not in self._guarded:  # once for all configurations
            self.advance(self.start_s + self.compile_s)
            self._guarded.add(name)
        return found

    def cached(self, key: CompileKey) -> Cached:
        """In `cached_s`; where that is None there is no cache."""
        if self.cached_s is None:
            return Cached(why_not="a simulated machine without cached_s has no model cache")
        self.advance(2 * self.start_s + self.compile_s + self.cached_s)
        effective = self.cpu.effective(key)
        flow = self.cpu.flow(effective, key.batch_size, 1)
        return Cached(compile_s=self.cached_s, first_inference_ms=flow.latency_ms)

    def side_by_side(self, keys: Sequence[CompileKey]) -> AbstractContextManager[None]:  # noqa: ARG002
        """No time is gained: each is opened when it is waited for."""
        return nullcontext()

    def predict(self, configuration: Configuration) -> Flow:
        """What a measurement of `configuration` shows without noise."""
        effective = self.cpu.effective(configuration.compile_key)
        requests = effective.requests(configuration)
        flow = self.cpu.flow(effective, configuration.batch_size, requests)
        return replace(flow, throughput_per_s=self.items_per_request * flow.throughput_per_s)


class SimulatedModel:
    """An `OpenModel` on the runner's clock."""

    def __init__(
        self,
        runner: SimulatedRunner,
        key: CompileKey,
        failure: Failure | None,
        opening: int = 0,
        accuracy: Accuracy | None = None,
    ) -> None:
        self._runner = runner
        self._key = key
        self._failure = failure
        self._is_open = True
        self._random = np.random.default_rng([runner.seed, int(key.key, 16), opening])
        launch = float(self._random.normal(0.0, runner.launch_noise))
        self._tail = math.exp(float(self._random.normal(0.0, runner.tail_noise)))
        self._slowness = runner.slower.get(key, 1.0) * math.exp(launch)
        self.peak_rss_bytes: int | None = None
        self.load_peak_rss_bytes: int | None = None
        cpu, effective = runner.cpu, runner.cpu.effective(key)
        self.opening = Opening(
            effective=effective,
            start_s=runner.start_s,
            read_s=0.0,
            compile_s=runner.compile_s,
            first_inference_ms=cpu.flow(effective, key.batch_size, 1).latency_ms,
            output_error=0.0,
            unproven=(runner.unproven_batch if key.batch_size > 1 else None)
            or runner.unproven_precisions.get(effective.arithmetic),
            peak_rss_bytes=cpu.rss_bytes(effective, key.batch_size, 1) + cpu.compile_rss_bytes,
        ).guarded(accuracy)

    @property
    def is_open(self) -> bool:
        """Until it is closed, or has failed."""
        return self._is_open

    def load(self, load: Load) -> Generator[Block]:
        """Blocks, each as long on the virtual clock as its requests take."""
        if not self._is_open:
            raise TrialFault(Failure(FailureKind.LOST, "the model is no longer open", "load"))
        end_s = self._runner.clock() + load.limit_s
        while self._runner.clock() < end_s:
            block = self._block(load)
            self._runner.advance(block.duration_s)
            self.load_peak_rss_bytes = block.rss_bytes
            marks = (self.peak_rss_bytes, self.opening.peak_rss_bytes, block.rss_bytes)
            self.peak_rss_bytes = max(mark or 0 for mark in marks)
            try:
                yield block
            finally:  # also where nobody waits for another
                if self._failure is not None:
                    self.close()
                    raise TrialFault(self._failure)

    def close(self) -> None:
        """No load after this."""
        self._is_open = False

    def _block(self, load: Load) -> Block:
        cpu, effective, noise = self._runner.cpu, self.opening.effective, self._runner.noise
        flow = cpu.flow(effective, self._key.batch_size, load.num_requests)
        weather, now_s = self._runner.weather, self._runner.clock()
        if weather is None:
            slowness = self._slowness * float(self._random.lognormal(-(noise**2) / 2, noise))
        else:
            slowness = self._slowness * weather.slowness(now_s, now_s + load.block_s)
        rate = flow.requests_per_s / slowness
        count = max(load.block_requests, math.ceil(load.block_s * rate))
        spread = (
            self._random.lognormal(-(noise**2) / 2, noise, count)
            if weather is None
            else self._random.choice(weather.spread, count)
        )
        # Up to whole ticks as in the real loop, but not for the last bit of a product.
        ticks = np.ceil(np.round(flow.latency_ms * self._tail * slowness * spread / TICK_MS, 6))
        duration_s, batch_size = count / rate, self._key.batch_size
        cpu_s = count * batch_size * flow.cpu_s_per_item * slowness
        return Block(
            duration_s=duration_s,
            latency_ticks=np.sort(ticks).astype("<u4").tobytes(),
            occupancy=1.0,
            loop_cpu_s=0.0,
            process_cpu_s=cpu_s,
            cpus=cpu.cpus,
            rss_bytes=cpu.rss_bytes(effective, batch_size, load.num_requests),
            energy_j=cpu.energy_j(duration_s, cpu_s),
        )
