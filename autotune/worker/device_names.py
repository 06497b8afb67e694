"""Names of devices that are not here, or that the runtime would refuse when it compiles."""

import openvino as ov

from autotune.space.devices import is_meta, members_of, spelt, why_no_name
from autotune.worker.absent import absent

_NEED_MEMBERS = {"MULTI", "HETERO", "BATCH"}


class DeviceMissingError(Exception):
    """A device that the runtime does not have here."""


def check_device(core: ov.Core, device: str, available: list[str]) -> None:
    """Refuse a device that is not here, or that the runtime would refuse later.

    Raises:
        DeviceMissingError: with the reason, and what is here.
    """
    kind = device.partition(":")[0]
    if kind in _NEED_MEMBERS and not device.partition(":")[2]:
        message = f"{device} stands for other devices: name them, as in {kind}:{available[0]}"
        raise DeviceMissingError(message)
    why = why_no_name(device)
    if why:
        message = f"{device!r}: {why}"
        raise DeviceMissingError(message)
    named = device.partition(":")[2].split(",") if is_meta(device) and ":" in device else []
    barred = [name.strip().lstrip("-") for name in named if name.strip().startswith("-")]
    wanted = members_of(device) if ":" in device or not is_meta(device) else ()
    is_left = any({one, one.partition(".")[0]}.isdisjoint(barred) for one in available)
    if barred and len(barred) == len(named) and not is_left:
        message = f"{device!r} leaves out every device that is here"
        raise DeviceMissingError(message)
    bases = {found.partition(".")[0] for found in available}
    for name in (*wanted, *barred):
        if name not in available and name not in bases:
            listed = ", ".join(available) or "none"
            which = f"{device!r}" if name == device else f"{name} of {device!r}"
            reason = spelt(name, {*available, *bases}) or absent(core, available).get(name)
            told = f"{reason}; " if reason else ""
            message = f"{which} is not here: {told}the runtime has {listed}"
            raise DeviceMissingError(message)
