"""From the images that an application has to the tensor that its model takes, described once.

To f32, resize, crop, colours, mean, scale, layout: the steps of OpenVINO's PrePostProcessor.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Resize(StrEnum):
    """How an image gets another size: the filters of Pillow, which antialias."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    NEAREST = "nearest"


class Color(StrEnum):
    """Order of the channels of an image."""

    RGB = "RGB"
    BGR = "BGR"
    GRAY = "GRAY"


class Where(StrEnum):
    """Who prepares an input."""

    HOST = "host"  # Pillow and NumPy in the thread that feeds requests
    GRAPH = "graph"  # OpenVINO's PrePostProcessor, compiled into the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What is done to each image before the model sees it."""

    input: str = ""
    """Name of the model's input; empty for the only one."""
    type: str = "u8"
    """OpenVINO's element type of the image's values: u8 or f32."""
    layout: str = "HWC"
    """Of one image as it comes: HWC or CHW."""
    size: tuple[int, int] | None = None
    """Height and width that every image comes in; None for whatever they have."""
    color: Color = Color.RGB
    """As images come."""
    model_color: Color | None = None
    """As the model takes them; None for the same."""
    model_layout: str = "NCHW"
    """NCHW or NHWC."""
    resize: Resize | None = None
    """To `resize_to`, or to the model's own size; None where images have it already."""
    resize_to: tuple[int, int] | None = None
    """Height and width after the resize and before the crop; None for the model's own."""
    crop: tuple[int, int] | None = None
    """Height and width of the middle that is kept; None for all."""
    mean: tuple[float, ...] = ()
    """Taken away, of one value or of each of the model's channels; on the scale of the image."""
    scale: tuple[float, ...] = ()
    """Divided by after that, likewise."""

    @property
    def colors(self) -> tuple[Color, Color]:
        """Before and after."""
        return self.color, self.model_color or self.color

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of what is not at its default."""
        found: dict[str, Any] = {}
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if value != one.default:
                found[one.name] = list(value) if isinstance(value, tuple) else value
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """What `to_dict` gave.

        Raises:
            ValueError, TypeError: it gave something else.
        """
        found: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        for name, kind in (("color", Color), ("model_color", Color), ("resize", Resize)):
            if found.get(name) is not None:
                found[name] = kind(found[name])
        return cls(**found)
