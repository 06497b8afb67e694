"""What a contender took beside time, over all its launches."""

from collections.abc import Sequence

from autotune.domain.limits import BY_NAME
from autotune.domain.measurement import Readings
from autotune.domain.race import LaunchReadings
from autotune.measuring.readings import prepare_ms, steady_rss_bytes
from autotune.racing.counted import CountedSlices


def readings_over(counted: CountedSlices, launches: Sequence[LaunchReadings]) -> Readings:
    """Means over its slices with 95 % intervals over slices and launches; the most memory of any.

    Args:
        counted: its slices.
        launches: of this contender.
    """
    opened = [found.open_peak_rss_bytes for found in launches]
    loaded = [found.load_peak_rss_bytes for found in launches]
    return Readings(
        cpu_s_per_item=counted.mean_of(BY_NAME["max_cpu_per_item"]),
        energy_j_per_item=counted.mean_of(BY_NAME["max_energy_per_item"]),
        steady_rss_bytes=steady_rss_bytes([taken.block for taken in counted.slices]),
        open_peak_rss_bytes=max((peak for peak in opened if peak is not None), default=None),
        load_peak_rss_bytes=max((peak for peak in loaded if peak is not None), default=None),
        prepare_ms=prepare_ms([taken.block for taken in counted.slices]),
    )
