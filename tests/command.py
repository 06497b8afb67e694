"""The command line in this process: starting Python for each command takes a second."""

from collections.abc import Callable
from typing import NamedTuple


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Autotune = Callable[..., Done]
