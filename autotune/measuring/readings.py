"""What items take beside time: CPU-seconds, joules and memory, from the blocks of a load."""

import statistics
from collections.abc import Sequence

from autotune.domain.limits import BY_NAME, LimitRow
from autotune.domain.measurement import Block, Interval, Readings
from autotune.machines.ports import OpenModel
from autotune.stats.ratios import ratio_interval


def readings_of(model: OpenModel, blocks: Sequence[Block], items: int) -> Readings:
    """All that is known of a model's last load.

    Args:
        model: its peaks count.
        blocks: those that count; at least one.
        items: in a request.
    """
    return Readings(
        cpu_s_per_item=mean_over(blocks, items, BY_NAME["max_cpu_per_item"]),
        energy_j_per_item=mean_over(blocks, items, BY_NAME["max_energy_per_item"]),
        steady_rss_bytes=steady_rss_bytes(blocks),
        open_peak_rss_bytes=model.opening.peak_rss_bytes,
        load_peak_rss_bytes=model.load_peak_rss_bytes,
        prepare_ms=prepare_ms(blocks),
    )


def prepare_ms(blocks: Sequence[Block]) -> float | None:
    """Mean time to prepare the inputs of a request; None where that is no part of it."""
    times = [block.prepare_s for block in blocks if block.prepare_s is not None]
    done = sum(block.completions for block in blocks)
    return 1000 * sum(times) / done if len(times) == len(blocks) and done else None


def steady_rss_bytes(blocks: Sequence[Block]) -> int | None:
    """Resident memory under load, the median over the blocks; None where no block has any."""
    known = [block.rss_bytes for block in blocks if block.rss_bytes is not None]
    return round(statistics.median(known)) if known else None


def mean_over(blocks: Sequence[Block], items: int, row: LimitRow) -> Interval | None:
    """The mean over blocks of what a row of the table of limits is on, with a 95 % interval.

    None where a block does not have it, or where nothing was completed.
    """
    sums = [] if row.sums_of_block is None else [row.sums_of_block(b, items) for b in blocks]
    known = [pair for pair in sums if pair is not None]
    if len(known) < len(sums) or not sum(count for _, count in known):
        return None
    return ratio_interval([total for total, _ in known], [count for _, count in known])
