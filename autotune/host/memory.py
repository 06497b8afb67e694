"""Memory: what can be had without swapping, within the limits of the cgroups."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autotune.host.cgroups import own_groups
from autotune.host.files import ROOT, fields, known, read_whole

# Of (limit, usage, pages of files that can be dropped): cgroup versions 2 and 1.
_LIMITS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory that a new process could use."""

    total_bytes: int
    available_bytes: int
    swap_used_bytes: int
    group_room_bytes: int | None
    """What the limits of this process's cgroups leave, None without a limit."""

    @property
    def left_bytes(self) -> int:
        """What may be taken: the machine's, or less where a cgroup has a limit."""
        room = self.group_room_bytes
        return self.available_bytes if room is None else max(0, min(self.available_bytes, room))


def memory(root: Path = ROOT) -> Memory:
    """Of the machine, and what the cgroups leave of it.

    Raises:
        OSError, ValueError: the machine does not tell.
    """
    path = root / "proc/meminfo"
    kib = fields(path)
    absent = {"MemTotal", "MemAvailable", "SwapTotal", "SwapFree"} - kib.keys()
    if absent:
        raise ValueError(f"{path}: no {', '.join(sorted(absent))} in it")
    groups = known(lambda: own_groups("memory", root)) or []
    rooms = [known(partial(_room_bytes, group)) for group in groups]
    return Memory(
        total_bytes=kib["MemTotal"] * 1024,
        available_bytes=kib["MemAvailable"] * 1024,
        swap_used_bytes=(kib["SwapTotal"] - kib["SwapFree"]) * 1024,
        group_room_bytes=min((room for room in rooms if room is not None), default=None),
    )


def available_memory(root: Path = ROOT) -> int:
    """Bytes that may be taken without swapping: the machine's, or less where a cgroup has a limit.

    Raises:
        OSError, ValueError: the machine does not tell.
    """
    return memory(root).left_bytes


def _room_bytes(group: Path) -> int | None:
    for limit, usage, droppable in _LIMITS:
        if (group / limit).exists():
            allowed, used = known(partial(read_whole, group / limit)), read_whole(group / usage)
            if allowed is None:  # "max"
                return None
            # Pages of files that nobody used lately count as used, and are given up first.
            dropped = (known(partial(fields, group / "memory.stat")) or {}).get(droppable, 0)
            return max(0, allowed - (used - min(used, dropped)))
    return None


def oom_kills(root: Path = ROOT) -> int | None:
    """How many processes the kernel has killed for their memory; None where it does not count.

    Its own count and those of this process's cgroups, summed: only that it grows says something.
    """
    groups = known(lambda: own_groups("memory", root)) or []
    files = [root / "proc/vmstat"]
    files += [group / name for group in groups for name in ("memory.events", "memory.oom_control")]
    counts = [(known(partial(fields, file)) or {}).get("oom_kill") for file in files]
    found = [count for count in counts if count is not None]
    return sum(found) if found else None
