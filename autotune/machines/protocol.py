"""What a worker may say. Its lines are outside input: validated, bounded, never evaluated."""

import signal
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from autotune.domain.inspection import Inspection, Overview
from autotune.domain.measurement import Block
from autotune.domain.model_facts import ModelFacts
from autotune.machines.wire import (
    CHECKED,
    Amount,
    Count,
    Seconds,
    Text,
    Ticks,
    WireDevice,
    WirePort,
    WireWeights,
    WireWorkload,
    device_facts,
    model_ports,
)

STACKS = signal.SIGUSR1
"""What asks a worker for the stacks of its threads."""
MAX_LINE_BYTES = 32 * 2**20


class _Message(BaseModel):
    model_config = CHECKED


class Ready(_Message):
    """The worker has imported the runtime."""

    say: Literal["ready"]


class Failed(_Message):
    """A command could not be carried out; the worker lives on."""

    say: Literal["failed"]
    kind: Text
    message: Text


class Looked(_Message):
    """Devices, and the ports of a model that was only read; see `Overview`."""

    say: Literal["looked"]
    openvino: Text
    devices: dict[str, WireDevice]
    inputs: list[WirePort]
    outputs: list[WirePort]
    absent: dict[str, Text] = {}
    static_inputs: list[WirePort] = []
    static_outputs: list[WirePort] = []

    def overview(self) -> Overview:
        """As a value of the domain."""
        return Overview(
            openvino=self.openvino,
            devices=device_facts(self.devices),
            inputs=model_ports(self.inputs),
            outputs=model_ports(self.outputs),
            absent=self.absent,
            static_inputs=model_ports(self.static_inputs),
            static_outputs=model_ports(self.static_outputs),
        )


class Examined(_Message):
    """What a model file holds; see `ModelFacts`."""

    say: Literal["examined"]
    openvino: Text
    inputs: list[WirePort]
    outputs: list[WirePort]
    static_inputs: list[WirePort] = []
    static_outputs: list[WirePort] = []
    layouts: dict[str, Text]
    weights: list[WireWeights]
    compressed: dict[str, Count]
    operations: dict[str, Count]
    foreign: list[Text]
    variables: list[Text]
    tables: dict[str, Count] = {}
    data_dependent: list[Text]
    batch_lost: Text | None

    def facts(self) -> ModelFacts:
        """As a value of the domain."""
        return ModelFacts(
            openvino=self.openvino,
            inputs=model_ports(self.inputs),
            outputs=model_ports(self.outputs),
            static_inputs=model_ports(self.static_inputs),
            static_outputs=model_ports(self.static_outputs),
            layouts=self.layouts,
            weights=tuple(one.weights() for one in self.weights),
            compressed=self.compressed,
            operations=self.operations,
            foreign=tuple(self.foreign),
            variables=tuple(self.variables),
            tables=self.tables,
            data_dependent=tuple(self.data_dependent),
            batch_lost=self.batch_lost,
        )


class WorkloadRead(_Message):
    """The inputs of a workload are in files that other workers read."""

    say: Literal["workload_read"]
    shapes: dict[str, list[Count]]
    """Static, at batch 1: of the samples that stand for all where these have several."""
    inputs: Text
    """A .npz file with samples of these shapes, as [model] inputs may name one."""
    samples: Count


class GuardDone(_Message):
    """Answers were compared with those of the model as it was given; see `Guarded`."""

    say: Literal["guarded"]
    samples: Count
    is_identical: bool
    is_random: bool
    reference: list[float]
    """A score for each sample, of the reference."""
    found: list[float]
    """Likewise, of what was looked at."""
    is_compared: bool
    """Whether a score says how near an answer is to the reference's own."""
    totals: tuple[float, float] | None
    """Of a metric of all samples together: the reference's, and what was looked at."""
    resampled: list[float]
    """What it loses on samples that were drawn anew."""
    why: Text | None
    """Why nothing can be compared; null where it can."""


class Built(_Message):
    """A variant was made, and written."""

    say: Literal["built"]
    operations: dict[str, tuple[Count, Count]]
    """By kind, how many have quantised weights or inputs, of how many there are."""
    calibrated: Count
    given_back: list[Text] = []
    """Names of operations that were to be quantised, and cost too much accuracy."""
    openvino: Text
    nncf: Text | None


