"""The table of devices: what must be known of each kind; what it has is said by dimensions."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Through(StrEnum):
    """How what is chosen reaches the devices that a device stands for."""

    ITSELF = "itself"  # it stands for itself
    NESTED = "nested"  # by their names, in DEVICE_PROPERTIES
    DIRECT = "direct"  # handed on as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKind:
    """What holds for every device of one kind."""

    names: tuple[str, ...]
    """What stands before the first dot or colon of a device's name; none for all others."""
    through: Through = Through.ITSELF
    leaves: frozenset[str] = frozenset()
    """Dimensions whose properties are not passed on in an older study, which left them to it."""
    spares: frozenset[str] = frozenset()
    """Dimensions that it is not told of, beside those that it does not have: of an NPU itself older
    studies set streams and precision, which nobody sets on one behind AUTO."""
    always: Mapping[str, str] = field(default_factory=dict)
    """Properties that are set unless a dimension sets them."""
    of_several: Mapping[str, str] = field(default_factory=dict)
    """Properties that are set where it is not told of one device only."""
    itself: frozenset[str] = frozenset()
    """Properties that are its own, and not those of the devices that it stands for."""
    why: str
    """What is known of it, and where that comes from."""


_LEFT = frozenset({"streams", "threads_per_stream"})
_SCHEDULING = frozenset({"MODEL_PRIORITY", "SCHEDULE_POLICY", "DEVICE_BIND_BUFFER"})

KINDS: tuple[DeviceKind, ...] = (
    DeviceKind(
        names=("CPU",),
        why="Streams and threads are ours: LATENCY is one stream over all cores of a socket, "
        "THROUGHPUT as many streams as the runtime thinks fit.",
    ),
    DeviceKind(
        names=("GPU",),
        always={"ALLOW_AUTO_BATCHING": "NO"},
        why="The THROUGHPUT hint turns automatic batching on, and a lone request then waits for "
        "1000 ms.",
    ),
    DeviceKind(
        names=("NPU",),
        spares=frozenset({"streams", "precision"}),
        why="The hint decides how many requests it takes, 1 or 4 as a rule; static shapes only; "
        "a compilation may take minutes.",
    ),
    DeviceKind(
        names=("AUTO",),
        through=Through.NESTED,
        leaves=_LEFT,
        of_several={"ENABLE_STARTUP_FALLBACK": "NO", "ENABLE_RUNTIME_FALLBACK": "NO"},
        itself=_SCHEDULING
        | {"DEVICES_UTILIZATION_THRESHOLD", "PERF_CURVE_TABLE", "LOW_POWER_DEVICE"},
        why="It refuses streams and threads for itself, so those of its devices are set by their "
        "names. It would begin on the CPU while another device compiles: that is off, or numbers "
        "would be of two devices. With CPU alone, the runtime (2026.4.1) refuses to have both off.",
    ),
    DeviceKind(
        names=("MULTI",),
        through=Through.NESTED,
        leaves=_LEFT,
        itself=_SCHEDULING,
        why="All of its devices at once, whatever the hint, which goes on to them; it reports "
        "THROUGHPUT. Their settings are set by their names.",
    ),
    DeviceKind(
        names=("HETERO",),
        through=Through.NESTED,
        leaves=_LEFT,
        why="The model is split between its devices, whose settings are set by their names.",
    ),
    DeviceKind(
        names=("BATCH",),
        through=Through.DIRECT,
        leaves=_LEFT,
        spares=frozenset({"batch"}),
        why="It collects single requests into a batch for one device, and takes that device's "
        "settings as its own. With too few requests it waits for its time-out, of 1000 ms by "
        "default; a model that cannot be batched runs at batch 1 without a word.",
    ),
)
OTHER = DeviceKind(names=(), why="Nothing is known of it but its name.")


def kind_of(device: str) -> DeviceKind:
    """The kind of a device, such as ``CPU``, ``GPU.1`` or ``AUTO:GPU,CPU``."""
    name = device.split(":", maxsplit=1)[0].split(".", maxsplit=1)[0]
    # Only a bare CPU takes what is a CPU's: CPU.0 is no name that the runtime knows.
    if name == "CPU" and device != name:
        return OTHER
    return next((kind for kind in KINDS if name in kind.names), OTHER)


def is_meta(device: str) -> bool:
    """Whether it stands for other devices."""
    return kind_of(device).through is not Through.ITSELF


def members_of(device: str) -> tuple[str, ...]:
    """The devices that one stands for, as it names them; itself where it is a device.

    None for one that says what it must not be (``AUTO:-GPU``), or nothing at all: the runtime then
    chooses, and nobody knows before.
    """
    if not is_meta(device):
        return (device,)
    listed = device.partition(":")[2]
    names = tuple(name.strip().partition("(")[0] for name in listed.split(",") if name.strip())
    return () if any(name.startswith("-") for name in names) else names


_MEMBER = re.compile(r"-?[^\s(),]+(\(0*[1-9]\d{0,5}\))?")


def why_no_name(device: str) -> str:
    """Why the runtime cannot take what stands after the colon; empty where it can.

    Names are taken as they are written: one with a space before it is of no device.
    """
    listed = device.partition(":")[2]
    if not is_meta(device) or not listed:
        return ""
    kind, names = device.partition(":")[0], listed.split(",")
    odd = next((name for name in names if not _MEMBER.fullmatch(name)), None)
    if odd is not None:
        return f"{odd!r} is no name of a device, nor one with a count from 1 on, as in CPU(4)"
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return f"{twice} stands there twice"
    if kind == "BATCH" and len(names) > 1:
        return "BATCH collects requests for one device"
    if kind == "HETERO" and "(" in listed:
        return "HETERO takes no counts"
    return ""


def spelt(name: str, here: Collection[str]) -> str:
    """What a name was meant to be, where only its case is wrong; empty where it is another one."""
    meant = name.upper()
    is_known = meant in here or is_meta(meant)
    return f"it is written {meant}" if is_known and meant != name else ""


def gathered_by(device: str) -> int:
    """How many requests ``BATCH:CPU(4)`` makes one of: 4; 1 for all that do not say."""
    said = re.fullmatch(r"BATCH:[^,()]*\((\d{1,6})\)", device)
    return max(1, int(said[1])) if said else 1


def set_always(device: str) -> dict[str, str]:
    """Properties that are set on a device unless a dimension sets them."""
    kind = kind_of(device)
    is_of_one = len(members_of(device)) == 1
    return {**kind.always, **({} if is_of_one else kind.of_several)}
