"""Files that a worker writes on purpose: the limit on its log is none on them."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def of_any_size() -> Iterator[None]:
    """Inside, files may be as large as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
