"""When something is wrong with the machine: a pause, and an end rather than a lost night."""

from collections.abc import Callable, Sequence

from autotune.domain.history import is_machine_fault
from autotune.domain.trial import Trial
from autotune.errors import MachineFaultError
from autotune.space.configuration import Configuration

_MOST_IN_A_ROW = 5
_LEAST_FAULTY = 3


class Breaker:
    """Counts machine faults in a row: five lead to a pause, and five more after it to an end."""

    def __init__(
        self,
        recover: Callable[[], Sequence[str]],
        on_pause: Callable[[str], None],
        name: object,
    ) -> None:
        """Prepare.

        Args:
            recover: takes its time, and returns reasons to give up; none to go on.
            on_pause: hears why, before.
            name: what messages call the study's database.
        """
        self._recover = recover
        self._on_pause = on_pause
        self._name = name
        self._in_a_row: list[Configuration] = []
        self._has_paused = False

    def hear(self, trial: Trial) -> None:
        """Take in the next trial.

        Raises:
            MachineFaultError: it was one too many, and nothing could be done about it.
        """
        if not is_machine_fault(trial):
            self._in_a_row, self._has_paused = [], False
            return
        self._in_a_row.append(trial.configuration)
        # Of several configurations: one or two may have a way of their own to lose a worker.
        if len(self._in_a_row) >= _MOST_IN_A_ROW and len(set(self._in_a_row)) >= _LEAST_FAULTY:
            self._trip(trial.failure.message if trial.failure else "")

    def _trip(self, reason: str) -> None:
        said = f"{len(self._in_a_row)} trials in a row failed for no fault of their own: {reason}"
        troubles: Sequence[str] = ("so did as many before a pause",)
        if not self._has_paused:
            self._on_pause(said)
            troubles = self._recover()
        if troubles:
            raise MachineFaultError(
                f"{said}; {'; '.join(troubles)}; see autotune log, and the workers' output in logs "
                f"beside {self._name}"
            )
        self._in_a_row, self._has_paused = [], True
