"""What the tuner, the race and the recorder need of a machine: to open a model, and to load it."""

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from autotune.domain.accuracy import Accuracy
from autotune.domain.arrival import Arrival
from autotune.domain.inspection import Inspection
from autotune.domain.measurement import Block, Cached, Feed, Opening
from autotune.machines.fingerprint import Machine
from autotune.space.configuration import CompileKey
from autotune.space.rows.variant import GIVEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How requests come, and how that is cut into blocks."""

    arrival: Arrival
    feed: Feed = Feed.BIND
    block_s: float = 0.5
    block_rounds: int = 5
    """Fewest rounds of all requests in a block."""
    limit_s: float
    """The worker stops by itself then; the caller normally stops earlier."""

    @property
    def num_requests(self) -> int:
        """Requests in flight."""
        return self.arrival.num_requests

    @property
    def block_requests(self) -> int:
        """Fewest completions of a block."""
        return self.block_rounds * self.num_requests


class OpenModel(Protocol):
    """A compiled model, resident and idle until it is put under load."""

    opening: Opening

    def load(self, load: Load) -> Generator[Block]:
        """Blocks of uninterrupted load; closing the iterator ends it.

        Raises:
            TrialFault: the worker failed; the model is then no longer open.
        """

    @property
    def peak_rss_bytes(self) -> int | None:
        """High-water mark of the worker's resident memory, once a load has ended."""

    @property
    def load_peak_rss_bytes(self) -> int | None:
        """The same since the requests of the last load were made; None where nobody knows."""

    @property
    def is_open(self) -> bool:
        """Whether another load can begin; not after a fault."""

    def close(self) -> None:
        """Let the worker go."""


class Runner(Protocol):
    """Real workers, or a simulation on a clock of its own."""

    def inspect(
        self, devices: Sequence[str], *, try_batch: bool, variant: str = GIVEN
    ) -> Inspection:
        """The model's inputs and the devices here; keeps the reference outputs.

        Of one of its variants, its own.

        Raises:
            ModelError: unreadable model, or one that needs other shapes.
            DeviceError: an unknown device.
        """

    def open(self, key: CompileKey) -> OpenModel:
        """Compile in a fresh process.

        Raises:
            TrialFault: refused, failed, crashed, or late.
        """

    def accuracy(self, key: CompileKey) -> Accuracy | None:
        """How near its answers are to those of the model as it was given; None without a guard.

        Raises:
            TrialFault: it cannot be run.
            ModelError: samples, labels or metric cannot be used.
        """

    def cached(self, key: CompileKey) -> Cached:
        """Compile in a fresh process what another one left in a model cache.

        Raises:
            TrialFault: refused, failed, crashed, or late.
        """

    def side_by_side(self, keys: Sequence[CompileKey]) -> contextlib.AbstractContextManager[None]:
        """Inside, all of these are begun at once, for `open` to wait for; the rest is let go."""

    def machine(self, facts: Inspection) -> Machine:
        """Where it measures: what must stay the same for numbers to be compared."""

    def clock(self) -> float:
        """Monotonic seconds."""

    def free_memory(self) -> int | None:
        """Bytes that one more resident model may take; None where nobody knows."""
