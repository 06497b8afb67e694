"""What the search measured, in best.json: of the exported configuration and of the hints."""

from typing import Literal

from pydantic import Field

from autotune.domain.goal import Verdict
from autotune.domain.measurement import Feed, Flag
from autotune.export.best_costs import BestTrialCosts
from autotune.export.certificate import BestLatency, BestLimit
from autotune.export.section import Count, FileSection, Finite, Text


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
        description="bind: inputs set once for each request; copy: copied before every request; "
        "end-to-end: prepared before every request, as a part of its latency.",
    )
    flags: list[Flag] = Field(description="Reasons to doubt the measurement.")
    peak_rss_bytes: Count | None = Field(
        default=None, description="High-water mark of its process's resident memory."
    )
    costs: BestTrialCosts | None = Field(default=None, description="Null before format 5.")
    data: Literal["random", "real"] | None = Field(
        default=None, description="What the model was fed with; null before format 4."
    )
    inputs: Text | None = Field(
        default=None, description="What that was, and how, in words; null before format 6."
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
