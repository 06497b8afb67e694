"""What signals do to work that takes its time: ask it to end soon, or end it now."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol, Self

from autotune.machines.locks import Patience

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Asked(Protocol):
    """What the work looks at."""

    requested: bool


class _NobodyAsked:
    requested = False


class Signals:
    """Whether to stop. Ctrl-C asks for it after the piece at hand, and a second one stops at once.

    A terminal that goes away asks as well, SIGTERM stops at once, and all of them do while nothing
    has begun. A signal that was ignored when the process started stays so: that is what nohup and
    the shells' background jobs ask for.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        piece: str = "this round",
        *,
        patience: Patience | None = None,
        asked: Asked | None = None,
    ) -> None:
        """Prepare.

        Args:
            tell: says that it was heard; called from a signal handler.
            piece: what is finished before the work stops.
            patience: waits before the work, if it has to.
            asked: gets the request.
        """
        self._tell = tell
        self._piece = piece
        self._patience = patience
        self._asked = asked or _NobodyAsked()
        self._is_over = False
        if patience is not None:
            patience.is_stopped = self
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._asked.requested

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def install(self) -> None:
        """Listen to signals from now on."""
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before not in {signal.SIG_IGN, None}:
                self._before[number] = before
                signal.signal(number, self._heard)

    def settle(self) -> None:
        """Listen no more: what is left takes a moment, and nothing may cut it off."""
        self._is_over = True

    def release(self) -> None:
        """Signals do again what they did before: what is left may take as long as it likes."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _heard(self, number: int, _: FrameType | None) -> None:
        if self._is_over:
            return
        is_waiting = self._patience is not None and self._patience.is_waiting
        is_second = self._asked.requested and number == signal.SIGINT
        if is_waiting or is_second or number == signal.SIGTERM:
            # Whatever makes a result of the interrupt, such as a race, what follows is not begun.
            self._asked.requested = True
            raise KeyboardInterrupt
        # A terminal that goes away may say so twice, once by the kernel and once by the shell.
        if not self._asked.requested:
            self._asked.requested = True
            self._tell(f"stopping after {self._piece}; press Ctrl-C again to stop now")
