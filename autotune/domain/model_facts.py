"""What a model file holds, as far as can be told without running it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from autotune.domain.inspection import ModelPort


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Constants of one element type."""

    type: str
    """Such as `f32`."""
    values: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model as it lies in its file."""

    openvino: str
    """The runtime's version."""
    inputs: tuple[ModelPort, ...]
    """As the file has them."""
    outputs: tuple[ModelPort, ...]
    static_inputs: tuple[ModelPort, ...] = ()
    """With the shapes that were asked for; empty where none were."""
    static_outputs: tuple[ModelPort, ...] = ()
    layouts: Mapping[str, str]
    """What the model itself says of inputs and outputs, by name: `[N,C,H,W]`."""
    weights: tuple[Weights, ...]
    """The most bytes first."""
    compressed: Mapping[str, int]
    """Values that are stored narrower than they are used, by the type that they are stored in."""
    operations: Mapping[str, int]
    """How many there are of each type, most first."""
    foreign: tuple[str, ...]
    """Operations that are none of OpenVINO's own."""
    variables: tuple[str, ...]
    """What is kept from one request to the next."""
    tables: Mapping[str, int] = field(default_factory=dict)
    """By input of numbers that are looked up in a table: the rows of the smallest one."""
    data_dependent: tuple[str, ...]
    """What of its work depends on the data; empty where nothing does, or shapes are open."""
    batch_lost: str | None
    """The operation that loses a batch, as far as shapes show."""

    @property
    def values(self) -> int:
        """Of all constants."""
        return sum(one.values for one in self.weights)

    @property
    def has_open_shapes(self) -> bool:
        """Whether an input has dimensions that are to be given."""
        return any(set("?.") & set(port.shape) for port in self.static_inputs or self.inputs)
