"""Why a configuration has no number: failures are values, told apart by whose fault they are."""

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What went wrong in one trial."""

    INVALID_CONFIGURATION = "invalid_configuration"  # the runtime refuses a property or value
    COMPILE_ERROR = "compile_error"
    COMPILE_TIMEOUT = "compile_timeout"
    RUNTIME_ERROR = "runtime_error"  # an exception during inference
    WRONG_OUTPUT = "wrong_output"  # outputs differ from the reference
    INACCURATE = "inaccurate"  # the guard: too far from the model as it was given
    HANG = "hang"  # no progress within the deadline
    OUT_OF_MEMORY = "out_of_memory"
    CRASH = "crash"  # killed by a signal of its own making
    LOST = "lost"  # the worker left without a result
    PROTOCOL = "protocol"  # the worker sent something that is no message
    INTERRUPTED = "interrupted"  # the user or the machine stopped the measurement

    @property
    def is_machine_fault(self) -> bool:
        """A fault of the moment: no word against the configuration, which is tried again."""
        return self in {FailureKind.LOST, FailureKind.PROTOCOL, FailureKind.INTERRUPTED}

    @property
    def tries(self) -> int:
        """How often a configuration is tried that ends like this: more where it may be chance."""
        if self.is_machine_fault:
            return 3
        return 2 if self in {FailureKind.RUNTIME_ERROR, FailureKind.HANG, FailureKind.CRASH} else 1


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that ended without a measurement."""

    kind: FailureKind
    message: str
    """One line, for people."""
    phase: str
    """The worker's phase: start, open, load or close."""
    stderr_tail: str = ""
    exit_code: int | None = None

    @property
    def is_machine_fault(self) -> bool:
        """As its kind; and a worker that did not even start knew nothing of the configuration."""
        return self.kind.is_machine_fault or self.phase == "start"

    @property
    def tries(self) -> int:
        """How often a configuration that ends like this is tried in all."""
        return FailureKind.LOST.tries if self.is_machine_fault else self.kind.tries


class TrialFault(Exception):  # noqa: N818 - not an error of the program: the tuner turns it into a Failure
    """Raised by a runner when the current configuration cannot be opened or measured."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
