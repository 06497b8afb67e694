"""The table of devices: what must be known of each kind; what it has is said by dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKind:
    """What holds for every device of one kind."""

    names: tuple[str, ...]
    """What stands before the first dot or colon of a device's name; none for all others."""
    leaves: frozenset[str] = frozenset()
    """Dimensions whose properties are not passed on, as they may be refused."""
    always: Mapping[str, str] = field(default_factory=dict)
    """Properties that are set whatever is asked for."""
    why: str
    """What is known of it, and where that comes from."""


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
        names=("AUTO", "MULTI", "HETERO", "BATCH"),
        leaves=frozenset({"streams", "threads_per_stream"}),
        why="Meta devices pass on or refuse NUM_STREAMS as they please, so they are left to their "
        "hint.",
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
