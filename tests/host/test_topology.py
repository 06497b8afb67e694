"""How CPUs hang together, as machines of many kinds tell it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.domain.hardware import Hardware
from autotune.host.cpus import affinity
from autotune.host.topology import (
    LogicalCpu,
    Topology,
    capacities_of,
    core_types_of,
    cores_of,
    format_cpus,
    hardware_of,
    nodes_of,
    parse_cpus,
    sockets_of,
    topology,
    usable_topology,
)
from tests.host.conftest import Tree

CPU, NODE = "sys/devices/system/cpu", "sys/devices/system/node"


def cores(*threads: str, socket: int = 0, name: str = "core_cpus_list") -> dict[str, str]:
    """Files of the cores with these threads, all of one socket."""
    return {
        path: text
        for listed in threads
        for cpu in parse_cpus(listed)
        for path, text in {
            f"{CPU}/cpu{cpu}/topology/{name}": f"{listed}\n",
            f"{CPU}/cpu{cpu}/topology/physical_package_id": f"{socket}\n",
        }.items()
    }


SMT = {**cores("0,2", "1,3"), f"{CPU}/online": "0-3\n", f"{NODE}/node0/cpulist": "0-3\n"}
TWO_SOCKETS = {
    **cores("0,4", "1,5", socket=0),
    **cores("2,6", "3,7", socket=1),
    f"{CPU}/online": "0-7\n",
    f"{NODE}/node0/cpulist": "0-1,4-5\n",
    f"{NODE}/node1/cpulist": "2-3,6-7\n",
    f"{NODE}/node2/cpulist": "\n",  # memory alone
}
P_AND_E = {
    **cores(*(f"{2 * n},{2 * n + 1}" for n in range(8)), *map(str, range(16, 24))),
    f"{CPU}/online": "0-23\n",
    f"{NODE}/node0/cpulist": "0-23\n",
    "sys/devices/cpu_core/cpus": "0-15\n",
    "sys/devices/cpu_atom/cpus": "16-23\n",
}
BY_EVENT_SOURCE = {
    name.replace("sys/devices/cpu_", "sys/bus/event_source/devices/cpu_"): text
    for name, text in P_AND_E.items()
}
OFFLINE = {
    **cores("0", "1,3"),  # 2 is off: the kernel takes its topology away, and names no sibling
    f"{CPU}/cpu2/online": "0\n",
    f"{CPU}/online": "0-1,3\n",
    f"{NODE}/node0/cpulist": "0-1,3\n",
}
ARM = {
    **cores("0", "1", "2", "3", "4", "5", "6", "7", name="thread_siblings_list", socket=-1),
    **{f"{CPU}/cpu{n}/cpu_capacity": "325\n" for n in range(4)},
    **{f"{CPU}/cpu{n}/cpu_capacity": "828\n" for n in range(4, 7)},
    f"{CPU}/cpu7/cpu_capacity": "1024\n",
    f"{CPU}/online": "0-7\n",
}
ONE = {**cores("0"), f"{CPU}/online": "0\n", f"{NODE}/node0/cpulist": "0\n"}


@pytest.mark.parametrize(
    ("files", "cpus", "counts", "types"),
    [
        pytest.param(SMT, 4, (2, 1, 1), {}, id="SMT"),
        pytest.param(TWO_SOCKETS, 8, (4, 2, 2), {}, id="two sockets"),
        pytest.param(P_AND_E, 24, (16, 1, 1), {"P": 8, "E": 8}, id="hybrid 8P+8E"),
        pytest.param(BY_EVENT_SOURCE, 24, (16, 1, 1), {"P": 8, "E": 8}, id="hybrid, elsewhere"),
        pytest.param(OFFLINE, 3, (2, 1, 1), {}, id="offline"),
        pytest.param(ARM, 8, (8, 1, 1), {"P": 4, "E": 4}, id="Arm big.LITTLE"),
        pytest.param(ONE, 1, (1, 1, 1), {}, id="one CPU"),
        pytest.param({f"{CPU}/online": "0-3\n"}, 4, (4, 1, 1), {}, id="nothing but who is online"),
        pytest.param({}, 0, (0, 1, 1), {}, id="nothing"),
        pytest.param({f"{CPU}/online": "much\n"}, 0, (0, 1, 1), {}, id="malformed"),
        pytest.param(
            {**SMT, f"{CPU}/cpu1/topology/core_cpus_list": "1,x\n", f"{NODE}/node0/cpulist": "?\n"},
            4,
            (4, 1, 1),
            {},
            id="malformed in part",
        ),
        pytest.param(
            {**SMT, f"{CPU}/cpu0/cpu_capacity": "fast\n"}, 4, (2, 1, 1), {}, id="malformed capacity"
        ),
    ],
)
def test_a_machine_is_counted_as_it_tells(
    tree: Tree,
    files: dict[str, str],
    cpus: int,
    counts: tuple[int, int, int],
    types: dict[str, int],
) -> None:
    """What is hidden or malformed is taken for the simplest; the rest of it is read."""
    found = topology(tree(files))
    assert len(found.cpus) == cpus
    assert (found.cores, found.sockets, found.nodes) == counts
    assert found.core_types == types


def test_each_cpu_says_what_it_belongs_to(tree: Tree) -> None:
    """Its core is named by the first of its threads."""
    found = topology(tree(TWO_SOCKETS))
    assert found.cpus[6] == LogicalCpu(number=6, core=2, socket=1, node=1)
    assert found.siblings == {0: (0, 4), 1: (1, 5), 2: (2, 6), 3: (3, 7)}


def test_the_types_of_cores_stand_in_the_order_of_their_speed(tree: Tree) -> None:
    """Tables show them so."""
    assert list(topology(tree(P_AND_E)).core_types) == ["P", "E"]


@pytest.mark.parametrize(
    ("budget", "counts", "types"),
    [
        ("0-3", (2, 1, 1), {}),
        ("0,2", (2, 1, 1), {}),
        ("14-17", (3, 1, 1), {"P": 1, "E": 2}),
        ("16-23", (8, 1, 1), {}),
    ],
)
def test_a_budget_has_what_is_among_its_cpus(
    tree: Tree, budget: str, counts: tuple[int, int, int], types: dict[str, int]
) -> None:
    """A thread whose sibling is not in it is a core; cores of one type are all alike."""
    found = topology(tree(P_AND_E)).within(parse_cpus(budget))
    assert format_cpus(found.numbers) == budget
    assert (found.cores, found.sockets, found.nodes) == counts
    assert found.core_types == types


def test_a_budget_on_one_socket_knows_no_other(tree: Tree) -> None:
    """Nor its memory node."""
    found = topology(tree(TWO_SOCKETS)).within({2, 3, 6, 7})
    assert (found.cores, found.sockets, found.nodes) == (2, 1, 1)


def test_a_container_that_hides_sys_has_its_affinity(tmp_path: Path) -> None:
    """The kernel's word that a CPU may be used stands above what is told of it."""
    found = usable_topology(tmp_path)
    assert found.numbers == affinity()
    assert (found.cores, found.sockets, found.nodes) == (len(affinity()), 1, 1)


