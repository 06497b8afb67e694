"""Paths as they were given: links stay links, because what a model needs lies beside the link."""

import os
import sys
from pathlib import Path


def absolute(path: Path) -> Path:
    """The same path from the root on, its symbolic links kept.

    ``..`` goes where the system goes: up from the folder that a link leads to, not from the link.

    Raises:
        OSError: the current folder is gone.
    """
    found = Path("/") if path.is_absolute() else Path.cwd()
    for part in path.parts[path.is_absolute() :]:
        if part == "..":
            # Up from "/a/b" is "/a" unless "b" is a link; links before it lead to the same place.
            found = (Path(os.path.realpath(found)) if found.is_symlink() else found).parent
        else:
            found /= part
    return found


def relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder, with forward slashes, links in it kept.

    Where both were reached through the same link, the way between them does not go through it, so
    that they can be moved together.
    """
    target, parent = absolute(path), os.path.realpath(path.parent)
    real = Path(os.path.realpath(folder))
    for home in (absolute(folder), real):
        found = os.path.relpath(target, home)
        # The system goes up from the real folder, whichever way it was reached.
        if os.path.realpath((real / found).parent) == parent:
            break
    return Path(found).as_posix()


def unwritable_name(path: Path) -> str | None:
    """Why a name cannot be passed on and written down, and the way out; None for most names.

    What the system calls a file are bytes. What is not text in the encoding of the locale cannot be
    looked up there, and what is not UTF-8 cannot be written into a study, its database or JSON.
    """
    try:
        os.fsencode(path)
        str(path).encode()
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        way_out = "rename it" if encoding == "utf-8" else "set LC_ALL=C.UTF-8, or rename it"
        shown = str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")
        return f"{shown}: this name is no text in the locale's encoding, {encoding}: {way_out}"
    return None if "\0" not in str(path) else f"{str(path)!r}: no file has such a name"
