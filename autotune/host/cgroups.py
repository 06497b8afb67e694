"""The cgroups of this process and all above: versions 1 and 2, nested, and in namespaces.

/proc/self/cgroup names a group from where the reader's namespace begins, and a mount shows the
hierarchy from a group of its own, which mountinfo names from the same place. So a group lies below
a mount's folder by what its name has more than the mount's.
"""

import os
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

from autotune.host.files import ROOT, known, read, rows, unescaped

_VERSION_2, _ANY = "", "*"


@dataclass(frozen=True, slots=True)
class _Mount:
    folder: Path
    shows: str
    """The group that the folder is."""
    controllers: frozenset[str]
    """Of version 1; version 2 is one hierarchy for all, whose name is empty."""


def own_groups(controller: str, root: Path = ROOT) -> list[Path]:
    """Folders of this process's cgroups for a controller and of all above, from the innermost.

    Those of version 1 and of version 2 that can be seen; only the one that has the controller has
    its files. Where the own group lies outside of what is mounted, what is mounted: a container
    sees its limits there.

    Raises:
        OSError: this machine has no cgroups.
        ValueError: they are not told in a known form.
    """
    memberships = read(root / "proc/self/cgroup")
    return list(_own_groups(root, controller, memberships))


def own_group(root: Path = ROOT) -> Path | None:
    """Folder of this process's group of version 2; None where none is to be seen.

    Raises:
        OSError, ValueError: as `own_groups`.
    """
    found = own_groups(_VERSION_2, root)
    return found[0] if found else None


# A process stays in its group, but for somebody who moves it: only then are mounts looked up anew.
@lru_cache(maxsize=64)
def _own_groups(root: Path, controller: str, memberships: str) -> tuple[Path, ...]:
    mounts = known(lambda: _mounts(root)) or []
    found: list[Path] = []
    for line in memberships.splitlines():
        parts = line.split(":", 2)
        if len(parts) < 3:
            raise ValueError(f"{root / 'proc/self/cgroup'}: {line!r} names no cgroup")
        _, controllers, group = parts
        if controllers and controller not in controllers.split(","):
            continue
        if mounts:
            found += _visible(mounts, frozenset(controllers.split(",")), group)
        else:
            for folder in _usual_folders(root, controllers, controller):
                found += _upwards(folder, _way("/", group) or ())
    return tuple(dict.fromkeys(found))


def _mounts(root: Path) -> list[_Mount]:
    """Every hierarchy that is mounted; of two in one place the later one hides the other."""
    found: dict[Path, _Mount] = {}
    for words in rows(root / "proc/self/mountinfo"):
        # ID parent device root MOUNT-POINT options [optional words] - TYPE source options
        if "-" not in words[6:-1]:
            continue
        kind, options = words[words.index("-", 6) + 1], words[-1].split(",")
        folder = root / unescaped(words[4]).lstrip("/")
        found.pop(folder, None)
        if kind in {"cgroup", "cgroup2"}:
            controllers = options if kind == "cgroup" else [_VERSION_2]
            found[folder] = _Mount(folder, unescaped(words[3]), frozenset(controllers))
    return list(found.values())


def _usual_folders(root: Path, controllers: str, controller: str) -> list[Path]:
    """Where a hierarchy is mounted as a rule, for a machine whose mountinfo does not tell."""
    top = root / "sys/fs/cgroup"
    return [top / controller, top / controllers] if controllers else [top, top / "unified"]


def _visible(mounts: list[_Mount], controllers: frozenset[str], group: str) -> list[Path]:
    """The group and all above it through the first mount that shows it."""
    able = [mount for mount in mounts if controllers <= mount.controllers]
    ways = [(mount, way) for mount in able if (way := _way(mount.shows, group)) is not None]
    for mount, way in sorted(ways, key=lambda seen: seen[1].count(_ANY)):
        found = _named(mount.folder, way)
        if found is not None:
            return _upwards(mount.folder, found)
    return [mount.folder for mount in able[:1]]


def _way(shows: str, group: str) -> tuple[str, ...] | None:
    """From a mount's folder to a group; None where it does not lie below.

    A mount from above the namespace shows ``/..`` for each level whose name is not told.
    """
    above, own = list(PurePosixPath(shows).parts[1:]), list(PurePosixPath(group).parts[1:])
    while above and own and above[0] == own[0]:
        del above[0], own[0]
    if any(part != ".." for part in above) or ".." in own:
        return None
    return (*[_ANY] * len(above), *own)


def _named(folder: Path, way: tuple[str, ...]) -> tuple[str, ...] | None:
    """The way with all its names, those that are not told found by who is in the group."""
    if _ANY not in way:
        return way
    pid = str(os.getpid())
    for path in sorted(folder.glob("/".join(way))):
        members = known(partial(read, path / "cgroup.procs")) or ""
        if pid in members.split():
            return path.relative_to(folder).parts
    return None


def _upwards(folder: Path, way: tuple[str, ...]) -> list[Path]:
    return [folder.joinpath(*way[:depth]) for depth in range(len(way), -1, -1)]
