"""Properties on their way to a device, or to the devices that it stands for.

AUTO, MULTI and HETERO refuse most properties for themselves and take those of their devices in
``DEVICE_PROPERTIES``, as ``{CPU:{NUM_STREAMS:2},GPU:{NUM_STREAMS:1}}``; BATCH refuses that, and
hands on what it is given (OpenVINO 2026.4.1).
"""

import re
from collections.abc import Callable, Collection, Mapping

from autotune.space.devices import Through, kind_of, members_of

NESTED = "DEVICE_PROPERTIES"
_OF_A_DEVICE = re.compile(r"([^{},:]+):\{([^{}]*)\}")


def nested(each: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The properties of several devices as one property; none where there are none."""
    parts = [
        f"{device}:{{{','.join(f'{name}:{text}' for name, text in sorted(mine.items()))}}}"
        for device, mine in each.items()
        if mine
    ]
    return {NESTED: f"{{{','.join(parts)}}}"} if parts else {}


def unnested(text: str) -> dict[str, dict[str, str]]:
    """What `nested` wrote, by device; nothing of what is none."""
    found: dict[str, dict[str, str]] = {}
    for device, listed in _OF_A_DEVICE.findall(text):
        pairs = (part.partition(":") for part in listed.split(",") if part)
        found[device.strip()] = {name.strip(): value for name, _, value in pairs}
    return found


def directed(
    device: str, properties: Mapping[str, str], has: Callable[[str, str], bool] = lambda *_: True
) -> dict[str, str]:
    """Properties as a device takes them that may stand for others.

    Args:
        device: where they are set.
        properties: of the devices that it stands for, or of itself.
        has: whether a device has a property; those that have not are not told.
    """
    if kind_of(device).through is not Through.NESTED:
        return dict(properties)
    return nested(
        {
            member: {name: text for name, text in properties.items() if has(member, name)}
            for member in members_of(device)
        }
    )


def kept(properties: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Those of these names, also where they are nested."""
    each = unnested(properties.get(NESTED, ""))
    mine = {name: text for name, text in properties.items() if name in names and name != NESTED}
    told = {
        device: {name: text for name, text in found.items() if name in names}
        for device, found in each.items()
    }
    return {**mine, **nested(told)}


def flattened(properties: Mapping[str, str]) -> dict[str, str]:
    """The same, with those of the devices that it stands for under their own names.

    Where devices differ, a value names them: ``CPU:2,GPU:1``.
    """
    found = {name: text for name, text in properties.items() if name != NESTED}
    each = unnested(properties.get(NESTED, ""))
    for name in sorted({name for mine in each.values() for name in mine}):
        said = {device: mine[name] for device, mine in each.items() if name in mine}
        values = set(said.values())
        several = ",".join(f"{device}:{text}" for device, text in said.items())
        found[name] = values.pop() if len(values) == 1 else several
    return found
