"""Standard output and error that may go away: `| head`, a closed terminal, a full disk, `>&-`.

`guard` wraps both once, for whatever prints: rich, print, the help. Error output is never worth an
end. Output is what a viewer is for, so that it ends, quietly where the reader has had enough; to a
night of measuring it is not, see `optional_output`.
"""

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any

from autotune.errors import AutotuneError

_SAYS_ANYTHING = {"backslashreplace", "ignore", "namereplace", "replace", "xmlcharrefreplace"}
"""Ways to encode that never fail."""


class OutputError(AutotuneError):
    """Standard output cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written: {error.strerror}")
        self.is_quiet = error.errno == errno.EPIPE
        """Whether there is nothing to say: the reader, such as head, has had enough."""


class _Output(io.FileIO):
    """A descriptor that is given up at its first error."""

    def __init__(self, descriptor: int, *, is_needed: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.is_needed = is_needed
        self._lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        if self._lost is None:
            try:
                return self._written(data)
            except OSError as error:
                self._lost = error
        if self.is_needed:
            raise OutputError(self._lost)
        return memoryview(data).nbytes

    def _written(self, data: Any) -> int:
        # Whoever shares the terminal or pipe may have made it one that does not block.
        while (count := super().write(data)) is None:
            select.select([], [self], [])
        return count


_OUTPUTS: dict[str, _Output] = {}


def guard() -> None:
    """Take over standard output and error, unless somebody else has."""
    _keep_places()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):
            descriptor = 1 if name == "stdout" else 2
            with contextlib.suppress(OSError):  # what it is, nothing can be written to
                _OUTPUTS[name] = _Output(descriptor, is_needed=name == "stdout")
                setattr(sys, name, _text(_OUTPUTS[name], stream))


def _keep_places() -> None:
    """Occupy the places of streams that are closed: no file of ours must become the output.

    With what cannot be written, so that they still are as good as closed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # takes the lowest free number, which is this one


def _text(raw: _Output, before: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Text as Python would write it, but that none is refused for a letter in it."""
    if before is None:
        return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace")
    errors = before.errors if before.errors in _SAYS_ANYTHING else "backslashreplace"
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        before.encoding,
        errors,
        newline="\n",
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )


@contextlib.contextmanager
def optional_output() -> Iterator[None]:
    """Go on without output where it cannot be written."""
    raw = _OUTPUTS.get("stdout")
    was_needed = raw is not None and raw.is_needed
    if raw is not None:
        raw.is_needed = False
    try:
        yield
    finally:
        if raw is not None:
            sys.stdout.flush()
            raw.is_needed = was_needed


def finish() -> None:
    """Write what is still to be written.

    Raises:
        OutputError: it cannot be; nothing is said of it again.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    finally:
        for raw in _OUTPUTS.values():
            raw.is_needed = False
