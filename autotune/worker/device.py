"""What the runtime says of a device."""

from typing import Any

import openvino as ov

_TEXTS = {"FULL_DEVICE_NAME": "name"}
_RANGES = {"RANGE_FOR_STREAMS": "streams", "RANGE_FOR_ASYNC_INFER_REQUESTS": "requests"}
_OF_A_MODEL = {"MAX_BATCH_SIZE": "max_batch", "OPTIMAL_BATCH_SIZE": "best_batch"}
_UNREADABLE = (RuntimeError, TypeError)
"""What it raises where a device has no such property, or Python no such type."""


def device_facts(core: ov.Core, device: str, network: ov.Model | None = None) -> dict[str, Any]:
    """As the fields of a `WireDevice`; what the device does not tell is null or empty.

    Args:
        core: the runtime.
        device: one of its own.
        network: the model that largest and best batches are asked for; none are without it.
    """
    facts: dict[str, Any] = {"name": device, "capabilities": [], "properties": {}, "kind": ""}
    facts |= {fact: str(value) for fact, value in _read(core, device, _TEXTS).items()}
    ranges = {fact: list(value) for fact, value in _read(core, device, _RANGES).items()}
    facts |= {"streams": None, "requests": None, **ranges}
    for value in _read(core, device, {"OPTIMIZATION_CAPABILITIES": ""}).values():
        facts["capabilities"] = [str(one) for one in value]
    for value in _read(core, device, {"SUPPORTED_PROPERTIES": ""}).values():
        facts["properties"] = {str(name): str(how) for name, how in value.items()}
    for value in _read(core, device, {"DEVICE_TYPE": ""}).values():
        facts["kind"] = str(value.name).lower()
    for value in _read(core, device, {"NPU_MAX_TILES": ""}).values():
        facts["tiles"] = int(value)
    if network is not None:
        asked = {"MODEL_PTR": network}
        for name, fact in _OF_A_MODEL.items():
            try:
                facts[fact] = int(core.get_property(device, name, asked))
            except _UNREADABLE:
                continue
    return facts


def _read(core: ov.Core, device: str, names: dict[str, str]) -> dict[str, Any]:
    """What can be read of these properties, by what they are called among the facts."""
    found = {}
    for name, fact in names.items():
        try:
            found[fact] = core.get_property(device, name)
        except _UNREADABLE:
            continue
    return found
