"""Which CPUs a budget comes to, and processes that never run elsewhere."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.host import confinement
from autotune.host.confinement import (
    busy_shares,
    chosen_cpus,
    confined_to,
    fault_of_request,
    held_budget,
)
from autotune.host.core_budget import CpuRequest, parse_request
from autotune.host.cpus import Cpus, affinity
from autotune.host.topology import LogicalCpu, Topology
from tests.host.conftest import Tree

TWO = pytest.mark.skipif(len(affinity()) < 2, reason="needs two CPUs")


def machine(nodes: int, cores: int, threads: int, efficient: int = 0) -> Topology:
    """Nodes of so many cores; as the kernel numbers them: first threads first, E cores last."""
    total = nodes * cores
    found = [
        LogicalCpu(number=core + total * thread, core=core, node=core // cores)
        for thread in range(threads)
        for core in range(total)
    ]
    first = len(found)
    found += [LogicalCpu(number=first + n, core=first + n, node=0) for n in range(efficient)]
    return Topology(tuple(found))


@pytest.mark.parametrize(
    ("count", "found", "taken"),
    [
        pytest.param(2, machine(1, 4, 1), (0, 1), id="no threads: the first ones"),
        pytest.param(2, machine(1, 4, 2), (0, 4), id="both threads of one core"),
        pytest.param(3, machine(1, 4, 2), (0, 1, 4), id="an odd count tears one core"),
        pytest.param(8, machine(2, 4, 2), (0, 1, 2, 3, 8, 9, 10, 11), id="one node"),
        pytest.param(10, machine(2, 4, 2), (0, 1, 2, 3, 4, 8, 9, 10, 11, 12), id="two nodes"),
        pytest.param(4, machine(1, 2, 2, efficient=4), (0, 1, 2, 3), id="hybrid: two threads"),
        pytest.param(5, machine(1, 2, 2, efficient=4), (0, 1, 2, 3, 4), id="hybrid: all and an E"),
        pytest.param(3, machine(1, 2, 2, efficient=4), (0, 2, 4), id="hybrid: no core is torn"),
        pytest.param(2, machine(1, 4, 2).within({0, 1, 5}), (1, 5), id="a core that is all there"),
    ],
)
def test_whole_cores_on_as_few_nodes_as_possible(
    count: int, found: Topology, taken: tuple[int, ...]
) -> None:
    """The siblings of a core together, as whoever has the other one takes half of it."""
    assert chosen_cpus(count, found, {}) == taken


@pytest.mark.parametrize(
    ("count", "found", "busy", "taken"),
    [
        pytest.param(1, machine(1, 2, 1), {0: 1.0}, (1,), id="the other CPU"),
        pytest.param(2, machine(1, 4, 2), {4: 0.9, 1: 0.2}, (2, 6), id="an idle core"),
        pytest.param(4, machine(2, 2, 2), {0: 0.5}, (2, 3, 6, 7), id="the idle node"),
        pytest.param(1, machine(1, 2, 2), {0: 0.9, 1: 0.1}, (3,), id="of an idle core, a thread"),
        pytest.param(2, machine(2, 2, 1), {0: 1.0, 1: 1.0}, (2, 3), id="one node before idle"),
        pytest.param(3, machine(1, 4, 1), {}, (0, 1, 2), id="nobody knows"),
    ],
)
def test_among_equals_the_least_busy(
    count: int, found: Topology, busy: dict[int, float], taken: tuple[int, ...]
) -> None:
    """So that a count works beside a busy neighbour."""
    assert chosen_cpus(count, found, busy) == taken


def cost(taken: set[int], found: Topology, busy: dict[int, float]) -> tuple[int, int, float]:
    """Nodes, cores that are torn apart, and how busy the cores are: what is to be small."""
    cores = [set(core) for core in found.siblings.values() if set(core) & taken]
    nodes = {cpu.node for cpu in found.cpus if cpu.number in taken}
    touched = set().union(*cores)
    load = round(sum(busy.get(cpu, 0.0) for cpu in touched), 6)
    return len(nodes), sum(not core <= taken for core in cores), load


@given(
    nodes=st.integers(1, 2),
    cores=st.integers(1, 2),
    threads=st.integers(1, 2),
    share=st.floats(0, 1, exclude_min=True),
    busy=st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=8, max_size=8),
)
def test_no_other_choice_is_better(
    nodes: int, cores: int, threads: int, share: float, busy: list[float]
) -> None:
    """An oracle that looks at every choice, on machines of equal cores and equal nodes."""
    found, loads = machine(nodes, cores, threads), dict(enumerate(busy))
    count = max(1, round(share * len(found.cpus)))
    taken = chosen_cpus(count, found, loads)
    every = itertools.combinations(sorted(found.numbers), count)
    assert len(set(taken)) == count
    assert cost(set(taken), found, loads) == min(cost(set(one), found, loads) for one in every)


@given(data=st.data())
def test_any_part_of_any_machine_gives_as_many_as_are_asked_for(data: st.DataObject) -> None:
    """On as few nodes as hold them, whatever the affinity left."""
    whole = machine(data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), 2, efficient=3)
    allowed = data.draw(st.sets(st.sampled_from(sorted(whole.numbers)), min_size=1))
    found = whole.within(allowed)
    count = data.draw(st.integers(1, len(allowed)))
    taken = chosen_cpus(count, found, {})
    assert len(set(taken)) == count
    assert set(taken) <= allowed
    sizes = sorted(
        (sum(cpu.node == node for cpu in found.cpus) for node in {c.node for c in found.cpus}),
        reverse=True,
    )
    fewest = next(n for n in itertools.count(1) if sum(sizes[:n]) >= count)
    assert len({cpu.node for cpu in found.cpus if cpu.number in taken}) <= fewest


# --- what may be had here

HERE = "CPUs that may be used here: 0-3"
QUOTA = "3 CPUs are more than the quota of this process's cgroup allows: 2.5, so at most 2 of 0-3"


@pytest.mark.parametrize(
    ("asked", "found", "says"),
    [
        ("4", Cpus(visible=8, affinity=4, quota_cpus=None), None),
        ("0-3", Cpus(visible=8, affinity=4, quota_cpus=None), None),
        ("1", Cpus(visible=8, affinity=4, quota_cpus=0.5), None),
        (
            "5",
            Cpus(visible=8, affinity=4, quota_cpus=None),
            f"'5': 5 CPUs are more than there are; {HERE}, 4 in all",
        ),
        (
            "3-5",
            Cpus(visible=8, affinity=4, quota_cpus=None),
            "'3-5': CPUs 4-5: not there, or outside of this process's affinity; " + HERE,
        ),
        (
            "3",
            Cpus(visible=8, affinity=4, quota_cpus=2.5),
            f"'3': {QUOTA}",
        ),
        (
            "0-2",
            Cpus(visible=8, affinity=4, quota_cpus=2.5),
            f"'0-2': {QUOTA}",
        ),
    ],
)
def test_what_cannot_be_held_is_said_with_what_can(
    asked: str, found: Cpus, says: str | None
) -> None:
    """The value, the reason, and what is allowed."""
    assert fault_of_request(parse_request(asked), range(4), found) == says


def test_a_system_that_confines_nobody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a budget that nobody holds."""
    monkeypatch.setattr(confinement, "CAN_CONFINE", False)
    said = fault_of_request(CpuRequest(1), range(4), Cpus(visible=4, affinity=4, quota_cpus=None))
    assert said == "'1': this system cannot confine a process to some CPUs; leave it out"


