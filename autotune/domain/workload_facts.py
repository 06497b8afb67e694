"""What a look at a workload found: its samples, their shapes, and how they may be served."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]
"""Static shape by input name, of one item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFacts:
    """What is fed, and what could be shown of the ways to do it."""

    samples: int
    """How many are fed in turn."""
    is_random: bool
    stand_ins: Shapes = field(default_factory=dict)
    """Shapes of the samples that stand for all where these have several; else those of all."""
    notes: tuple[str, ...] = ()
    """What was skipped, cut or guessed, each in a line."""
    shapes: tuple[Shapes, ...] = ()
    """Of a mix: distinct ones; empty where there is one shape."""
    weights: tuple[float, ...] = ()
    """Of these, their sum 1."""
    pads: Mapping[str, tuple[tuple[float, int], ...]] = field(default_factory=dict)
    """By input, value and axis of the padding that was said to be harmless."""
    costs_ms: tuple[tuple[tuple[int, ...], float], ...] = ()
    """Of a mix: sizes along what varies, and how long one request of a static model takes."""
    why_no_padding: str | None = None
    """Why an item may not be made larger: nobody said that it changes no answer, or it does."""
    why_no_open_shapes: str | None = None
    """Why the model cannot be served with dimensions left open."""
    why_no_graph: str | None = None
    """Why inputs cannot be prepared in the graph; None where they can, or nothing is prepared."""
    is_prepared: bool = False
    """Whether images are prepared for the model."""
    images_vary: bool = False
    """Whether images come in several sizes: then no batch of them is one tensor."""
    image_size: tuple[int, int] | None = None
    """Height and width of every image; None where they vary, or nothing is prepared."""
    image_sizes: int = 0
    """In how many sizes images come; 0 where nothing is prepared, and where it was not counted."""
    states: str | None = None
    """`reset` or `carried` where the model keeps something from one request to the next."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of what is not at its default; `from_dict` reads it back."""
        usual = WorkloadFacts(samples=-1, is_random=False)
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: _plain(value)
            for name, value in values.items()
            if value != getattr(usual, name) or name == "is_random"
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "WorkloadFacts":
        """What `to_dict` gave; what a later version added is left out.

        Raises:
            ValueError: it gave something else.
        """
        known = {one.name for one in fields(cls)}
        try:
            found = {name: _as_was(name, value) for name, value in values.items() if name in known}
            return cls(**found)
        except (TypeError, AttributeError) as error:
            message = f"these are no facts of a workload: {error}"
            raise ValueError(message) from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _as_was(name: str, value: Any) -> Any:
    """Tuples where JSON has lists."""
    if name == "shapes":
        return tuple({key: tuple(shape) for key, shape in one.items()} for one in value)
    if name == "stand_ins":
        return {key: tuple(shape) for key, shape in value.items()}
    if name == "pads":
        return {key: tuple((one[0], one[1]) for one in pads) for key, pads in value.items()}
    if name == "costs_ms":
        return tuple((tuple(sizes), cost) for sizes, cost in value)
    return tuple(value) if isinstance(value, list) else value
