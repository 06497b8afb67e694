"""Memory of this process."""

import contextlib
import ctypes


def give_back() -> None:
    """Hand memory that is free inside this process back to the system.

    The C library keeps what a large fit needed, up to tens of megabytes, and whatever lies between
    allocations that live on. Nothing happens where it is another one than glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
