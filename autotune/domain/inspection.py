"""What a look at a model and a machine finds, as values: no more a message, nor the runtime's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from autotune.domain.workload_facts import WorkloadFacts
from autotune.space.devices import kind_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPort:
    """An input or output of a model."""

    name: str
    shape: str
    """As OpenVINO writes it: `[1,3,?,32..]`; `[...]` where even the rank is open."""
    type: str
    """Of its elements, such as `f32`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """A device as the runtime describes it."""

    name: str
    capabilities: tuple[str, ...]
    """What it computes natively, such as `FP32`."""
    streams: tuple[int, ...] | None
    """Range of its streams; None where nobody knows."""
    requests: tuple[int, ...] | None = None
    """Range of its requests in flight: least, most, step; None where nobody knows."""
    max_batch: int | None = None
    """Largest batch of the model that was looked at; None where nobody knows."""
    best_batch: int | None = None
    """What automatic batching would collect of it; None where nobody knows."""
    tiles: int | None = None
    """Of an NPU; None where there are none, or nobody knows."""
    kind: str = ""
    """`integrated` or `discrete`; empty where it does not tell."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Properties that it says that it has, and whether each may be set: ``RW``, ``RO``, ``WO``;
    empty where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Devices, and the ports of a model that was only read."""

    openvino: str
    """The runtime's version."""
    devices: Mapping[str, DeviceFacts]
    inputs: tuple[ModelPort, ...]
    """As the file has them."""
    outputs: tuple[ModelPort, ...]
    static_inputs: tuple[ModelPort, ...] = ()
    """With the shapes and the batch that were asked for; empty where none were."""
    static_outputs: tuple[ModelPort, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    """Devices that the runtime has a plugin for and that are not here, and what it says of them;
    empty where a model was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A model that was tried, and the devices here: what a space follows from."""

    openvino: str
    """The runtime's version."""
    devices: Mapping[str, DeviceFacts]
    default_precision: str
    precision_errors: Mapping[str, float | None]
    """Deviation from the f32 outputs by precision, relative to their largest value; None where
    the precision gives values that are not finite."""
    untrusted: Mapping[str, str] = field(default_factory=dict)
    """Native precisions that are not to be used unless asked for, and why."""
    unproven_precisions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By device and precision, asked for or used by itself, why its answers are not proven."""
    is_deterministic: bool = True
    """Whether a sample gives the same answer again."""
    why_no_batch: str | None
    """Why the model cannot be batched: a batch gave other answers, or is refused."""
    unproven_batch: str | None = None
    """Why a batch could not be shown to give the answers of single requests."""
    static_shapes: Mapping[str, Sequence[int]]
    """At batch 1, by the name of the input."""
    inputs: tuple[ModelPort, ...] | None
    """None where nobody knows: a recording has no model."""
    outputs: tuple[ModelPort, ...] | None
    """None where nobody knows."""
    items_per_request: int = 1
    """At batch 1: the model's own batch, where that is shown to be one."""
    fed_warnings: tuple[str, ...] = ()
    """Why the speed on these data may be that of another workload; empty for real ones."""
    why_no_energy: str | None = None
    """Why the energy of the CPU packages cannot be read here; None where it can."""
    why_no_memory: str | None = None
    """Why the memory that a process takes under load cannot be told here; None where it can."""
    why_one_request: str | None = None
    """Why there is one request at a time, of one item; None where there may be several."""
    unsaid_ids: Mapping[str, int] = field(default_factory=dict)
    """Inputs of ids that nobody said a range of, and the rows of the tables that they are for."""
    workload: WorkloadFacts | None = None
    """None where nothing but data of one shape was asked for."""


PRECISIONS = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
"""Values of the precision hint, and the capability that shows them to be native."""


def native_of(name: str, capabilities: Iterable[str]) -> list[str]:
    """Precisions that a device computes natively; a GPU computes f32 too, whatever it says."""
    also = {"FP32"} if kind_of(name).names == ("GPU",) else set()
    signs = {*capabilities, *also}
    return [kind for kind, sign in PRECISIONS.items() if sign in signs]


def home_of(devices: Iterable[str]) -> str:
    """The device whose f32 all others are judged by."""
    return "CPU" if "CPU" in devices else next(iter(devices))
