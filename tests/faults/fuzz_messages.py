"""`python -m tests.faults.fuzz_messages -runs=N`: what a worker may say, guided by coverage."""

import contextlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["autotune.machines.protocol", "autotune.worker.readings"]):
    from autotune.machines.protocol import parse_message

from tests.faults.test_fuzz import ANSWERS


def one(data: bytes) -> None:
    """An answer, or a fault in words; any other exception is a finding."""
    with contextlib.suppress(ValueError):
        assert parse_message(data).say


def main() -> None:
    """Begin with real answers."""
    with TemporaryDirectory() as corpus:
        for number, answer in enumerate(ANSWERS):
            (Path(corpus) / str(number)).write_bytes(answer)
        atheris.Setup([*sys.argv, corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
