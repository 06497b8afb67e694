"""Reading /proc and /sys. `root` is where the two are, so that a test can bring its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from autotune.doctor.readings import Missing

T = TypeVar("T")


def attempt(probe: Callable[[], T]) -> T | Missing:
    """A reading, or why there is none: an odd machine costs the reading, not the report."""
    try:
        return probe()
    except OSError as error:
        return Missing(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ValueError as error:
        return Missing(str(error))


def read(path: Path) -> str:
    """A file's text, stripped.

    Raises:
        OSError: it cannot be read; unlike the system's own errors this always names the file.
    """
    try:
        return path.read_text(errors="replace").strip()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def read_whole(path: Path) -> int:
    """A file that holds one whole number."""
    return whole(read(path), path)


def whole(text: str, path: Path) -> int:
    """A whole number; a ValueError names the file that it is from."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{path}: {text!r} is no whole number") from None


def rows(path: Path) -> Iterator[list[str]]:
    """The words of each line that is not empty."""
    return (line.split() for line in read(path).splitlines() if line.strip())


def fields(path: Path) -> dict[str, int]:
    """Lines of a name and a whole number, as in meminfo and cpu.stat; other lines are left out."""
    return {
        words[0].removesuffix(":"): int(words[1])
        for words in rows(path)
        if len(words) > 1 and words[1].isdecimal()
    }


def own_cgroups(root: Path, controller: str) -> list[Path]:
    """Folders of this process's cgroups for a controller and of all above, versions 1 and 2."""
    path, mount = root / "proc/self/cgroup", root / "sys/fs/cgroup"
    found: list[Path] = []
    for line in read(path).splitlines():
        parts = line.split(":", 2)
        if len(parts) < 3:
            raise ValueError(f"{path}: {line!r} names no cgroup")
        _, controllers, group = parts
        if not controllers:
            tops = [mount, mount / "unified"]
        elif controller in controllers.split(","):
            tops = [mount / controller, mount / controllers]
        else:
            continue
        for top in tops:
            own = top / group.lstrip("/")
            found += [own, *(above for above in own.parents if above.is_relative_to(top))]
    return list(dict.fromkeys(found))


def cpu_files(root: Path, name: str) -> list[Path]:
    """A file that each CPU has, under its folder in /sys."""
    return sorted(root.glob(f"sys/devices/system/cpu/cpu[0-9]*/{name}"))
