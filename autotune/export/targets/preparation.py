"""What an exported program does to each image: what its templates need of a description."""

from dataclasses import dataclass
from typing import ClassVar

from autotune.workload.preparing import (
    HALF,
    Size,
    channels_of,
    crop_bounds,
    resized_size,
    rows_first,
    size_in,
)
from autotune.workload.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """A description, settled for the model that is deployed.

    The templates `prepare.py.jinja` and `prepare.cpp.jinja` write a function that does it on the
    host, `graph.py.jinja` and `graph.cpp.jinja` one that puts it before the model.
    """

    how: Preprocessing
    """Of which `described.why_not` says nothing."""
    at: int
    """The input's place among the model's."""
    shape: tuple[int, ...]
    """Of the model's input; -1 for what is open."""
    type: str = "f32"
    """OpenVINO's element type of the model's input."""
    size: Size | None = None
    """Height and width that every image comes in; None where they differ."""

    half: ClassVar[float] = HALF
    """What the graph adds before it rounds down."""

    @property
    def source(self) -> Size | None:
        """Height and width that every image comes in, as was said or seen."""
        return self.how.size or self.size

    @property
    def channels(self) -> int:
        """Of an image."""
        return channels_of(self.how.color)

    @property
    def model_size(self) -> Size:
        """Height and width that the model takes; -1 where one is open."""
        return size_in(self.shape, self.how)

    @property
    def resized(self) -> Size | None:
        """Height and width after the resize; None without one."""
        return resized_size(self.how, self.model_size)

    @property
    def bounds(self) -> tuple[list[int], list[int]]:
        """Where the crop begins and ends along each axis of a batch, for the graph.

        Raises:
            PreparationError: images differ in size, and nothing is said of a resize.
        """
        return crop_bounds(self.how, self.resized or self.source)

    @property
    def axes(self) -> list[int]:
        """Those of height and width in a batch of images."""
        return [self.how.layout.index(one) + 1 for one in "HW"]

    @property
    def sizes(self) -> list[int]:
        """Of an image, as the graph takes it; only where all have one size."""
        found = dict(zip("HW", self.source or (-1, -1), strict=True))
        return [found.get(one, self.channels) for one in self.how.layout]

    @property
    def passes(self) -> list[tuple[int, int]]:
        """In which order the graph resizes images of one size: axis in a batch, and its size."""
        if self.source is None or self.resized is None:
            return []
        found = [
            (axis, after)
            for axis, before, after in zip(self.axes, self.source, self.resized, strict=True)
            if before != after
        ]
        return found if rows_first(self.source, self.resized) else found[::-1]

    @property
    def turned(self) -> bool:
        """Whether the order of the channels changes."""
        return self.how.colors[0] is not self.how.colors[1]

    @property
    def taken(self) -> tuple[int, ...]:
        """Which channel of the image each of the model's is."""
        order = range(self.channels)
        return tuple(reversed(order)) if self.turned else tuple(order)

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each of the model's channels; empty where nothing is taken away."""
        return _each(self.how.mean, self.channels)

    @property
    def scale(self) -> tuple[float, ...]:
        """Likewise; empty where nothing is divided."""
        return _each(self.how.scale, self.channels)

    @property
    def words(self) -> str:
        """What an image is, for a comment."""
        sizes = dict(zip("HW", self.source or ("height", "width"), strict=True))
        shape = "×".join(str(sizes.get(one, self.channels)) for one in self.how.layout)
        return f"{self.how.type} of {shape} ({self.how.color})"


def _each(said: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return said * channels if len(said) == 1 else said
