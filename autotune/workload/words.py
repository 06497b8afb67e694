"""Names and lists of what the user has, as one line of a message says them."""

from collections.abc import Sequence
from pathlib import Path

_MOST_CHARACTERS = 300
IN_LOG = "its traceback is in the log"
"""Ends what is said of code that raised; whoever knows the log says which one."""


def shown(name: str | Path) -> str:
    """A name that can be printed and sent, whatever its bytes are."""
    text = str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """The first line that says something, cut where it is long."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = "".join(c if c.isprintable() else " " for c in lines[0]) if lines else ""
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names with commas; where there are many, the first ones and how many more."""
    more = len(names) - most
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:most])} and {more:,} more"
