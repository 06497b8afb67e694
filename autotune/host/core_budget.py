"""A core budget: the CPUs that what is measured may use; the rest is left to the application.

It is asked for as a count or as a list, and held by a list: that of the CPUs that were chosen.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from autotune.host.topology import format_cpus, parse_cpus

_FORMS = 'write a count such as 6, or a list such as "0-5", "1-1" or "0,2"'
_MOST = 2**16
"""CPUs that any machine may have: a wrong number is not to fill the memory."""


@dataclass(frozen=True, slots=True)
class CpuRequest:
    """CPUs as they are asked for: so many, or these."""

    count: int
    listed: tuple[int, ...] = ()
    """Ascending; empty where only the count is asked for."""

    def __str__(self) -> str:
        if len(self.listed) == 1:  # alone it would be a count
            return f"{self.listed[0]}-{self.listed[0]}"
        return format_cpus(self.listed) if self.listed else str(self.count)


@dataclass(frozen=True, slots=True)
class CoreBudget:
    """What was asked for, and the CPUs that it came to."""

    asked: CpuRequest
    cpus: tuple[int, ...]
    """Ascending, as the kernel numbers them."""
    of: int
    """CPUs of the machine."""

    @property
    def listed(self) -> str:
        """Its CPUs as the kernel writes them: ``0-3,8``."""
        return format_cpus(self.cpus)

    def __str__(self) -> str:
        return f"{len(self.cpus)} of {self.of} CPUs: {self.listed}"


def parse_request(value: object) -> CpuRequest:
    """``6`` or ``"6"``, a count; ``"0-5"``, ``"1-1"``, ``"0,2"`` or ``[0, 2]``, a list.

    Raises:
        ValueError: it is none of these; the message has the value and what to write.
    """
    if isinstance(value, CpuRequest):
        return value
    if isinstance(value, list | tuple):
        return _of_numbers(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r:.80} is neither a count nor a list of CPUs; {_FORMS}")  # noqa: TRY004 - pydantic collects ValueErrors only
    text = str(value).strip()
    if not text:
        raise ValueError(f"{value!r} is empty; {_FORMS}")
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        return _of_count(text)
    numbers: list[int] = []
    for piece in text.split(","):
        numbers += _run(piece.strip(), text)
        if len(numbers) > _MOST:
            raise ValueError(f"{text!r:.80} names more CPUs than any machine has")
    return _of_list(numbers, text)


def _of_count(text: str) -> CpuRequest:
    if len(text) > 9 or not 1 <= int(text) <= _MOST:
        raise ValueError(f"{text!r:.80} is no count of CPUs: at least 1; {_FORMS}")
    return CpuRequest(int(text))


def _of_numbers(value: list[Any] | tuple[Any, ...]) -> CpuRequest:
    """A list of TOML: of numbers."""
    odd = next((n for n in value if isinstance(n, bool) or not isinstance(n, int)), None)
    if odd is not None or any(not 0 <= n < _MOST for n in value):
        raise ValueError(f"{list(value)!r:.80} is no list of the numbers of CPUs; {_FORMS}")
    if not value:
        raise ValueError(f"[] is empty; {_FORMS}")
    return _of_list(list(value), str(list(value)))


def _of_list(numbers: list[int], text: str) -> CpuRequest:
    twice = [number for number, times in Counter(numbers).items() if times > 1]
    if twice:
        raise ValueError(f"{text!r:.80} names {cpus_in_words(twice)} twice; name each CPU once")
    return CpuRequest(len(numbers), tuple(sorted(numbers)))


def _run(part: str, text: str) -> list[int]:
    """One number, or a first and a last one."""
    if not part:
        raise ValueError(f"{text!r:.80} has nothing between two commas, or at an end; {_FORMS}")
    match = re.fullmatch(r"(\d{1,9})(?:\s*-\s*(\d{1,9}))?", part, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r:.80}: {part!r:.80} is no number, and no range; {_FORMS}")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ValueError(f"{text!r:.80}: {part} runs backwards; write {last}-{first}")
    if last >= _MOST:
        raise ValueError(f"{text!r:.80}: no machine has a CPU {last}")
    return list(range(first, last + 1))


def cpus_in_words(numbers: Collection[int]) -> str:
    """``CPU 1``, or ``CPUs 0-3,8``."""
    return f"CPU{'s' if len(numbers) > 1 else ''} {format_cpus(numbers)}"


# --- in the fingerprint of a machine


def budget_of(machine: Mapping[str, Any]) -> CoreBudget | None:
    """The core budget in a stored fingerprint; None where none was asked for, or none is said."""
    asked, cpus = machine.get("core_budget"), machine.get("core_budget_cpus")
    if not isinstance(asked, str) or not isinstance(cpus, str):
        return None
    try:
        held = tuple(parse_cpus(cpus))
        return CoreBudget(parse_request(asked), held, int(machine.get("logical_cpus") or len(held)))
    except (ValueError, TypeError):
        return None


def budget_in_words(machine: Mapping[str, Any]) -> str | None:
    """What numbers of a machine are numbers of, where that is not all of it; None where it is.

    What nobody asked for may hold as well: a container's quota, or an affinity.
    """
    budget, visible = budget_of(machine), machine.get("logical_cpus")
    if budget is not None:
        return str(budget)
    affinity, quota = machine.get("affinity_cpus"), machine.get("quota_cpus")
    if affinity and quota and quota < affinity:
        return f"{quota:g} of {visible or affinity} CPUs, by quota"
    if affinity and visible and affinity < visible:
        return f"{affinity} of {visible} CPUs, by affinity"
    return None
