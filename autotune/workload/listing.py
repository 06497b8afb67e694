"""Which files of the user's are data: told by their names' endings, hidden ones never."""

from collections.abc import Collection, Sequence
from pathlib import Path

from autotune.errors import SourceError
from autotune.workload.inputs import Inputs, Source
from autotune.workload.words import shown

SUFFIXES: dict[Source, frozenset[str]] = {
    Source.ARRAYS: frozenset({".npz", ".npy"}),
    Source.IMAGES: frozenset(
        (
            ".avif",
            ".bmp",
            ".dib",
            ".gif",
            ".j2k",
            ".jfif",
            ".jp2",
            ".jpe",
            ".jpeg",
            ".jpg",
            ".jpx",
            ".pbm",
            ".pgm",
            ".png",
            ".pnm",
            ".ppm",
            ".tga",
            ".tif",
            ".tiff",
            ".webp",
        )
    ),
    Source.SOUNDS: frozenset({".wav", ".wave"}),
    Source.TEXT: frozenset({".txt", ".text"}),
}

_FILES_A_SAMPLE = 4


def files_of(paths: Sequence[Path], suffixes: Collection[str]) -> list[Path]:
    """These files; in the place of a folder those in it with such an ending, sorted by name.

    Folders within a folder are not looked into. What has a name to be read and cannot be, such as a
    broken link, is listed: whoever reads it says so.

    Raises:
        SourceError: a folder cannot be listed.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        found += [entry for entry in _files_in(path) if is_one(entry, suffixes)]
    return found


def passed_over(paths: Sequence[Path], suffixes: Collection[str]) -> list[Path]:
    """Files in these folders whose endings are none of these, hidden ones left out.

    Raises:
        SourceError: a folder cannot be listed.
    """
    return [
        entry
        for path in paths
        if path.is_dir()
        for entry in _files_in(path)
        if not is_one(entry, suffixes) and not entry.name.startswith(".")
    ]


def _files_in(folder: Path) -> list[Path]:
    """What is no folder, by name."""
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        message = f"{shown(folder)}: cannot be listed: {error.strerror}"
        raise SourceError(message) from None
    return [entry for entry in entries if not entry.is_dir()]


def looked_at(inputs: Inputs) -> list[Path]:
    """The files that may be read, in their order.

    Of a folder of many pictures or sounds only the first ones: four for each sample that is wanted,
    as some may be broken. What is not looked at is not read for a digest either.

    Raises:
        SourceError: a folder cannot be listed.
    """
    files = files_of(inputs.files, SUFFIXES.get(inputs.source, frozenset()))
    is_decoded = inputs.source in {Source.IMAGES, Source.SOUNDS}
    return files[: _FILES_A_SAMPLE * inputs.most] if is_decoded else files


def is_one(path: Path, suffixes: Collection[str]) -> bool:
    """Whether its name is that of such a file."""
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def why_unreadable(path: Path) -> str | None:
    """Why it is no file that can be opened without waiting; None where it is one."""
    try:
        if path.is_file():
            return None
        return "it is no regular file" if path.exists() else "no such file"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
