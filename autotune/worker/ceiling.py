"""How much more memory this process may take: a limit for code of the user's."""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

from autotune.host.files import known, read

_PAGE_BYTES = resource.getpagesize()


def address_space_bytes(process: Path = Path("/proc/self")) -> int | None:
    """All that is mapped; None where the system does not say."""
    return known(lambda: int(read(process / "statm").split()[0]) * _PAGE_BYTES)


@contextlib.contextmanager
def at_most_more(more_bytes: int | None) -> Iterator[None]:
    """So much more than what is mapped now; what would need more gets a MemoryError.

    By RLIMIT_AS, as the kernel ignores RLIMIT_RSS; processes that are started meanwhile inherit it.
    Who needs much at once is refused at once, and who takes a little at a time at the limit.

    Args:
        more_bytes: None for no limit but what there is.
    """
    soft, most = resource.getrlimit(resource.RLIMIT_AS)
    used = address_space_bytes()
    if more_bytes is None or used is None:
        yield
        return
    bounds = [used + more_bytes, *(one for one in (soft, most) if one != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(bounds), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, most))
