"""Which code of other people's studies may run here: what the user has said once.

A file of its own for each function of each study, in the state folder; what it holds must be as it
was written by us, or it counts as nothing said.
"""

import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path

from autotune.errors import StorageError, StudyMismatchError
from autotune.storage.database import owner_of
from autotune.storage.owner import owner
from autotune.storage.state import state_folder
from autotune.workload.digest import code_digest
from autotune.workload.inputs import Inputs
from autotune.workload.source_files import code_files

_MOST_BYTES = 65536
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def refuse_code(inputs: Inputs, folder: Path, *, trusted: bool, begun_here: bool = False) -> None:
    """Refuse to run the code of another's study; what is trusted from now on is remembered.

    One's own is what this user has begun on this machine, or trusts, as it is now; and what nobody
    has begun, if the files are this user's.

    Args:
        inputs: of the study.
        folder: the study's.
        trusted: whether the user says so now.
        begun_here: whether it must have been begun here, as a file of results was by somebody.

    Raises:
        SourceError: the code cannot be read.
        StudyMismatchError: it is another's; with the way out.
        StorageError: it cannot be remembered.
    """
    file = inputs.function_file
    if file is None:
        return
    if trusted:
        trust(inputs, folder)
        return
    begun = owner_of(folder)
    is_own = begun == owner() if begun is not None else not begun_here and _are_ours(folder, inputs)
    if not is_own and not is_trusted(inputs, folder):
        whose = "another user or machine began" if begun is not None else "nobody began here"
        raise StudyMismatchError(
            f"{folder}: its inputs are code, {file.name}:{inputs.function}, of a study that "
            f"{whose}; look at {file}, and go on with --trust if it may run"
        )


def _are_ours(folder: Path, inputs: Inputs) -> bool:
    """Whether this user owns the code and what names it, and no other one may write them.

    Code is also what it imports of the study's, and the folders in which that is looked for.
    """
    file = inputs.function_file
    if file is None:
        return True
    home = inputs.folder or file.parent
    try:
        files = code_files(file, home)
        paths = {folder, home, *files, *(one.parent for one in files)}
        return all(_is_ours(path.stat()) for path in paths)
    except OSError:
        return False


def is_trusted(inputs: Inputs, folder: Path, state: Path | None = None) -> bool:
    """Whether the code of these inputs may run: none does, or it is what was trusted.

    Code that was edited since is trusted no more.

    Args:
        inputs: of the study.
        folder: the study's.
        state: our folder of the user's state; where it is kept otherwise, without.

    Raises:
        SourceError: the code cannot be read.
    """
    if not inputs.runs_code:
        return True
    home = _home(state)
    if home is None:
        return False
    return _believed(home, home / _name(inputs, folder)) == _entry(inputs, folder)


def trust(inputs: Inputs, folder: Path, state: Path | None = None) -> Path:
    """Remember that this code, as it is now, may run.

    Args:
        inputs: of the study, with code.
        folder: the study's.
        state: our folder of the user's state; where it is kept otherwise, without.

    Returns:
        The file that remembers it; who deletes it takes the trust away.

    Raises:
        SourceError: the code cannot be read.
        StorageError: it cannot be kept, or would not be believed.
    """
    home = _home(state)
    if home is None:
        raise StorageError("what is trusted has no place: set HOME, or XDG_STATE_HOME=FOLDER")
    path, entry = home / _name(inputs, folder), _entry(inputs, folder)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=home, prefix=f".{path.name}.")  # of mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(entry, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error
    if _believed(home, path) != entry:
        message = f"{home}: others may write there, so it is not believed: chmod go-w {home}"
        raise StorageError(message)
    return path


def _home(state: Path | None) -> Path | None:
    state = state or state_folder()
    return None if state is None else state / "trusted"


def _place(inputs: Inputs, folder: Path) -> dict[str, str]:
    return {
        "folder": os.path.realpath(folder),
        "file": os.path.realpath(inputs.function_file or folder),
        "function": inputs.function,
    }


def _name(inputs: Inputs, folder: Path) -> str:
    told = json.dumps(_place(inputs, folder), sort_keys=True)
    return f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.json"


def _entry(inputs: Inputs, folder: Path) -> dict[str, str]:
    return {**_place(inputs, folder), "digest": code_digest(inputs)}


def _believed(home: Path, path: Path) -> object:
    """What the file says; None where it is not there, broken, or others could have written it."""
    try:
        if not _is_ours(home.stat()):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            is_file = stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_BYTES
            return json.loads(file.read()) if is_file and _is_ours(found) else None
    except (OSError, ValueError, RecursionError):
        return None


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & _OTHERS_MAY_WRITE
