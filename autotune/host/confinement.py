"""Which CPUs a core budget comes to here and now, and processes that are confined to them."""

import contextlib
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from autotune.host.core_budget import CoreBudget, CpuRequest, cpus_in_words
from autotune.host.counters import cpu_time
from autotune.host.cpus import Cpus, affinity, cpus
from autotune.host.files import ROOT, known
from autotune.host.topology import LogicalCpu, Topology, format_cpus, usable_topology

_LOOK_S = 0.2
"""How long CPUs are watched before some are chosen: twenty ticks of the kernel's accounting."""
_BUSY_STEP = 0.2
"""Shares of busy time that differ by less are noise of so short a look."""
CAN_CONFINE = hasattr(os, "sched_setaffinity")


@contextlib.contextmanager
def confined_to(numbers: Collection[int]) -> Iterator[None]:
    """Inside, this thread runs on these CPUs only, and whatever it starts meanwhile inherits that.

    An affinity belongs to a thread, and a child has its parent thread's from its first instruction,
    through fork and exec: what is started in here has no moment elsewhere, as it would have if it
    were moved once it runs, or if it moved itself (`taskset` runs anywhere before it does).
    Other threads of this process stay where they are. With no CPUs nothing is done.

    Raises:
        OSError: the system does not allow these.
    """
    if not numbers:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, numbers)
    try:
        yield
    finally:
        # Somebody may have changed what this process is allowed meanwhile: where it may not go back
        # it stays, which is no reason to lose what was started.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)


def fault_of_request(
    asked: CpuRequest, allowed: Collection[int] | None = None, found: Cpus | None = None
) -> str | None:
    """Why a budget cannot be held here, with what is allowed; None where it can.

    Args:
        asked: as parsed.
        allowed: CPUs that this process may run on; asked now without.
        found: how many of them work may really use; asked now without.
    """
    allowed, found = affinity() if allowed is None else allowed, found or cpus()
    here = f"CPUs that may be used here: {format_cpus(allowed)}"
    if not CAN_CONFINE:
        return f"'{asked}': this system cannot confine a process to some CPUs; leave it out"
    outside = set(asked.listed) - set(allowed)
    if outside:
        return (
            f"'{asked}': {cpus_in_words(outside)}: not there, or outside of this process's "
            f"affinity; {here}"
        )
    if asked.count <= found.usable:
        return None
    if found.usable < len(allowed):
        return (
            f"'{asked}': {asked.count} CPUs are more than the quota of this process's cgroup "
            f"allows: {found.quota_cpus:g}, so at most {found.usable} of {format_cpus(allowed)}"
        )
    return f"'{asked}': {asked.count} CPUs are more than there are; {here}, {found.usable} in all"


def held_budget(
    asked: CpuRequest, then: Sequence[int] = (), root: Path = ROOT
) -> tuple[CoreBudget, str | None]:
    """The CPUs of a budget here, and what to say where they are not those of `then`.

    A list is held as it is. A count takes the CPUs that it took before as long as they may be used,
    and else those that suit best and are the least busy now, which takes a moment to see.

    Args:
        asked: as parsed.
        then: CPUs that the same count came to when it was first held; empty for the first time.
        root: where /proc and /sys are.

    Raises:
        ValueError: it cannot be held here; says what is allowed.
    """
    allowed, found = affinity(), cpus(root)
    fault = fault_of_request(asked, allowed, found)
    if fault is not None:
        raise ValueError(fault)
    if asked.listed:
        return CoreBudget(asked, asked.listed, found.visible), None
    if len(then) == asked.count and set(then) <= allowed:
        return CoreBudget(asked, tuple(sorted(then)), found.visible), None
    # Without a choice there is nothing to be seen.
    busy = busy_shares(allowed, root) if asked.count < len(allowed) else {}
    taken = chosen_cpus(asked.count, usable_topology(root, allowed), busy)
    budget = CoreBudget(asked, taken, found.visible)
    if not then:
        return budget, None
    return budget, (
        f"{cpus_in_words(then)}, with which it was begun, cannot all be had any more: it goes on "
        f"with {cpus_in_words(taken)}"
    )


