"""How many CPUs are really ours, and what makes two machines different."""

import os
from pathlib import Path

import psutil
import pytest

from autotune.execution.machine import (
    available_memory,
    cpu_quota,
    fingerprint,
    oom_kills,
    usable_cpus,
    versions,
)


def groups_of(tmp_path: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A tree of control groups, and the file that names those of a process."""
    root = tmp_path / "cgroup"
    root.mkdir()
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    groups = tmp_path / "self"
    groups.write_text(membership)
    return root, groups


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1.5, id="v2"),
        pytest.param("0::/a/b\n", {"a/cpu.max": "200000 100000\n"}, 2.0, id="v2, of the parent"),
        pytest.param(
            "0::/a/b\n",
            {"a/cpu.max": "100000 100000\n", "a/b/cpu.max": "300000 100000\n"},
            1.0,
            id="v2, the smallest counts",
        ),
        pytest.param("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5, id="v2, a namespace's root"),
        pytest.param("0::/a\n", {"a/cpu.max": "max 100000\n"}, None, id="v2, no limit"),
        pytest.param("0::/a\n", {"b/cpu.max": "100000 100000\n"}, None, id="v2, another's limit"),
        pytest.param(
            "4:cpu,cpuacct:/a\n1:name=systemd:/\n",
            {"cpu/a/cpu.cfs_quota_us": "400000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            4.0,
            id="v1",
        ),
        pytest.param(
            "4:cpu:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            None,
            id="v1, no limit",
        ),
        pytest.param("", {}, None, id="no control groups"),
    ],
)
def test_the_quota_is_the_smallest_of_all_groups_above(
    tmp_path: Path, membership: str, files: dict[str, str], expected: float | None
) -> None:
    """OpenVINO sees the affinity but not the quota, so it is read here."""
    assert cpu_quota(*groups_of(tmp_path, membership, files)) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"a/b/memory.max": "5000\n", "a/b/memory.current": "2000\n"}, 3000, id="own"),
        pytest.param({"a/memory.max": "5000\n", "a/memory.current": "4000\n"}, 1000, id="parent's"),
        pytest.param(
            {
                "a/memory.max": "9000\n",
                "a/memory.current": "8500\n",
                "a/b/memory.max": "5000\n",
                "a/b/memory.current": "1000\n",
            },
            500,
            id="the least that is left counts",
        ),
        pytest.param({"memory.max": "700\n", "memory.current": "0\n"}, 700, id="a root's"),
        pytest.param({"a/memory.max": "10\n", "a/memory.current": "20\n"}, 0, id="more than all"),
        pytest.param({"a/memory.max": "max\n", "a/memory.current": "20\n"}, None, id="no limit"),
        pytest.param({"a/memory.max": "5000\n"}, None, id="nobody knows how much is used"),
        pytest.param({"c/memory.max": "5\n", "c/memory.current": "5\n"}, None, id="another's"),
        pytest.param(
            {"a/memory.max": f"{2**62}\n", "a/memory.current": "0\n"}, None, id="beyond the machine"
        ),
        pytest.param({}, None, id="no files"),
    ],
)
def test_memory_is_what_the_strictest_group_leaves(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    """And never more than the machine has free, which counts where no group has a limit."""
    found = available_memory(*groups_of(tmp_path, "0::/a/b\n", files))
    if expected is None:
        assert 2**20 < found <= psutil.virtual_memory().total
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {
                "memory.max": "1000\n",
                "memory.current": "990\n",
                "memory.stat": "inactive_file 700\n",
            },
            710,
        ),
        (
            {
                "memory/memory.limit_in_bytes": "1000\n",
                "memory/memory.usage_in_bytes": "400\n",
                "memory/memory.stat": "cache 1\ntotal_inactive_file 100\n",
            },
            700,
        ),
        ({"memory.max": "1000\n", "memory.current": "100\n", "memory.stat": "x\ny z\n"}, 900),
    ],
)
def test_pages_that_can_be_given_up_are_available(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    """The cache of files counts as used, in both versions of control groups."""
    assert available_memory(*groups_of(tmp_path, "0::/\n", files)) == expected


@pytest.mark.parametrize(
    ("files", "vmstat", "expected"),
    [
        ({"a/memory.events": "low 1\noom 7\noom_kill 3\n"}, "pgfault 12\noom_kill 2\n", 5),
        ({"a/memory.events": "low 1\n"}, "oom_kill 0\n", 0),
        ({}, "pgfault 12\n", None),
        ({}, None, None),
    ],
)
def test_kills_for_memory_are_counted_where_the_kernel_does(
    tmp_path: Path, files: dict[str, str], vmstat: str | None, expected: int | None
) -> None:
    """Its own count and the group's; none of them is no zero."""
    counters = tmp_path / "vmstat"
    if vmstat is not None:
        counters.write_text(vmstat)
    assert oom_kills(*groups_of(tmp_path, "0::/a\n", files), counters) == expected


def test_some_memory_is_available_here() -> None:
    """Whatever this machine is; without control groups it is the machine's."""
    assert 0 <= available_memory() <= psutil.virtual_memory().total
    nowhere = Path("/nonexistent")
    assert 0 < available_memory(nowhere, nowhere) <= psutil.virtual_memory().total


def test_usable_cpus_are_at_least_one_and_at_most_the_affinity() -> None:
    """Whatever this machine is."""
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))


def test_the_same_machine_has_no_differences() -> None:
    """A new kernel is not another machine."""
    machine = fingerprint("2026.4", {"CPU": "a CPU"})
    assert machine.differences({**machine.to_dict(), "system": "an older kernel"}) == []


def test_differences_say_then_and_now() -> None:
    """Each in a line of its own."""
    machine = fingerprint("2026.4", {"CPU": "a CPU"})
    before = {**machine.to_dict(), "openvino": "2025.1", "usable_cpus": 512}
    assert machine.differences(before) == [
        f"usable_cpus: 512 then, {machine.usable_cpus} now",
        "openvino: '2025.1' then, '2026.4' now",
    ]


def test_versions_name_what_numbers_depend_on() -> None:
    """From package metadata, without importing anything."""
    assert {"python", "openvino", "optuna", "numpy"} <= set(versions())
