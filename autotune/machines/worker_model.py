"""An open model in a worker process: its loads, one at a time in all of this process."""

import contextlib
import threading
from collections.abc import Generator, Iterator

from autotune.domain.measurement import Block, Opening
from autotune.host.cpus import usable_cpus
from autotune.machines.conversation import expected
from autotune.machines.deadlines import Deadlines
from autotune.machines.ports import Load
from autotune.machines.process import WorkerProcess
from autotune.machines.protocol import BlockDone, Stopped

_TURN = threading.Lock()


class WorkerModel:
    """An `OpenModel` in a worker process."""

    def __init__(self, worker: WorkerProcess, opening: Opening, deadlines: Deadlines) -> None:
        self._worker = worker
        self._deadlines = deadlines
        self._peak_rss_bytes: int | None = None
        self._load_peak_rss_bytes: int | None = None
        self._is_open = True
        self.opening = opening

    @property
    def is_open(self) -> bool:
        """Until a load fails, or it is closed."""
        return self._is_open

    @property
    def peak_rss_bytes(self) -> int | None:
        """What the worker said at the end of its last load."""
        return self._peak_rss_bytes

    @property
    def load_peak_rss_bytes(self) -> int | None:
        """Likewise, since its requests were made."""
        return self._load_peak_rss_bytes

    def load(self, load: Load) -> Generator[Block]:
        """Blocks as the worker sends them; closing early stops the load, faults end the worker.

        Raises:
            RuntimeError: another worker is under load: two at once are two wrong numbers.
        """
        with _turn():
            yield from self._load(load)

    def _load(self, load: Load) -> Generator[Block]:
        # The worker ends a block after ten seconds, but never in the middle of a round.
        round_s = 3 * load.num_requests * self.opening.first_inference_ms / 1000
        patience = load.block_s + self._deadlines.block_s + round_s
        cpus = usable_cpus()
        self._worker.tell(
            "load",
            num_requests=load.num_requests,
            is_blocking=load.arrival.is_blocking,
            feed=load.feed.value,
            block_s=load.block_s,
            block_requests=load.block_requests,
            limit_s=load.limit_s,
        )
        stopped = False
        try:
            while isinstance(answer := self._hear(patience), BlockDone):
                patience = max(patience, 10 * answer.duration_s)
                yield answer.block(cpus)
                self._worker.tell("go")
            stopped = True
        except GeneratorExit:
            self._worker.tell("stop")
            while isinstance(answer := self._hear(patience), BlockDone):
                continue
            stopped = True
            raise
        finally:
            if not stopped:
                self._is_open = False
                self._worker.kill()

    def close(self) -> None:
        """End the worker."""
        self._is_open = False
        self._worker.close()

    def _hear(self, patience: float) -> BlockDone | Stopped:
        answer = self._worker.hear(patience, self._deadlines.block)
        if isinstance(answer, Stopped):
            self._peak_rss_bytes = answer.peak_rss_bytes
            self._load_peak_rss_bytes = answer.load_peak_rss_bytes
            return answer
        return expected(answer, "load", BlockDone)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """The one turn of this process: residents may be many, under load is one."""
    if not _TURN.acquire(blocking=False):
        message = "another worker is under load; close its load first"
        raise RuntimeError(message)
    try:
        yield
    finally:
        _TURN.release()