def busy_shares(
    numbers: Collection[int], root: Path = ROOT, look_s: float = _LOOK_S
) -> dict[int, float]:
    """Share of the time in which each CPU was busy while nothing of ours ran, in steps.

    Empty where the machine does not tell.
    """
    before, begun = _busy_s(numbers, root), time.monotonic()
    time.sleep(look_s)
    after, taken_s = _busy_s(numbers, root), time.monotonic() - begun
    if before is None or after is None:
        return {}
    shares = {number: (after[number] - before[number]) / taken_s for number in numbers}
    return {number: _BUSY_STEP * round(share / _BUSY_STEP) for number, share in shares.items()}


def _busy_s(numbers: Collection[int], root: Path) -> dict[int, float] | None:
    return known(lambda: {number: cpu_time(frozenset({number}), root).busy_s for number in numbers})


def chosen_cpus(count: int, found: Topology, busy: Mapping[int, float]) -> tuple[int, ...]:
    """So many CPUs: on as few memory nodes as possible, in whole cores, and the least busy ones.

    In this order. On hybrid chips cores with two threads come before those with one. Where several
    nodes are needed they are the largest ones. A core is only torn apart for what no whole
    one fits.

    Args:
        count: at most as many as there are.
        found: of those that may be used; a sibling that is not among them is not there.
        busy: share of the time by CPU; 0 where it is not known.
    """
    nodes: dict[int, list[LogicalCpu]] = {}
    for cpu in found.cpus:
        nodes.setdefault(cpu.node or 0, []).append(cpu)
    by_size = sorted(nodes.values(), key=lambda node: (-len(node), _load(node, busy)))
    fewest = next(n for n in range(len(by_size) + 1) if sum(map(len, by_size[:n])) >= count)
    # Of one node there may be a choice; several are the largest, whose cores make one pool.
    pools = by_size if fewest == 1 else [[cpu for node in by_size[:fewest] for cpu in node]]
    offers = [_taken(count, Topology(tuple(pool)), busy) for pool in pools if len(pool) >= count]
    return min(offers, key=lambda offer: (_torn(offer, found), _touched(offer, found, busy), offer))


def _taken(count: int, pool: Topology, busy: Mapping[int, float]) -> tuple[int, ...]:
    """From one pool: whole cores, those of more threads first, then the least busy ones.

    Threads of a core are 1, 2, 4 or 8, so that whatever fits is found by taking the largest first.
    """
    key = partial(_rank, busy=busy)
    cores, taken = sorted(pool.siblings.values(), key=key), list[int]()
    left = []
    for core in cores:
        if len(core) <= count - len(taken):
            taken += core
        else:
            left.append(core)
    if len(taken) < count:
        rest = min(left, key=lambda core: (len(core), _busy_of(core, busy), core))
        idle_first = sorted(rest, key=lambda cpu: (busy.get(cpu, 0.0), cpu))
        taken += idle_first[: count - len(taken)]
    return tuple(sorted(taken))


def _rank(core: Sequence[int], busy: Mapping[int, float]) -> tuple[int, float, int]:
    return -len(core), _busy_of(core, busy), core[0]


def _torn(taken: Collection[int], found: Topology) -> int:
    """Cores of which some threads are taken, and some are not."""
    shares = [len(set(core) & set(taken)) / len(core) for core in found.siblings.values()]
    return sum(0 < share < 1 for share in shares)


def _touched(taken: Collection[int], found: Topology, busy: Mapping[int, float]) -> float:
    """How busy their cores are: whoever runs on the other thread of a core has half of it."""
    cores = [core for core in found.siblings.values() if set(core) & set(taken)]
    return _busy_of([cpu for core in cores for cpu in core], busy)


def _busy_of(numbers: Collection[int], busy: Mapping[int, float]) -> float:
    return round(sum(busy.get(number, 0.0) for number in numbers), 6)


def _load(node: Collection[LogicalCpu], busy: Mapping[int, float]) -> float:
    return _busy_of([cpu.number for cpu in node], busy)
