"""What a workload asks of a deployment: samples, preparation, shapes, states, for the templates."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from autotune.export.targets.preparation import Preparation
from autotune.space.shape_plan import ShapePlan
from autotune.workload.inputs import Range, Source
from autotune.workload.listing import SUFFIXES
from autotune.workload.mix import Mix
from autotune.workload.preprocessing import Where
from autotune.workload.workload import States

Form = tuple[tuple[Any, ...], ...]
"""Of one compiled model and one item: a shape for each input, in their order. A dimension is a
size, ``-1`` for an open one, or its least and largest as a pair."""

NUMPY_TYPES = {
    "boolean": "bool",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "f16": "float16",
    "f32": "float32",
    "f64": "float64",
}
"""NumPy's names of the element types that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSource:
    """Where samples come from, for a program that reads them."""

    kind: Source | None = None
    """None for random data."""
    files: tuple[str, ...] = ()
    """Files, or a folder of them, as seen from the folder that is written."""
    function: str = ""
    """Of the study's own code: the function that yields samples, or makes one of a line of text."""
    function_file: str = ""
    """Where that is, likewise."""
    folder: str = ""
    """The study's, likewise: on the path while the function runs, and the current one."""
    most: int = 64
    """So many samples are used."""
    ranges: Mapping[str, Range | None] = field(default_factory=dict)
    """Of inputs that are made up; None for 0, 1, 2 and so on along the last axis."""
    fault: str = ""
    """Why they cannot be read, where what was measured is not there any more."""

    has_changed: bool = False
    """Whether they are not what was measured any more."""

    @property
    def is_random(self) -> bool:
        """Whether there were no data of the user's."""
        return self.kind is None and not self.fault


@dataclass(frozen=True, kw_only=True)
class ServedInput:
    """An input of the model, and what an item has for it."""

    name: str
    type: str
    """OpenVINO's element type."""
    shape: tuple[int, ...]
    """Of one item; -1 along what differs between items."""
    pads: tuple[tuple[int, float], ...] = ()
    """Axes along which something may be put behind an item, and its value, in their order."""
    is_image: bool = False
    """Whether items have an image for it, to be prepared."""

    @property
    def dtype(self) -> str:
        """NumPy's name of the type; `str` for text, empty for one that NumPy lacks."""
        return "str" if self.type == "string" else NUMPY_TYPES.get(self.type, "")


@dataclass(frozen=True, kw_only=True)
class ServedWorkload:
    """A workload as it is deployed."""

    inputs: tuple[ServedInput, ...]
    source: SampleSource
    forms: tuple[Form, ...]
    """Of each compiled model, in the order in which an item looks for one that it fits."""
    mix: Mix | None = None
    """None where all items have one shape."""
    plan: ShapePlan | None = None
    """How the mix is served; None without one."""
    preparation: Preparation | None = None
    where: Where = Where.HOST
    """Who prepares, where something is prepared."""
    states: States | None = None

    @property
    def in_graph(self) -> Preparation | None:
        """What is compiled into the model."""
        return self.preparation if self.where is Where.GRAPH else None

    @property
    def on_host(self) -> Preparation | None:
        """What the application does to each image."""
        return self.preparation if self.where is Where.HOST else None

    @property
    def image_dtype(self) -> str:
        """NumPy's name of the type that images come in; empty without any."""
        return "" if self.preparation is None else NUMPY_TYPES[self.preparation.how.type]

    @property
    def modules(self) -> set[str]:
        """What a program imports of the standard library to read samples."""
        if self.source.function:
            return {"importlib", "importlib.util", "itertools", "os", "sys"}
        return {Source.SOUNDS: {"struct"}, Source.IMAGES: {"sys"}}.get(
            self.source.kind or Source.ARRAYS, set()
        )

    @property
    def packages(self) -> tuple[str, ...]:
        """What it needs beside NumPy and OpenVINO to read samples and to prepare them."""
        resizes = self.on_host is not None and self.on_host.resized is not None
        return ("pillow",) if resizes or self.source.kind is Source.IMAGES else ()

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of the files that are read of a folder."""
        return tuple(sorted(SUFFIXES.get(self.source.kind or Source.FUNCTION, ())))

    @property
    def images_vary(self) -> bool:
        """Whether the model takes images of several sizes, each in a tensor of its own."""
        return self.in_graph is not None and self.in_graph.source is None

    @property
    def is_routed(self) -> bool:
        """Whether there are several compiled models."""
        return len(self.forms) > 1

    @property
    def is_static(self) -> bool:
        """Whether every item has, or is padded to, a shape that is known."""
        return self.plan is None or self.plan.is_static

    @property
    def is_open(self) -> bool:
        """Whether a model meets shapes that it was not compiled for."""
        return not self.is_static or self.images_vary

    @property
    def is_in_turn(self) -> bool:
        """Whether each item is a request with tensors of its own, whose shape is the item's."""
        return self.is_open or self.states is not None

    @cached_property
    def shares(self) -> list[tuple[list[tuple[int, ...]], float]]:
        """Shapes of the mix, of each input in their order, and their weights; empty without one."""
        if self.mix is None:
            return []
        names = [one.name for one in self.inputs]
        return [
            ([tuple(shape[name]) for name in names], weight)
            for shape, weight in zip(self.mix.shapes, self.mix.weights, strict=True)
        ]

    def way(self, *, copies: bool) -> str:
        """How the inputs of a request get into it.

        ``once``, tensors that stay; ``set``, tensors that were made before; ``rows``, the request's
        own tensors are written into; ``new``, a tensor of its own for each request.
        """
        if not copies:
            return "set" if self.mix is not None or self.is_in_turn else "once"
        has_text = any(one.type == "string" for one in self.inputs)
        return "new" if self.is_in_turn or has_text else "rows"

    def in_turns(self, most: int) -> list[list[tuple[int, ...]]]:
        """Shapes of the mix as often as their weights say, each at least once; about `most`."""
        return [shape for shape, weight in self.shares for _ in range(_times(weight, most))]


def _times(weight: float, most: int) -> int:
    return max(1, math.floor(weight * most + 0.5))
