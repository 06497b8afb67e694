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
