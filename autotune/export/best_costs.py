"""What a configuration takes beside time, in best.json."""

from typing import Any

from pydantic import Field

from autotune.domain.measurement import Opening, Readings
from autotune.export.section import Count, FileSection, Finite, not_below_zero


class BestCosts(FileSection):
    """What it took beside time under load; null where it was not measured."""

    cpu_s_per_item: Finite | None = Field(
        default=None,
        description="CPU-seconds of all threads for each item, without what drives the load.",
    )
    cpu_s_per_item_low: Finite | None = Field(
        default=None,
        description="Lower end of the 95 % interval from block ratios; in a certificate over "
        "slices and launches.",
    )
    cpu_s_per_item_high: Finite | None = None
    energy_j_per_item: Finite | None = Field(
        default=None,
        description="Joules of all CPU packages of the machine for each item, whoever used them.",
    )
    open_peak_rss_bytes: Count | None = Field(
        default=None,
        description="High-water mark of resident memory until the first answer: reading and "
        "compiling.",
    )
    load_peak_rss_bytes: Count | None = Field(default=None, description="The same under load.")
    steady_rss_bytes: Count | None = Field(
        default=None, description="Resident memory under load, the median over blocks."
    )
    prepare_ms: Finite | None = Field(
        default=None,
        description="To prepare the inputs of a request, the mean; null where that is no part of "
        "its latency.",
    )


class BestTrialCosts(BestCosts):
    """The same of a trial of the search, and what its model took to open."""

    compile_s: Finite = Field(description="compile_model.")
    first_inference_ms: Finite = Field(description="First request after compiling.")
    cached_compile_s: Finite | None = Field(
        default=None, description="compile_model from a model cache (CACHE_DIR)."
    )
    cached_first_inference_ms: Finite | None = None


def best_costs(seen: Readings) -> BestCosts:
    """Readings as the file has them."""
    return BestCosts(**_fields(seen))


def best_trial_costs(seen: Readings, opening: Opening) -> BestTrialCosts:
    """Readings of a trial as the file has them."""
    return BestTrialCosts(
        **_fields(seen),
        compile_s=opening.compile_s,
        first_inference_ms=opening.first_inference_ms,
        cached_compile_s=opening.cached_compile_s,
        cached_first_inference_ms=opening.cached_first_inference_ms,
    )


def _fields(seen: Readings) -> dict[str, Any]:
    cpu, energy = seen.cpu_s_per_item, seen.energy_j_per_item
    return {
        "cpu_s_per_item": None if cpu is None else cpu.mean,
        "cpu_s_per_item_low": None if cpu is None else not_below_zero(cpu.low),
        "cpu_s_per_item_high": None if cpu is None else cpu.high,
        "energy_j_per_item": None if energy is None else energy.mean,
        "open_peak_rss_bytes": seen.open_peak_rss_bytes,
        "load_peak_rss_bytes": seen.load_peak_rss_bytes,
        "steady_rss_bytes": seen.steady_rss_bytes,
        "prepare_ms": seen.prepare_ms,
    }
