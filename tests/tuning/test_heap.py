"""Memory that is free goes back to the system."""

import subprocess
import sys

FREED = """
import psutil
from autotune.tuning import heap

pieces = [bytes(100_000) for _ in range(300)]
kept = pieces[-1]
del pieces
before = psutil.Process().memory_info().rss
heap.give_back()
assert len(kept) == 100_000
print(before - psutil.Process().memory_info().rss)
"""


def test_what_lies_between_allocations_that_live_on_is_given_back() -> None:
    """Thirty megabytes of pieces below the one that is kept, in a process that has no holes yet."""
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 15 * 2**20
