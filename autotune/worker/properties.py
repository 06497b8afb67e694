"""Properties that a study names by hand: whether a device has them, and takes the values."""

import difflib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import openvino as ov
from openvino import opset13 as op

from autotune.space.devices import Through, kind_of, members_of
from autotune.space.dimensions import PROPERTIES
from autotune.space.named import why_refused
from autotune.worker import model


class PropertyError(Exception):
    """A property or a value that cannot be set; the message says what may be."""


def check_properties(
    core: ov.Core, devices: Sequence[str], named: Mapping[str, Sequence[str]]
) -> None:
    """Try every value on every device, with a tiny model.

    A device that stands for others has what one of them has.

    Raises:
        PropertyError: with all faults.
    """
    faults = [
        fault
        for device in devices
        for name, values in named.items()
        if (fault := _fault(core, device, name, values)) is not None
    ]
    if faults:
        raise PropertyError("; ".join(dict.fromkeys(faults)))


def _fault(core: ov.Core, device: str, name: str, values: Sequence[str]) -> str | None:
    """What is wrong with a property on a device; None where nothing is."""
    known = {target: _known(core, target) for target in _targets(device, name)}
    having = [target for target, properties in known.items() if name in properties]
    if not having:
        return f"{name}: {device} has no such property{_suggestion(name, known.values())}"
    readable = [target for target in having if known[target][name] == "RO"]
    if readable:
        way_out = _may_be_named(known.values())
        return f"{name}: {readable[0]} reports it, and it cannot be set{way_out}"
    is_own = name in kind_of(device).itself  # which takes its values only with devices
    tried = [device] if is_own else having
    found = (_refusal(core, target, name, value) for target in tried for value in values)
    return next((f"{name}: {why}" for why in found if why is not None), None)


def _targets(device: str, name: str) -> list[str]:
    """The devices of the runtime that are told."""
    kind = kind_of(device)
    if name in kind.itself:
        return [device.partition(":")[0]]
    return [device] if kind.through is Through.ITSELF else list(members_of(device))


def _known(core: ov.Core, target: str) -> dict[str, str]:
    """Properties that a device says that it has, and whether they may be set."""
    try:
        return dict(core.get_property(target, "SUPPORTED_PROPERTIES"))
    except (RuntimeError, TypeError):
        return {}


def _refusal(core: ov.Core, target: str, name: str, value: str) -> str | None:
    """Why a value cannot be set, in the runtime's words; or that it becomes another one."""
    x = op.parameter([1, 8], np.float32)
    try:
        compiled = core.compile_model(ov.Model([op.relu(x)], [x]), target, {name: value})
    except (RuntimeError, TypeError) as error:
        return f"{target} does not take {value!r:.80}: {model.last_line(error)}"
    read = model.effective_properties(compiled, [name]).get(name)
    if read is None or _is_same(read, value):
        return None
    return f"{target} makes {read!r:.80} of {value!r:.80}"


def _is_same(read: str, value: str) -> bool:
    try:
        return float(read) == float(value)
    except ValueError:
        return read.casefold() == value.casefold()


def _suggestion(name: str, each: Collection[Mapping[str, str]]) -> str:
    """The nearest names; else all that may be named."""
    rows = {one: f"{one} ([space] {row.key})" for one, row in PROPERTIES.items()}
    there = {one for known in each for one in known}
    close = difflib.get_close_matches(name, _free(each) | (rows.keys() & there), n=3, cutoff=0.6)
    if not close:
        return _may_be_named(each)
    return f"; did you mean {' or '.join(rows.get(one, one) for one in close)}?"


def _may_be_named(each: Collection[Mapping[str, str]]) -> str:
    found = sorted(_free(each))
    return f"; those that may be named: {', '.join(found)}" if found else ""


def _free(each: Collection[Mapping[str, str]]) -> set[str]:
    """Of the properties of devices, those that can be set and are to be named by hand."""
    return {
        name
        for known in each
        for name, how in known.items()
        if how != "RO" and not why_refused(name, PROPERTIES)
    }
