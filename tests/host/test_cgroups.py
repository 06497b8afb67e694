"""Which folders are this process's cgroups, on every kind of machine."""

import os
from pathlib import Path

import pytest

from autotune.host.cgroups import own_group, own_groups
from tests.host.builders import HYBRID, V1, V2, machine
from tests.host.conftest import Tree

V1_LINES = "4:cpu,cpuacct:{0}\n3:memory:{0}\n1:name=systemd:/elsewhere\n"
PROCS = f"1\n{os.getpid()}\n"


def names(root: Path, controller: str) -> list[str]:
    """The folders found, below /sys/fs/cgroup."""
    top = root / "sys/fs/cgroup"
    return [str(folder.relative_to(top)) for folder in own_groups(controller, root)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(machine(V2, "0::/a/b\n", {}), ["a/b", "a", "."], id="v2"),
        pytest.param(machine(V2, "0::/\n", {}), ["."], id="v2, a namespace's root"),
        pytest.param(
            machine(V1, V1_LINES.format("/a/b"), {}),
            ["cpu,cpuacct/a/b", "cpu,cpuacct/a", "cpu,cpuacct"],
            id="v1, a controller that is mounted with another",
        ),
        pytest.param(
            machine(HYBRID, V1_LINES.format("/a") + "0::/u\n", {}),
            ["cpu,cpuacct/a", "cpu,cpuacct", "unified/u", "unified"],
            id="hybrid: the controller may be in either",
        ),
        pytest.param(
            machine(V1, V1_LINES.format("/docker/12"), {}, shows="/docker/12"),
            ["cpu,cpuacct"],
            id="v1, a container without a namespace: its own group is what is mounted",
        ),
        pytest.param(
            machine(V1, V1_LINES.format("/docker/12/in/side"), {}, shows="/docker/12"),
            ["cpu,cpuacct/in/side", "cpu,cpuacct/in", "cpu,cpuacct"],
            id="v1, a group inside of such a container",
        ),
        pytest.param(
            machine(V2, "0::/../../other\n", {}),
            ["."],
            id="a process that was moved out of its namespace sees the container's limits",
        ),
        pytest.param(
            machine(V2, "0::/../..\n", {}), ["."], id="a process that is above its namespace"
        ),
        pytest.param(
            machine(V2, "0::/../../user.slice/x\n", {}, shows="/../.."),
            ["user.slice/x", "user.slice", "."],
            id="the same where the mount is from above, too",
        ),
        pytest.param(
            machine(
                V2,
                "0::/\n",
                {"a/b/cgroup.procs": "7\n", "a/c/cgroup.procs": PROCS, "d/cgroup.procs": PROCS},
                shows="/../..",
            ),
            ["a/c", "a", "."],
            id="a namespace below the mount: the names above are found by who is in the group",
        ),
        pytest.param(
            machine(
                V2,
                "0::/job\n",
                {"a/job/cgroup.procs": "7\n", "b/job/cgroup.procs": PROCS},
                shows="/..",
            ),
            ["b/job", "b", "."],
            id="a group inside of such a namespace",
        ),
        pytest.param(
            machine(V2, "0::/\n", {"a/cgroup.procs": "7\n"}, shows="/.."),
            ["."],
            id="such a namespace whose group cannot be found",
        ),
        pytest.param(machine(V2, "0::/b\n", {}, shows="/a"), ["."], id="a mount of another group"),
        pytest.param(
            machine(
                V2 + "35 20 0:26 / /sys/fs/cgroup/again\\040here rw - cgroup2 cgroup2 rw\n",
                "0::/b\n",
                {},
                shows="/a",
            ),
            ["again here/b", "again here"],
            id="of two mounts the one that shows the group; spaces are escaped",
        ),
        pytest.param(
            machine(V2 + "35 31 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "0::/b\n", {}),
            ["b", ".", "unified/b", "unified"],
            id="a mount that is hidden by another is none: the usual places",
        ),
    ],
)
def test_groups_are_found_wherever_they_are_mounted(
    tree: Tree, files: dict[str, str], expected: list[str]
) -> None:
    """From the innermost to what is mounted."""
    assert names(tree(files), "cpu") == expected


def test_without_mounts_they_are_looked_for_in_the_usual_places(tree: Tree) -> None:
    """Version 2 alone or beside version 1, and a controller that is mounted with another."""
    root = tree({"proc/self/cgroup": "4:cpu,cpuacct:/a/b\n3:memory:/m\n1:name=systemd:/\n0::/u\n"})
    assert set(names(root, "cpu")) == {
        *("cpu/a/b", "cpu/a", "cpu"),
        *("cpu,cpuacct/a/b", "cpu,cpuacct/a", "cpu,cpuacct"),
        *("u", ".", "unified/u", "unified"),
    }


def test_a_process_that_is_moved_is_found_again(tree: Tree) -> None:
    """What was found once is kept only as long as the process is where it was."""
    root = tree(machine(V2, "0::/a\n", {}))
    assert names(root, "cpu") == ["a", "."]
    tree({"proc/self/cgroup": "0::/b\n"})
    assert names(root, "cpu") == ["b", "."]


def test_the_own_group_is_that_of_version_2(tree: Tree) -> None:
    """Beside version 1 as well; none where there is only version 1."""
    root = tree(machine(HYBRID, V1_LINES.format("/a") + "0::/u/v\n", {}))
    assert own_group(root) == root / "sys/fs/cgroup/unified/u/v"
    assert own_group(tree(machine(V1, V1_LINES.format("/a"), {}))) is None


def test_a_machine_that_does_not_tell_is_an_error(tree: Tree, tmp_path: Path) -> None:
    """With the name of the file."""
    with pytest.raises(OSError, match="proc/self/cgroup"):
        own_groups("cpu", tmp_path)
    with pytest.raises(ValueError, match="proc/self/cgroup: 'nonsense' names no cgroup"):
        own_groups("cpu", tree({"proc/self/cgroup": "nonsense\n"}))
