"""Which source the words of a study or an option mean."""

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autotune.domain.paths import absolute, relative, unwritable_name
from autotune.errors import SourceError
from autotune.workload.inputs import MOST_SAMPLES, Inputs, Source
from autotune.workload.listing import SUFFIXES, is_one
from autotune.workload.words import listed, shown

_KNOWN = (
    ".npz or .npy files, a folder of pictures or of .wav files, .txt files with a tokenizer, or "
    "module:function"
)
_FILES = (Source.ARRAYS, Source.IMAGES, Source.SOUNDS, Source.TEXT)


def resolve(text: str, folder: Path) -> tuple[Path, str]:
    """File and name of a function that is written as `module:function` or `file.py:function`.

    Args:
        text: the words; a module `a.b` is `a/b.py` in the folder.
        folder: the study's.

    Raises:
        SourceError: it has another form, or there is no such file.
    """
    module, colon, function = text.strip().rpartition(":")
    if not colon or not module or not function.isidentifier():
        raise SourceError(f"{shown(text)}: is no function; write module:function")
    if module.endswith(".py"):
        tried = [_placed(module, folder)]
    elif all(part.isidentifier() for part in module.split(".")):
        stem = _placed("/".join(module.split(".")), folder)
        tried = [stem.with_name(f"{stem.name}.py"), stem / "__init__.py"]
    else:
        raise SourceError(
            f"{shown(text)}: {shown(module)!r} is no module's name; write module:function, or "
            "file.py:function"
        )
    for file in tried:
        if _kind(file) == stat.S_IFREG:
            return file, function
    why = "is no regular file" if _kind(tried[0]) else "no such file"
    raise SourceError(f"{shown(tried[0])}: {why}; {shown(text)!r} is looked for in {shown(folder)}")


def inputs_of(
    said: str | Sequence[str],
    folder: Path,
    *,
    tokenizer: str | None = None,
    most: int = MOST_SAMPLES,
) -> Inputs:
    """What is meant by a path, a function, or a list of files.

    Args:
        said: paths relative to the folder; what exists is a path, whatever its name.
        folder: the study's.
        tokenizer: function that makes arrays of a line of text.
        most: so many samples are used.

    Raises:
        SourceError: nothing is there, or it is no source; with what would be.
    """
    words = [said] if isinstance(said, str) else list(said)
    if not words or not all(word.strip() for word in words):
        raise SourceError(f"inputs: no path is given; write {_KNOWN}")
    if most < 1:
        raise SourceError(f"inputs: {most} samples are to be used; at least 1 is needed")
    folder = absolute(folder)
    paths = [_placed(word, folder) for word in words]
    if len(words) == 1 and _is_function(words[0], paths[0]):
        if tokenizer is not None:
            raise SourceError(
                f"{shown(words[0])}: a tokenizer is for files of text, not a function"
            )
        return _called(words[0], folder, Inputs(source=Source.FUNCTION, most=most))
    kinds = {path: _source_of(path, has_tokenizer=tokenizer is not None) for path in paths}
    source = kinds[paths[0]]
    other = next((path for path, kind in kinds.items() if kind is not source), None)
    if other is not None:
        raise SourceError(
            f"{shown(paths[0])} is for {source}, {shown(other)} for {kinds[other]}; "
            "give files of one kind"
        )
    if source is not Source.TEXT:
        return Inputs(source=source, files=tuple(paths), most=most)
    if tokenizer is None:
        raise SourceError(
            f'{shown(paths[0])}: text needs a tokenizer; write tokenizer = "module:function", '
            "which is called with a line and gives a dictionary of arrays"
        )
    return _called(tokenizer, folder, Inputs(source=source, files=tuple(paths), most=most))


def _called(word: str, folder: Path, inputs: Inputs) -> Inputs:
    """These inputs with the function that a word names.

    Raises:
        SourceError: there is no such file.
    """
    file, function = resolve(word, folder)
    return replace(inputs, function=function, function_file=file, folder=_root(word, file, folder))


