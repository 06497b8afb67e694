"""Time and trials that a study may spend."""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget, and what earlier sessions spent of it. Seconds are on the session's own clock."""

    duration_s: float | None = None
    """For the whole study; None without such a limit."""
    spent_before_s: float = 0.0
    until_s: float | None = None
    """From the start of this session to the time of day at which it must end, machine awake."""
    trials: int | None = None
    """Trials with a result, over all sessions."""
    stable: bool = False
    """Whether the search also ends when an improvement has become unlikely."""

    @property
    def length_s(self) -> float | None:
        """The whole of it in seconds; None when only trials count."""
        lengths = [] if self.duration_s is None else [self.duration_s]
        lengths += [] if self.until_s is None else [max(0.0, self.until_s)]
        return min(lengths, default=None)

    def left_s(self, elapsed_s: float) -> float | None:
        """Seconds left after so many of this session; None when only trials count."""
        left = [] if self.duration_s is None else [self.duration_s - self.spent_before_s]
        left += [] if self.until_s is None else [self.until_s]
        return min(left) - elapsed_s if left else None

    def after_sleep(self, asleep_s: float) -> Self:
        """The same, when the machine was suspended for so long: the clock on the wall went on."""
        return self if self.until_s is None else replace(self, until_s=self.until_s - asleep_s)


def seconds_until(local_time: str, now: datetime) -> float:
    """Seconds from `now` (with its zone) to the next time the local clock shows `local_time`."""
    target = time.fromisoformat(local_time)
    then = datetime.combine(now.date(), target).astimezone()
    if then <= now:
        then = datetime.combine(now.date() + timedelta(days=1), target).astimezone()
    return (then - now).total_seconds()
