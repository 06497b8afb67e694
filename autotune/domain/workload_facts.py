"""What a look at a workload found: its samples, their shapes, and how they may be served."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Shapes = Mapping[str, tuple[int, ...]]
"""Static shape by input name, of one item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFacts:
    """What is fed, and what could be shown of the ways to do it."""

    samples: int
    """How many are fed in turn."""
    is_random: bool
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
    states: str | None = None
    """`reset` or `carried` where the model keeps something from one request to the next."""
