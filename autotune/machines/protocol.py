"""What a worker may say. Its lines are outside input: validated, bounded, never evaluated."""

import base64
import signal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from autotune.domain.measurement import Block

STACKS = signal.SIGUSR1
"""What asks a worker for the stacks of its threads."""
MAX_LINE_BYTES = 32 * 2**20
_MAX_TEXT = 20_000


def _decoded(value: object) -> object:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def _whole_ticks(value: bytes) -> bytes:
    if len(value) % 4:
        message = "latencies are not whole 4-byte numbers"
        raise ValueError(message)
    return value


Ticks = Annotated[
    bytes, BeforeValidator(_decoded), Field(min_length=4), AfterValidator(_whole_ticks)
]
Text = Annotated[str, Field(max_length=_MAX_TEXT)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Ready(_Message):
    """The worker has imported the runtime."""

    say: Literal["ready"]


class Failed(_Message):
    """A command could not be carried out; the worker lives on."""

    say: Literal["failed"]
    kind: Text
    message: Text


class ModelPort(_Message):
    """An input or output of a model."""

    name: Text
    shape: Text
    type: Text


class Device(_Message):
    """A device as the runtime describes it."""

    name: Text
    capabilities: list[Text]
    streams: list[int] | None


class Looked(_Message):
    """Devices, and the ports of a model that was only read."""

    say: Literal["looked"]
    openvino: Text
    devices: dict[str, Device]
    inputs: list[ModelPort]
    """As the file has them."""
    outputs: list[ModelPort]
    static_inputs: list[ModelPort] = []
    """With the shapes and the batch that were asked for; empty where none were."""
    static_outputs: list[ModelPort] = []


class Inspected(_Message):
    """A model and the devices here."""

    say: Literal["inspected"]
    openvino: Text
    devices: dict[str, Device]
    default_precision: Text
    precision_errors: dict[str, float | None]
    """Deviation from the f32 outputs by precision, relative to their largest value; None where
    the precision gives values that are not finite."""
    untrusted: dict[str, Text] = {}
    """Native precisions that are not to be used unless asked for, and why."""
    unproven_precisions: dict[str, dict[str, Text]] = {}
    """By device and precision, asked for or used by itself, why its answers are not proven."""
    is_deterministic: bool = True
    """Whether a sample gives the same answer again."""
    why_no_batch: Text | None
    """Why the model cannot be batched: a batch gave other answers, or is refused."""
    unproven_batch: Text | None = None
    """Why a batch could not be shown to give the answers of single requests."""
    static_shapes: dict[str, list[int]]
    inputs: list[ModelPort]
    outputs: list[ModelPort]
    items_per_request: Annotated[int, Field(ge=1, le=65536)] = 1
    """At batch 1: the model's own batch, where that is shown to be one."""
    fed_warnings: list[Text] = []
    """Why the speed on these data may be that of another workload; empty for real ones."""


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

    def block(self, cpus: int) -> Block:
        """As a value of the domain."""
        return Block(cpus=cpus, **self.model_dump(exclude={"say"}))


class Stopped(_Message):
    """The load has ended and every request is home."""

    say: Literal["stopped"]
    peak_rss_bytes: Count | None


class SampleWritten(_Message):
    """The sample model is on disk."""

    say: Literal["written"]


Message = (
    Ready | Failed | Looked | Inspected | Opened | GoesOn | BlockDone | Stopped | SampleWritten
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
