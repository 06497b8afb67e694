"""What identifies a model file."""

import hashlib
from pathlib import Path


def model_sha256(path: Path) -> str:
    """Digest of a model file, and of the weights beside an .xml: of the digests of each.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    weights = [path.with_suffix(".bin")] if path.suffix == ".xml" else []
    for file in [path, *(weight for weight in weights if weight.exists())]:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
