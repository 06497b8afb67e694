"""Who began a study: this user on this machine, or somebody else."""

import getpass
import hashlib
import os
import platform
from pathlib import Path

_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def owner() -> str:
    """A digest of this user and this machine: enough to tell another's study from one's own.

    No secret: it keeps a file that came by mail from being resumed unawares, not a local user who
    forges it. Where a machine has no id, such as in a container, its host name stands for it.
    """
    machine = next((text for path in _IDS if (text := _read(path))), platform.node())
    user = str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
    return hashlib.sha256(f"autotune\n{machine}\n{user}".encode()).hexdigest()[:32]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
