"""What is kept for each user, beside the studies: the state folder of the XDG base directories."""

import os
from pathlib import Path


def state_folder() -> Path | None:
    """The folder of ours; None where the user has no home and names no folder."""
    named = os.environ.get("XDG_STATE_HOME")
    try:
        home = Path(named) if named else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return home / "autotune"