def test_cpus_that_are_not_described_are_cores_of_their_own() -> None:
    """Also beside those that are: 8 is no sibling of the core that is named 8."""
    found = Topology((LogicalCpu(number=0, core=8),)).within({0, 8})
    assert found.cores == 2
    assert found.siblings == {0: (0,), 8: (8,)}


@pytest.mark.parametrize(
    ("files", "usable", "expected"),
    [
        (SMT, 4, Hardware(cpus=4, cores=2, devices={})),
        (SMT, 3, Hardware(cpus=3, cores=2, devices={})),
        (SMT, 1, Hardware(cpus=1, cores=1, devices={})),
        (TWO_SOCKETS, 8, Hardware(cpus=8, cores=4, sockets=2, nodes=2, devices={})),
        (TWO_SOCKETS, 1, Hardware(cpus=1, cores=1, sockets=1, nodes=1, devices={})),
        (P_AND_E, 24, Hardware(cpus=24, cores=16, core_types={"P": 8, "E": 8}, devices={})),
        ({}, 2, Hardware(cpus=2, cores=2, devices={})),
    ],
)
def test_hardware_has_no_more_than_the_quota_pays_for(
    tree: Tree, files: dict[str, str], usable: int, expected: Hardware
) -> None:
    """A quota says how many CPUs, and not which."""
    assert hardware_of(topology(tree(files)), usable, {}) == expected


