"""What a session may spend: time and trials, how much is left, and why the search ends."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from autotune.domain.budget import Budget
from autotune.machines.fingerprint import asleep_s
from autotune.measuring.measure import PROMISING_FACTOR, Plan
from autotune.spec import StudySpec, parse_spec
from autotune.storage.sessions import SessionRow

_LEAST_MEASURED_S = 1.0
_OPEN_S = 1.0


class StopRequest:
    """A request to stop after the current trial; set from a signal handler."""

    def __init__(self) -> None:
        self.requested = False


class Allowance:
    """The budget of a study, as this session spends it; time counts from when it is made."""

    def __init__(self, spec: StudySpec, clock: Callable[[], float], stop: StopRequest) -> None:
        """Begin to count.

        Args:
            spec: the study.
            clock: monotonic seconds.
            stop: a request to stop ends the search, too.
        """
        self._spec = spec
        self._clock = clock
        self._stop = stop
        self._begun_s = clock()
        self._asleep_s = asleep_s()
        self.budget = Budget()
        """Nothing of it is spent by elapsed time; see `left_s`."""

    @property
    def is_stopped(self) -> bool:
        """Whether somebody asked to stop."""
        return self._stop.requested

    def since_s(self, at_s: float) -> float:
        """Seconds of this session at a time on its clock."""
        return at_s - self._begun_s

    def elapsed_s(self) -> float:
        """Seconds of this session."""
        return self.since_s(self._clock())

    def left_s(self) -> float | None:
        """Seconds left; None when only trials count."""
        return self.budget.left_s(self.elapsed_s())

    def notice_sleep(self) -> None:
        """Take what the machine slept from a budget that ends at a time of day."""
        now = asleep_s()
        self.budget = self.budget.after_sleep(now - self._asleep_s)
        self._asleep_s = now

    def why_end(self, finished: int, reserve_s: float) -> str | None:
        """Why no other trial may begin: stopped, trials, budget; None while one may.

        Args:
            finished: trials of the study with a result.
            reserve_s: what must be left for the race.
        """
        if self.is_stopped:
            return "stopped"
        if self.budget.trials is not None and finished >= self.budget.trials:
            return "trials"
        left, least = self.left_s(), self._spec.measure.warmup + _LEAST_MEASURED_S + reserve_s
        return "budget" if left is not None and left < least else None

    def plan(self, reserve_s: float) -> Plan:
        """The study's plan for a trial, shortened to what is left beside this reserve."""
        limit, left = self._spec.limit_s, self.left_s()
        longest = PROMISING_FACTOR * limit
        if left is not None:
            left = max(1.0, left - reserve_s)
            limit, longest = min(limit, left), min(longest, left)
        measuring = self._spec.measure
        return Plan(
            limit_s=limit, longest_s=longest, warmup_s=measuring.warmup, feed=measuring.feed
        )

    def too_short(self, ended: str, missing: int, of: int, done: int) -> str:
        """What to say of a budget that ended before the seeds were measured.

        Args:
            ended: why, as `why_end` has it.
            missing: seeds that were not tried.
            of: all seeds.
            done: trials of this session.
        """
        least = f"{of} trials"
        if ended == "budget":
            each_s = self._spec.measure.warmup + _LEAST_MEASURED_S + _OPEN_S
            if done:
                each_s = max(each_s, self.elapsed_s() / done)
            share = 1 - self._spec.race.most_share
            least = f"about {math.ceil((of + 1) * each_s / share)} s"
        return (
            f"the budget ended before {missing} of the {of} configurations were measured that "
            f"every study begins with; the least that works is {least}"
        )


def budget_after(
    spec: StudySpec, sessions: Sequence[SessionRow], stored_spec: str, now: datetime
) -> Budget:
    """What earlier sessions leave of a study's budget.

    Args:
        spec: the study, as it is now.
        sessions: all earlier ones.
        stored_spec: the study as TOML, when it began.
        now: with its zone.

    Raises:
        SpecError: the stored study cannot be read.
    """
    begun = now
    if sessions and parse_spec(stored_spec).budget.until == spec.budget.until:
        # A time of day is that of the first night, however often the study is continued.
        begun = datetime.fromisoformat(sessions[0].started_at).astimezone()
    return spec.budget.after(sum(session.elapsed_s for session in sessions), begun)