def _root(word: str, file: Path, folder: Path) -> Path:
    """The folder that is on the path while a function runs: that of its file, if that is named.

    So it has the same neighbours wherever the words are read from; the file of a package is
    imported as a part of it. A module is of the study's.
    """
    if not word.rpartition(":")[0].endswith(".py"):
        return folder
    home = file.parent
    while (home / "__init__.py").is_file() and home != home.parent:
        home = home.parent
    return home


def function_in(word: str, folder: Path) -> Inputs:
    """A function of the study's that is no source of samples: where it is, and what is beside it.

    Args:
        word: as `module:function` or `file.py:function`.
        folder: the study's.

    Raises:
        SourceError: there is no such file.
    """
    return _called(word, absolute(folder), Inputs(source=Source.FUNCTION))


def file_in(word: str, folder: Path) -> Path:
    """A file that a study names.

    Raises:
        SourceError: it is none.
    """
    path = _placed(word, absolute(folder))
    if _kind(path) != stat.S_IFREG:
        why = "is no regular file" if _kind(path) else "no such file"
        raise SourceError(f"{shown(path)}: {why}")
    return path


def seen_from(word: str, folder: Path, target: Path) -> str:
    """A path, or a function in the file that it is in, as another folder's study says it.

    Args:
        word: what a study in `folder` says.
        folder: where it is said.
        target: the other folder.
    """
    module, colon, function = word.rpartition(":")
    if not colon or (folder / word).exists():
        return relative(folder / word, target)
    try:
        file, function = resolve(word, folder)
    except SourceError:  # whoever reads it says what is wrong with it
        named = module if module.endswith(".py") else f"{module.replace('.', '/')}.py"
        file = folder / named
    return f"{relative(file, target)}:{function}"


def _placed(word: str, folder: Path) -> Path:
    path = Path(word.strip())
    why = unwritable_name(path)
    if why is not None:
        raise SourceError(why)
    return absolute(path if path.is_absolute() else folder / path)


def _kind(path: Path) -> int:
    """What it is, as `stat.S_IFMT` says it; 0 where there is nothing.

    Raises:
        SourceError: it cannot be looked at.
    """
    try:
        return stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116 - as pathlib's, in one call
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise SourceError(f"{shown(path)}: cannot be read: {error.strerror}") from None


def _is_function(word: str, path: Path) -> bool:
    return ":" in word and not _kind(path) and word.rpartition(":")[2].strip().isidentifier()


def _source_of(path: Path, *, has_tokenizer: bool) -> Source:
    kind = _kind(path)
    if kind == stat.S_IFDIR:
        if has_tokenizer:
            raise SourceError(f"{shown(path)}: a tokenizer is for files of text, not a folder")
        return _source_of_folder(path)
    if not kind:
        way_out = ""
        if ":" in path.name:
            way_out = "; a function is written as module:function, in letters, digits and _"
        raise SourceError(f"{shown(path)}: no such file or folder{way_out}")
    if kind != stat.S_IFREG:
        raise SourceError(f"{shown(path)}: is no regular file")
    source = next((one for one in _FILES if path.suffix.lower() in SUFFIXES[one]), None)
    if has_tokenizer:
        if source not in {None, Source.TEXT}:
            raise SourceError(
                f"{shown(path)}: a tokenizer is for files of text, and this is for {source}"
            )
        return Source.TEXT
    if source is None:
        raise SourceError(f"{shown(path)}: its ending says no kind of data; inputs are {_KNOWN}")
    return source


def _source_of_folder(folder: Path) -> Source:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{shown(folder)}: cannot be listed: {error.strerror}") from None
    counts = {
        one: sum(is_one(entry, SUFFIXES[one]) and not entry.is_dir() for entry in entries)
        for one in _FILES[:3]
    }
    found = [one for one in counts if counts[one]]
    if len(found) == 1:
        return found[0]
    if found:
        both = " and ".join(f"{counts[one]:,} for {one}" for one in found)
        raise SourceError(f"{shown(folder)}: has files {both}; put them into a folder each")
    has = listed([shown(entry.name) for entry in entries]) or "nothing"
    raise SourceError(
        f"{shown(folder)}: has no pictures, .wav, .npz or .npy files, but {has}; "
        "folders in it are not looked into"
    )
