"""What a model consists of: its file, the files of weights that belong to it, and their digest."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path, PurePath

from autotune.domain.onnx_data import external_data
from autotune.domain.paths import absolute, unwritable_name

_WEIGHTS = {".xml": ".bin", ".pdmodel": ".pdiparams"}
"""Suffix of the file with the weights, by that of the model."""
_SUFFIXES = {".xml", ".onnx", ".pb", ".tflite", ".pdmodel"}
_SAVED_MODEL = "saved_model.pb"
_XML_BEGINS = b"\xef\xbb\xbf \t\r\n"
"""What may come before the first ``<``."""

Sha256 = Callable[[Path], bytes]
"""Digest of one file."""


@dataclass(frozen=True, slots=True)
class ModelDigest:
    """What a model is known by."""

    sha256: str
    """Of its file; with weights in files of their own, of the digests of all."""
    earlier: tuple[str, ...] = ()
    """What earlier versions called the same files: 0.1 did not see external data."""

    def is_called(self, sha256: str) -> bool:
        """Whether this is the model that was written down under a digest, then or now."""
        return sha256 in {self.sha256, *self.earlier}


def located(path: Path) -> Path:
    """Where to read a model from: its path as given, absolute, its links kept.

    What belongs to a model lies beside the path that people give, as in a hub's cache, where that
    is a link into a folder of blobs. Only where it lies beside the file that a link leads to, and
    not beside the link, it is that file. `fault_of` says what is wrong with it.
    """
    given = absolute(path)
    try:
        if not given.is_symlink() or not given.is_file() or _is_whole(given):
            return given
        real = Path(os.path.realpath(given))
        return real if _is_whole(real) else given
    except OSError:
        return given


def model_files(path: Path) -> tuple[Path, ...]:
    """Every file that a model is loaded from, its own first; one that it names may be missing.

    Raises:
        OSError: it cannot be read.
    """
    named, customary = _weights(path)
    return tuple(dict.fromkeys([path, *named, *(file for file in customary if file.exists())]))


def weights_of(path: PurePath) -> PurePath | None:
    """Where a model's format keeps its weights, if in a file that is named like the model."""
    suffix = _WEIGHTS.get(path.suffix)
    return None if suffix is None else path.with_suffix(suffix)


def fault_of(path: Path) -> str | None:
    """Why a path is no model that can be read, and the way out; None for one that is."""
    try:
        return unwritable_name(path) or _fault_of_files(path)
    except FileNotFoundError:
        if path.is_symlink():
            return f"{path}: is a link to {os.path.realpath(path)}, and there is no such file"
        return f"{path}: there is no such model file"
    except OSError as error:
        return f"{path}: the model cannot be read: {error.strerror}"


def model_in(folder: Path) -> tuple[Path | None, str | None]:
    """A model file that lies in a folder; or how to make one, of a model that is a folder."""
    if (folder / _SAVED_MODEL).is_file():
        file = folder.with_name(f"{folder.name}.xml")
        return None, (
            "a TensorFlow SavedModel is a folder, and only a model in one file can be tuned; make "
            f"one with: ovc {folder} --output_model {file} --compress_to_fp16=False"
        )
    files = (file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    return min(filter(Path.is_file, files), default=None), None


def model_digest(path: Path, sha256_of: Sha256 | None = None) -> ModelDigest:
    """What a model is known by.

    Raises:
        OSError: one of its files cannot be read; it has the name of that file.
    """
    known: dict[Path, bytes] = {}

    def of(files: Sequence[Path]) -> str:
        known.update({f: (sha256_of or sha256)(f) for f in files if f not in known})
        digests = [known[file] for file in files]
        if len(digests) == 1:
            return digests[0].hex()
        return hashlib.sha256(b"".join(digests)).hexdigest()

    customary = weights_of(path)
    in_0_1 = [path, *([] if customary is None else [Path(customary)])]
    now = of(model_files(path))
    then = of([file for file in in_0_1 if file == path or file.exists()])
    return ModelDigest(now, () if then == now else (then,))


def model_sha256(path: Path) -> str:
    """`ModelDigest.sha256` of a model.

    Raises:
        OSError: it cannot be read.
    """
    return model_digest(path).sha256


def sha256(path: Path) -> bytes:
    """Digest of one file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _weights(path: Path) -> tuple[list[Path], list[Path]]:
    """Files that a model names, and files that its format has beside it, or would have.

    By content, as the runtime goes: it reads an .onnx and an .xml under any name.
    """
    if path.suffix == ".meta":  # a graph of TensorFlow; the weights are those of its checkpoint
        data = path.parent.glob(f"{escape(path.stem)}.data-*")
        return [], [path.with_suffix(".index"), *sorted(data)]
    with path.open("rb") as stream:
        is_xml = stream.read(64).lstrip(_XML_BEGINS).startswith(b"<")
    suffix = ".bin" if is_xml else _WEIGHTS.get(path.suffix)
    customary = [] if suffix is None else [path.with_suffix(suffix)]
    return [path.parent / name for name in external_data(path)], customary


def _is_whole(path: Path) -> bool:
    """Whether all weights lie where they belong.

    External data must not be in another folder, not even by a link: the runtime refuses that.
    """
    named, customary = _weights(path)
    home = os.path.realpath(path.parent)
    return all(file.is_file() for file in (*named, *customary)) and all(
        Path(os.path.realpath(file)).is_relative_to(home) for file in named
    )


def _fault_of_files(path: Path) -> str | None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        file, way_out = model_in(path)
        give = "" if file is None else f"; give the model file in it: {file}"
        return f"{path}: {way_out or f'is a folder{give}'}"
    if not stat.S_ISREG(mode):
        return f"{path}: is no regular file"
    for file in model_files(path):
        if not file.is_file():
            return f"{path}: its weights are in {file}, and there is no such file"
        if not os.access(file, os.R_OK):
            return f"{file}: the model cannot be read: {os.strerror(errno.EACCES)}"
    return None
