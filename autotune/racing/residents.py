"""Models that are open at the same time and take turns: the race's, a recording's, the reference.

One has the machine at a time; the others are idle meanwhile, and take memory only.
"""

import contextlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

from autotune.domain.failure import TrialFault
from autotune.domain.measurement import Block
from autotune.machines.ports import Load, OpenModel
from autotune.measuring.measure import take_slice, warm_up

Key = TypeVar("Key", bound=Hashable)


class Residents(Generic[Key]):
    """Who is open, in the order of opening; a fault lets go of the one that it strikes.

    Used with `with`, or closed by hand: nobody stays open behind it.
    """

    def __init__(
        self,
        open_model: Callable[[Key], OpenModel],
        *,
        free_memory: Callable[[], int | None],
        side_by_side: Callable[[Sequence[Key]], contextlib.AbstractContextManager[None]] = (
            lambda _: contextlib.nullcontext()
        ),
    ) -> None:
        """Nobody is open yet.

        Args:
            open_model: a fresh process; raises `TrialFault`.
            free_memory: bytes that may be taken; None where nobody knows.
            side_by_side: inside, the models of these are begun at once.
        """
        self._open_model = open_model
        self._free_memory = free_memory
        self.side_by_side = side_by_side
        self._models: dict[Key, OpenModel] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._models))

    def __len__(self) -> int:
        return len(self._models)

    def __getitem__(self, key: Key) -> OpenModel:
        return self._models[key]

    def has_room(self, need_bytes: float) -> bool:
        """Whether so much memory is free, or nobody knows."""
        free = self._free_memory()
        return free is None or need_bytes <= free

    def enter(self, key: Key) -> OpenModel:
        """Open one more.

        Raises:
            TrialFault: it cannot be opened.
        """
        self._models[key] = self._open_model(key)
        return self._models[key]

    def warm_up(self, key: Key, load: Load, least_s: float) -> None:
        """Until it is steady, and at least so long.

        Raises:
            TrialFault: it failed, and is gone.
        """
        with self._at_stake(key) as model:
            warm_up(model, load, least_s)

    def turn(self, key: Key, load: Load) -> Block:
        """One slice.

        Raises:
            TrialFault: it failed, and is gone.
        """
        with self._at_stake(key) as model:
            return take_slice(model, load)

    def leave(self, key: Key) -> None:
        """Let one go."""
        self._models.pop(key).close()

    def close(self) -> None:
        """Let everyone go, the last one first; one that cannot be closed keeps no other open."""
        with contextlib.ExitStack() as stack:
            for model in self._models.values():
                stack.callback(model.close)
            self._models.clear()

    @contextlib.contextmanager
    def _at_stake(self, key: Key) -> Iterator[OpenModel]:
        try:
            yield self._models[key]
        except TrialFault:
            self.leave(key)
            raise
