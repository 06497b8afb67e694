"""One finding: what was seen, what follows from it, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from autotune.doctor.readings import Missing


class Grade(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    """Numbers will be noisier, or need more time."""
    FAIL = "fail"
    """Numbers will be wrong, or there will be none."""
    INFO = "info"
    """Nothing to judge: a fact, or a reading that this machine does not give."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; consequence and remedy only where something is to be done."""

    name: str
    state: Grade
    evidence: str
    consequence: str = ""
    remedy: str = ""


def grade(value: float, warn_above: float, fail_above: float) -> Grade:
    """The state of a value of which less is better; a bound itself is still good."""
    if value > fail_above:
        return Grade.FAIL
    return Grade.WARN if value > warn_above else Grade.PASS


def finding(name: str, state: Grade, evidence: str, consequence: str, remedy: str) -> Check:
    """A check that says what follows only when something does."""
    if state in {Grade.WARN, Grade.FAIL}:
        return Check(name, state, evidence, consequence, remedy)
    return Check(name, state, evidence)


def unread(name: str, missing: Missing) -> Check:
    """A check without a reading: the reason, and no judgement."""
    return Check(name, Grade.INFO, missing.reason)


def fine_percent(share: float) -> str:
    """A share for people, to a digit that still matters."""
    return f"{share * 100:.1f} %" if share >= 0.1 else f"{share * 100:.2f} %"


def size(size_bytes: int) -> str:
    """Bytes for people."""
    mib = size_bytes / 2**20
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"
