"""A program, and what it takes when it is looked at from outside."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path


def timed(command: Sequence[str], folder: Path) -> tuple[str, int]:
    """What it writes to its output, and its peak of resident memory in bytes by `time -v`."""
    done = subprocess.run(
        ["/usr/bin/time", "-v", *command], cwd=folder, check=True, capture_output=True, text=True
    )
    (kib,) = re.findall(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    return done.stdout, 1024 * int(kib)
