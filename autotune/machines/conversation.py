"""How one talks with a worker: a question, an answer within its deadline, a fault otherwise."""

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.machines.deadlines import Deadline, Deadlines
from autotune.machines.process import WorkerProcess
from autotune.machines.protocol import Failed, GoesOn, Message, Ready

A = TypeVar("A")


def ask(worker: WorkerProcess, deadline: Deadline, do: str, **fields: Any) -> Message:
    """Tell it to do something, and hear what that comes to.

    Raises:
        TrialFault: it is late, or gone, or makes no sense.
    """
    worker.tell(do, **fields)
    return outcome(worker, deadline)


def outcome(worker: WorkerProcess, deadline: Deadline) -> Message:
    """What a command comes to; each step on the way has the whole time.

    Raises:
        TrialFault: it is late, or gone, or makes no sense.
    """
    while isinstance(answer := worker.hear(deadline.value_s, deadline), GoesOn):
        continue
    return answer


def await_ready(worker: WorkerProcess, deadlines: Deadlines) -> None:
    """Wait until it has started.

    Raises:
        TrialFault: it has not.
    """
    expected(outcome(worker, deadlines.start), "start", Ready)


def expected(answer: Message, phase: str, wanted: type[A]) -> A:
    """The answer if it is of the wanted kind.

    Raises:
        TrialFault: it is of another.
    """
    if isinstance(answer, wanted):
        return answer
    raise TrialFault(failure_of(answer, phase))


def failure_of(answer: Message, phase: str) -> Failure:
    """What an answer says that is not the wanted one."""
    if isinstance(answer, Failed):
        known = answer.kind in FailureKind.__members__.values()
        kind = FailureKind(answer.kind) if known else FailureKind.COMPILE_ERROR
        return Failure(kind, answer.message, phase)
    return Failure(FailureKind.PROTOCOL, f"unexpected answer {answer.say!r}", phase)


@contextlib.contextmanager
def killed_on_error(worker: WorkerProcess) -> Iterator[WorkerProcess]:
    """The worker, which lives on after this unless something goes wrong."""
    try:
        yield worker
    except BaseException:
        worker.kill()
        raise
