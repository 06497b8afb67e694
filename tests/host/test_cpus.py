"""How many CPUs are really ours."""

import os
from pathlib import Path

import pytest

from autotune.host.cpus import Cpus, affinity, cpu_quota, cpus, usable_cpus
from tests.host.builders import HYBRID, V1, V2, machine
from tests.host.conftest import Tree

V1_CPU = "4:cpu,cpuacct:{0}\n3:memory:/\n"


def limit(quota_us: int, group: str) -> dict[str, str]:
    """Of version 1, with the usual period."""
    return {
        f"cpu,cpuacct{group}/cpu.cfs_quota_us": f"{quota_us}\n",
        f"cpu,cpuacct{group}/cpu.cfs_period_us": "100000\n",
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(machine(V2, "0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}), 1.5, id="v2"),
        pytest.param(
            machine(V2, "0::/a/b\n", {"a/cpu.max": "200000 100000\n"}), 2.0, id="v2, the parent's"
        ),
        pytest.param(
            machine(
                V2,
                "0::/a/b/c\n",
                {
                    "a/cpu.max": "100000 100000\n",
                    "a/b/cpu.max": "max 100000\n",
                    "a/b/c/cpu.max": "300000 100000\n",
                },
            ),
            1.0,
            id="v2, the smallest counts",
        ),
        pytest.param(
            machine(V2, "0::/\n", {"cpu.max": "50000 100000\n"}), 0.5, id="v2, a namespace's root"
        ),
        pytest.param(machine(V2, "0::/a\n", {"a/cpu.max": "max 100000\n"}), None, id="v2, none"),
        pytest.param(
            machine(V2, "0::/a\n", {"b/cpu.max": "100000 100000\n"}), None, id="v2, another's"
        ),
        pytest.param(machine(V1, V1_CPU.format("/a"), limit(400000, "/a")), 4.0, id="v1"),
        pytest.param(machine(V1, V1_CPU.format("/a"), limit(-1, "/a")), None, id="v1, none"),
        pytest.param(
            machine(
                V1,
                V1_CPU.format("/a/b"),
                {**limit(50000, "/a"), **limit(300000, "/a/b"), **limit(-1, "")},
            ),
            0.5,
            id="v1, the smallest counts",
        ),
        pytest.param(
            machine(V1, V1_CPU.format("/docker/1"), limit(70000, ""), shows="/docker/1"),
            0.7,
            id="v1, a container without a namespace",
        ),
        pytest.param(
            machine(HYBRID, V1_CPU.format("/a") + "0::/u\n", limit(250000, "/a")),
            2.5,
            id="hybrid",
        ),
        pytest.param(
            machine(V2, "0::/../..\n", {"cpu.max": "50000 100000\n"}),
            0.5,
            id="a process outside of its namespace has the container's",
        ),
        pytest.param(machine(V2, "0::/a\n", {"a/cpu.max": "much\n"}), None, id="malformed"),
        pytest.param({"proc/self/cgroup": ""}, None, id="no cgroups"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_the_quota_is_the_smallest_of_all_groups_above(
    tree: Tree, files: dict[str, str], expected: float | None
) -> None:
    """OpenVINO sees the affinity but not the quota, so it is read here."""
    assert cpu_quota(tree(files)) == expected


@pytest.mark.parametrize(
    ("affinity_cpus", "quota_cpus", "usable"),
    [(4, None, 4), (4, 8.0, 4), (4, 4.0, 4), (4, 3.9, 3), (4, 0.5, 1), (1, 0.1, 1)],
)
def test_usable_cpus_are_whole_and_at_least_one(
    affinity_cpus: int, quota_cpus: float | None, usable: int
) -> None:
    """Of the affinity and the quota, the smaller."""
    assert Cpus(visible=8, affinity=affinity_cpus, quota_cpus=quota_cpus).usable == usable


def test_the_cpus_of_this_machine(tmp_path: Path) -> None:
    """Whatever it is; without cgroups there is no quota."""
    here = cpus()
    assert 1 <= here.usable == usable_cpus() <= here.affinity <= here.visible
    assert affinity() == os.sched_getaffinity(0)
    assert cpus(tmp_path).quota_cpus is None
