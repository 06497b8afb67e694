"""What memory this process takes, phase by phase: a deployment's, and what only we need."""

import contextlib
import ctypes
import gc
import os
from pathlib import Path

from autotune.host.files import known, read, rows

_SELF = Path("/proc/self")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def rss_bytes(process: Path = _SELF) -> int | None:
    """Resident memory of the process now."""
    return known(lambda: int(read(process / "statm").split()[1]) * _PAGE_BYTES)


def peak_rss_bytes(process: Path = _SELF) -> int | None:
    """The high-water mark (VmHWM); `ru_maxrss` may be inherited from the parent."""
    for name, *words in known(lambda: list(rows(process / "status"))) or []:
        if name == "VmHWM:":
            return int(words[0]) * 1024
    return None


def give_back() -> None:
    """Return to the system what was needed for a moment: a deployment never took it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


class HighWater:
    """The high-water mark of a phase, beside that of the whole life."""

    def __init__(self, process: Path = _SELF) -> None:
        """No phase was begun: there is that of the whole life only.

        Args:
            process: its folder in /proc.
        """
        self._process = process
        self._before: int | None = None
        self._has_phase = False
        self._withheld = 0

    @property
    def whole_bytes(self) -> int | None:
        """Since the process began; None where nobody counts."""
        now = peak_rss_bytes(self._process)
        return now if now is None or self._before is None else max(now, self._before)

    @property
    def phase_bytes(self) -> int | None:
        """Since the last `begin`; None where the mark could not begin anew."""
        now = peak_rss_bytes(self._process) if self._has_phase else None
        return None if now is None else now + self._withheld

    @property
    def why_no_phase(self) -> str | None:
        """Why there is none since the last `begin`; None where there is."""
        if self.whole_bytes is None:
            return "the system does not tell the most memory that a process had"
        if self.phase_bytes is None:
            return f"{self._process / 'clear_refs'} cannot be written, as in some sandboxes"
        return None

    def begin(self, held_bytes: int | None = None) -> None:
        """Have the mark begin anew, at what is resident now.

        Writing 5 to clear_refs is for that (proc_pid_clear_refs(5)). Some sandboxes have no such
        file, or have /proc read-only: the phases then have no mark of their own.

        Args:
            held_bytes: what a process that has given nothing back holds at this point; what is
                resident less than that counts as if it were there. So the mark is no lower than
                that of such a process, and higher by what it would use again of it.
        """
        self._before = self.whole_bytes
        self._withheld = max(0, (held_bytes or 0) - (rss_bytes(self._process) or 0))
        try:
            with (self._process / "clear_refs").open("r+") as file:  # never made where it is absent
                file.write("5")
        except OSError:
            self._has_phase = False
        else:
            self._has_phase = True


def why_no_phases(process: Path = _SELF) -> str | None:
    """Why a phase has no mark of its own here; None where it has. Loses the mark so far."""
    mark = HighWater(process)
    mark.begin()
    return mark.why_no_phase
