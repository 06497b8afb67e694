"""Memory that may be taken: the machine's, within what every cgroup leaves."""

from pathlib import Path

import pytest

from autotune.host.memory import Memory, available_memory, memory, oom_kills
from tests.host.builders import HYBRID, V1, V2, machine
from tests.host.conftest import Tree

MEMINFO = "MemTotal: 9000 kB\nMemAvailable: 4000 kB\nSwapTotal: 300 kB\nSwapFree: 100 kB\nHuge: 0\n"
V1_MEMORY = "4:cpu:/elsewhere\n3:memory:{0}\n"


def limit(allowed: object, used: int, group: str = "", dropped: int = 0) -> dict[str, str]:
    """Of version 2."""
    return {
        f"{group}memory.max": f"{allowed}\n",
        f"{group}memory.current": f"{used}\n",
        f"{group}memory.stat": f"anon 500\ninactive_file {dropped}\n",
    }


def limit_1(allowed: int, used: int, group: str = "", dropped: int = 0) -> dict[str, str]:
    """Of version 1."""
    return {
        f"memory/{group}memory.limit_in_bytes": f"{allowed}\n",
        f"memory/{group}memory.usage_in_bytes": f"{used}\n",
        f"memory/{group}memory.stat": f"cache 1\ntotal_inactive_file {dropped}\n",
    }


@pytest.mark.parametrize(
    ("files", "room"),
    [
        pytest.param({}, None, id="no cgroups"),
        pytest.param(machine(V2, "0::/a/b\n", limit(5000, 2000, "a/b/")), 3000, id="own"),
        pytest.param(machine(V2, "0::/a/b\n", limit(5000, 4000, "a/")), 1000, id="the parent's"),
        pytest.param(
            machine(V2, "0::/a/b\n", {**limit(1000, 900, "a/", 300), **limit(5000, 0, "a/b/")}),
            400,
            id="the least that is left counts",
        ),
        pytest.param(machine(V2, "0::/\n", limit(700, 0)), 700, id="a namespace's root"),
        pytest.param(machine(V2, "0::/a\n", limit(10, 20, "a/")), 0, id="more than all"),
        pytest.param(machine(V2, "0::/a\n", limit(100, 90, "a/", 500)), 100, id="all of it cache"),
        pytest.param(machine(V2, "0::/a\n", limit("max", 20, "a/")), None, id="no limit"),
        pytest.param(
            machine(V2, "0::/a\n", {"a/memory.max": "5000\n"}), None, id="nobody knows the use"
        ),
        pytest.param(
            machine(V2, "0::/a\n", {"a/memory.max": "1000\n", "a/memory.current": "100\n"}),
            900,
            id="no statistics",
        ),
        pytest.param(machine(V2, "0::/a\n", limit(5, 5, "c/")), None, id="another's"),
        pytest.param(
            machine(V1, V1_MEMORY.format("/a"), limit_1(1000, 600, "a/", 50)), 450, id="v1"
        ),
        pytest.param(
            machine(
                V1,
                V1_MEMORY.format("/a/b"),
                {**limit_1(1000, 950, "a/"), **limit_1(2**63 - 4096, 900, "a/b/")},
            ),
            50,
            id="v1, the parent's",
        ),
        pytest.param(
            machine(V1, V1_MEMORY.format("/docker/1"), limit_1(1000, 400), shows="/docker/1"),
            600,
            id="v1, a container without a namespace",
        ),
        pytest.param(
            machine(HYBRID, V1_MEMORY.format("/a") + "0::/u\n", limit_1(1000, 400, "a/")),
            600,
            id="hybrid",
        ),
        pytest.param({"proc/self/cgroup": "nonsense\n"}, None, id="malformed"),
    ],
)
def test_memory_is_read_with_the_limits_of_all_groups_above(
    tree: Tree, files: dict[str, str], room: int | None
) -> None:
    """Pages of files that can be dropped are room, too; without a limit the machine's counts."""
    root = tree({"proc/meminfo": MEMINFO, **files})
    assert memory(root) == Memory(
        total_bytes=9000 * 1024,
        available_bytes=4000 * 1024,
        swap_used_bytes=200 * 1024,
        group_room_bytes=room,
    )
    assert available_memory(root) == (4000 * 1024 if room is None else room)


def test_a_limit_beyond_the_machine_is_none(tree: Tree) -> None:
    """What is not there cannot be taken."""
    root = tree({"proc/meminfo": MEMINFO, **machine(V2, "0::/a\n", limit(2**62, 0, "a/"))})
    assert available_memory(root) == 4000 * 1024


@pytest.mark.parametrize(
    ("groups", "vmstat", "expected"),
    [
        ({"a/memory.events": "low 1\noom 7\noom_kill 3\n"}, "pgfault 12\noom_kill 2\n", 5),
        ({"a/memory.events": "low 1\n"}, "oom_kill 0\n", 0),
        ({"a/memory.oom_control": "under_oom 0\noom_kill 4\n"}, "oom_kill 0\n", 4),
        ({"b/memory.events": "oom_kill 3\n"}, "oom_kill 2\n", 2),
        ({}, "pgfault 12\n", None),
        ({}, None, None),
    ],
)
def test_kills_for_memory_are_counted_where_the_kernel_does(
    tree: Tree, groups: dict[str, str], vmstat: str | None, expected: int | None
) -> None:
    """Its own count and the group's; none of them is no zero."""
    counted = {} if vmstat is None else {"proc/vmstat": vmstat}
    assert oom_kills(tree({**machine(V2, "0::/a\n", groups), **counted})) == expected


@pytest.mark.parametrize("text", [None, "", "MemAvailable: lots kB\n", "MemTotal: 5 kB\n"])
def test_a_machine_that_does_not_tell_is_an_error(tmp_path: Path, text: str | None) -> None:
    """With the name of the file."""
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/meminfo").write_text(text)
    with pytest.raises((OSError, ValueError), match="proc/meminfo"):
        memory(tmp_path)


def test_some_memory_is_available_here() -> None:
    """Whatever this machine is."""
    assert 0 <= available_memory() <= memory().total_bytes