def test_hyper_threading_is_two_cpus_of_a_core(tree: Tree) -> None:
    """As a space asks for it."""
    found = topology(tree(SMT))
    assert hardware_of(found, 4, {}).has_smt
    assert not hardware_of(found.within({0, 1}), 2, {}).has_smt


@pytest.mark.parametrize(
    ("reader", "files", "said"),
    [
        (cores_of, {}, "no CPU topology is visible"),
        (
            cores_of,
            {f"{CPU}/cpu0/topology/core_cpus_list": "a-b\n"},
            "core_cpus_list: 'a-b' is no list of CPUs",
        ),
        (
            cores_of,
            {f"{CPU}/cpu0/topology/core_cpus_list": "0-99999999\n"},
            "core_cpus_list: '0-99999999' is no list of CPUs",
        ),
        (nodes_of, {}, "no memory nodes are visible"),
        (nodes_of, {f"{NODE}/node0/cpulist": "3-1\n"}, "cpulist: '3-1' is no list of CPUs"),
        (
            sockets_of,
            {f"{CPU}/cpu0/topology/physical_package_id": "one\n"},
            "physical_package_id: 'one' is no whole number",
        ),
        (
            core_types_of,
            {"sys/devices/cpu_core/cpus": "0\n", "sys/devices/cpu_atom/cpus": "-\n"},
            "cpu_atom/cpus: '-' is no list of CPUs",
        ),
        (capacities_of, {f"{CPU}/cpu0/cpu_capacity": "\n"}, "cpu_capacity: '' is no whole number"),
    ],
)
def test_what_a_machine_does_not_tell_is_an_error_with_the_file(
    tree: Tree, reader: object, files: dict[str, str], said: str
) -> None:
    """For whoever wants to say why; `topology` goes on without it."""
    assert callable(reader)
    with pytest.raises((OSError, ValueError)) as raised:
        reader(tree(files))
    assert said in str(raised.value)


@given(st.sets(st.integers(0, 300)))
def test_cpus_are_written_as_they_are_read(cpus: set[int]) -> None:
    """In the kernel's notation."""
    assert parse_cpus(format_cpus(cpus)) == sorted(cpus)


@given(
    st.lists(
        st.builds(
            LogicalCpu,
            number=st.integers(0, 40),
            core=st.none() | st.integers(0, 9),
            socket=st.none() | st.integers(0, 2),
            node=st.none() | st.integers(0, 3),
            kind=st.sampled_from(["", "P", "E"]),
        ),
        unique_by=lambda cpu: cpu.number,
    ),
    st.sets(st.integers(0, 45)),
)
def test_a_budget_is_never_more_than_its_cpus(cpus: list[LogicalCpu], budget: set[int]) -> None:
    """Whatever a machine tells: counts hold together, and a part of it is a part."""
    found = Topology(tuple(sorted(cpus, key=lambda cpu: cpu.number)))
    part = found.within(budget)
    assert part.numbers == budget
    assert part.cores <= len(budget)
    assert max(part.sockets, part.nodes) <= max(1, len(budget))
    assert sorted(n for threads in part.siblings.values() for n in threads) == sorted(budget)
    assert len(part.siblings) == part.cores
    assert found.within(found.numbers) == found
    assert part.within(budget) == part


def test_this_machine_is_read() -> None:
    """Whatever it is."""
    found = usable_topology()
    assert found.numbers == affinity()
    assert 1 <= found.nodes <= found.cores <= len(found.cpus)
