"""Columns with their meaning beside them, of which tables of studies and of surfaces are made."""

from typing import Any

from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, Text


def text(
    name: str,
    comment: str,
    *,
    nullable: bool = False,
    index: bool = False,
    unique: bool | None = None,
) -> Column[str]:
    """A column of texts."""
    return Column(name, Text, nullable=nullable, comment=comment, index=index, unique=unique)


def real(name: str, comment: str, *, nullable: bool = True) -> Column[float]:
    """A column of numbers."""
    return Column(name, Float, nullable=nullable, comment=comment)


def whole(name: str, comment: str, *, nullable: bool = True) -> Column[int]:
    """A column of whole numbers."""
    return Column(name, Integer, nullable=nullable, comment=comment)


def packed(name: str, comment: str) -> Column[bytes]:
    """A column of bytes."""
    return Column(name, LargeBinary, nullable=False, comment=comment)


def within(name: str, key: str, *, index: bool = False, **options: Any) -> Column[Any]:
    """A column that says of which row of another table this one is a part."""
    return Column(name, ForeignKey(key), nullable=False, index=index, **options)


def block() -> list[Column[Any]]:
    """The columns of a block of load, for each table that has some."""
    return [
        real("duration_s", "From one completion to a later one.", nullable=False),
        packed(
            "latencies",
            "zlib of little-endian uint32 differences of ascending latencies, ticks of 100 ns.",
        ),
        real("occupancy", "Share of time in which a request slot was busy.", nullable=False),
        real("loop_cpu_s", "CPU time of the load loop.", nullable=False),
        real("process_cpu_s", "CPU time of the worker.", nullable=False),
        real("steal_s", "CPU time taken by the hypervisor from the CPUs that the worker may use."),
        real("pressure_s", "Time in which some task of the worker's cgroup waited for a CPU."),
        whole("throttled", "Periods in which a quota of the worker's cgroups ran out."),
        whole("major_faults", "Pages that came from disk.", nullable=False),
        real("clock_drift_s", "Wall clock against monotonic clock.", nullable=False),
        whole(
            "cpus",
            "CPUs that the worker may use: its affinity, or fewer under a quota.",
            nullable=False,
        ),
    ]
