"""Digests of what decides the samples, and of the study's code: read, and never run."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from autotune.errors import SourceError
from autotune.workload.inputs import Inputs
from autotune.workload.listing import looked_at, why_unreadable
from autotune.workload.source_files import code_files
from autotune.workload.words import shown


def digest(inputs: Inputs) -> str:
    """SHA-256, in hex, of what decides the samples: contents and names of files, in order.

    Not of where they lie: a study that was moved has the same inputs. What a function reads by
    itself is not seen.

    Raises:
        SourceError: a file cannot be read.
    """
    for path in inputs.files:
        why = None if path.is_dir() else why_unreadable(path)
        if why is not None:
            raise SourceError(f"{shown(path)}: cannot be read: {why}")
    files = looked_at(inputs)
    told = [
        str(inputs.source),
        str(inputs.most),
        *_contents((os.fsencode(file.name), file) for file in files),
        code_digest(inputs) if inputs.runs_code else "",
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def code_digest(inputs: Inputs) -> str:
    """SHA-256, in hex, of the function's name, its file, and what that imports of the study's.

    Raises:
        SourceError: a file cannot be read.
        ValueError: there is no function.
    """
    file = inputs.function_file
    if file is None:
        raise ValueError("no function is named")
    folder = inputs.folder or file.parent
    why = why_unreadable(file)
    if why is not None:
        raise SourceError(f"{shown(file)}: {why}")
    try:
        files = code_files(file, folder)
    except OSError as error:
        raise SourceError(f"{shown(error.filename or file)}: {error.strerror}") from None
    named = ((os.fsencode(os.path.relpath(one, folder)), one) for one in files)
    told = [inputs.function, *_contents(named)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _contents(files: Iterable[tuple[bytes, Path]]) -> Iterable[str]:
    """Name and digest of each file; of one that is broken, that it is."""
    for name, file in files:
        yield name.hex()
        why = why_unreadable(file)
        if why is not None:
            yield why
            continue
        try:
            with file.open("rb") as stream:
                yield hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise SourceError(f"{shown(file)}: cannot be read: {error.strerror}") from None
