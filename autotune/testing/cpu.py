"""A CPU and a model on it, as formulas: what OpenVINO would make of a request, and how fast.

The device is a closed queueing system. Its streams are the servers, the requests in flight are
customers who come back at once, and requests beyond the streams wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from autotune.domain.arrival import mean_latency_ms
from autotune.space.configuration import CompileKey, Effective
from autotune.space.dimensions import ARITHMETIC_PROPERTY, PROPERTIES, PerformanceHint


@dataclass(frozen=True, slots=True)
class Flow:
    """What a load settles to."""

    requests_per_s: float
    throughput_per_s: float
    """Items, not requests."""
    latency_ms: float
    cpu_s_per_item: float = 0.0
    """CPU-seconds of all threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCpu:
    """A CPU and a model on it.

    With `threads` of its own and `busy` streams at work, one stream takes for one request::

        (overhead_ms + batch * item_ms / speed * (serial + (1 - serial) / threads))
            * (1 + contention * (busy - 1))

    Threads that wait for the one that does what is serial spin for a share of that time. So many
    threads for each stream are fast and cost CPU time, as many busy streams do, and a batch saves
    it: what is fastest is not what costs least. The CPU time of one request::

        (waited + batch * item_ms / speed * (1 - serial)) * (1 + contention * (busy - 1))
        waited = (overhead_ms + batch * item_ms / speed * serial) * (1 + spin * (threads - 1))

    Resident memory is that of the process, and what every stream and every item in flight adds::

        base_rss_bytes + streams * stream_rss_bytes + requests * batch * item_rss_bytes

    and until the first answer that of one request, and what compiling takes (`compile_rss_bytes`).
    """

    cpus: int = 4
    item_ms: float = 4.0
    """Work of one item on one thread in f32."""
    overhead_ms: float = 0.5
    """Cost of a request, whatever its batch."""
    serial: float = 0.2
    """Share of the work that more threads do not speed up."""
    contention: float = 0.05
    """What each further busy stream costs all of them: caches and memory are shared."""
    spin: float = 0.5
    """Share of the time in which threads spin that wait for another one of their stream."""
    base_rss_bytes: int = 100 * 2**20
    stream_rss_bytes: int = 4 * 2**20
    item_rss_bytes: int = 2**20
    compile_rss_bytes: int = 16 * 2**20
    idle_w: float | None = None
    """Power of the packages when nothing runs; None for a machine without energy counters."""
    busy_w: float = 5.0
    """What a CPU that is busy adds to it."""
    speed: Mapping[str, float] = field(default_factory=lambda: {"f32": 1.0})
    """Speed of every precision that the hardware has, against f32; the first is the default."""

    def effective(self, key: CompileKey) -> Effective:
        """What becomes of the requested properties; clamped without a word, as OpenVINO does."""
        asked = dict(key.properties)
        latency = asked.get("PERFORMANCE_HINT") == PerformanceHint.LATENCY
        threads = min(self.cpus, int(asked.get("INFERENCE_NUM_THREADS", self.cpus)))
        streams = min(threads, int(asked.get("NUM_STREAMS", 1 if latency else threads)))
        arithmetic = asked.get(ARITHMETIC_PROPERTY, self.default)
        said = {name: asked.get(name, one.usual) for name, one in PROPERTIES.items()}
        properties = {
            **{name: text for name, text in said.items() if text is not None},
            "PERFORMANCE_HINT": asked.get("PERFORMANCE_HINT", PerformanceHint.LATENCY),
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": str(threads // streams * streams),
            ARITHMETIC_PROPERTY: arithmetic if arithmetic in self.speed else self.default,
            "EXECUTION_DEVICES": key.device,
            "OPTIMAL_NUMBER_OF_INFER_REQUESTS": str(streams),
        }
        return Effective(properties, streams)

    @property
    def default(self) -> str:
        """The precision used where none is asked for."""
        return next(iter(self.speed))

    def flow(self, effective: Effective, batch_size: int, num_requests: int) -> Flow:
        """Steady throughput and latency of `num_requests` in a closed loop."""
        streams = int(effective.properties["NUM_STREAMS"])
        threads = int(effective.properties["INFERENCE_NUM_THREADS"]) // streams
        speed = self.speed[effective.arithmetic]
        busy = min(num_requests, streams)
        crowd = 1 + self.contention * (busy - 1)
        work_ms = batch_size * self.item_ms / speed * (self.serial + (1 - self.serial) / threads)
        service_ms = (self.overhead_ms + work_ms) * crowd
        requests_per_s = 1000 * busy / service_ms
        latency_ms = mean_latency_ms(num_requests, requests_per_s)
        alone_ms = self.overhead_ms + batch_size * self.item_ms / speed * self.serial
        shared_ms = batch_size * self.item_ms / speed * (1 - self.serial)
        cpu_ms = (alone_ms * (1 + self.spin * (threads - 1)) + shared_ms) * crowd
        throughput_per_s = batch_size * requests_per_s
        return Flow(requests_per_s, throughput_per_s, latency_ms, cpu_ms / 1000 / batch_size)

    def rss_bytes(self, effective: Effective, batch_size: int, num_requests: int) -> int:
        """Resident memory under load."""
        streams = int(effective.properties["NUM_STREAMS"])
        items = num_requests * batch_size
        added = streams * self.stream_rss_bytes + items * self.item_rss_bytes
        return self.base_rss_bytes + added

    def energy_j(self, duration_s: float, cpu_s: float) -> float | None:
        """What the packages use in a time, of which so much is CPU time."""
        return None if self.idle_w is None else self.idle_w * duration_s + self.busy_w * cpu_s
