"""A mix of shapes: what inputs come in, how often, and what may be put around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autotune.domain.workload_facts import WorkloadFacts
from autotune.space.shape_plan import Serving, ShapePlan, Sizes

Shapes = Mapping[str, tuple[int, ...]]
"""Static shape by input name, of one item."""
Axis = tuple[str, int]
"""A dimension of an input."""


@dataclass(frozen=True, slots=True)
class Pad:
    """What is put behind an item to make it larger along an axis."""

    value: float
    axis: int


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Distinct shapes with their weights."""

    shapes: tuple[Shapes, ...]
    """All with the same inputs and ranks."""
    weights: tuple[float, ...]
    """Above zero; their scale means nothing."""
    pads: Mapping[str, tuple[Pad, ...]]
    """By input: padding that was said to be harmless; empty where none was."""

    @cached_property
    def varying(self) -> tuple[tuple[Axis, ...], ...]:
        """Groups of axes that vary, each with the same size in every shape: one size for each.

        The length of a sentence is the length of its mask: they are one size.
        """
        first = self.shapes[0]
        groups: dict[tuple[int, ...], list[Axis]] = {}
        for name, shape in first.items():
            for axis in range(len(shape)):
                column = tuple(one[name][axis] for one in self.shapes)
                if len(set(column)) > 1:
                    groups.setdefault(column, []).append((name, axis))
        return tuple(tuple(group) for group in groups.values())

    def sizes_of(self, shapes: Shapes) -> Sizes:
        """The sizes of a shape along what varies."""
        return tuple(shapes[group[0][0]][group[0][1]] for group in self.varying)

    def shapes_of(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """The shape that has these sizes along what varies, and is as all others elsewhere."""
        found = {name: list(shape) for name, shape in self.shapes[0].items()}
        for group, size in zip(self.varying, sizes, strict=True):
            for name, axis in group:
                found[name][axis] = size
        return {name: tuple(shape) for name, shape in found.items()}

    @property
    def sizes(self) -> tuple[Sizes, ...]:
        """Of every shape, in their order."""
        return tuple(self.sizes_of(one) for one in self.shapes)

    @property
    def largest(self) -> Sizes:
        """The smallest sizes that all fit in."""
        return tuple(map(max, zip(*self.sizes, strict=True)))

    @property
    def may_pad(self) -> bool:
        """Whether padding was said to be harmless along all that varies."""
        said = {(name, pad.axis) for name, pads in self.pads.items() for pad in pads}
        return all(axis in said for group in self.varying for axis in group)

    def forms(self, plan: ShapePlan) -> tuple[dict[str, tuple[Any, ...]], ...]:
        """Shapes of each model that a plan compiles, in the order in which an item looks.

        A dimension is a size, ``-1`` for an open one, or its least and largest as a pair.
        """
        if plan.serving is Serving.BUCKETS:
            return tuple(self.shapes_of(sizes) for sizes in plan.buckets)
        if plan.serving is Serving.PADDED:
            return (self.shapes_of(self.largest),)
        found: dict[str, list[Any]] = {n: list(s) for n, s in self.shapes[0].items()}
        least = tuple(map(min, zip(*self.sizes, strict=True)))
        for group, low, high in zip(self.varying, least, self.largest, strict=True):
            for name, axis in group:
                found[name][axis] = -1 if plan.serving is Serving.DYNAMIC else (low, high)
        return ({name: tuple(shape) for name, shape in found.items()},)

    def buckets_of(self, plan: ShapePlan) -> tuple[Sizes, ...]:
        """Of each static model of a plan; none where it has none, or they are to be chosen."""
        return (self.largest,) if plan.serving is Serving.PADDED else plan.buckets

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {
            "shapes": [{n: list(s) for n, s in one.items()} for one in self.shapes],
            "weights": list(self.weights),
            "pads": pairs_of(self.pads),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Mix":
        """What `to_dict` gave.

        Raises:
            ValueError, KeyError, TypeError: it gave something else.
        """
        return cls(
            shapes=tuple({n: tuple(s) for n, s in one.items()} for one in values["shapes"]),
            weights=tuple(values["weights"]),
            pads=pads_of(values["pads"]),
        )


def pairs_of(pads: Mapping[str, Sequence[Pad]]) -> dict[str, list[list[float]]]:
    """By input, value and axis of each, JSON-ready; `pads_of` reads it back."""
    return {name: [[pad.value, pad.axis] for pad in ones] for name, ones in pads.items()}


def pads_of(pairs: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Pad, ...]]:
    """From value and axis of each, by input."""
    return {name: tuple(Pad(*pair) for pair in ones) for name, ones in pairs.items()}


def mix_of(facts: WorkloadFacts) -> Mix | None:
    """The mix of shapes; None where there is one shape."""
    if not facts.shapes:
        return None
    return Mix(
        shapes=facts.shapes,
        weights=facts.weights,
        pads=pads_of(facts.pads),
    )


def fits(sizes: Sizes, bucket: Sizes) -> bool:
    """Whether an item of these sizes can be padded to a bucket."""
    return all(own <= room for own, room in zip(sizes, bucket, strict=True))


def routed(sizes: Sizes, buckets: Sequence[Sizes]) -> int | None:
    """The first bucket that an item fits, by its place; None where it fits none."""
    return next((at for at, bucket in enumerate(buckets) if fits(sizes, bucket)), None)
