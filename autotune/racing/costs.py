"""What a contender cost beside time, over all its launches."""

from collections.abc import Sequence

from autotune.domain.measurement import Readings
from autotune.domain.race import LaunchReadings
from autotune.measuring.costs import cpu_s_per_item, energy_j_per_item, steady_rss_bytes
from autotune.racing.standings import Record


def readings_over(record: Record, launches: Sequence[LaunchReadings]) -> Readings:
    """Of its slices and of its processes.

    The intervals are those of slices; what launches differ by is not in them.

    Args:
        record: the slices that count.
        launches: of this contender.
    """
    blocks = [piece.block for piece in record.slices]
    opened = [found.open_peak_rss_bytes for found in launches]
    loaded = [found.load_peak_rss_bytes for found in launches]
    return Readings(
        cpu_s_per_item=cpu_s_per_item(blocks, record.items),
        energy_j_per_item=energy_j_per_item(blocks, record.items),
        steady_rss_bytes=steady_rss_bytes(blocks),
        open_peak_rss_bytes=max((peak for peak in opened if peak is not None), default=None),
        load_peak_rss_bytes=max((peak for peak in loaded if peak is not None), default=None),
    )
