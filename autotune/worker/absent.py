"""Why a device that the runtime has a plugin for is not here."""

import re
from collections.abc import Sequence

import openvino as ov

from autotune.worker.model import last_line

_ACCELERATORS = ("GPU", "NPU")
"""Devices that people look for, and whose plugins come with the runtime."""
_LIBRARY = re.compile(r'Cannot load library "[^"]*": ([^:]+): (.+)')


def absent(core: ov.Core, available: Sequence[str]) -> dict[str, str]:
    """By device, what the runtime says of it; none of those that are here."""
    here = {name.partition(".")[0] for name in available}
    return {name: _why(core, name) for name in _ACCELERATORS if name not in here}


def _why(core: ov.Core, device: str) -> str:
    try:
        found = core.get_property(device, "AVAILABLE_DEVICES")
    except (RuntimeError, TypeError) as error:
        said = last_line(error)
        library = _LIBRARY.search(said)
        if library is None:
            return said
        return f"{library[1]} cannot be loaded ({library[2].rpartition(': ')[2]})"
    if found:
        return f"the runtime names {', '.join(map(str, found))} of it, and does not list it"
    return "the runtime finds none, or no driver for it"
