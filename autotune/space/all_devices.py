"""What ``all`` stands for among the devices of a study."""

from collections.abc import Iterable, Sequence

ALL = "all"
_PREFERRED = ("GPU", "NPU", "CPU")
"""The order in which the runtime is to prefer devices: the CPU last, as its own choice has it."""


def expanded(names: Sequence[str], available: Iterable[str]) -> tuple[str, ...]:
    """The devices that names stand for; each once, in order.

    ``all`` is every device that the runtime has here, each alone, and where there are several also
    all of them together: one after the other (AUTO) and at once (MULTI).

    Args:
        names: as a study has them.
        available: what the runtime has here.
    """
    here = tuple(available)
    found: list[str] = []
    for name in names:
        found += _everything(here) if name.lower() == ALL else [name]
    return tuple(dict.fromkeys(found))


def _everything(here: Sequence[str]) -> list[str]:
    if len(here) == 1:
        return [here[0]]
    together = ",".join(sorted(here, key=_place))
    return [*here, f"AUTO:{together}", f"MULTI:{together}"]


def _place(name: str) -> int:
    kind = name.partition(".")[0]
    return _PREFERRED.index(kind) if kind in _PREFERRED else len(_PREFERRED)