class Inspected(_Message):
    """A model and the devices here; see `Inspection`."""

    say: Literal["inspected"]
    openvino: Text
    devices: dict[str, WireDevice]
    default_precision: Text
    precision_errors: dict[str, float | None]
    untrusted: dict[str, Text] = {}
    unproven_precisions: dict[str, dict[str, Text]] = {}
    is_deterministic: bool = True
    why_no_batch: Text | None
    unproven_batch: Text | None = None
    static_shapes: dict[str, list[int]]
    inputs: list[WirePort]
    outputs: list[WirePort]
    items_per_request: Annotated[int, Field(ge=1, le=65536)] = 1
    fed_warnings: list[Text] = []
    why_no_energy: Text | None = None
    why_no_memory: Text | None = None
    why_one_request: Text | None = None
    unsaid_ids: dict[str, Count] = {}
    workload: WireWorkload | None = None

    def inspection(self) -> Inspection:
        """As a value of the domain."""
        return Inspection(
            openvino=self.openvino,
            devices=device_facts(self.devices),
            default_precision=self.default_precision,
            precision_errors=self.precision_errors,
            untrusted=self.untrusted,
            unproven_precisions=self.unproven_precisions,
            is_deterministic=self.is_deterministic,
            why_no_batch=self.why_no_batch,
            unproven_batch=self.unproven_batch,
            static_shapes=self.static_shapes,
            inputs=model_ports(self.inputs),
            outputs=model_ports(self.outputs),
            items_per_request=self.items_per_request,
            fed_warnings=tuple(self.fed_warnings),
            why_no_energy=self.why_no_energy,
            why_no_memory=self.why_no_memory,
            why_one_request=self.why_one_request,
            unsaid_ids=self.unsaid_ids,
            workload=None if self.workload is None else self.workload.facts(),
        )


class Opened(_Message):
    """A compiled model, checked."""

    say: Literal["opened"]
    effective: dict[str, Text]
    optimal_requests: Annotated[int, Field(ge=1, le=2**31)]
    read_s: Seconds
    compile_s: Seconds
    first_inference_ms: Seconds
    output_error: float
    unproven: Text | None = None
    """Why its answers are not proven; null where they are."""
    open_peak_rss_bytes: Count | None = None
    """Until the first answer."""


class CacheTried(_Message):
    """A model was compiled with a cache folder."""

    say: Literal["cached"]
    compile_s: Seconds
    first_inference_ms: Seconds
    why_not: Text | None = None
    """Why it did not come from there."""


class GoesOn(_Message):
    """A long command goes on with its next step, which has its own time."""

    say: Literal["progress"]
    what: Text


class BlockDone(_Message):
    """One block of load."""

    say: Literal["block"]
    duration_s: Annotated[float, Field(gt=0)]
    latency_ticks: Ticks
    occupancy: float
    loop_cpu_s: Seconds
    process_cpu_s: Seconds
    steal_s: float | None
    pressure_s: float | None
    throttled: Count | None
    major_faults: Count
    clock_drift_s: float
    others_s: Seconds | None = None
    """CPU time of anybody else on the CPUs that the worker may run on."""
    affinity_cpus: Annotated[int, Field(ge=1)] | None = None
    rss_bytes: Count | None = None
    energy_j: Amount | None = None
    prepare_s: Seconds | None = None
    prepare_cpu_s: Seconds | None = None

    def block(self, cpus: int, *, is_confined: bool = False) -> Block:
        """As a value of the domain; `cpus` are those that the worker may use.

        Tasks of the worker wait for each other, too: streams of several models, and the thread that
        feeds them. Only as long as others had CPUs it was they who were waited for.

        Where the worker is confined to a core budget, tasks of its cgroup wait for CPUs that are
        none of its own, the application's beside it for instance, and nothing tells the two apart.
        What others took of its own CPUs counts instead.
        """
        values = self.model_dump(exclude={"say", "others_s", "affinity_cpus"})
        if is_confined:
            values["pressure_s"] = self._others_s()
        elif self.pressure_s is not None and self.others_s is not None:
            values["pressure_s"] = min(self.pressure_s, self.others_s)
        return Block(cpus=cpus, **values)

    def _others_s(self) -> float | None:
        """Time for which the worker's CPUs were somebody else's, mean over them."""
        if self.others_s is None or self.affinity_cpus is None:
            return None
        return self.others_s / self.affinity_cpus


class Stopped(_Message):
    """The load has ended and every request is home."""

    say: Literal["stopped"]
    peak_rss_bytes: Count | None
    load_peak_rss_bytes: Count | None = None
    """Since these requests were made."""


class SampleWritten(_Message):
    """The sample model is on disk."""

    say: Literal["written"]


Message = (
    Ready
    | Failed
    | Looked
    | Examined
    | WorkloadRead
    | GuardDone
    | Built
    | Inspected
    | Opened
    | CacheTried
    | GoesOn
    | BlockDone
    | Stopped
    | SampleWritten
)
_ANSWER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="say")])


def parse_message(line: bytes) -> Message:
    """The answer in one line.

    Raises:
        ValueError: it is no answer.
    """
    try:
        return _ANSWER.validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        message = f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        raise ValueError(message) from None
