"""What every command prints with."""

import json
import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console

from autotune.domain.units import parse_duration
from autotune.errors import UsageError
from autotune.report.format import per_second, seconds

if TYPE_CHECKING:  # viewers print too, and are quick
    from autotune.execution.race import Race


def print_json(value: object) -> None:
    """JSON without NaN."""
    print(json.dumps(value, indent=2, allow_nan=False))


def say(console: Console, text: str) -> None:
    """A line for people, not wrapped and not marked up."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


class Stop:
    """Ctrl-C once ends the work after the piece at hand; twice at once. Asked by the work."""

    def __init__(self, console: Console, piece: str = "this round") -> None:
        self._console = console
        self._piece = piece
        self._requested = False
        self._old: Any = None

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._requested

    def __enter__(self) -> Self:
        def interrupted(_: int, __: FrameType | None) -> None:
            if self._requested:
                raise KeyboardInterrupt
            self._requested = True
            say(self._console, f"stopping after {self._piece}; press Ctrl-C again to stop now")

        self._old = signal.signal(signal.SIGINT, interrupted)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._old)


def teller(console: Console, name: str) -> "Callable[[Race], None]":
    """One plain line for each launch: this takes minutes."""

    def tell(race: "Race") -> None:
        first = race.result().standings[0]
        seen = per_second(first.throughput.mean if first.throughput else None)
        left = seconds(max(0.0, race.left_s))
        say(console, f"{name}: launch {race.launches}, {seen}; at most {left} left")

    return tell


def seconds_of(option: str, text: str) -> float:
    """A duration from an option, in seconds.

    Raises:
        UsageError: it is none; the message names the option.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
