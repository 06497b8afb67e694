"""What the machine did during a block: of the CPUs and cgroups that the worker is in."""

from array import array
from dataclasses import replace

import pytest

from autotune.worker import readings
from autotune.worker.load import Turn, block_of

pytestmark = pytest.mark.openvino


def test_readings_of_this_machine_grow() -> None:
    """What it does not tell stays None; nothing is zero for lack of a counter."""
    before, after = readings.take(), readings.take()
    assert before.cpus == after.cpus
    for name in ("monotonic_s", "steal_s", "pressure_s", "throttled"):
        then, now = getattr(before, name), getattr(after, name)
        assert (then is None) is (now is None)
        assert then is None or then <= now


@pytest.mark.parametrize(
    ("usable", "expected"), [(4, 3.0), (2, 1.5), (1, 0.75)], ids=["no quota", "half", "a quarter"]
)
def test_stolen_time_is_that_of_the_usable_cpus(
    monkeypatch: pytest.MonkeyPatch, usable: int, expected: float
) -> None:
    """A block divides it by as many, and must find the share that was really taken."""
    monkeypatch.setattr(readings, "usable_cpus", lambda: usable)
    before = replace(readings.take(), cpus=frozenset(range(4)), steal_s=100.0)
    assert readings.stolen_s(before, replace(before, steal_s=103.0)) == expected


def test_stolen_time_is_unknown_where_the_cpus_changed() -> None:
    """The two sums are then of different CPUs, and their difference is no time."""
    before = replace(readings.take(), cpus=frozenset({0, 1}), steal_s=100.0)
    assert readings.stolen_s(before, replace(before, cpus=frozenset({0}), steal_s=50.0)) is None
    assert readings.stolen_s(before, replace(before, steal_s=None)) is None


def test_what_ran_backwards_is_unknown() -> None:
    """A process that is moved to another cgroup in the middle of a block sees other counters."""
    before = replace(readings.take(), throttled=9, pressure_s=5.0)
    after = replace(before, throttled=0, pressure_s=1.0)
    now = readings.spent()
    turn = Turn(first_s=0.0, last_s=0.5, cycles_s=0.5, before=now, after=now, loop_cpu_s=0.0)
    block = block_of(array("d", [1.0]), turn, before, after)
    assert (block["throttled"], block["pressure_s"]) == (None, None)


def test_what_others_took_is_busy_time_beside_the_own() -> None:
    """Of the CPUs that it may run on; unknown where they changed, and never below nothing."""
    before = replace(readings.take(), cpus=frozenset({1}), busy_s=10.0, process_cpu_s=1.0)

    def others_s(busy_s: float | None, own_s: float = 0.3, cpu: int = 1) -> float | None:
        after = replace(before, busy_s=busy_s, process_cpu_s=1 + own_s, cpus=frozenset({cpu}))
        return readings.others_s(before, after)

    assert others_s(10.5) == pytest.approx(0.2)
    assert others_s(10.3, 0.31) == 0.0
    assert others_s(9.9) == 0.0
    assert others_s(None) is None
    assert others_s(11.0, cpu=0) is None


def test_a_block_says_what_others_took_and_of_how_many_cpus() -> None:
    """From which its parent tells how long others had each of them."""
    before = replace(readings.take(), cpus=frozenset({0, 3}), busy_s=1.0)
    now = readings.spent()
    turn = Turn(first_s=0.0, last_s=0.5, cycles_s=0.5, before=now, after=now, loop_cpu_s=0.0)
    block = block_of(array("d", [1.0]), turn, before, replace(before, busy_s=1.6))
    assert (block["others_s"], block["affinity_cpus"]) == (pytest.approx(0.6), 2)
