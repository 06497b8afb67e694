"""What identifies a model file."""

import hashlib
from pathlib import Path, PurePath

_WEIGHTS = {".xml": ".bin", ".pdmodel": ".pdiparams"}
"""Suffix of the file with the weights, by that of the model."""


def weights_of(path: PurePath) -> PurePath | None:
    """Where a model's format keeps its weights, if in a file of their own."""
    suffix = _WEIGHTS.get(path.suffix)
    return None if suffix is None else path.with_suffix(suffix)


def model_sha256(path: Path) -> str:
    """Digest of a model file; with weights in a file of their own, of the digests of both.

    Raises:
        OSError: it cannot be read.
    """
    weights = path.with_suffix(_WEIGHTS.get(path.suffix, path.suffix))
    digests = [
        _sha256(file) for file in dict.fromkeys([path, weights]) if file == path or file.exists()
    ]
    if len(digests) == 1:
        return digests[0].hex()
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _sha256(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