def test_a_count_goes_on_with_the_cpus_that_it_had() -> None:
    """As long as they may be used; then it says what it takes instead."""
    last = max(affinity())
    assert held_budget(CpuRequest(1), [last])[0].cpus == (last,)
    assert held_budget(CpuRequest(1), [last])[1] is None
    budget, note = held_budget(CpuRequest(1), [9999])
    assert set(budget.cpus) <= affinity()
    assert note == (
        "CPU 9999, with which it was begun, cannot all be had any more: it goes on with CPU "
        f"{budget.listed}"
    )
    assert held_budget(CpuRequest(1))[1] is None


def test_a_list_is_held_as_it_is() -> None:
    """Whatever was held before."""
    last = max(affinity())
    budget, note = held_budget(CpuRequest(1, (last,)), [9999])
    assert (budget.cpus, note) == ((last,), None)
    with pytest.raises(ValueError, match="may be used here"):
        held_budget(CpuRequest(1, (9999,)))


def test_busy_cpus_are_told_from_idle_ones(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """From two looks, in steps, so that a tick more or less decides nothing."""
    line = "cpu{} {} 0 0 900 0 0 0 0 0 0"
    root = tree({"proc/stat": "\n".join(line.format(cpu, 100) for cpu in range(3))})
    clock = iter([0.0, 0.2])

    def work(_: float) -> None:
        busy = [100 + 20, 100 + 1, 100]
        text = "\n".join(line.format(cpu, ticks) for cpu, ticks in enumerate(busy))
        (root / "proc/stat").write_text(text)

    monkeypatch.setattr(time, "sleep", work)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert busy_shares({0, 1, 2}, root) == pytest.approx({0: 1.0, 1: 0.0, 2: 0.0})


def test_a_machine_that_tells_nothing_has_no_busy_cpus(tmp_path: Path) -> None:
    """The choice is then by topology alone."""
    assert busy_shares({0, 1}, tmp_path, look_s=0.0) == {}


# --- confinement itself


@TWO
def test_only_this_thread_is_moved_and_it_comes_back() -> None:
    """Also after an error; other threads of the process never leave their CPUs."""
    before, last, seen = affinity(), max(affinity()), []
    ask, told = threading.Event(), threading.Event()

    def look() -> None:
        ask.wait(20)
        seen.append(affinity())
        told.set()

    other = threading.Thread(target=look)
    other.start()
    with contextlib.suppress(RuntimeError), confined_to({last}):
        seen.append(affinity())
        ask.set()
        told.wait(20)
        raise RuntimeError
    other.join()
    assert affinity() == before
    assert seen == [{last}, before]


@TWO
def test_a_child_has_the_affinity_from_its_first_instruction() -> None:
    """Through fork and exec, and so do its own threads and children."""
    program = (
        "import os, subprocess, sys, threading\n"
        "found = [os.sched_getaffinity(0)]\n"
        "thread = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0)))\n"
        "thread.start(); thread.join()\n"
        "own = [sys.executable, '-I', '-c', 'import os; print(os.sched_getaffinity(0))']\n"
        "print(*found, subprocess.run(own, capture_output=True, text=True).stdout.strip())\n"
    )
    last = max(affinity())
    with confined_to({last}):
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", program], stdout=subprocess.PIPE, text=True
        )
    said, _ = child.communicate(timeout=60)
    assert said.split() == [f"{{{last}}}"] * 3


def test_without_cpus_nobody_is_moved() -> None:
    """No budget: the system's calls are not even there everywhere."""
    before = os.sched_getaffinity(0)
    with confined_to(()):
        assert os.sched_getaffinity(0) == before
