"""A machine that is fit for measuring; a test changes what it is about."""

from typing import Any

from autotune.doctor.readings import (
    Counters,
    Devices,
    Disk,
    Frequency,
    FullLoad,
    Idle,
    Lock,
    MachineReadings,
    Span,
    SyncedWrites,
    Temperature,
    Topology,
    Work,
)
from autotune.host.counters import CpuTime, QuotaPeriods
from autotune.host.cpus import Cpus
from autotune.host.memory import Memory
from autotune.racing.calibration import Calibration

GIB = 2**30


CALIBRATION = Calibration(
    measured_at="2026-11-25T00:00:00+00:00",
    model="example",
    noise=0.008,
    ratio=1.002,
    slice_sd=0.02,
    launches=6,
    rounds=30,
    duration_s=90.0,
)
"""A quiet machine's."""


def counters(**changes: Any) -> Counters:
    """Counters at zero."""
    zero: dict[str, Any] = {
        "monotonic_s": 0.0,
        "wall_s": 0.0,
        "cpu_time": CpuTime(busy_s=0.0, steal_s=0.0),
        "pressure_s": 0.0,
        "quota": (QuotaPeriods(group="/", periods=0, throttled=0),),
        "thermal_throttles": 0,
    }
    return Counters(**{**zero, **changes})


def interval(duration_s: float = 5.0, **changes: Any) -> Span:
    """From all zero to `changes`; the wall clock goes with the monotonic one."""
    after = {"monotonic_s": duration_s, "wall_s": duration_s, **changes}
    return Span(before=counters(), after=counters(**after))


def full_load(**changes: Any) -> FullLoad:
    """Five seconds of four busy CPUs."""
    busy = {"cpu_time": CpuTime(busy_s=20.0, steal_s=0.0)}
    return FullLoad(interval=interval(**{**busy, **changes}), processes=4)


def idle(runnable_tasks: Any = (0, 0), **changes: Any) -> Idle:
    """Two quiet seconds."""
    return Idle(interval=interval(2.0, **changes), runnable_tasks=runnable_tasks)


def cpus(visible: int = 4, affinity: int = 4, quota_cpus: float | None = None) -> Cpus:
    """Four CPUs without a quota."""
    return Cpus(visible=visible, affinity=affinity, quota_cpus=quota_cpus)


def memory(
    available_bytes: int = 8 * GIB, swap_used_bytes: int = 0, group_room_bytes: int | None = None
) -> Memory:
    """Plenty, without swap or limit."""
    return Memory(
        total_bytes=16 * GIB,
        available_bytes=available_bytes,
        swap_used_bytes=swap_used_bytes,
        group_room_bytes=group_room_bytes,
    )


def temperature(celsius: float = 50.0, trip_celsius: float | None = 100.0) -> Temperature:
    """Far from the trip point."""
    return Temperature(sensor="coretemp", celsius=celsius, trip_celsius=trip_celsius)


def readings(**changes: Any) -> MachineReadings:
    """All readings of a machine with nothing to complain about."""
    good: dict[str, Any] = {
        "lock": Lock(),
        "cpus": cpus(),
        "idle": idle(),
        "work": Work(pinned_s=(0.05,) * 40, unpinned_s=(0.05,) * 40),
        "overshoots_s": (0.0001,) * 200,
        "load": full_load(),
        "temperatures": (temperature(),),
        "frequency": Frequency(governors=("performance",), driver="intel_pstate", turbo=True),
        "batteries": ("Full",),
        "topology": Topology(threads_per_core=2, numa_nodes=1, core_kinds=()),
        "clock_source": "tsc",
        "clock_step_s": 40e-9,
        "memory": memory(),
        "disk": Disk(folder="/home/user", free_bytes=100 * GIB),
        "file_system": "ext4",
        "synced_writes": SyncedWrites(folder="/home/user", times_s=(0.002,) * 20),
        "sqlite": "3.51.3",
        "openvino": "2026.4.1",
        "devices": Devices(names=("CPU (Example 1)",), calibration=CALIBRATION),
        "energy": ("package-0",),
    }
    return MachineReadings(**{**good, **changes})
