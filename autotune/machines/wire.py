"""The values in what a worker may say: validated, bounded, and then values of the domain."""

import base64
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from autotune.domain.inspection import DeviceFacts, ModelPort
from autotune.domain.model_facts import Weights
from autotune.domain.workload_facts import WorkloadFacts

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
Amount = Annotated[float, Field(ge=0)]
Seconds = Amount
Count = Annotated[int, Field(ge=0, lt=2**63)]


CHECKED = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
"""No field that is not known, and no number that is none."""


class WireValue(BaseModel):
    """A part of a message."""

    model_config = CHECKED


class WirePort(WireValue):
    """An input or output of a model."""

    name: Text
    shape: Text
    type: Text

    def port(self) -> ModelPort:
        """As a value of the domain."""
        return ModelPort(name=self.name, shape=self.shape, type=self.type)


class WireDevice(WireValue):
    """A device as the runtime describes it."""

    name: Text
    capabilities: list[Text]
    streams: list[int] | None
    requests: list[int] | None = None
    max_batch: Count | None = None
    best_batch: Count | None = None
    tiles: Count | None = None
    kind: Text = ""
    properties: dict[str, Text] = {}

    def facts(self) -> DeviceFacts:
        """As a value of the domain."""
        return DeviceFacts(
            name=self.name,
            capabilities=tuple(self.capabilities),
            streams=None if self.streams is None else tuple(self.streams),
            requests=None if self.requests is None else tuple(self.requests),
            max_batch=self.max_batch or None,
            best_batch=self.best_batch or None,
            tiles=self.tiles or None,
            kind=self.kind,
            properties=self.properties,
        )


class WireWeights(WireValue):
    """Constants of one element type."""

    type: Text
    values: Count
    size_bytes: Count

    def weights(self) -> Weights:
        """As a value of the domain."""
        return Weights(type=self.type, values=self.values, size_bytes=self.size_bytes)


class WireWorkload(WireValue):
    """What is fed, and how; see `WorkloadFacts`."""

    samples: Count
    is_random: bool
    stand_ins: dict[str, list[Count]] = {}
    notes: list[Text] = []
    shapes: list[dict[str, list[Count]]] = []
    weights: list[Amount] = []
    pads: dict[str, list[tuple[float, Count]]] = {}
    costs_ms: list[tuple[list[Count], Amount]] = []
    why_no_padding: Text | None = None
    why_no_open_shapes: Text | None = None
    why_no_graph: Text | None = None
    is_prepared: bool = False
    images_vary: bool = False
    image_size: tuple[Count, Count] | None = None
    image_sizes: Count = 0
    states: Text | None = None

    def facts(self) -> WorkloadFacts:
        """As a value of the domain."""
        return WorkloadFacts.from_dict(self.model_dump())


def device_facts(devices: Mapping[str, WireDevice]) -> dict[str, DeviceFacts]:
    """Devices as values of the domain."""
    return {name: device.facts() for name, device in devices.items()}


def model_ports(ports: Sequence[WirePort]) -> tuple[ModelPort, ...]:
    """Ports as values of the domain."""
    return tuple(port.port() for port in ports)
