"""What counters say, and of whom: the usable CPUs, the own cgroup and those above it."""

import os
from pathlib import Path

import pytest

from autotune.host.counters import (
    CpuTime,
    QuotaPeriods,
    cpu_time,
    own_pressure_s,
    pressure_s,
    quota_periods,
    throttled_periods,
)
from tests.host.builders import HYBRID, V1, V2, machine
from tests.host.conftest import Tree

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


STAT = """cpu  400 40 40 9999 9 4 4 80 0 0
cpu0 100 10 10 999 9 1 1 20 0 0
cpu1 300 30 30 999 9 3 3 60 0 0
intr 12345 0 0
"""


@pytest.mark.parametrize(
    ("cpus", "busy_ticks", "steal_ticks"),
    [
        pytest.param({1}, 366, 60, id="one"),
        pytest.param({0, 1}, 488, 80, id="both"),
        pytest.param({0, 7}, 488, 80, id="a container that numbers them anew"),
    ],
)
def test_cpu_time_is_that_of_the_affinity(
    tree: Tree, cpus: set[int], busy_ticks: int, steal_ticks: int
) -> None:
    """Or of all, where a CPU of it is not listed; idle and waiting is not busy."""
    found = cpu_time(cpus, tree({"proc/stat": STAT}))
    assert found == CpuTime(busy_s=busy_ticks / TICKS_PER_S, steal_s=steal_ticks / TICKS_PER_S)


@pytest.mark.parametrize("text", ["", "cpu  1 2 3\n", "intr 1 2 3\n", "cpu a b c d e f g h\n"])
def test_cpu_time_that_is_malformed_names_the_file(tree: Tree, text: str) -> None:
    """An old or odd kernel."""
    root = tree({"proc/stat": text})
    with pytest.raises(ValueError, match="proc/stat: "):
        cpu_time({0}, root)


def test_pressure_is_the_total_of_some(tree: Tree) -> None:
    """In microseconds."""
    text = "some avg10=0.00 total=2500000\nfull avg10=0.00 total=7\n"
    assert pressure_s(tree({"proc/pressure/cpu": text})) == 2.5


def test_quota_periods_are_those_of_all_groups_above(tree: Tree) -> None:
    """A group without the counters has no quota, and another's are not ours."""
    root = tree(
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/cpu.stat": "usage_usec 5\n",
            "sys/fs/cgroup/a/cpu.stat": "usage_usec 5\nnr_periods 10\nnr_throttled 3\n",
            "sys/fs/cgroup/c/cpu.stat": "nr_periods 99\nnr_throttled 99\n",
        }
    )
    group = str(root / "sys/fs/cgroup/a")
    assert quota_periods(root) == (QuotaPeriods(group=group, periods=10, throttled=3),)


def test_quota_periods_of_version_1(tree: Tree) -> None:
    """In a folder of the controller."""
    files = {"proc/self/cgroup": "4:cpu:/\n", "sys/fs/cgroup/cpu/cpu.stat": "nr_periods 0\n"}
    assert quota_periods(tree(files)) == ()
    files["sys/fs/cgroup/cpu/cpu.stat"] = "nr_periods 7\nnr_throttled 0\nthrottled_time 0\n"
    assert [group.periods for group in quota_periods(tree(files))] == [7]


def periods(throttled: int) -> str:
    """A group's statistics."""
    return f"usage_usec 5\nnr_periods 99\nnr_throttled {throttled}\nthrottled_usec 7\n"


V1_CPU = "4:cpu,cpuacct:{0}\n3:memory:/\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            machine(V2, "0::/a/b\n", {"cpu.stat": "usage_usec 1\n", "a/b/cpu.stat": periods(596)}),
            596,
            id="v2, of the own group, where the top one has none",
        ),
        pytest.param(
            machine(V2, "0::/a/b\n", {"a/cpu.stat": periods(3), "a/b/cpu.stat": periods(4)}),
            7,
            id="v2, of the own group and those above",
        ),
        pytest.param(
            machine(V2, "0::/a\n", {"a/cpu.stat": periods(0), "c/cpu.stat": periods(9)}),
            0,
            id="v2, not of another",
        ),
        pytest.param(
            machine(
                V1,
                V1_CPU.format("/a/b"),
                {"cpu,cpuacct/cpu.stat": periods(0), "cpu,cpuacct/a/b/cpu.stat": periods(596)},
            ),
            596,
            id="v1, of the own group, where the top one has zero",
        ),
        pytest.param(
            machine(
                V1,
                V1_CPU.format("/docker/1/x"),
                {"cpu,cpuacct/cpu.stat": periods(2), "cpu,cpuacct/x/cpu.stat": periods(5)},
                shows="/docker/1",
            ),
            7,
            id="v1, in a container without a namespace",
        ),
        pytest.param(
            machine(
                HYBRID,
                V1_CPU.format("/a") + "0::/u\n",
                {"cpu,cpuacct/a/cpu.stat": periods(6), "unified/u/cpu.stat": "usage_usec 5\n"},
            ),
            6,
            id="hybrid",
        ),
        pytest.param(
            machine(V2, "0::/\n", {"cpu.stat": "usage_usec 5\n"}), None, id="no quota can be set"
        ),
    ],
)
def test_throttled_periods_are_those_of_the_own_group_and_all_above(
    tree: Tree, files: dict[str, str], expected: int | None
) -> None:
    """Wherever the quota is that ran out; no accounting is no zero."""
    assert throttled_periods(tree(files)) == expected


HOST = {"proc/pressure/cpu": "some avg10=0.00 total=9000000\nfull avg10=0.00 total=7\n"}
OWN = "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 total=1\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            machine(V2, "0::/a/b\n", {"cpu.pressure": "x\n", "a/b/cpu.pressure": OWN}),
            2.5,
            id="v2",
        ),
        pytest.param(
            machine(HYBRID, V1_CPU.format("/a") + "0::/u\n", {"unified/u/cpu.pressure": OWN}),
            2.5,
            id="hybrid",
        ),
        pytest.param(
            machine(V2, "0::/a\n", {"cpu.pressure": OWN}), 9.0, id="only a group above accounts"
        ),
        pytest.param(machine(V2, "0::/a\n", {"a/cpu.pressure": "\n"}), 9.0, id="malformed"),
        pytest.param(machine(V1, V1_CPU.format("/a"), {}), 9.0, id="v1"),
        pytest.param({}, 9.0, id="no cgroups"),
    ],
)
def test_pressure_is_the_own_groups_where_it_is_accounted(
    tree: Tree, files: dict[str, str], expected: float
) -> None:
    """Who waits elsewhere on the machine waits for others; without groups only that is known."""
    assert own_pressure_s(tree({**HOST, **files})) == expected


@pytest.mark.parametrize("probe", [pressure_s, own_pressure_s, quota_periods, throttled_periods])
def test_a_machine_without_counters_is_an_error(tmp_path: Path, probe: object) -> None:
    """Never a zero."""
    assert callable(probe)
    with pytest.raises(OSError, match="No such file"):
        probe(tmp_path)
