"""Standard output and error that may go away: `| head`, a closed terminal, a full disk, `>&-`.

Or stand still: a pager that nobody scrolls, Ctrl-S.

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

_PATIENCE_S = 5.0
_ROOM_BYTES = 4096
"""What a pipe takes without a wait where it takes anything: PIPE_BUF."""
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
        self.patience_s: float | None = None
        """How long to wait for a reader before lines are left out; as long as it takes without."""
        self._is_stuck = self._is_hurried = False
        self._lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        if self._lost is None:
            try:
                return self._written(data)
            except OSError as error:
                self._lost = error
            except KeyboardInterrupt:
                # What was to be written is written again at the end, and would be waited for again.
                self._is_stuck = self._is_hurried = True
                raise
        if self.is_needed:
            raise OutputError(self._lost)
        return memoryview(data).nbytes

    def _written(self, data: Any) -> int:
        chunk = memoryview(data)[:_ROOM_BYTES]
        patience_s = self.patience_s
        if patience_s is None and self._is_hurried:
            patience_s = _PATIENCE_S
        if patience_s is not None:
            wait_s = 0.0 if self._is_stuck else patience_s
            self._is_stuck = not select.select([], [self], [], wait_s)[1]
            if self._is_stuck:
                return len(chunk)
        # Whoever shares the terminal or pipe may have made it one that does not block.
        while (count := super().write(chunk)) is None:
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
        elif isinstance(stream, io.TextIOWrapper) and stream.errors not in _SAYS_ANYTHING:
            stream.reconfigure(errors="backslashreplace")


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
def optional_output(patience_s: float | None = _PATIENCE_S) -> Iterator[None]:
    """Go on without output where it cannot be written, or nobody reads it for so long."""
    before = {raw: (raw.is_needed, raw.patience_s) for raw in _OUTPUTS.values()}
    for raw in before:
        raw.is_needed, raw.patience_s = False, patience_s
    try:
        yield
    finally:
        if before:
            sys.stdout.flush()
        for raw, (is_needed, was_s) in before.items():
            raw.is_needed, raw.patience_s = is_needed, was_s


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
