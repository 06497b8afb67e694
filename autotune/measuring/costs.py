"""What items cost beside time: CPU-seconds, joules and memory, from the blocks of a load."""

import statistics
from collections.abc import Callable, Sequence

from autotune.domain.limits import LimitRow
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
        cpu_s_per_item=cpu_s_per_item(blocks, items),
        energy_j_per_item=energy_j_per_item(blocks, items),
        steady_rss_bytes=steady_rss_bytes(blocks),
        open_peak_rss_bytes=model.opening.peak_rss_bytes,
        load_peak_rss_bytes=model.load_peak_rss_bytes,
    )


def cpu_s_per_item(blocks: Sequence[Block], items: int) -> Interval | None:
    """CPU-seconds for each item, without what drives the load; None where a block has none."""
    return _per_item(blocks, items, lambda block: block.work_cpu_s)


def energy_j_per_item(blocks: Sequence[Block], items: int) -> Interval | None:
    """Joules of all CPU packages for each item; None where a block has none."""
    return _per_item(blocks, items, lambda block: block.energy_j)


def steady_rss_bytes(blocks: Sequence[Block]) -> int | None:
    """Resident memory under load, the median over the blocks; None where no block has any."""
    known = [block.rss_bytes for block in blocks if block.rss_bytes is not None]
    return round(statistics.median(known)) if known else None


def per_item(blocks: Sequence[Block], items: int, row: LimitRow) -> Interval | None:
    """The mean over blocks of what a row of the table of limits is on, for each item."""
    of_block = row.of_block
    if of_block is None:
        return None

    def cost(block: Block) -> float | None:
        each = of_block(block, items)
        return None if each is None else each * items * block.completions

    return _per_item(blocks, items, cost)


def _per_item(
    blocks: Sequence[Block], items: int, cost: Callable[[Block], float | None]
) -> Interval | None:
    costs = [found for block in blocks if (found := cost(block)) is not None]
    if not blocks or len(costs) < len(blocks):
        return None
    return ratio_interval(costs, [items * block.completions for block in blocks])
