"""Everything that is asked of a model, in one value that a worker executes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from autotune.workload.inputs import Inputs, Range
from autotune.workload.mix import Pad, Shapes, pads_of, pairs_of
from autotune.workload.preprocessing import Preprocessing


class States(StrEnum):
    """What becomes of what a model keeps from one request to the next."""

    RESET = "reset"  # each item begins anew
    CARRIED = "carried"  # items are parts of one sequence, in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a model is asked; with nothing said, random data of one static shape."""

    inputs: Inputs | None = None
    """None for random data."""
    ranges: Mapping[str, Range] = field(default_factory=dict)
    """Of random data, by input."""
    preprocessing: Preprocessing | None = None
    shapes: tuple[Shapes, ...] = ()
    """A mix of shapes as the study says it; empty for those of the samples."""
    weights: tuple[float, ...] = ()
    """One for each of `shapes`; empty for the share of the samples that have it."""
    pads: Mapping[str, tuple[Pad, ...]] = field(default_factory=dict)
    """By input; the empty name stands for every input."""
    states: States | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of what is said; `from_dict` reads it back."""
        said: dict[str, Any] = {
            "inputs": None if self.inputs is None else self.inputs.to_dict(),
            "ranges": {name: [one.low, one.high] for name, one in self.ranges.items()},
            "preprocessing": None if self.preprocessing is None else self.preprocessing.to_dict(),
            "shapes": [{n: list(s) for n, s in one.items()} for one in self.shapes],
            "weights": list(self.weights),
            "pads": pairs_of(self.pads),
            "states": self.states,
        }
        return {name: value for name, value in said.items() if value is not None and value != []}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Workload":
        """What `to_dict` gave.

        Raises:
            ValueError, KeyError, TypeError: it gave something else.
        """
        inputs, states = values.get("inputs"), values.get("states")
        prepared = values.get("preprocessing")
        return cls(
            inputs=None if inputs is None else Inputs.from_dict(inputs),
            ranges={name: Range(*pair) for name, pair in values.get("ranges", {}).items()},
            preprocessing=None if prepared is None else Preprocessing.from_dict(prepared),
            shapes=tuple({n: tuple(s) for n, s in one.items()} for one in values.get("shapes", ())),
            weights=tuple(values.get("weights", ())),
            pads=pads_of(values.get("pads", {})),
            states=None if states is None else States(states),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model file at static shapes, and what it is asked."""

    path: Path
    shapes: dict[str, list[int]]
    """By input name, at batch 1; empty for the file's own."""
    inputs: Path | None = None
    """Data of one static shape, as `[model] inputs` says it; None for random data, and where a
    workload says more."""
    workload: Workload | None = None
    """None where nothing but `inputs` is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One of several model files with the same inputs and outputs."""

    name: str
    """As a compile key has it; the model that was given has none."""
    source: ModelSource
