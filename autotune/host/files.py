"""Reading the kernel's files."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path("/")


def known(probe: Callable[[], T]) -> T | None:
    """A reading, or None where this machine does not give it."""
    try:
        return probe()
    except (OSError, ValueError):
        return None


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


def unescaped(text: str) -> str:
    """A path of mountinfo, which writes spaces and the like in octal."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
