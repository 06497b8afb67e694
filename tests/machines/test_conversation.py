"""An answer is what was asked for, or a fault with its kind and phase."""

import pytest

from autotune.domain.failure import FailureKind, TrialFault
from autotune.machines.conversation import expected, failure_of
from autotune.machines.protocol import Failed, Ready, Stopped

READY = Ready(say="ready")


def test_the_answer_that_was_asked_for_is_handed_on() -> None:
    """As it is."""
    assert expected(READY, "start", Ready) is READY


def test_another_answer_is_a_fault_of_the_protocol() -> None:
    """Which names it, and the phase."""
    with pytest.raises(TrialFault) as caught:
        expected(READY, "load", Stopped)
    failure = caught.value.failure
    assert (failure.kind, failure.phase) == (FailureKind.PROTOCOL, "load")
    assert failure.message == "unexpected answer 'ready'"


@pytest.mark.parametrize(
    ("said", "kind"),
    [*((kind.value, kind) for kind in FailureKind), ("shape", FailureKind.COMPILE_ERROR)],
)
def test_a_refusal_keeps_its_kind(said: str, kind: FailureKind) -> None:
    """One that is no kind of failure is the compilation's."""
    failure = failure_of(Failed(say="failed", kind=said, message="oh"), "open")
    assert (failure.kind, failure.message, failure.phase) == (kind, "oh", "open")
