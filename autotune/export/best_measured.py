"""What the search measured, in best.json: of the exported configuration and of the hints."""

from typing import Annotated, Literal

from pydantic import Field

from autotune.domain.goal import Verdict
from autotune.domain.measurement import Feed, Flag
from autotune.export.certificate import BestLatency, BestLimit, Count, FileSection, Finite, Text

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


class BestCosts(FileSection):
    """What it took beside time under load; null where it was not measured."""

    cpu_s_per_item: Amount = Field(
        default=None,
        description="CPU-seconds of all threads for each item, without what drives the load.",
    )
    cpu_s_per_item_low: Amount = Field(
        default=None, description="Lower end of the 95 % interval from block ratios."
    )
    cpu_s_per_item_high: Amount = None
    energy_j_per_item: Amount = Field(
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
    compile_s: Finite = Field(description="compile_model.")
    first_inference_ms: Finite = Field(description="First request after compiling.")
    cached_compile_s: Amount = Field(
        default=None, description="compile_model from a model cache (CACHE_DIR)."
    )
    cached_first_inference_ms: Amount = None


class BestMeasured(FileSection):
    """What the search measured, in one process: optimistic, as the best of many."""

    throughput_per_s: Finite = Field(
        description="Items (not requests) per second, mean over blocks."
    )
    throughput_low_per_s: float | None = Field(
        description="Lower end of the 95 % interval from block means, within one process."
    )
    throughput_high_per_s: float | None
    latency_ms: BestLatency
    requests: Count
    over_cap: Count = Field(description="Requests slower than the cap.")
    verdict: Verdict | None = Field(
        description="Sequential test of the SLA at 5 %; null without a cap."
    )
    load: Literal["closed loop"] = Field(
        description="num_requests kept in flight; not the rate that independent callers may send."
    )
    feed: Feed = Field(
        default=Feed.BIND,
        description="bind: inputs set once for each request; copy: copied before every request.",
    )
    flags: list[Flag] = Field(description="Reasons to doubt the measurement.")
    peak_rss_bytes: Count | None = Field(
        default=None, description="High-water mark of its process's resident memory."
    )
    costs: BestCosts | None = Field(default=None, description="Null before format 5.")
    data: Literal["random", "real"] | None = Field(
        default=None, description="What the model was fed with; null before format 4."
    )
    warnings: list[Text] = Field(
        default=[], description="Why random data may mislead for this model."
    )
    limits: list[BestLimit] = Field(
        default=[], description="What was seen of each limit beside latency; bounds at 95 %."
    )
    efficiency: Finite | None = Field(
        default=None,
        description="Items for each CPU-second, or joule, where the objective asks for that.",
    )


class BestBaseline(FileSection):
    """One of the runtime's own presets, measured in the same study."""

    name: Text
    trial: Count
    throughput_per_s: Finite
    latency_goal_ms: Finite
    verdict: Verdict | None
