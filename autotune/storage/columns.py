"""Columns with their meaning beside them, of which tables of studies and of surfaces are made."""

from typing import Any

from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, Text

BEFORE = "before"
"""Key of a column's `info`: what it was in a file that has it not yet, as SQL over `main_table`."""


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
        real("process_cpu_s", "CPU time of the worker; null where a recording has none."),
        real("steal_s", "CPU time taken by the hypervisor from the CPUs that the worker may use."),
        real(
            "pressure_s",
            "Time in which some task of the worker's cgroup waited for a CPU, and at most the CPU "
            "time of others meanwhile; versions before 0.2 count waits for its own tasks, too.",
        ),
        whole("throttled", "Periods in which a quota of the worker's cgroups ran out."),
        whole("major_faults", "Pages that came from disk.", nullable=False),
        real("clock_drift_s", "Wall clock against monotonic clock.", nullable=False),
        whole(
            "cpus",
            "CPUs that the worker may use: its affinity, or fewer under a quota.",
            nullable=False,
        ),
        whole("rss_bytes", "Resident memory of the worker at the end; null before schema 6."),
        real(
            "energy_j",
            "Joules of all CPU packages of the machine, whoever used them; null where they cannot "
            "be read, and before schema 6.",
        ),
        real(
            "prepare_s",
            "Time in which inputs were prepared, over all requests; null where that is no part of "
            "their latency.",
        ),
        real("prepare_cpu_s", "CPU time of that, which is a part of the load loop's."),
    ]


_WORK = """
(SELECT SUM(CASE json_extract(main_table.configuration, '$.api') WHEN 'sync' THEN b.process_cpu_s
            ELSE MAX(b.process_cpu_s - b.loop_cpu_s, 0) END)
 FROM main.autotune_block AS b
 WHERE b.position >= main_table.warmup_blocks AND b.measurement_id = COALESCE(
    (SELECT m.id FROM main.autotune_measurement AS m
     WHERE m.trial_number = main_table.reused_from
       AND m.throughput_per_s = main_table.throughput_per_s), main_table.id))
"""
_ITEMS = """
(main_table.requests * COALESCE(json_extract(main_table.configuration, '$.batch_size'), 1)
 * COALESCE((SELECT MAX(items_per_request) FROM autotune_study), 1))
"""
_CPU_BEFORE = f"({_WORK} / {_ITEMS})"
"""CPU-seconds for each item, from the blocks of a file that does not say it. Its blocks have no
counts of their own that SQL could read, so there is no interval. One blocking request is computed
by the thread that drives the load: its time was not told apart, and is left in."""


def costs() -> list[Column[Any]]:
    """The columns of what a measurement costs beside time."""
    return [
        whole("open_peak_rss_bytes", "The same until the first answer; null before schema 6."),
        whole("load_peak_rss_bytes", "The same under load; null before schema 6."),
        whole(
            "steady_rss_bytes",
            "Resident memory under load, the median over the counted blocks; null before schema 6.",
        ),
        Column(
            "cpu_s_per_item",
            Float,
            comment="CPU-seconds of the worker for each item, without what drives the load.",
            info={BEFORE: _CPU_BEFORE},
        ),
        real("cpu_s_per_item_low", "Lower end of its 95 % interval from block ratios."),
        real("cpu_s_per_item_high", "Upper end; null before schema 6, as the lower one."),
        real(
            "energy_j_per_item",
            "Joules of all CPU packages of the machine for each item, whoever used them; null "
            "where they cannot be read: `why_no_energy` of the session.",
        ),
        real("energy_j_per_item_low", "Lower end of its 95 % interval from block ratios."),
        real("energy_j_per_item_high", "Upper end."),
        real(
            "cached_compile_s", "compile_model from a model cache; null where it was not measured."
        ),
        real("cached_first_inference_ms", "First request of a model from the cache; likewise."),
        text(
            "why_not_cached", "Why a cache was of no use; null where nobody asked.", nullable=True
        ),
        real(
            "prepare_ms",
            "To prepare the inputs of a request, the mean; null where that is no part of its "
            "latency.",
        ),
    ]
