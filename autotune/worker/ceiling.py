"""How much more memory this process may take: a limit for code of the user's."""

import contextlib
import mmap
import resource
from collections.abc import Iterator
from pathlib import Path

from autotune.host.files import known, read

_PAGE_BYTES = resource.getpagesize()
_PLACES = {resource.RLIMIT_DATA: 5, resource.RLIMIT_AS: 0}
"""Where statm has what a limit is about, data or all that is mapped (proc_pid_statm(5))."""
_PROBE_BYTES = 64 * 2**20


@contextlib.contextmanager
def at_most_more(more_bytes: int | None) -> Iterator[None]:
    """So much more than what is held now; what would need more gets a MemoryError.

    By RLIMIT_DATA, which counts what can be written since Linux 4.7, and not what large libraries
    map or only reserve. Where it is not enforced, as in some sandboxes, by RLIMIT_AS, which counts
    that as well. (The kernel ignores RLIMIT_RSS.) Processes that are started meanwhile inherit it.

    Args:
        more_bytes: None for no limit but what there is.
    """
    kind = resource.RLIMIT_DATA if _is_enforced() else resource.RLIMIT_AS
    if more_bytes is None or _used_bytes(kind) is None:
        yield
        return
    with _limited(kind, more_bytes):
        yield


@contextlib.contextmanager
def _limited(kind: int, more_bytes: int) -> Iterator[None]:
    soft, most = resource.getrlimit(kind)
    bounds = [one for one in (soft, most) if one != resource.RLIM_INFINITY]
    resource.setrlimit(kind, (min([*bounds, (_used_bytes(kind) or 0) + more_bytes]), most))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, most))


def _is_enforced() -> bool:
    """Whether RLIMIT_DATA keeps this process from mapping memory."""
    if _used_bytes(resource.RLIMIT_DATA) is None:
        return False
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with _limited(resource.RLIMIT_DATA, _PROBE_BYTES // 2):
        try:
            mmap.mmap(-1, _PROBE_BYTES, flags=flags).close()
        except OSError:
            return True
    return False


def _used_bytes(kind: int, process: Path = Path("/proc/self")) -> int | None:
    """None where the system does not say."""
    return known(lambda: int(read(process / "statm").split()[_PLACES[kind]]) * _PAGE_BYTES)
