"""Where something was measured: what must be the same for two numbers to be put together."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

BUDGET = ("usable_cpus", "core_budget")
"""What another core budget changes. Which CPUs a count came to is no difference: it is no more than
a count that was asked for."""
HARDWARE = ("cpu_model", "logical_cpus", *BUDGET, "quota_cpus")
RUNTIME = ("openvino", "devices", "environment")
"""Fields of a machine's fingerprint; memory and the kernel may change."""
LAYOUT = ("cores", "sockets", "nodes", "core_types")
"""Of the CPUs that may be used: fields that came later, and that some containers hide.

They are a difference between two that both say them. They are in no digest: a machine of which an
older version wrote a fingerprint would be another place for its own study."""


@dataclass(frozen=True, slots=True)
class Place:
    """A machine and a runtime; numbers of two places are never pooled."""

    hardware: Mapping[str, Any]
    runtime: Mapping[str, Any]

    @classmethod
    def of(cls, machine: Mapping[str, Any], versions: Mapping[str, str]) -> "Place":
        """The place of a fingerprint, and of the versions that go with it."""
        return cls(
            hardware=_known(machine, HARDWARE),
            runtime={**_known(machine, RUNTIME), **_known(versions, ("openvino",), "package")},
        )

    @property
    def digest(self) -> str:
        """The same for equal places, and for those only."""
        text = json.dumps([self.hardware, self.runtime], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def differences(
    then: Mapping[str, Any], now: Mapping[str, Any], ignored: Collection[str] = ()
) -> list[str]:
    """What differs between two fingerprints, in words; what is empty may also be missing.

    Versions that did not ask for quotas had them all the same: whether one differs is not known.
    The same holds for the layout, where one of the two does not say it.
    """
    known = [name for name in LAYOUT if None not in (then.get(name), now.get(name))]
    return [
        f"{name}: {then.get(name)!r} then, {now.get(name)!r} now"
        for name in (*HARDWARE, *known, *RUNTIME)
        if name not in ignored
        if name != "quota_cpus" or name in then
        if (then.get(name) or None) != (now.get(name) or None)
    ]


def _known(
    values: Mapping[str, Any], names: tuple[str, ...], prefix: str | None = None
) -> dict[str, Any]:
    """Those of the values that say something."""
    return {
        name if prefix is None else f"{name}_{prefix}": values[name]
        for name in names
        if values.get(name)
    }
