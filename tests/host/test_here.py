"""A process in a real cgroup of its own, with a quota, sees that it runs out."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.host.cgroups import own_groups
from tests.host.builders import V2, machine

QUOTA_US, PERIOD_US = 5_000, 50_000
NAME = f"autotune-test-{os.getpid()}"
# Works until it was throttled; the deadline is for a machine that never does it.
CHILD = """
import json, sys, time
from pathlib import Path
from autotune.host import counters, cpus
from autotune.worker import readings

group, root = Path(sys.argv[1]), Path(sys.argv[2])
if root == Path("/"):
    (group / "cgroup.procs").write_text("0")
before = readings.take()
deadline = time.monotonic() + 60
while time.monotonic() < deadline and counters.throttled_periods(root) == 0:
    sum(range(10_000))
after = readings.take()
print(json.dumps({
    "quota": cpus.cpu_quota(root),
    "throttled": counters.throttled_periods(root),
    "read": [before.throttled, after.throttled],
}))
"""


def _limited(top: Path) -> Path | None:
    """A new group with a quota, and another one in it without; None where none can be made."""
    outer = top / NAME
    try:
        if (top / "cgroup.subtree_control").exists():
            (top / "cgroup.subtree_control").write_text("+cpu")
        (outer / "inner").mkdir(parents=True)
        if (outer / "cpu.max").exists():
            (outer / "cpu.max").write_text(f"{QUOTA_US} {PERIOD_US}")
        else:
            (outer / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (outer / "cpu.cfs_quota_us").write_text(str(QUOTA_US))
    except OSError:
        _remove(outer)
        return None
    return outer / "inner"


def _remove(outer: Path) -> None:
    for folder in (outer / "inner", outer):
        with contextlib.suppress(OSError):
            folder.rmdir()


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A group below one with a quota, and where its files are; on a fake machine if need be."""
    for top in own_groups("cpu"):
        group = _limited(top)
        if group is not None:
            yield group, Path("/")
            _remove(group.parent)
            return
    files = machine(
        V2,
        f"0::/{NAME}/inner\n",
        {
            f"{NAME}/cpu.max": f"{QUOTA_US} {PERIOD_US}\n",
            f"{NAME}/cpu.stat": "nr_periods 9\nnr_throttled 5\n",
        },
    )
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    yield tmp_path, tmp_path


def test_a_quota_above_the_own_group_is_seen_from_inside(limited: tuple[Path, Path]) -> None:
    """And each period in which it ran out, by what the worker reads as well."""
    group, root = limited
    command = [sys.executable, "-c", CHILD, str(group), str(root)]
    told = subprocess.run(command, capture_output=True, check=True, timeout=100)
    seen = json.loads(told.stdout)
    assert seen["quota"] == QUOTA_US / PERIOD_US
    assert seen["throttled"] > 0
    if root == Path("/"):
        before, after = seen["read"]
        assert after > before
