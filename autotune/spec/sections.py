"""Every other section of a study file."""

from datetime import datetime

from pydantic import Field

from autotune.domain.budget import Budget, seconds_until
from autotune.domain.measurement import Feed
from autotune.domain.sampler import Sampler
from autotune.spec.values import CpuChoice, Duration, LocalTime, Positive, Section, Switch


class ModelSpec(Section):
    """The model to deploy."""

    path: str = Field(
        min_length=1,
        description="Model file, relative to this file (.xml, .onnx, .pb, .tflite, .pdmodel).",
    )
    shape: str | None = Field(
        default=None,
        description='Static input shapes, "name:1,3,48,192", ";" between inputs; '
        "the name may be left out for one input.",
    )
    inputs: str | None = Field(
        default=None,
        description="A .npz file with one array per input, or a .npy file for the only input; "
        "samples along the first axis, a scalar for all of them. Random data without it.",
    )
    items: Positive | None = Field(
        default=None,
        description="Items in a request at batch 1, which is what throughput counts. Left out: "
        "the model's own batch, where that can be shown to be one, else 1.",
    )


class BudgetSpec(Section):
    """When to stop: at the first of these."""

    duration: Duration | None = Field(
        default=None, description='Time spent on the study over all runs: "3m", "8h". Default 10m.'
    )
    trials: Positive | None = Field(default=None, description="Number of trials with a result.")
    until: LocalTime | None = Field(
        default=None, description='Local time of day at which to stop: "07:00".'
    )
    stable: Switch = Field(
        default=False,
        description="Whether to stop searching when an improvement above 1 % has become unlikely; "
        "the other limits hold as well.",
    )

    @property
    def duration_s(self) -> float | None:
        """Seconds for the whole study; ten minutes when no budget of any kind is given."""
        if self.duration is None and self.trials is None and self.until is None:
            return 600.0
        return self.duration

    def after(self, spent_s: float, begun: datetime) -> Budget:
        """What is left to a session now; `until` is the next such time after `begun`."""
        until_s = None
        if self.until is not None:
            passed_s = (datetime.now().astimezone() - begun).total_seconds()
            until_s = seconds_until(self.until, begun) - passed_s
        return Budget(
            duration_s=self.duration_s,
            spent_before_s=spent_s,
            until_s=until_s,
            trials=self.trials,
            stable=self.stable,
        )


class MachineSpec(Section):
    """What of this machine the model may have."""

    cpus: CpuChoice | None = Field(
        default=None,
        description="The core budget: everything that is measured runs on these CPUs only, and the "
        'rest is left to the application. A count such as `6`, or a list such as `"0-5"`, `"1-1"` '
        'or `"0,2"`. All that this process may use without it (docs/core-budget.md).',
    )


class MeasureSpec(Section):
    """How long to measure one configuration."""

    limit: Duration | None = Field(
        default=None,
        description="Longest measurement of one configuration; "
        "a promising one whose verdict is open may take four times as long. "
        "Default: a fortieth of the budget, between 3s and 30s.",
    )
    warmup: Duration = Field(
        default=1.0, description="Shortest warm-up before the first counted block."
    )
    feed: Feed = Field(
        default=Feed.BIND,
        description='"bind" sets the inputs of each request once; "copy" copies them from arrays '
        'before every request, as an application does; "end-to-end" prepares them as well, and '
        "counts that as a part of the latency.",
    )
    reference: Switch = Field(
        default=True,
        description="Whether the better hint stays resident and is measured again between trials, "
        "for at most 5 % of the time, to see the machine drift.",
    )
    cached: Switch = Field(
        default=False,
        description="Whether each compiled model is compiled once more from a model cache "
        "(CACHE_DIR), in fresh processes: what a deployment that keeps one waits for when it "
        "starts. It costs two processes and two compilations for each, and decides nothing.",
    )


class DeadlineSpec(Section):
    """How long a worker may take for one step before it is given up as hung."""

    start: Duration | None = Field(
        default=None, description="To start a process and import the runtime. Default 1m."
    )
    inspect: Duration | None = Field(
        default=None,
        description="For each step of the first look at the model: one compilation, with the "
        "answers that are compared then. Default 10m, and 1s more for each MiB of the model.",
    )
    inputs: Duration | None = Field(
        default=None,
        description="To read the inputs of [workload], its function included. Default 2m.",
    )
    compile: Duration | None = Field(
        default=None,
        description="To open one configuration: reading, compiling, the first inference and the "
        "check of its answers. Default 5m, and 1s more for each 2 MiB of the model.",
    )
    build: Duration | None = Field(
        default=None,
        description="For each step of making a variant: a twentieth of the samples, as a rule. "
        "Default 10m, and 2s more for each MiB of the model.",
    )
    block: Duration | None = Field(
        default=None,
        description="For one block of load, beyond half a second and three rounds of requests. "
        "Default 30s, and 1s more for each 20 MiB of the model.",
    )


class SearchSpec(Section):
    """How to choose what to try next."""

    sampler: Sampler = Field(
        default=Sampler.AUTO,
        description='"auto" (see docs/samplers.md), "gp", "tpe", "random", "grid" or "exhaustive".',
    )
    seed: int = Field(
        default=0,
        strict=True,
        ge=0,
        lt=2**31,
        description="Each proposal follows from this and the trial number.",
    )
    warm_start: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of another study, relative to this file: its best few configurations "
        "are measured here right after the hints.",
    )


class RaceSpec(Section):
    """The last stage: the best and the hints in turns, over fresh processes."""

    share: float = Field(
        default=0.2,
        strict=True,
        ge=0,
        le=0.5,
        description="Share of the budget that is kept for the race, twice as much (half of it at "
        "most) while a dozen launches need it; 0 for no race, and an unconfirmed result.",
    )

    @property
    def most_share(self) -> float:
        """Largest share that the race may take of a short budget."""
        return min(2 * self.share, 0.5)
